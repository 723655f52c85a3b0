"""The loop that tunes a language model: steps, validations, the best kept, checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from motet.errors import TrainingError
from motet.schema import Progress
from motet.training import (
    held_interrupts,
    load_checkpoint,
    load_optimiser,
    optimiser_tensors,
    save_checkpoint,
)
from motet.training.tuning._settings import LoopSettings, TuneSettings

__all__ = ["Check", "TuningHistory", "rate_at", "run_steps", "tuning_optimiser"]


@dataclass(frozen=True, slots=True)
class Check:
    """One validation: a score of what was kept apart.

    Attributes:
        step: Steps done.
        loss: Mean loss since the last validation; None before the first step.
        score: Higher is better.
    """

    step: int
    loss: float | None
    score: float


@dataclass(slots=True)
class TuningHistory:
    """What happened.

    Attributes:
        checks: In order; the first is the model as it was.
        best: Index of the validation whose weights were kept; 0 means that tuning did not help.
        stopped: Why it ended: ``steps``, ``patience`` or ``time limit``.
        elapsed_s: Seconds of steps and validations.
    """

    checks: list[Check] = field(default_factory=list)
    best: int = 0
    stopped: str = "steps"
    elapsed_s: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """The history as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> TuningHistory:
        """Read what :meth:`to_json` wrote."""
        return cls(**{**content, "checks": [Check(**check) for check in content["checks"]]})


def rate_at(step: int, total: int, settings: LoopSettings) -> float:
    """Learning rate of a step: a linear rise over ``warmup``, then a cosine to zero.

    Example:
        >>> from motet.training.tuning import AlignSettings
        >>> settings = AlignSettings(learning_rate=1.0, warmup=0.2)
        >>> [round(rate_at(step, 10, settings), 2) for step in (0, 1, 2, 6)]
        [0.5, 1.0, 1.0, 0.5]
    """
    warm = round(settings.warmup * total)
    if step < warm:
        return settings.rate * (step + 1) / warm
    share = (step - warm) / max(1, total - warm)
    return settings.rate * 0.5 * (1 + math.cos(math.pi * share))


def tuning_optimiser(parameters: Iterable[nn.Parameter], settings: TuneSettings) -> torch.optim.Optimizer:
    """AdamW over the tuned weights (Loshchilov & Hutter 2019)."""
    return torch.optim.AdamW(parameters, lr=settings.rate, weight_decay=settings.weight_decay)


def run_steps(
    parameters: Mapping[str, nn.Parameter],
    losses: Callable[[int], Iterable[Tensor]],
    score: Callable[[], float],
    settings: LoopSettings,
    *,
    checkpoint: Path | None = None,
    resume: bool = False,
    progress: Progress,
) -> TuningHistory:
    """Tune, and leave the parameters as they were at the best validation.

    What a step does depends on the seed and the step alone, so that a run that was interrupted and
    resumed ends with the same weights as one that was not. The first Ctrl-C saves the step it falls
    into.

    Args:
        parameters: What is trained, by name.
        losses: Gives the parts of a step's loss, whose sum is the loss; each is freed before the next.
        score: Validates on what was kept apart; higher is better.
        settings: Steps, rates, patience, seed.
        checkpoint: Directory for checkpoints; none are written when left out.
        resume: Go on from the checkpoint, if there is one.
        progress: Called with a line of text, the steps done and the steps in all.

    Raises:
        TrainingError: If a loss is not finite, or a checkpoint is damaged or cannot be written.
    """
    run = _Run(parameters, settings, checkpoint)
    if resume:
        run.load()
    history = run.history
    if not history.checks:
        progress("tune: validating the model as it is", 0, settings.steps)
        history.checks.append(Check(0, None, score()))
    began_s = time.monotonic() - history.elapsed_s
    with held_interrupts() as interrupted:
        while run.step < settings.steps and history.stopped == "steps":
            loss = run.take(losses)
            history.elapsed_s = time.monotonic() - began_s
            out_of_time = 0 < settings.time_limit_s <= history.elapsed_s
            if run.step % settings.check_every == 0 or run.step == settings.steps or out_of_time:
                run.validate(score())
                if history.stopped == "steps" and out_of_time:
                    history.stopped = "time limit"
            history.elapsed_s = time.monotonic() - began_s
            stop = interrupted()
            run.save(now=stop)
            if stop:
                raise KeyboardInterrupt
            scores = f"score {history.checks[-1].score:.4f}, at first {history.checks[0].score:.4f}"
            progress(f"tune: loss {loss:.3f} · {scores}", run.step, settings.steps)
    _restore(parameters, run.best)
    return history


