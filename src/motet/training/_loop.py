"""The one loop that trains every model."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from motet._renamed import current_metrics
from motet.data import Dataset
from motet.errors import DataError, TrainingError
from motet.evaluation import primary_values, score_of
from motet.models import FeatureGates, MultiTaskModel
from motet.schema import Progress, Schema, silent
from motet.training._checkpoint import held_interrupts, load_checkpoint, save_checkpoint
from motet.training._predictor import ModelPredictor
from motet.training._step import StandardStep, TrainingStep, learning_rate_at

__all__ = [
    "BagReport",
    "Trained",
    "TrainingHistory",
    "Validation",
    "check_labels",
    "data_shape",
    "train_model",
]

_RESERVED = 0.25  # share of the time that is kept for validating and measuring before one was timed
# Measured with 1,600 and 8,000 test rows: 1.0 and 1.1 s where a validation took 0.1 and 0.2 s.
_MEASURING = 4.0  # a test row costs at most so many validation rows: intervals, slices, curves
_MEASURING_S = 1.0  # and so long whatever their number


@dataclass(frozen=True, slots=True)
class Validation:
    """One validation.

    Attributes:
        step: Steps done.
        epoch: Epochs done, with their part.
        loss: Mean training loss per task since the last validation.
        primary_values: Primary metric per task on validation rows, None where undefined.
        score: Their mean, weighted as the schema says.
        elapsed_s: Training seconds so far.
        closed: Features whose learnt gates are closed.
    """

    step: int
    epoch: float
    loss: dict[str, float]
    primary_values: dict[str, float | None]
    score: float
    elapsed_s: float
    closed: Sequence[str] = ()


@dataclass(slots=True)
class TrainingHistory:
    """What happened in a run.

    Attributes:
        validations: In order.
        best: Index of the validation whose weights were kept: that of the best score, of those since a gate closed.
        stopped: Why it ended: ``epochs``, ``patience``, ``time limit``, ``pruned`` by who watched it, or ``plain``
            where nothing is trained.
        rows: Training rows seen, repeats counted.
        elapsed_s: Seconds of training, validation left out.
    """

    validations: list[Validation] = field(default_factory=list)
    best: int = -1
    stopped: str = "epochs"
    rows: int = 0
    elapsed_s: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """The history as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> TrainingHistory:
        """Read what :meth:`to_json` wrote."""
        found = current_metrics(content)
        return cls(**{**found, "validations": [Validation(**v) for v in found["validations"]]})


