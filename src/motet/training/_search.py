"""Search over settings of the network on validation rows, with Optuna: TPE, a median pruner, a time budget.

data set ─► trial 0: the schema as it is ─► trials with other settings ─► the best network, its schema, a report
"""

from __future__ import annotations

import json
import math
import os
import shutil
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from motet.data import Dataset
from motet.errors import DataError, TrainingError, require_packages
from motet.evaluation import primary_values, score_of
from motet.models import build_model
from motet.schema import Progress, Schema, silent
from motet.training._loop import Trained, TrainingHistory, Validation, data_shape, train_model
from motet.training._predictor import ModelPredictor
from motet.training._search_space import RATE, Axis, SearchSettings, plain_value, space_of, with_values

__all__ = ["SearchResult", "chosen_line", "search_directory", "search_settings"]

_RANDOM_TRIALS: Final = 8  # before the sampler models what it has seen
_PRUNED_AFTER: Final = 2  # trials, before others are compared with their median
_MOST_COST: Final = 3.0  # times the seconds of the first trial
_SLACK: Final = 1.25  # what comes after training may take so much longer than when it was timed
_FILES: Final = ("search.json", "trials.log", "best.safetensors", "default.safetensors")


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search ends with.

    Attributes:
        data: The data set with the chosen schema.
        trained: The network of the best trial.
        report: Trials and choice, as ``search`` in ``metrics.json``.
    """

    data: Dataset
    trained: Trained
    report: dict[str, Any]


def search_directory(out: Path) -> Path:
    """Where the trials of an unfinished search are kept, beside the bundle and its checkpoint."""
    return out.with_name(out.name + ".search")


def search_settings(
    data: Dataset,
    settings: SearchSettings,
    place: Path,
    *,
    resume: bool = False,
    deadline_s: float | None = None,
    finish: Callable[[Trained], object] | None = None,
    progress: Progress = silent,
) -> SearchResult:
    """Train with many settings on one encoded data set, and keep the best by validation score.

    The first trial is the schema as it is, so that the result is never worse on validation rows. The others
    are proposed by a tree-structured Parzen estimator (Bergstra et al. 2011) and are given up where their best
    score is below the median of the others after as many validations. Test rows are not looked at before the
    choice is made; afterwards both networks, of the schema and of the choice, are measured on them once. What is
    proposed depends on ``training.seed`` and the finished trials alone.

    Args:
        data: The data set; its schema says where the search begins.
        settings: Time and trials.
        place: Directory for finished trials and the best network; :func:`motet.training.train` removes it once
            the bundle is written.
        resume: Go on with the finished trials that are there.
        deadline_s: Reading of :func:`time.monotonic` by which everything should be over; ``settings.time_s``
            from now when left out.
        finish: What is done with the network after the search. It is called once with that of the first trial
            to see how long it takes: that time is kept free at the end.
        progress: Progress callback: the trial, seconds done and seconds in all.

    Raises:
        MissingExtraError: If Optuna is not installed.
        TrainingError: If the directory is of another schema or other data, or no trial gave a finite score.
    """
    require_packages("tune", "optuna")
    end_s = time.monotonic() + settings.time_s if deadline_s is None else deadline_s
    try:
        return _Search(data, settings, place, resume, end_s, finish, progress).run()
    except OSError as error:
        raise TrainingError(
            f"the search {place} cannot be written ({error.strerror or error})",
            "free some space and say --resume",
        ) from None


class _NoLock:
    """The journal's lock: the whole run holds one already, and one of a killed process must not stay."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        return None


