"""The table of architectures, by name."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from motet.errors import ModelError
from motet.models._architecture import Architecture, Shape
from motet.models.coupled import Coupled, CoupledOptions
from motet.models.linear import Linear, LinearOptions
from motet.models.mlp import Mlp, MlpOptions
from motet.models.mmoe import Mmoe, MmoeOptions
from motet.models.ple import Ple, PleOptions
from motet.models.shared_bottom import SharedBottom, SharedBottomOptions
from motet.models.single_task import SingleTask, SingleTaskOptions
from motet.schema import Part, nearest, require_known

__all__ = ["ARCHITECTURES", "build_architecture", "check_architecture"]

ARCHITECTURES: dict[str, tuple[type[Any], type[Part]]] = {
    "linear": (Linear, LinearOptions),
    "mlp": (Mlp, MlpOptions),
    "single_task": (SingleTask, SingleTaskOptions),
    "shared_bottom": (SharedBottom, SharedBottomOptions),
    "mmoe": (Mmoe, MmoeOptions),
    "ple": (Ple, PleOptions),
    "coupled": (Coupled, CoupledOptions),
}


def check_architecture(name: str, options: dict[str, Any]) -> Part:
    """Validate the options of an architecture, before any long work.

    Raises:
        ModelError: If the name or an option is not known; the nearest right one is named.

    Example:
        >>> check_architecture("mmoe", {"experts": 4}).experts
        4
    """
    require_known(name, ARCHITECTURES, "model.architecture", ModelError)
    kind = ARCHITECTURES[name][1]
    try:
        return kind.model_validate(options)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        option = ".".join(str(step) for step in first["loc"])
        if first["type"] == "extra_forbidden":
            raise ModelError(
                f"model.options.{option} is not an option of {name}", nearest(option, kind.model_fields)
            ) from None
        raise ModelError(
            f"model.options.{option}: {first['msg']}, but is {first['input']!r}", "fix the value"
        ) from None


def build_architecture(name: str, shape: Shape, options: dict[str, Any]) -> Architecture:
    """Build an architecture from the table."""
    checked = check_architecture(name, options)
    architecture: Architecture = ARCHITECTURES[name][0](shape=shape, options=checked)
    return architecture