class _Run:
    """What changes while tuning, and all that a checkpoint holds."""

    def __init__(
        self, parameters: Mapping[str, nn.Parameter], settings: LoopSettings, checkpoint: Path | None
    ) -> None:
        self.parameters, self.settings, self.checkpoint = parameters, settings, checkpoint
        self.optimiser = tuning_optimiser(parameters.values(), settings)
        self.history, self.step, self.best = TuningHistory(), 0, _copied(parameters)
        self.loss_sum, self.loss_steps = 0.0, 0
        self.saved_s = time.monotonic()

    def take(self, losses: Callable[[int], Iterable[Tensor]]) -> float:
        """Take one step; its loss."""
        torch.manual_seed(self.settings.seed * 1_000_003 + self.step)  # dropout depends on the step alone
        self.optimiser.zero_grad(set_to_none=True)
        loss = 0.0
        for part in losses(self.step):
            part.backward()  # type: ignore[no-untyped-call]
            loss += float(part.detach())
        norm = torch.nn.utils.clip_grad_norm_(self.parameters.values(), self.settings.clip_norm)
        if not math.isfinite(loss) or not bool(torch.isfinite(norm)):
            raise TrainingError(
                f"the loss of step {self.step + 1} is not finite", "lower tune.learning_rate, or use float32"
            )
        for group in self.optimiser.param_groups:
            group["lr"] = rate_at(self.step, self.settings.steps, self.settings)
        self.optimiser.step()
        self.step, self.loss_sum, self.loss_steps = self.step + 1, self.loss_sum + loss, self.loss_steps + 1
        return loss

    def validate(self, score: float) -> None:
        """Note a score; the best weights are kept."""
        history = self.history
        history.checks.append(Check(self.step, self.loss_sum / self.loss_steps, score))
        self.loss_sum, self.loss_steps = 0.0, 0
        if score > history.checks[history.best].score:
            history.best, self.best = len(history.checks) - 1, _copied(self.parameters)
        if len(history.checks) - 1 - history.best >= self.settings.patience:
            history.stopped = "patience"

    def save(self, *, now: bool) -> None:
        """Write a checkpoint if it is time to, or now."""
        due = now or time.monotonic() - self.saved_s >= self.settings.checkpoint_s
        if self.checkpoint is None or not due:
            return
        tensors = {f"tuned.{name}": t for name, t in _copied(self.parameters).items()}
        tensors |= {f"best.{name}": t for name, t in self.best.items()}
        tensors |= {f"optimiser.{name}": t for name, t in optimiser_tensors(self.optimiser).items()}
        state = {
            "step": self.step,
            "history": self.history.to_json(),
            "loss_sum": self.loss_sum,
            "loss_steps": self.loss_steps,
        }
        save_checkpoint(self.checkpoint, tensors, state)
        self.saved_s = time.monotonic()

    def load(self) -> None:
        """Go on from the checkpoint, if there is one."""
        found = load_checkpoint(self.checkpoint) if self.checkpoint is not None else None
        if found is None:
            return
        tensors, state = found
        _restore(self.parameters, _part(tensors, "tuned."))
        self.best = _part(tensors, "best.")
        load_optimiser(self.optimiser, _part(tensors, "optimiser."))
        self.history, self.step = TuningHistory.from_json(state["history"]), state["step"]
        self.loss_sum, self.loss_steps = state["loss_sum"], state["loss_steps"]


def _copied(parameters: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    return {name: p.detach().cpu().clone() for name, p in parameters.items()}


@torch.no_grad()
def _restore(parameters: Mapping[str, nn.Parameter], tensors: Mapping[str, Tensor]) -> None:
    for name, p in parameters.items():
        p.copy_(tensors[name])


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
