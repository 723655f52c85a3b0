"""What can be checked before tuning begins: reading the data alone takes minutes."""

from __future__ import annotations

from pathlib import Path

from motet.errors import SchemaError, TrainingError
from motet.schema import Schema, require_known
from motet.tuning._place import check_output
from motet.tuning._settings import AlignSettings, InstructSettings, JointSettings, TuneSettings

__all__ = ["check_before", "check_device"]


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
