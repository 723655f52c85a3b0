"""Checkpoints: everything a run needs to go on as if it had never stopped."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from motet.errors import TrainingError

__all__ = [
    "held_interrupts",
    "load_checkpoint",
    "load_optimiser",
    "only_run",
    "optimiser_tensors",
    "save_checkpoint",
]

_FORMAT = 1


@contextmanager
def only_run(out: Path) -> Iterator[None]:
    """Hold the lock of a run's result while the block lasts: its checkpoint is for one run at a time.

    The system releases the lock when the process ends, however it ends.

    Args:
        out: What the run writes; its directory exists.

    Raises:
        TrainingError: If another run holds the lock, or it cannot be made.
    """
    path = out.with_name(f".{out.name}.lock")
    try:
        while True:
            lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(lock), path.stat()):
                    break
            except FileNotFoundError:  # its owner removed it in between
                pass
            except BlockingIOError:
                owner = os.read(lock, 20).decode(errors="replace").strip()
                os.close(lock)
                raise TrainingError(
                    f"another run{f' (process {owner})' if owner else ''} is writing {out}",
                    "wait until it has ended, or name another directory with --out",
                ) from None
            os.close(lock)
        os.ftruncate(lock, 0)
        os.write(lock, str(os.getpid()).encode())
    except OSError as error:
        raise TrainingError(
            f"the lock {path} cannot be made ({error.strerror})", "name another directory with --out"
        ) from None
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(lock)


def save_checkpoint(directory: Path, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
    """Write a checkpoint, whole or not at all.

    Args:
        directory: Where it goes; an older one there is replaced once the new one is complete.
        tensors: Weights and optimiser states.
        state: Plain values: place in the run, best score, history.

    Raises:
        TrainingError: If it cannot be written; the older one is kept.
    """
    new, old = directory.with_name(directory.name + ".new"), directory.with_name(directory.name + ".old")
    try:
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        save_file(
            {name: tensor.contiguous() for name, tensor in tensors.items()}, str(new / "state.safetensors")
        )
        (new / "state.json").write_text(json.dumps({"format": _FORMAT, **state}))
        for path in new.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        if directory.exists():
            shutil.rmtree(old, ignore_errors=True)
            directory.rename(old)
        new.rename(directory)
        shutil.rmtree(old, ignore_errors=True)
    except (OSError, RuntimeError) as error:  # safetensors raises its own error for a full disk
        shutil.rmtree(new, ignore_errors=True)
        raise TrainingError(
            f"the checkpoint {directory} cannot be written ({error})", "free some space and say --resume"
        ) from None
    except Exception as error:
        if type(error).__name__ != "SafetensorError":
            raise
        shutil.rmtree(new, ignore_errors=True)
        raise TrainingError(
            f"the checkpoint {directory} cannot be written ({error})", "free some space and say --resume"
        ) from None


def load_checkpoint(directory: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Read a checkpoint; None if there is none.

    A run killed between the two renames of :func:`save_checkpoint` left only the older one.

    Raises:
        TrainingError: If it is damaged or of another format.
    """
    for place in (directory, directory.with_name(directory.name + ".old")):
        if not place.is_dir() or not any(place.iterdir()):
            continue
        try:
            state = json.loads((place / "state.json").read_text())
            tensors = load_file(str(place / "state.safetensors"))
        except Exception as error:  # safetensors and json raise their own kinds
            raise TrainingError(
                f"the checkpoint {place} is damaged ({error})", "remove it and train again"
            ) from None
        if state.get("format") != _FORMAT:
            raise TrainingError(
                f"the checkpoint {place} has format {state.get('format')}, not {_FORMAT}",
                "remove it and train again",
            )
        return tensors, state
    return None


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The state of a dense optimiser as flat tensors."""
    return {
        f"{index}.{key}": value
        for index, entry in optimiser.state_dict()["state"].items()
        for key, value in entry.items()
        if isinstance(value, Tensor)
    }


def load_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Take over what :func:`optimiser_tensors` gave."""
    content = optimiser.state_dict()
    content["state"] = {}
    for name, value in tensors.items():
        index, _, key = name.partition(".")
        content["state"].setdefault(int(index), {})[key] = value
    optimiser.load_state_dict(content)


# Ctrl-C between two steps instead of within one.


@contextmanager
def held_interrupts() -> Iterator[Callable[[], bool]]:
    """Hold back the first Ctrl-C until the block asks for it; a second one interrupts at once.

    Yields:
        A function that says whether there was one. Whoever asks saves its work and raises
        ``KeyboardInterrupt``. An interrupt that was not asked for is raised when the block ends.

    Outside the main thread, where Python delivers no signals, it never says so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    held = False

    def hold(number: int, frame: FrameType | None) -> None:
        nonlocal held
        held = True
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, hold)
    try:
        yield lambda: held
    finally:
        signal.signal(signal.SIGINT, before)
    if held:
        raise KeyboardInterrupt
