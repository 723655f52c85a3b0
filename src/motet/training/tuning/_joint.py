"""The encoder trained inside the multi-task model, on the labels of every task at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from motet.data import Batch, Batcher, Dataset
from motet.errors import TrainingError
from motet.evaluation import primary_values, score_of
from motet.models import MultiTaskModel
from motet.schema import Progress, Schema, silent
from motet.training import (
    ModelPredictor,
    Trained,
    TrainingStep,
    load_optimiser,
    optimiser_tensors,
    train_model,
)
from motet.training.tuning._likes import ItemTexts, item_texts
from motet.training.tuning._models import TextModel, TunedWeights
from motet.training.tuning._place import (
    JointlyTuned,
    Tuned,
    check_identity,
    check_output,
    checkpoint_of,
    identity_of,
    publish,
    remove_checkpoint,
)
from motet.training.tuning._settings import JointSettings
from motet.training.tuning._steps import tuning_optimiser

__all__ = ["JointStep", "tune_jointly"]

_ENCODER = "encoder."


class _Carried(nn.Module):
    """What goes with the model's state: the tuned weights and the table of vectors."""

    def __init__(self, weights: TunedWeights, table: Tensor) -> None:
        super().__init__()
        self.parameters_in_order = nn.ParameterList(weights.parameters.values())
        self.register_buffer("table", table)


