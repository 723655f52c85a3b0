"""Item texts brought near to the texts of items that the same people like."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from motet.data import Dataset
from motet.errors import TrainingError
from motet.schema import Progress, silent
from motet.tuning._contrast import info_nce
from motet.tuning._identity import identity_of
from motet.tuning._likes import item_texts, liked_in_training, liking_task
from motet.tuning._low_rank import TunedWeights
from motet.tuning._pairs import co_liked
from motet.tuning._place import check_identity, check_output, checkpoint_of, publish, remove_checkpoint
from motet.tuning._result import Tuned
from motet.tuning._settings import AlignSettings
from motet.tuning._steps import run_steps
from motet.tuning._text_model import TextModel
from motet.tuning._unseen import split_items, text_auc

__all__ = ["align"]


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
    from them, and the weights are kept with which the texts of those items lie nearest to the
    people who like them (:func:`~motet.tuning.text_auc`). If no step does better than the encoder
    as it was, that is what is written, and the report says so.

    Args:
        data: The data set; its schema names the encoder.
        out: Directory for the result; checkpoints lie beside it until it is complete.
        settings: How; the defaults when left out.
        resume: Go on from the checkpoint of an interrupted run.
        overwrite: Replace a result that is there.
        progress: Called with what is going on.

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
