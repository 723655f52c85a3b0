"""The encoder trained inside the multi-task model, on the labels of every task at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from motet.data import Dataset
from motet.errors import TrainingError
from motet.evaluation import headlines, score_of
from motet.schema import Progress, Schema, silent
from motet.training import ModelPredictor, Trained, train_model
from motet.tuning._identity import identity_of
from motet.tuning._joint_step import JointStep
from motet.tuning._likes import item_texts
from motet.tuning._low_rank import TunedWeights
from motet.tuning._place import (
    check_identity,
    check_output,
    checkpoint_of,
    publish,
    remove_checkpoint,
)
from motet.tuning._result import JointlyTuned, Tuned
from motet.tuning._settings import JointSettings
from motet.tuning._text_model import TextModel

__all__ = ["tune_jointly"]


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
        out: Directory for the result; checkpoints lie beside it until it is complete.
        settings: How; the defaults when left out.
        resume: Go on from the checkpoint of an interrupted run.
        overwrite: Replace a result that is there.
        progress: Called with what is going on.

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
    return score_of(data.schema, headlines(data, predictor, "validation"))