class JointStep:
    """:class:`~motet.training.TrainingStep` with an encoder in front; follows :class:`~motet.training.StandardStep`.

    Of the texts in a batch, up to ``items_per_step`` drawn ones pass through the encoder with a
    gradient; the others are read from a table, into which every fresh vector is written, and which
    is computed again at the end of each epoch, before the validation rows are scored.

    Args:
        data: The data set; the vectors of the feature are overwritten in place.
        schema: Its schema.
        texts: The text feature.
        text_model: The encoder.
        weights: What is trained of it.
        settings: How.
    """

    def __init__(
        self,
        data: Dataset,
        schema: Schema,
        *,
        texts: ItemTexts,
        text_model: TextModel,
        weights: TunedWeights,
        settings: JointSettings,
    ) -> None:
        self._inner = TrainingStep(data, schema)
        self._texts, self._text_model, self._weights, self._settings = texts, text_model, weights, settings
        self._optimiser = tuning_optimiser(weights.parameters.values(), settings)
        self._table = torch.from_numpy(data.vectors[texts.feature])
        self._reduction = data.encoder.reductions.get(texts.feature)
        rows = len(data.rows("train"))
        self._epoch_steps = -(-rows // schema.training.rows_a_step(rows))
        self._rate = settings.rate / schema.training.learning_rate
        text_model.train(False)  # without dropout, as the vectors of the table
        self._inner.model.add_module("tuned", _Carried(weights, self._table))
        self.refresh()

    @property
    def model(self) -> MultiTaskModel:
        """The recommender in training."""
        return self._inner.model

    @property
    def batcher(self) -> Batcher:
        """Builds its training batches."""
        return self._inner.batcher

    @property
    def start(self) -> Mapping[str, Any]:
        """What the recommender's weights began with."""
        return self._inner.start

    def __call__(self, batch: Batch, rate: float) -> Tensor:
        """Take one step with the recommender and with the encoder.

        Args:
            batch: From :attr:`batcher`.
            rate: Learning rate of the recommender; that of the encoder follows the same schedule.

        Returns:
            The loss of each task, [T].
        """
        name, step = self._texts.feature, self._inner.steps
        rows = self._texts.of_item[batch.item_rows.numpy()]
        distinct = np.unique(rows[rows > 0])
        rng = np.random.default_rng([self._settings.seed, 2, step])
        live = np.sort(rng.choice(distinct, min(self._settings.items_per_step, len(distinct)), replace=False))
        fresh = self._reduced(self._text_model.vectors([self._texts.texts[row] for row in live])).cpu()
        place = np.full(len(self._table), -1)
        place[live] = np.arange(len(live))
        hit = np.flatnonzero(place[rows] >= 0)
        vectors = batch.item.vectors[name].index_copy(
            0, torch.from_numpy(hit), fresh[torch.from_numpy(place[rows[hit]])]
        )
        item = replace(batch.item, vectors={**batch.item.vectors, name: vectors})
        self._optimiser.zero_grad(set_to_none=True)
        losses = self._inner(replace(batch, item=item), rate)
        torch.nn.utils.clip_grad_norm_(self._weights.parameters.values(), self._settings.clip_norm)
        for group in self._optimiser.param_groups:
            group["lr"] = rate * self._rate
        self._optimiser.step()
        self._table[torch.from_numpy(live)] = fresh.detach()
        if self._inner.steps % self._epoch_steps == 0:
            self.refresh()
        return losses

    def refresh(self) -> None:
        """Compute the whole table again with the weights as they are."""
        vectors = torch.from_numpy(self._text_model.encode(self._texts.texts[1:]))
        if len(vectors):
            self._table[1:] = self._reduced(vectors)

    def state(self) -> dict[str, Tensor]:
        """Tensors to save: those of the recommender, the tuned weights, the table, both optimisers."""
        tensors = optimiser_tensors(self._optimiser)
        return self._inner.state() | {_ENCODER + name: tensor for name, tensor in tensors.items()}

    def load(self, tensors: dict[str, Tensor], steps: int) -> None:
        """Take over what :meth:`state` gave after some steps."""
        own = {name.removeprefix(_ENCODER): t for name, t in tensors.items() if name.startswith(_ENCODER)}
        load_optimiser(self._optimiser, own)
        self._inner.load({name: t for name, t in tensors.items() if not name.startswith(_ENCODER)}, steps)

    def finish(self) -> None:
        """Take the encoder out of the recommender's state, and compute the table with the weights kept."""
        del self.model.tuned
        self.refresh()

    def _reduced(self, vectors: Tensor) -> Tensor:
        """What :meth:`motet.data.Reduction.apply` does, with gradients."""
        if self._reduction is None:
            return vectors
        arrays = {name: torch.from_numpy(a).to(vectors) for name, a in self._reduction.arrays().items()}
        centred = vectors - arrays["mean"]
        if "dictionary" in arrays:
            return F.softshrink(centred @ arrays["dictionary"].T, float(arrays["threshold"]))
        return centred @ arrays["matrix"]


def tune_jointly(
    data: Dataset,
    out: str | Path,
    settings: JointSettings | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
) -> JointlyTuned:
    """Train the schema's recommender together with its text encoder, and write the encoder.

    The loop, its losses, balancer, patience and checkpoints are those of
    :func:`~motet.training.train_model`; each step also computes the vectors of some of its items'
    texts and passes their gradient on to the encoder. The weights kept are those of the best
    validation score.

    Args:
        data: The data set, with the vectors of the encoder as it is; it is not changed.
        out: Directory for the result; checkpoints are kept beside it until it is complete.
        settings: How; the defaults when left out.
        resume: Go on from the checkpoint of an interrupted run.
        overwrite: Replace a result that is there.
        progress: Progress callback.

    Raises:
        MotetError: If the items have no text, the schema cannot be trained, or a place is wrong.
    """
    out, settings = Path(out), settings or JointSettings()
    texts = item_texts(data, settings.feature)
    if len(texts.texts) < 2:
        raise TrainingError(f"no item has a text in '{texts.feature}'", "fill the columns of its template")
    check_output(out, overwrite)
    schema = data.schema
    model = TextModel(
        schema.language.encoder,
        max_tokens=settings.max_tokens,
        device=settings.device,
        precision=settings.precision,
    )
    checkpoint = checkpoint_of(out, resume)
    check_identity(checkpoint, identity_of("joint", data, settings))
    weights = TunedWeights(model.transformer, settings)
    own = replace(data, vectors={**data.vectors, texts.feature: np.array(data.vectors[texts.feature])})
    steps: list[JointStep] = []

    def build(given: Dataset, of: Schema) -> JointStep:
        steps.append(JointStep(given, of, texts=texts, text_model=model, weights=weights, settings=settings))
        return steps[0]

    trained = train_model(own, checkpoint=checkpoint, resume=resume, progress=progress, step=build)
    steps[0].finish()
    weights.merge()
    frozen = None
    if settings.compare:
        frozen = train_model(
            data, progress=lambda what, done, total: progress(f"as it was, {what}", done, total)
        )
    report = _report(data, own, texts.feature, settings, weights, trained, frozen)
    publish(out, lambda new: model.save(new / "encoder"), report)
    remove_checkpoint(checkpoint)
    return JointlyTuned(Tuned(out, out / "encoder", report), trained, own, frozen)


def _report(
    data: Dataset,
    own: Dataset,
    feature: str,
    settings: JointSettings,
    weights: TunedWeights,
    trained: Trained,
    frozen: Trained | None,
) -> dict[str, Any]:
    tuned = _validation_score(own, trained)
    report: dict[str, Any] = {
        "kind": "joint",
        "encoder": data.schema.language.encoder,
        "feature": feature,
        "settings": settings.model_dump(mode="json"),
        "schema": data.schema.to_yaml(),
        "trained_weights": sum(p.numel() for p in weights.parameters.values()),
        "weights": weights.total,
        "measure": "validation score of the recommender",
        "tuned": tuned,
        "history": trained.history.to_json(),
    }
    if frozen is None:
        return report | {"summary": f"validation score {tuned:.4f}; not compared with the encoder as it was"}
    first = _validation_score(data, frozen)
    helped = tuned > first
    summary = f"validation score: {first:.4f} with the encoder as it was, {tuned:.4f} trained jointly"
    return report | {
        "frozen": first,
        "helped": helped,
        "summary": summary if helped else f"tuning did not help: {summary}",
        "frozen_history": frozen.history.to_json(),
    }


def _validation_score(data: Dataset, trained: Trained) -> float:
    predictor = ModelPredictor(trained.model, data, known="train")
    return score_of(data.schema, primary_values(data, predictor, "validation"))
