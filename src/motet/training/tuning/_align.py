"""Item texts brought near to the texts of items that the same people like; the ways to tune, by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from motet.data import Dataset
from motet.errors import TrainingError
from motet.schema import Progress, silent
from motet.training import only_run
from motet.training.tuning._instruct import instruct
from motet.training.tuning._joint import tune_jointly
from motet.training.tuning._likes import (
    co_liked,
    item_texts,
    liked_in_training,
    liking_task,
    split_items,
    text_auc,
)
from motet.training.tuning._models import TextModel, TunedWeights
from motet.training.tuning._place import (
    Tuned,
    check_identity,
    check_output,
    checkpoint_of,
    identity_of,
    publish,
    remove_checkpoint,
)
from motet.training.tuning._settings import AlignSettings, InstructSettings, JointSettings, TuneSettings
from motet.training.tuning._steps import run_steps

__all__ = ["align", "info_nce", "tune"]


def info_nce(first: Tensor, second: Tensor, related: Tensor, temperature: float) -> Tensor:
    """Pull pairs together, push everything else in the batch apart (van den Oord et al. 2018, eq. 4).

    −log e^(s_kk/τ) / Σ_j e^(s_kj/τ), the mean over k and over both directions, with s the cosine;
    j runs over the batch without those that are related to k themselves.

    Args:
        first: [B, D].
        second: [B, D]; row k belongs to row k of ``first``.
        related: Which are no negatives, bool [B, B]; the diagonal does not matter.
        temperature: τ, > 0.

    Example:
        >>> one = torch.eye(2)
        >>> round(float(info_nce(one, one, torch.zeros(2, 2, dtype=torch.bool), 1.0)), 4)  # log(1 + 1/e)
        0.3133
    """
    logits = F.normalize(first, dim=1) @ F.normalize(second, dim=1).T / temperature
    same = torch.eye(len(first), dtype=torch.bool, device=first.device)
    logits = logits.masked_fill(related & ~same, float("-inf"))
    right = torch.arange(len(first), device=first.device)
    return (F.cross_entropy(logits, right) + F.cross_entropy(logits.T, right)) / 2


def align(
    data: Dataset,
    out: str | Path,
    settings: AlignSettings | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Tuned:
    """Tune the schema's text encoder so that an item's text lands near items that the same people like.

    Pairs of co-liked items are mined from training rows; a share of the liked items is kept apart
    from them, and the weights are kept with which the texts of those items are nearest to the
    people who like them (:func:`~motet.training.tuning.text_auc`). If no step does better than the encoder
    as it was, that is what is written, and the report says so.

    Args:
        data: The data set; its schema names the encoder.
        out: Directory for the result; checkpoints are kept beside it until it is complete.
        settings: How; the defaults when left out.
        resume: Go on from the checkpoint of an interrupted run.
        overwrite: Replace a result that is there.
        progress: Progress callback.

    Raises:
        MotetError: If the schema has no text of items, no users or no likes, or a place is wrong.
    """
    out, settings = Path(out), settings or AlignSettings()
    task, texts = liking_task(data, settings.task), item_texts(data, settings.feature)
    check_output(out, overwrite)
    checkpoint = checkpoint_of(out, resume)
    check_identity(checkpoint, identity_of("align", data, settings))
    liked = liked_in_training(data, task, settings.most_liked)
    if np.count_nonzero(np.asarray(liked.sum(axis=0))) < 4:
        raise TrainingError(
            f"fewer than 4 items are liked in the training rows (task '{task}')", "give more rows"
        )
    known, apart = split_items(liked, settings.unseen, np.random.default_rng([settings.seed, 0]))
    visible = liked.copy()
    visible.data[np.isin(visible.indices, apart)] = 0.0
    visible.eliminate_zeros()
    pairs = co_liked(visible, neighbours=settings.neighbours, shrinkage=settings.shrinkage)
    language = data.schema.language
    model = TextModel(
        language.encoder,
        max_tokens=settings.max_tokens,
        device=settings.device,
        precision=settings.precision,
    )
    weights = TunedWeights(model.transformer, settings)

    def losses(step: int) -> Iterator[Tensor]:
        anchors, others = pairs.draw(settings.batch_size, np.random.default_rng([settings.seed, 1, step]))
        distinct, place = np.unique(
            texts.of_item[np.concatenate([anchors, others])], return_inverse=True
        )  # a text is encoded once a step
        model.train()
        vectors = model.vectors([texts.texts[row] for row in distinct])[torch.from_numpy(place)]
        related = torch.from_numpy(pairs.related(anchors, others)).to(vectors.device)
        first, second = vectors[: len(anchors)], vectors[len(anchors) :]
        yield info_nce(first, second, related, settings.temperature)

    def score() -> float:
        model.train(False)
        return text_auc(model.encode(texts.texts)[texts.of_item], liked, known, apart, settings.seed)

    history = run_steps(
        weights.parameters, losses, score, settings,
        checkpoint=checkpoint, resume=resume, progress=progress,
    )  # fmt: skip
    weights.merge()
    first, best = history.checks[0].score, history.checks[history.best].score
    helped = history.best > 0
    report: dict[str, Any] = {
        "kind": "align",
        "encoder": language.encoder,
        "feature": texts.feature,
        "liked_by": task,
        "settings": settings.model_dump(mode="json"),
        "schema": data.schema.to_yaml(),
        "trained_weights": sum(p.numel() for p in weights.parameters.values()),
        "weights": weights.total,
        "items_with_pairs": len(pairs.anchors),
        "items_kept_apart": len(apart),
        "measure": "text AUC of items kept apart (0.5 is chance)",
        "frozen": first,
        "tuned": best,
        "helped": helped,
        "summary": f"text AUC of items kept apart: {first:.4f} before, {best:.4f} after"
        if helped
        else f"tuning did not help: no step was better than the encoder as it was ({first:.4f}), which is what was written",
        "history": history.to_json(),
    }
    publish(out, lambda new: model.save(new / "encoder"), report)
    remove_checkpoint(checkpoint)
    return Tuned(out, out / "encoder", report)


def tune(
    data: Dataset,
    out: str | Path,
    settings: TuneSettings,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Tuned:
    """Tune as the type of the settings says.

    Args:
        data: The data set.
        out: Directory for the result.
        settings: From :func:`~motet.training.tuning.read_settings`.
        resume: Go on from the checkpoint of an interrupted run.
        overwrite: Replace a result that is there.
        progress: Progress callback.

    Raises:
        MotetError: If another run is writing there; see :func:`align`, :func:`tune_jointly` and :func:`instruct`.
    """
    out = Path(out)
    check_output(out, overwrite)
    out.parent.mkdir(parents=True, exist_ok=True)
    with only_run(out):
        if isinstance(settings, AlignSettings):
            return align(data, out, settings, resume=resume, overwrite=overwrite, progress=progress)
        if isinstance(settings, JointSettings):
            result = tune_jointly(data, out, settings, resume=resume, overwrite=overwrite, progress=progress)
            return result.tuned
        assert isinstance(settings, InstructSettings)  # noqa: S101 (there is no fourth)
        return instruct(data, out, settings, resume=resume, overwrite=overwrite, progress=progress)