class _Search:
    def __init__(
        self,
        data: Dataset,
        settings: SearchSettings,
        place: Path,
        resume: bool,
        end_s: float,
        finish: Callable[[Trained], object] | None,
        progress: Progress,
    ) -> None:
        import optuna  # noqa: PLC0415 (of an extra)
        from optuna.storages.journal import JournalFileBackend  # noqa: PLC0415

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.optuna, self.data, self.schema, self.settings = optuna, data, data.schema, settings
        self.place, self.finish, self.progress, self.end_s = place, finish, progress, end_s
        self.cut = False  # whether the time was over before a trial ended
        self.space, self.finish_s = space_of(data.schema, data), 0.0
        self._open(resume)
        storage = optuna.storages.JournalStorage(
            JournalFileBackend(str(place / "trials.log"), lock_obj=_NoLock())
        )
        self.study = optuna.create_study(
            storage=storage,
            study_name="settings",
            direction="maximize",
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=_PRUNED_AFTER, n_warmup_steps=1),
        )
        for trial in self.study.get_trials(deepcopy=False):
            if trial.state == optuna.trial.TrialState.RUNNING:  # of a run that was stopped
                self.study.tell(trial.number, state=optuna.trial.TrialState.FAIL)

    def run(self) -> SearchResult:
        if not self._finished():
            self._default()
        kept = self._kept("best")
        most = max(self.settings.trials, 0 if kept is None else int(kept["trial"]) + 1)
        while (done := len(self._finished())) < most:
            # a run that was killed between its best network and the record of the trial has to do it again
            recorded = kept is None or int(kept["trial"]) < done
            if recorded and (self.cut or self._left_s() <= self._an_epoch_s()):
                return self._found("time")
            self._trial(done)
        return self._found("trials")

    # -- trials --------------------------------------------------------------------------------

    def _finished(self) -> list[Any]:
        state = self.optuna.trial.TrialState
        return list(self.study.get_trials(deepcopy=False, states=(state.COMPLETE, state.PRUNED)))

    def _default(self) -> None:
        """The schema as it is, never pruned."""
        scores: dict[int, float] = {}

        def watch(validation: Validation) -> bool:
            scores[len(scores)] = validation.score
            return False

        began_s = time.monotonic()
        trained = self._train(self.schema, 0, watch)
        elapsed_s = time.monotonic() - began_s
        if trained is not None:
            self._keep("default", trained, 0)
            self._keep_best(trained, 0)
        state = self.optuna.trial.TrialState
        self.study.add_trial(
            self.optuna.trial.create_trial(
                state=state.PRUNED if trained is None else state.COMPLETE,
                params={
                    path: axis.default if axis.choices else min(max(axis.default, axis.low), axis.high)
                    for path, axis in self.space.items()
                },
                distributions={path: self._distribution(axis) for path, axis in self.space.items()},
                value=None if trained is None else _score(trained),
                intermediate_values=scores,
                user_attrs={"elapsed_s": elapsed_s, "diverged": trained is None, "cut": self.cut},
            )
        )

    def _trial(self, number: int) -> None:
        """One trial with proposed settings."""
        seed = (self.schema.training.seed * 1_000_003 + number) % 2**32
        self.study.sampler = self.optuna.samplers.TPESampler(seed=seed, n_startup_trials=_RANDOM_TRIALS)
        trial = self.study.ask({path: self._distribution(axis) for path, axis in self.space.items()})
        schema = with_values(self.schema, self.space, self._values(number, trial))
        validations = iter(range(2**31))

        began_s, most_s, slow = time.monotonic(), self._most_s(), False

        def watch(validation: Validation) -> bool:
            nonlocal slow
            trial.report(validation.score, next(validations))
            if trial.should_prune():
                return True
            slow = time.monotonic() - began_s > most_s
            return slow

        trained = self._train(schema, number, watch)
        trial.set_user_attr("elapsed_s", time.monotonic() - began_s)
        trial.set_user_attr("diverged", trained is None)
        trial.set_user_attr("cut", self.cut or slow)
        if trained is None or (trained.history.stopped == "pruned" and not slow):
            self.study.tell(trial, state=self.optuna.trial.TrialState.PRUNED)
            return
        best = self._kept("best")
        if best is None or _score(trained) > float(best["score"]):
            self._keep_best(trained, number)
        self.study.tell(trial, _score(trained))

    def _train(self, schema: Schema, number: int, watch: Callable[[Validation], bool]) -> Trained | None:
        """Train with some settings; None where that gives numbers that are not finite."""
        limit_s, end_s = schema.training.time_limit_s, time.monotonic() + self._left_s()
        deadline_s = min(end_s, time.monotonic() + limit_s) if limit_s else end_s
        best = self._kept("best")

        def report(what: str, done: int, total: int) -> None:
            said = what.removeprefix("train: ")
            reached = "" if best is None else f"best {float(best['score']):.4f}, "
            elapsed_s = self.settings.time_s - max(0.0, self.end_s - time.monotonic())
            self.progress(
                f"search: {reached}trial {number}, {said}, seconds",
                round(elapsed_s),
                math.ceil(self.settings.time_s),
            )

        try:
            trained = train_model(
                self.data, schema=schema, deadline_s=deadline_s, progress=report, watch=watch
            )
        except TrainingError as error:
            if "not finite" not in error.problem:
                raise
            self.cut = False
            return None
        self.cut = trained.history.stopped == "time limit" and deadline_s == end_s
        return trained

    def _distribution(self, axis: Axis) -> Any:
        kinds = self.optuna.distributions
        if axis.choices:
            return kinds.CategoricalDistribution(axis.choices)
        return kinds.FloatDistribution(axis.low, axis.high, log=True)

    def _most_s(self) -> float:
        """Seconds after which a trial ends with what it has reached: small batches may take ten times as long."""
        first = self._finished()[0].user_attrs
        return math.inf if first["diverged"] or first["cut"] else _MOST_COST * float(first["elapsed_s"]) + 1.0

    def _left_s(self) -> float:
        return self.end_s - _SLACK * self.finish_s - time.monotonic()

    def _an_epoch_s(self) -> float:
        """Median seconds from one validation to the next in the trials so far."""
        each = [
            t.user_attrs["elapsed_s"] / len(t.intermediate_values)
            for t in self._finished()
            if t.intermediate_values
        ]
        return statistics.median(each) if each else 0.0

    # -- files ---------------------------------------------------------------------------------

    def _open(self, resume: bool) -> None:
        """Make the directory, or check that what is there is of the same schema and data."""
        log = self.place / "trials.log"
        if not resume:
            shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir(parents=True, exist_ok=True)
        path = self.place / "search.json"
        if path.is_file():
            try:
                content = json.loads(path.read_text(encoding="utf-8"))
                same = content["schema"] == self.schema.to_yaml() and content["data"] == data_shape(self.data)
                self.finish_s = float(content["finish_s"])
            except (ValueError, KeyError, TypeError) as error:
                raise TrainingError(
                    f"{path} is damaged ({error})", "remove its directory and search again"
                ) from None
            if not same:
                raise TrainingError(
                    f"the search {self.place} is of another schema or other data",
                    "resume with the schema, the options and the files of the first run, or search again without --resume",
                )
        else:
            for name in _FILES:
                (self.place / name).unlink(missing_ok=True)
            self._write_state()
        if log.is_file():  # a line that a killed process did not end would spoil the next one
            whole = log.read_bytes()
            if not whole.endswith(b"\n"):
                log.write_bytes(whole[: whole.rfind(b"\n") + 1])

    def _write_state(self) -> None:
        content = {
            "schema": self.schema.to_yaml(),
            "data": data_shape(self.data),
            "finish_s": self.finish_s,
        }
        new = self.place / "search.json.new"
        new.write_text(json.dumps(content), encoding="utf-8")
        os.replace(new, self.place / "search.json")

    def _keep_best(self, trained: Trained, number: int) -> None:
        self._keep("best", trained, number)
        if self.finish is not None and not self.finish_s:
            began_s = time.monotonic()
            self.finish(trained)
            self.finish_s = time.monotonic() - began_s
            self._write_state()

    def _keep(self, name: str, trained: Trained, number: int) -> None:
        """Write a network with its history, whole or not at all."""
        new = self.place / f"{name}.new"
        facts = {
            "trial": str(number),
            "score": repr(_score(trained)),
            "history": json.dumps(trained.history.to_json()),
        }
        tensors = {key: tensor.contiguous() for key, tensor in trained.model.state_dict().items()}
        try:
            save_file(tensors, str(new), metadata=facts)
            os.replace(new, self.place / f"{name}.safetensors")
        except SafetensorError as error:  # its own error for a full disk
            raise OSError(str(error)) from None

    def _kept(self, name: str) -> Mapping[str, str] | None:
        """What was written beside a network; None where there is none."""
        path = self.place / f"{name}.safetensors"
        if not path.is_file():
            return None
        try:
            with safe_open(str(path), framework="pt") as file:
                facts: dict[str, str] = file.metadata()
        except (OSError, SafetensorError) as error:
            raise TrainingError(
                f"{path} is damaged ({error})", "remove its directory and search again"
            ) from None
        return facts

    def _network(self, name: str, facts: Mapping[str, str]) -> tuple[Schema, Trained]:
        number = int(facts["trial"])
        values = self._values(number, self._finished()[number])
        schema = with_values(self.schema, self.space, values)
        model = build_model(schema, self.data.encoder, seed=schema.training.seed)
        model.load_state_dict(load_file(str(self.place / f"{name}.safetensors")))
        model.eval()
        return schema, Trained(model, TrainingHistory.from_json(json.loads(facts["history"])))

    # -- the end -------------------------------------------------------------------------------

    def _values(self, number: int, trial: Any) -> dict[str, Any]:
        """What a trial sets, by path; the learning rate with three digits, as people write it."""
        if number == 0:
            return {path: axis.default for path, axis in self.space.items()}
        return dict(trial.params) | {RATE: float(f"{trial.params[RATE]:.3g}")}

    def _found(self, reason: str) -> SearchResult:
        facts = self._kept("best")
        if facts is None:
            raise TrainingError(
                "no trial of the search gave finite predictions",
                "lower training.learning_rate, or set training.clip_norm",
            )
        schema, trained = self._network("best", facts)
        data = replace(self.data, schema=schema, encoder=replace(self.data.encoder, schema=schema))
        best, chosen, of_default = float(facts["score"]), int(facts["trial"]), self._kept("default")
        default = None if of_default is None else float(of_default["score"])
        test: dict[str, float | None] = {"default": None, "best": None}
        if chosen and of_default is not None:
            test = {
                "default": self._test_score(self._network("default", of_default)[1]),
                "best": self._test_score(trained),
            }
        trials = [self._trial_facts(number, trial) for number, trial in enumerate(self._finished())]
        values = trials[chosen]["settings"]
        report = {
            "time_s": self.settings.time_s,
            "elapsed_s": sum(trial["elapsed_s"] for trial in trials),
            "ended": reason,
            "seed": self.schema.training.seed,
            "trials": trials,
            "default": {"trial": 0, "score": default, "test_score": test["default"]},
            "best": {"trial": chosen, "score": best, "test_score": test["best"]},
            "gain": None if default is None else best - default,
            "chosen": {
                path: {"value": values[path], "was": plain_value(path, axis.default)}
                for path, axis in self.space.items()
                if values[path] != plain_value(path, axis.default)
            },
        }
        return SearchResult(data, trained, report)

    def _test_score(self, trained: Trained) -> float | None:
        """Score of a network alone on the test rows; asked for after the choice is made."""
        predictor = ModelPredictor(trained.model, self.data)
        try:
            return score_of(self.schema, primary_values(self.data, predictor, "test"))
        except DataError:  # no task is defined on these rows
            return None

    def _trial_facts(self, number: int, trial: Any) -> dict[str, Any]:
        reported = list(trial.intermediate_values.values())
        state = trial.state.name.lower()
        for mark in ("cut", "diverged"):
            state = mark if trial.user_attrs[mark] else state
        return {
            "trial": number,
            "state": state,
            "score": float(np.max(reported)) if reported and state != "diverged" else None,
            "validations": len(reported),
            "elapsed_s": trial.user_attrs["elapsed_s"],
            "settings": {
                path: plain_value(path, value) for path, value in self._values(number, trial).items()
            },
        }


def _score(trained: Trained) -> float:
    """Validation score of the weights that were kept."""
    history = trained.history
    return float(history.validations[history.best].score)


def chosen_line(search: Mapping[str, Any]) -> str:
    """What a search found, in a line.

    Args:
        search: ``search`` of ``metrics.json``.

    Example:
        >>> chosen_line({
        ...     "trials": [{}, {}], "default": {"score": 0.5}, "best": {"trial": 1, "score": 0.75}, "gain": 0.25,
        ...     "chosen": {"model.width": {"value": 8, "was": 16}},
        ... })
        'search: 2 trials; validation score 0.7500 (+0.2500 on the settings of the schema); model.width=8 (was 16)'
    """
    best, gain = search["best"]["score"], search["gain"]
    said = f"search: {len(search['trials'])} trials; validation score {best:.4f}"
    if gain is None:
        said += " (training with the settings of the schema diverged)"
    elif not search["best"]["trial"]:
        return f"{said}: none is better than the settings of the schema"
    else:
        said += f" ({gain:+.4f} on the settings of the schema)"
    changes = ", ".join(f"{path}={v['value']} (was {v['was']})" for path, v in search["chosen"].items())
    return f"{said}; {changes}"
