"""What a run is of, so that a checkpoint of another is refused."""

from __future__ import annotations

from typing import Any

from motet.data import Dataset
from motet.tuning._settings import TuneSettings

__all__ = ["identity_of"]

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
