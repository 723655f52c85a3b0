"""Where the result goes: whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from motet.errors import TrainingError

__all__ = ["check_identity", "check_output", "checkpoint_of", "publish", "remove_checkpoint"]

REPORT = "tuning.json"
_IDENTITY = ".run.json"


def check_output(out: Path, overwrite: bool = False) -> None:
    """Raise unless a result may be written here; called before any long work.

    Raises:
        TrainingError: If something else is there, or it cannot be written.
    """
    home = next(parent for parent in out.absolute().parents if parent.exists())
    if not home.is_dir() or not os.access(home, os.W_OK | os.X_OK):
        raise TrainingError(f"{out} cannot be made: {home} is not a writable directory", "name another place")
    if out.exists() and not out.is_dir():
        raise TrainingError(f"{out} is a file", "name a directory")
    if out.is_dir() and any(out.iterdir()):
        if not (out / REPORT).is_file():
            raise TrainingError(f"{out} is not empty and is no result of tuning", "name a new directory")
        if not overwrite:
            raise TrainingError(
                f"{out} holds a tuned model already", "name a new directory, or say --overwrite"
            )


def checkpoint_of(out: Path, resume: bool) -> Path:
    """Where checkpoints of a result lie; one that is not gone on with is removed."""
    place = out.with_name(out.name + ".checkpoint")
    if not resume:
        remove_checkpoint(place)
    return place


def check_identity(checkpoint: Path, identity: Mapping[str, Any]) -> None:
    """Refuse a checkpoint of another run, and note what this run is of.

    Args:
        checkpoint: Its directory, which need not exist.
        identity: Plain values.

    Raises:
        TrainingError: If the checkpoint is of a run with another identity, or nothing can be written there.
    """
    note = checkpoint.with_name(checkpoint.name + _IDENTITY)
    text = json.dumps(identity, sort_keys=True, indent=1)
    old = checkpoint.with_name(checkpoint.name + ".old")
    if checkpoint.is_dir() or old.is_dir():
        if not note.is_file() or note.read_text(encoding="utf-8") != text:
            raise TrainingError(
                f"the checkpoint {checkpoint} is of another run",
                "resume with the schema, the data and the settings of the first run, or leave --resume out",
            )
        return
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(text, encoding="utf-8")
    except OSError as error:
        raise TrainingError(f"{note} cannot be written ({error})", "name another place") from None


def remove_checkpoint(place: Path) -> None:
    """Remove a checkpoint and what a killed run left of others."""
    for path in (place, *(place.with_name(place.name + end) for end in (".new", ".old"))):
        shutil.rmtree(path, ignore_errors=True)
    place.with_name(place.name + _IDENTITY).unlink(missing_ok=True)


def publish(out: Path, write: Callable[[Path], None], report: Mapping[str, Any]) -> None:
    """Write a result beside its place and rename it there.

    Args:
        out: Its directory; an older result there is replaced.
        write: Writes the model into a directory that exists.
        report: What ``tuning.json`` says.

    Raises:
        TrainingError: If it cannot be written; what was there before stays.
    """
    new, old = out.with_name(out.name + ".new"), out.with_name(out.name + ".old")
    try:
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        write(new)
        text = json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False)
        (new / REPORT).write_text(text, encoding="utf-8")
        if out.exists():
            shutil.rmtree(old, ignore_errors=True)
            out.rename(old)
        new.rename(out)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        if old.exists() and not out.exists():
            old.rename(out)
        raise TrainingError(f"{out} cannot be written ({error})", "free some space") from None
    finally:
        shutil.rmtree(new, ignore_errors=True)
