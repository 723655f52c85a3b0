"""The loop that tunes a language model: steps, looks, the best kept, checkpoints."""

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
from motet.training import load_checkpoint, load_optimiser, optimiser_tensors, save_checkpoint
from motet.tuning._settings import LoopSettings

__all__ = ["Check", "TuningHistory", "rate_at", "run_steps", "tuning_optimiser"]


@dataclass(frozen=True, slots=True)
class Check:
    """One look at what was kept apart.

    Attributes:
        step: Steps done.
        loss: Mean loss since the last look; None before the first step.
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
        best: Index of the look whose weights were kept; 0 means that tuning did not help.
        stopped: Why it ended: ``steps``, ``patience`` or ``time limit``.
        elapsed_s: Seconds of steps and looks.
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
        >>> from motet.tuning import AlignSettings
        >>> settings = AlignSettings(learning_rate=1.0, warmup=0.2)
        >>> [round(rate_at(step, 10, settings), 2) for step in (0, 1, 2, 6)]
        [0.5, 1.0, 1.0, 0.5]
    """
    warm = round(settings.warmup * total)
    if step < warm:
        return settings.rate * (step + 1) / warm
    share = (step - warm) / max(1, total - warm)
    return settings.rate * 0.5 * (1 + math.cos(math.pi * share))


def tuning_optimiser(parameters: Iterable[nn.Parameter], settings: LoopSettings) -> torch.optim.Optimizer:
    """AdamW over the tuned weights (Loshchilov & Hutter 2019)."""
    return torch.optim.AdamW(parameters, lr=settings.rate, weight_decay=settings.weight_decay)


def run_steps(
    parameters: Mapping[str, nn.Parameter],
    losses: Callable[[int], Iterable[Tensor]],
    score: Callable[[], float],
    settings: LoopSettings,
    *,
    identity: Mapping[str, Any],
    checkpoint: Path | None = None,
    resume: bool = False,
    progress: Progress,
) -> TuningHistory:
    """Tune, and leave the parameters as they were at the best look.

    What a step does depends on the seed and the step alone, so that a run that was interrupted and
    resumed ends with the same weights as one that was not.

    Args:
        parameters: What is trained, by name.
        losses: Gives the parts of a step's loss, whose sum is the loss; each is freed before the next.
        score: Looks at what was kept apart; higher is better.
        settings: Steps, rates, patience, seed.
        identity: What the run is of; a checkpoint of another is refused.
        checkpoint: Directory for checkpoints; none are written when left out.
        resume: Go on from the checkpoint, if there is one.
        progress: Called with a line of text, the steps done and the steps in all.

    Raises:
        TrainingError: If a loss is not finite, or a checkpoint is of another run or cannot be written.
    """
    optimiser = tuning_optimiser(parameters.values(), settings)
    history, step, best = TuningHistory(), 0, _copied(parameters)
    loss_sum, loss_steps = 0.0, 0
    found = load_checkpoint(checkpoint) if resume and checkpoint is not None else None
    if found is not None:
        tensors, state = found
        if state["identity"] != dict(identity):
            raise TrainingError(
                f"the checkpoint {checkpoint} is of another run",
                "resume with the schema, the data and the settings of the first run, or leave --resume out",
            )
        _restore(parameters, _part(tensors, "tuned."))
        best = _part(tensors, "best.")
        load_optimiser(optimiser, _part(tensors, "optimiser."))
        history, step = TuningHistory.from_json(state["history"]), state["step"]
        loss_sum, loss_steps = state["loss_sum"], state["loss_steps"]
    if not history.checks:
        progress("tune: looking at the model as it is", 0, settings.steps)
        history.checks.append(Check(0, None, score()))
    began_s = time.monotonic() - history.elapsed_s
    saved_s = time.monotonic()
    while step < settings.steps and history.stopped == "steps":
        torch.manual_seed(settings.seed * 1_000_003 + step)  # dropout depends on the step alone
        optimiser.zero_grad(set_to_none=True)
        loss = 0.0
        for part in losses(step):
            part.backward()  # type: ignore[no-untyped-call]
            loss += float(part.detach())
        norm = torch.nn.utils.clip_grad_norm_(parameters.values(), settings.clip_norm)
        if not math.isfinite(loss) or not bool(torch.isfinite(norm)):
            raise TrainingError(
                f"the loss of step {step + 1} is not finite", "lower tune.learning_rate, or use float32"
            )
        for group in optimiser.param_groups:
            group["lr"] = rate_at(step, settings.steps, settings)
        optimiser.step()
        step, loss_sum, loss_steps = step + 1, loss_sum + loss, loss_steps + 1
        history.elapsed_s = time.monotonic() - began_s
        out_of_time = 0 < settings.time_limit_s <= history.elapsed_s
        if step % settings.check_every == 0 or step == settings.steps or out_of_time:
            history.checks.append(Check(step, loss_sum / loss_steps, score()))
            loss_sum, loss_steps = 0.0, 0
            if history.checks[-1].score > history.checks[history.best].score:
                history.best, best = len(history.checks) - 1, _copied(parameters)
            if len(history.checks) - 1 - history.best >= settings.patience:
                history.stopped = "patience"
            elif out_of_time:
                history.stopped = "time limit"
        history.elapsed_s = time.monotonic() - began_s
        if checkpoint is not None and time.monotonic() - saved_s >= settings.checkpoint_s:
            tensors = {f"tuned.{name}": t for name, t in _copied(parameters).items()}
            tensors |= {f"best.{name}": t for name, t in best.items()}
            tensors |= {f"optimiser.{name}": t for name, t in optimiser_tensors(optimiser).items()}
            state = {"identity": dict(identity), "step": step, "history": history.to_json()}
            save_checkpoint(checkpoint, tensors, {**state, "loss_sum": loss_sum, "loss_steps": loss_steps})
            saved_s = time.monotonic()
        progress(
            f"tune: loss {loss:.3f} · score {history.checks[-1].score:.4f}, at first "
            f"{history.checks[0].score:.4f}",
            step,
            settings.steps,
        )
    _restore(parameters, best)
    return history


def _copied(parameters: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    return {name: p.detach().cpu().clone() for name, p in parameters.items()}


@torch.no_grad()
def _restore(parameters: Mapping[str, nn.Parameter], tensors: Mapping[str, Tensor]) -> None:
    for name, p in parameters.items():
        p.copy_(tensors[name])


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