@dataclass(frozen=True, slots=True)
class BagReport:
    """Several networks whose answers are averaged.

    Attributes:
        seeds: Of each; twice the same for two moments of one training.
        scores: Validation score of each; that of a network for some tasks is of these alone.
        score: That of all together, before they learnt from validation rows.
        train_s: Seconds of training of each.
        second: Tasks that the second network answers with the first; none where all answer for all.
    """

    seeds: list[int]
    scores: list[float]
    score: float
    train_s: list[float]
    second: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained model with its history.

    Attributes:
        model: In evaluation mode.
        history: Of its training.
        bag: What its networks are, where it has several.
        last: The weights with which training ended, where they are not those that were kept.
    """

    model: MultiTaskModel
    history: TrainingHistory
    bag: BagReport | None = None
    last: dict[str, Tensor] | None = None


def train_model(
    data: Dataset,
    *,
    schema: Schema | None = None,
    checkpoint: Path | None = None,
    resume: bool = False,
    deadline_s: float | None = None,
    progress: Progress | None = None,
    step: Callable[[Dataset, Schema], StandardStep] = TrainingStep,
    watch: Callable[[Validation], bool] | None = None,
    keep: bool = False,
) -> Trained:
    """Train the model of a schema, keep the weights of the best validation score, of those since a gate last closed.

    The order of rows, negatives and dropout depend on the seed and the step alone, so that a run
    that was killed and resumed ends with the same weights as one that was not.

    Args:
        data: The data set.
        schema: Another schema than the data set's own, with the same features; for baselines.
        checkpoint: Directory for checkpoints; none are written when left out.
        resume: Go on from the checkpoint, if there is one.
        deadline_s: Reading of :func:`time.monotonic` by which training, the last validation and a measuring
            of the test rows after it should be over; ``training.time_limit_s`` counts seconds of training
            alone when left out. One step is taken in any case.
        progress: Called with a line of text, the steps done and the steps in all.
        step: Builds what takes the steps, where more than the model is trained.
        watch: Called with each validation; training ends where it says so.
        keep: Whether there is a last checkpoint at the end, so that resuming trains no more.

    Raises:
        ModelError: If the model cannot be built.
        TrainingError: If a loss is not finite, a task has no label, or a checkpoint is unusable.
    """
    run = _Run(data, schema or data.schema, checkpoint, progress, step, deadline_s, watch)
    return run.run(resume, keep)


class _Run:
    def __init__(
        self,
        data: Dataset,
        schema: Schema,
        checkpoint: Path | None,
        progress: Progress | None,
        step: Callable[[Dataset, Schema], StandardStep],
        deadline_s: float | None,
        watch: Callable[[Validation], bool] | None,
    ) -> None:
        self.data, self.schema, self.checkpoint = data, schema, checkpoint
        self.progress, self.watch = progress or silent, watch
        self.settings = schema.training
        check_labels(data, schema)
        self.stepper = step(data, schema)
        self.model = self.stepper.model
        self.gates = next((m for m in self.model.modules() if isinstance(m, FeatureGates)), None)
        self.predictor = ModelPredictor(self.model, data, known="train")
        self.train_rows = self.stepper.batcher.useful(data.rows("train"))
        self.batch_size = self.settings.rows_a_step(len(self.train_rows))
        self.steps_per_epoch = -(-len(self.train_rows) // self.batch_size)
        self.history = TrainingHistory()
        self.best: dict[str, Tensor] = {}
        self.step = 0
        self.loss_sums = np.zeros(len(schema.tasks))
        self.loss_steps = 0
        self.since_checkpoint_s = time.monotonic()
        self.deadline_s, self.began_s = deadline_s, time.monotonic()
        self.validating_s: float | None = None

    def run(self, resume: bool, keep: bool) -> Trained:
        if resume:
            self._load()
        with held_interrupts() as interrupted:
            self._train(interrupted)
        if keep:
            self._save_if_due(now=True)
        validated = self.history.validations
        ended = bool(validated) and validated[-1].step == self.step and self.history.stopped != "pruned"
        is_later = ended and self.history.best < len(validated) - 1
        last = copy.deepcopy(self.model.state_dict()) if is_later else None
        if self.best:
            self.model.load_state_dict(self.best)
        self.model.eval()
        return Trained(self.model, self.history, last=last)

    def _train(self, interrupted: Callable[[], bool]) -> None:
        settings, total = self.settings, self.steps_per_epoch * self.settings.epochs
        validate_after = np.unique(
            np.linspace(0, self.steps_per_epoch, settings.validations_per_epoch + 1).round()[1:]
        ).astype(int)
        done = self.history.stopped != "epochs"
        while self.step < total and not done:
            epoch, start = divmod(self.step, self.steps_per_epoch)
            for batch in self.stepper.batcher.epoch(
                self.train_rows, self.batch_size, (settings.seed, epoch), start
            ):
                began = time.perf_counter()
                values = self.stepper(batch, learning_rate_at(self.step, total, settings))
                self.loss_sums += values.numpy()
                self.loss_steps += 1
                self.history.elapsed_s += time.perf_counter() - began
                self.history.rows += len(batch)
                self.step += 1
                out_of_time = self._out_of_time()
                if (self.step - 1) % self.steps_per_epoch + 1 in validate_after or out_of_time:
                    done = self._validate() or out_of_time
                    if out_of_time:
                        self.history.stopped = "time limit"
                stop = interrupted()
                self._save_if_due(now=stop)
                if stop:
                    raise KeyboardInterrupt
                self._report(total)
                if done:
                    break

    def _out_of_time(self) -> bool:
        limit_s = self.settings.time_limit_s
        if self.deadline_s is None:
            return 0 < limit_s <= self.history.elapsed_s
        left_s = self.deadline_s - time.monotonic()
        if self.validating_s is None:  # nothing is known of the time that measuring takes
            return left_s <= _RESERVED * (self.deadline_s - self.began_s)
        test = len(self.data.rows("test")) / max(1, len(self.data.rows("validation")))
        return left_s <= _MEASURING_S + self.validating_s * (1 + _MEASURING * max(1.0, test))

    def _validate(self) -> bool:
        """Measure the validation rows; True if patience is over."""
        began_s = time.monotonic()
        try:
            found = primary_values(self.data, self.predictor, "validation")
        except DataError as error:
            if "not finite" not in error.problem:
                raise
            raise TrainingError(
                f"the predictions after step {self.step} are not finite",
                "lower training.learning_rate, or set training.clip_norm",
            ) from None
        self.validating_s = max(self.validating_s or 0.0, time.monotonic() - began_s)
        score = score_of(self.schema, {name: found.get(name) for name in self.schema.tasks})
        mean_loss = self.loss_sums / max(1, self.loss_steps)
        self.loss_sums, self.loss_steps = np.zeros(len(self.schema.tasks)), 0
        validations = self.history.validations
        validations.append(
            Validation(
                step=self.step,
                epoch=self.step / self.steps_per_epoch,
                loss={name: float(v) for name, v in zip(self.schema.tasks, mean_loss, strict=True)},
                primary_values=found,
                score=score,
                elapsed_s=self.history.elapsed_s,
                closed=[] if self.gates is None else self.gates.closed(),
            )
        )
        if self._is_better(validations[-1]):
            self.history.best = len(validations) - 1
            self.best = copy.deepcopy(self.model.state_dict())
        if len(validations) - 1 - self.history.best >= self.settings.patience:
            self.history.stopped = "patience"
            return True
        if self.watch is not None and self.watch(validations[-1]):
            self.history.stopped = "pruned"
            return True
        return False

    def _is_better(self, found: Validation) -> bool:
        """Whether its weights are kept: the best score, of those since a gate closed.

        Weights of before would have the feature open that is to be closed, and they score better where it is worth
        something, only less than its price.
        """
        if self.history.best < 0:
            return True
        kept = self.history.validations[self.history.best]
        return found.score > kept.score or not set(found.closed) <= set(kept.closed)

    def _report(self, total: int) -> None:
        validations = self.history.validations
        score = f" · score {validations[-1].score:.4f}" if validations else ""
        loss = f" · loss {self.loss_sums.sum() / self.loss_steps:.3f}" if self.loss_steps else ""
        epoch = (self.step - 1) // self.steps_per_epoch + 1
        self.progress(f"train: epoch {epoch}/{self.settings.epochs}{loss}{score}", self.step, total)

    def _save_if_due(self, *, now: bool) -> None:
        due = now or time.monotonic() - self.since_checkpoint_s >= self.settings.checkpoint_s
        if self.checkpoint is None or not due:
            return
        tensors = self.stepper.state() | {f"best.{name}": t for name, t in self.best.items()}
        state = {
            "schema": self.schema.to_yaml(),
            "data": data_shape(self.data),
            "start": dict(self.stepper.start),
            "step": self.step,
            "history": self.history.to_json(),
            "loss_sums": self.loss_sums.tolist(),
            "loss_steps": self.loss_steps,
        }
        save_checkpoint(self.checkpoint, tensors, state)
        self.since_checkpoint_s = time.monotonic()

    def _load(self) -> None:
        found = load_checkpoint(self.checkpoint) if self.checkpoint is not None else None
        if found is None:
            return
        tensors, state = found
        if state["schema"] != self.schema.to_yaml():
            raise TrainingError(
                f"the checkpoint {self.checkpoint} was written with another schema",
                "resume with the schema and the options of the first run, or train again",
            )
        if state["data"] != data_shape(self.data):
            raise TrainingError(
                f"the checkpoint {self.checkpoint} was written with other data "
                f"({state['data']}, now {data_shape(self.data)})",
                "resume on the files of the first run, or train again",
            )
        before, now = state.get("start"), dict(self.stepper.start)
        # the bundle may have moved since; checkpoints of earlier versions say nothing
        if before is not None and {**before, "bundle": ""} != {**now, "bundle": ""}:
            raise TrainingError(
                f"the checkpoint {self.checkpoint} is of a run that began with {_begun_with(before)}, not with "
                f"{_begun_with(now)}",
                "resume with the --from and --map of the first run, or train again without --resume",
            )
        self.stepper.load(tensors, state["step"])
        self.best = {n.removeprefix("best."): t for n, t in tensors.items() if n.startswith("best.")}
        self.step = state["step"]
        self.history = TrainingHistory.from_json(state["history"])
        self.loss_sums, self.loss_steps = np.asarray(state["loss_sums"]), state["loss_steps"]


def _begun_with(start: Mapping[str, Any]) -> str:
    if not start:
        return "drawn weights"
    called = ", ".join(f"{here}={there or ''}" for here, there in start["names"].items())
    return f"the weights of {start['bundle']}" + (f" ({called})" if called else "")


def data_shape(data: Dataset) -> dict[str, int]:
    """What distinguishes one data set from another, cheaply."""
    return {
        "interactions": len(data),
        "training rows": len(data.rows("train")),
        "users": len(data.users),
        "items": len(data.items),
        "embedding rows": data.encoder.table_rows,
    }


def check_labels(data: Dataset, schema: Schema) -> None:
    """Refuse tasks that have no label to learn from.

    Raises:
        TrainingError: Names the task.
    """
    for name, (problem, cure) in untrainable_tasks(data, schema).items():
        raise TrainingError(f"task '{name}' {problem}", cure)


def untrainable_tasks(data: Dataset, schema: Schema) -> dict[str, tuple[str, str]]:
    """Tasks that nothing can be learnt for, with what is wrong and a cure: no label, or all alike."""
    found: dict[str, tuple[str, str]] = {}
    train = data.rows("train")
    for name, task in schema.tasks.items():
        if task.on == "interaction":
            labels = data.labels[train, data.encoder.interaction_tasks.index(name)]
            known = labels[~np.isnan(labels)]
        else:
            known = data.entity_labels[name].values[data.entity_labels[name].split == 0]
            known = known[~np.isnan(known)]
        if not len(known):
            found[name] = "has no label in the training split", "change the split, or remove the task"
            continue
        wrong = task.untrainable(known, data.encoder.classes.get(name, ()))
        if wrong is not None:
            found[name] = wrong
    return found
