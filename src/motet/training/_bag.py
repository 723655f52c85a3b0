"""A bag: networks that differ by their seeds alone, trained on the same rows, whose answers are averaged.

The mean of N networks that start and shuffle differently errs less than each of them (Lakshminarayanan et al. 2017,
*Simple and scalable predictive uncertainty estimation using deep ensembles*, §2.4: random starts did better than
draws of rows). Here logits and retrieval scores are averaged, before the link function.

A task that loses by what it shares with others may be answered by a second network too: see :func:`train_bag`.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
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

__all__ = ["branch_of", "check_bag", "network_schema", "refit_bag", "train_bag"]

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

    One network is kept as it was at one moment, for all tasks. Where some tasks gained more than 0.02 on validation rows
    after it, they lose by sharing, and a second network answers for them together with the first, the better on validation
    rows of two: the network as it was at the end (``training.blend_checkpoints``), and one that is trained for these tasks
    alone (``training.branch``). None does where neither is better over all tasks.

    Of several networks each gets an equal share of the time that is left. A network is not begun once the time is over: a
    few steps would spoil the mean.

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
        more = partial(
            train_model, data, checkpoint=None if checkpoint is None else branch_of(checkpoint), resume=resume,
            deadline_s=deadline_s, step=step,
        )  # fmt: skip
        return _with_second(data, schema, trained, more, deadline_s, progress)
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


def _with_second(
    data: Dataset,
    schema: Schema,
    trained: Trained,
    train_more: Callable[..., Trained],
    deadline_s: float | None,
    progress: Progress,
) -> Trained:
    """The network that was kept, and for tasks that lose by sharing, together with a second one if that is better."""
    settings, history = schema.training, trained.history
    first, kept = replace(trained, last=None), history.validations[history.best]
    if trained.last is None:
        return first
    before, after = kept.primary_values, history.validations[-1].primary_values
    gains = {name: (after.get(name) or 0.0) - (value or 0.0) for name, value in before.items()}
    gaining = {name for name, gain in gains.items() if gain > _GAINS and schema.tasks[name].score_weight > 0}
    if not gaining:
        return first
    ranks = {name for name, task in schema.tasks.items() if task.ranks_catalogue}
    gaining |= ranks if gaining & ranks else set()  # the towers rank for all of them
    parts = EnsembleModel.parts_of(trained.model)
    alone = [not gaining & (ranks if part == RANKING else {part}) for part in parts]

    def together(second: MultiTaskModel, seed: int, score: float, train_s: float) -> tuple[float, Trained]:
        both = EnsembleModel([trained.model, second], alone)
        both.eval()
        found = primary_values(data, ModelPredictor(both, data, known="train"), "validation")
        whole = score_of(schema, {name: found.get(name) for name in schema.tasks})
        bag = BagReport(
            [settings.seed, seed], [kept.score, score], whole, [history.elapsed_s, train_s], sorted(gaining)
        )
        return whole, Trained(both, history, bag)

    found: list[tuple[float, Trained]] = []
    if settings.blend_checkpoints:
        later = copy.deepcopy(trained.model)
        later.load_state_dict(trained.last)
        found.append(together(later, settings.seed, history.validations[-1].score, 0.0))
    out_of_time = deadline_s is not None and time.monotonic() + history.elapsed_s > deadline_s
    if settings.branch and history.stopped in ("epochs", "patience") and not out_of_time:
        called = ", ".join(sorted(gaining))

        def report(what: str, done: int, total: int) -> None:
            progress(f"for {called} alone: {what}", done, total)

        branch = train_more(schema=_only(_member(schema, 1), gaining), progress=report)
        own = branch.history
        found.append(
            together(branch.model, settings.seed + 1, own.validations[own.best].score, own.elapsed_s)
        )
    score, best = max(found, key=lambda one: one[0], default=(kept.score, first))
    return best if score > kept.score else first


def branch_of(checkpoint: Path) -> Path:
    """Where checkpoints of the network are that is trained for some tasks alone."""
    return checkpoint.with_name(checkpoint.name + ".branch")


def network_schema(schema: Schema, model: MultiTaskModel, number: int) -> Schema:
    """The schema with which one network of a model goes on learning: with its own seed, and for the tasks that it answers.

    Args:
        schema: That of the model.
        model: With one network or more.
        number: Of the network, from 0.
    """
    if len(model.networks) == 1:
        return schema
    own = _member(schema, number)
    return _only(own, model.tasks_of(number, schema)) if isinstance(model, EnsembleModel) else own


def _only(schema: Schema, names: Collection[str]) -> Schema:
    """The schema with the losses and scores of some tasks alone; networks of it have the shape of all."""
    off = {"weight": 0.0, "score_weight": 0.0}
    if not schema.tasks.keys() - set(names):
        return schema
    tasks = {name: task if name in names else task.model_copy(update=off) for name, task in schema.tasks.items()}  # fmt: skip
    # other balancers than fixed weights would not leave tasks out
    objective = schema.objective.model_copy(update={"balancer": "fixed", "balancer_options": {}})
    return schema.model_copy(update={"tasks": tasks, "objective": objective})


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
        refit_network(
            data, one, network_schema(schema, model, number), deadline_s=deadline_s, progress=progress
        )
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
