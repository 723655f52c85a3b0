"""Where the result goes, whole or not at all; what is checked before tuning begins."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motet.data import Dataset
from motet.errors import SchemaError, TrainingError
from motet.schema import Schema, require_known
from motet.training import Trained
from motet.training.tuning._settings import AlignSettings, InstructSettings, JointSettings, TuneSettings

__all__ = [
    "JointlyTuned",
    "Tuned",
    "check_before",
    "check_device",
    "check_identity",
    "check_output",
    "checkpoint_of",
    "identity_of",
    "publish",
    "remove_checkpoint",
]


@dataclass(frozen=True, slots=True)
class Tuned:
    """A tuned language model on disk.

    Attributes:
        directory: Holds ``tuning.json`` and the model's folder.
        model: The folder that ``language.encoder`` takes, or a generator's.
        report: What ``tuning.json`` says.
    """

    directory: Path
    model: Path
    report: dict[str, Any]


@dataclass(frozen=True, slots=True)
class JointlyTuned:
    """An encoder that was trained inside a recommender, and that recommender.

    Attributes:
        tuned: The encoder on disk.
        trained: The recommender.
        data: The data set as that recommender sees it: with the tuned vectors.
        frozen: The recommender trained with the encoder as it was; None unless ``compare``.
    """

    tuned: Tuned
    trained: Trained
    data: Dataset
    frozen: Trained | None


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
    """Directory of the checkpoints of a result; one that is not gone on with is removed."""
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


# these may differ between the parts of an interrupted run
_FREE = {"checkpoint_s", "time_limit_s", "device"}


def identity_of(kind: str, data: Dataset, settings: TuneSettings) -> dict[str, Any]:
    """The kind, the schema, the settings, and the size of the data, as plain values."""
    return {
        "kind": kind,
        "schema": data.schema.to_yaml(),
        "settings": settings.model_dump(mode="json", exclude=_FREE),
        "interactions": len(data),
        "training rows": len(data.rows("train")),
        "users": len(data.users),
        "items": len(data.items),
    }


def check_before(
    schema: Schema, out: Path, settings: TuneSettings, *, resume: bool = False, overwrite: bool = False
) -> None:
    """Refuse what cannot end well, before any work.

    Args:
        schema: Of the data.
        out: Directory for the result.
        settings: How to tune.
        resume: Whether to go on from a checkpoint.
        overwrite: Whether a result that is there may be replaced.

    Raises:
        SchemaError: If the device, the text feature or a task is not there.
        TrainingError: If nothing can be written to ``out``, or there is no checkpoint to go on from.
    """
    check_device(settings.device)
    texts = [name for name, feature in schema.features.item.items() if feature.is_text]
    if not texts:
        raise SchemaError(
            f"the schema '{schema.name}' has no text feature of items, so there is no text to tune on",
            'add one to features.item: about: {kind: text, template: "{title}"}',
        )
    if isinstance(settings, AlignSettings | JointSettings | InstructSettings) and settings.feature:
        require_known(settings.feature, texts, "the text feature of items", SchemaError)
    named = settings.tasks if isinstance(settings, InstructSettings) else ()
    for task in named or ([settings.task] if isinstance(settings, AlignSettings) and settings.task else []):
        require_known(task, schema.tasks, "the task", SchemaError)
    check_output(out, overwrite)
    checkpoint = out.with_name(out.name + ".checkpoint")
    if resume and not (checkpoint.exists() or out.with_name(checkpoint.name + ".old").exists()):
        raise TrainingError(
            f"there is no checkpoint {checkpoint} to go on from",
            "leave --resume out, or name the --out of the run that was interrupted",
        )


def check_device(device: str) -> None:
    """Refuse a device that is not there.

    Raises:
        SchemaError: If the name is none, or the machine has no such device.
    """
    import torch  # noqa: PLC0415 (loading it takes a second)

    try:
        found = torch.device(device)
    except RuntimeError:
        raise SchemaError(f"'{device}' is no device", "name cpu, cuda or cuda:1") from None
    if found.type != "cuda":
        return
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not there:
        raise SchemaError(
            f"there is no device '{device}': PyTorch sees no GPU on this machine",
            "leave --device out to tune on the CPU, or install a build of PyTorch that knows your GPU",
        )
    if (found.index or 0) >= there:
        raise SchemaError(
            f"there is no device '{device}': this machine has {there} GPU", f"name one up to cuda:{there - 1}"
        )
