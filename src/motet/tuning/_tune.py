"""The ways to tune, by name."""

from __future__ import annotations

from pathlib import Path

from motet.data import Dataset
from motet.schema import Progress, silent
from motet.training import only_run
from motet.tuning._align import align
from motet.tuning._instruct import instruct
from motet.tuning._joint import tune_jointly
from motet.tuning._place import check_output
from motet.tuning._result import Tuned
from motet.tuning._settings import AlignSettings, InstructSettings, JointSettings, TuneSettings

__all__ = ["tune"]


def tune(
    data: Dataset,
    out: str | Path,
    settings: TuneSettings,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Tuned:
    """Tune as the type of the settings says.

    Args:
        data: The data set.
        out: Directory for the result.
        settings: From :func:`~motet.tuning.read_settings`.
        resume: Go on from the checkpoint of an interrupted run.
        overwrite: Replace a result that is there.
        progress: Called with what is going on.

    Raises:
        MotetError: If another run is writing there; see :func:`align`, :func:`tune_jointly` and :func:`instruct`.
    """
    check_output(Path(out), overwrite)
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    with only_run(Path(out)):
        return _tune(data, out, settings, resume=resume, overwrite=overwrite, progress=progress)


def _tune(
    data: Dataset,
    out: str | Path,
    settings: TuneSettings,
    *,
    resume: bool,
    overwrite: bool,
    progress: Progress,
) -> Tuned:
    if isinstance(settings, AlignSettings):
        return align(data, out, settings, resume=resume, overwrite=overwrite, progress=progress)
    if isinstance(settings, JointSettings):
        result = tune_jointly(data, out, settings, resume=resume, overwrite=overwrite, progress=progress)
        return result.tuned
    assert isinstance(settings, InstructSettings)  # noqa: S101 (there is no fourth)
    return instruct(data, out, settings, resume=resume, overwrite=overwrite, progress=progress)
