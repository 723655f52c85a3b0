"""A bag: networks that differ by their seeds alone, trained on the same rows, whose answers are averaged.

The mean of N networks that start and shuffle differently errs less than each of them (Lakshminarayanan et al. 2017,
*Simple and scalable predictive uncertainty estimation using deep ensembles*, §2.4: random starts did better than
draws of rows). Here logits and retrieval scores are averaged, before the link function.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from motet.data import Dataset
from motet.errors import ModelError, TrainingError
from motet.evaluation import primary_values, score_of
from motet.models import RANKING, EnsembleModel, MultiTaskModel
from motet.schema import Progress, Schema, silent
from motet.training._loop import BagReport, Trained, TrainingHistory, train_model
from motet.training._predictor import ModelPredictor
from motet.training._refit import Refit, refit_network
from motet.training._step import StandardStep, TrainingStep
from motet.training.blending import check_plain

__all__ = ["check_bag", "refit_bag", "train_bag"]

_GAINS = 0.02  # of a task's primary metric on validation rows, from the best weights of all to the last


def check_bag(schema: Schema, *, searching: bool) -> None:
    """Refuse several networks where there cannot be any.

    Raises:
        ModelError: If settings are to be searched, or the architecture is a plain method.
    """
    if schema.training.bag == 1:
        return
    if searching:
        raise ModelError(
            "a search trains one network a trial, and training.bag asks for several",
            "search with training.bag=1, then train with the settings that it found and with --bag",
        )
    if check_plain(schema):
        raise ModelError(
            f"the architecture '{schema.model.architecture}' is a plain method, and several of it are the same",
            "set training.bag to 1, or choose another architecture",
        )


def train_bag(
    data: Dataset,
    *,
    schema: Schema | None = None,
    checkpoint: Path | None = None,
    resume: bool = False,
    deadline_s: float | None = None,
    progress: Progress = silent,
    step: Callable[[Dataset, Schema], StandardStep] = TrainingStep,
) -> Trained:
    """Train ``training.bag`` networks with the seeds s, s + 1, …, and put them into one model.

    Each gets an equal share of the time that is left. A network is not begun once the time is over: a few steps
    would spoil the mean.

    Args:
        data: The data set.
        schema: Another schema than the data set's own, with the same features.
        checkpoint: Directory for checkpoints; each network of several has one within it.
        resume: Go on from there; networks that were trained to their end are not trained again.
        deadline_s: See :func:`train_model`; ``training.time_limit_s`` is divided among them when left out.
        progress: Progress callback.
        step: Builds what takes the steps of each network.

    Returns:
        The model; its history is that of the first network, with the rows and seconds of all.

    Raises:
        TrainingError: See :func:`train_model`; if the checkpoint is of a bag, and one network is to be trained.
    """
    schema = schema or data.schema
    n = schema.training.bag
    if n == 1:
        if resume and checkpoint is not None and _place(checkpoint, 0).is_dir():
            raise TrainingError(
                f"the checkpoint {checkpoint} was written with another schema (training.bag)",
                "resume with the schema and the options of the first run, or train again",
            )
        trained = train_model(
            data,
            schema=schema,
            checkpoint=checkpoint,
            resume=resume,
            deadline_s=deadline_s,
            progress=progress,
            step=step,
        )
        return _with_last(data, schema, trained)
    each: list[Trained] = []
    for number in range(n):
        now_s = time.monotonic()
        if each and deadline_s is not None and now_s >= deadline_s:
            break

        def report(what: str, done: int, total: int, number: int = number) -> None:
            progress(f"network {number + 1} of {n}: {what}", number * total + done, n * total)

        each.append(
            train_model(
                data,
                schema=_member(schema, number),
                checkpoint=None if checkpoint is None else _place(checkpoint, number),
                resume=resume,
                deadline_s=None if deadline_s is None else now_s + (deadline_s - now_s) / (n - number),
                progress=report,
                step=step,
                keep=True,
            )
        )
    return _together(data, schema, each)


def _with_last(data: Dataset, schema: Schema, trained: Trained) -> Trained:
    """The network that was kept, and for tasks that still gained after it, together with the one at the end.

    One moment is kept for all tasks, and a task that learns longer than the others loses by it.
    """
    validations, history = trained.history.validations, trained.history
    if trained.last is None or not schema.training.blend_checkpoints:
        return replace(trained, last=None)
    kept, last = validations[history.best], validations[-1]
    before, after = kept.primary_values, last.primary_values
    gains = {name: (after.get(name) or 0.0) - (value or 0.0) for name, value in before.items()}
    gaining = {name for name, gain in gains.items() if gain > _GAINS}
    if not gaining:
        return replace(trained, last=None)
    later = copy.deepcopy(trained.model)
    later.load_state_dict(trained.last)
    ranks = {name for name, task in schema.tasks.items() if task.ranks_catalogue}
    parts = EnsembleModel.parts_of(trained.model)
    alone = [not gaining & (ranks if part == RANKING else {part}) for part in parts]
    both = EnsembleModel([trained.model, later], alone)
    both.eval()
    found = primary_values(data, ModelPredictor(both, data, known="train"), "validation")
    score = score_of(schema, {name: found.get(name) for name in schema.tasks})
    if score <= kept.score:
        return replace(trained, last=None)
    seed = schema.training.seed
    return Trained(
        both, history, BagReport([seed, seed], [kept.score, last.score], score, [history.elapsed_s, 0.0])
    )


def _place(checkpoint: Path, number: int) -> Path:
    return checkpoint / f"network-{number + 1}"


def _member(schema: Schema, number: int) -> Schema:
    """The schema of one network."""
    training = schema.training
    changed = {
        "seed": training.seed + number,
        "bag": 1,
        "time_limit_s": training.time_limit_s / training.bag,
    }
    return schema.model_copy(update={"training": training.model_copy(update=changed)})


def _together(data: Dataset, schema: Schema, each: list[Trained]) -> Trained:
    model = EnsembleModel([one.model for one in each])
    model.eval()
    found = primary_values(data, ModelPredictor(model, data, known="train"), "validation")
    histories = [one.history for one in each]
    bag = BagReport(
        seeds=[schema.training.seed + number for number in range(len(each))],
        scores=[history.validations[history.best].score for history in histories],
        score=score_of(schema, {name: found.get(name) for name in schema.tasks}),
        train_s=[history.elapsed_s for history in histories],
    )
    first = histories[0]
    history = TrainingHistory(
        validations=first.validations,
        best=first.best,
        stopped=first.stopped,
        rows=sum(one.rows for one in histories),
        elapsed_s=sum(one.elapsed_s for one in histories),
    )
    return Trained(model, history, bag)


def refit_bag(
    data: Dataset,
    model: MultiTaskModel,
    schema: Schema | None = None,
    *,
    deadline_s: float | None = None,
    progress: Progress = silent,
) -> Refit | None:
    """Let every network of a model learn from the validation rows, each for as long as that helps itself.

    Args:
        data: The data set.
        model: The model, changed in place.
        schema: Another schema than the data set's own, with the same features.
        deadline_s: See :func:`refit_network`.
        progress: Progress callback.

    Returns:
        The most passes of any network, mean scores, and the seconds of all; None if none could.
    """
    schema, networks = schema or data.schema, model.networks
    if len(networks) == 1:
        return refit_network(data, model, schema, deadline_s=deadline_s, progress=progress)
    every = [
        refit_network(data, one, _member(schema, number), deadline_s=deadline_s, progress=progress)
        for number, one in enumerate(networks)
    ]
    model.eval()
    found = [one for one in every if one is not None]
    if not found:
        return None
    return Refit(
        passes=max(one.passes for one in found),
        before=sum(one.before for one in found) / len(found),
        after=sum(one.after for one in found) / len(found),
        elapsed_s=sum(one.elapsed_s for one in found),
    )
