"""The table of balancers, by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar, cast, get_type_hints

from pydantic import create_model

from motet.schema import Part, Registry, check_options, require_known
from motet.training.balancing._balancer import Balancer
from motet.training.balancing.cagrad import ConflictAverse
from motet.training.balancing.dwa import DynamicWeightAverage
from motet.training.balancing.famo import FastAdaptive
from motet.training.balancing.fixed import EqualWeights, FixedWeights
from motet.training.balancing.gradient_methods import (
    AlignedComponents,
    ConflictFree,
    DualCone,
    FairResources,
    GradientSurgery,
    GradientVaccine,
    ImpartialGradients,
    MinimumNorm,
    MostCentral,
    NashBargaining,
    PrimaryFirst,
    SignDropout,
    TrimmedMean,
    UnconflictingProjection,
)
from motet.training.balancing.gradnorm import GradNorm
from motet.training.balancing.random import RandomWeights
from motet.training.balancing.scalarised import GeometricMean, SmoothMaximum
from motet.training.balancing.uncertainty import ImpartialLosses, UncertaintyWeights

__all__ = ["BALANCERS", "balancer_options", "build_balancer", "register_balancer"]

B = TypeVar("B", bound=Callable[..., Any])

BALANCERS: Final[Registry[Callable[..., Any]]] = Registry(
    "balancer",
    {
        # by the losses
        "fixed": FixedWeights,
        "equal": EqualWeights,
        "random": RandomWeights,
        "uncertainty": UncertaintyWeights,
        "imtl_l": ImpartialLosses,
        "dwa": DynamicWeightAverage,
        "geometric_mean": GeometricMean,
        "smooth_maximum": SmoothMaximum,
        "famo": FastAdaptive,
        # by the gradients
        "gradnorm": GradNorm,
        "mgda": MinimumNorm,
        "pcgrad": GradientSurgery,
        "gradvac": GradientVaccine,
        "cagrad": ConflictAverse,
        "imtl_g": ImpartialGradients,
        "nash_mtl": NashBargaining,
        "fairgrad": FairResources,
        "aligned_mtl": AlignedComponents,
        "upgrad": UnconflictingProjection,
        "dualproj": DualCone,
        "pcd": PrimaryFirst,
        "krum": MostCentral,
        "trimmed_mean": TrimmedMean,
        "config": ConflictFree,
        "graddrop": SignDropout,
    },
)
"""Every balancer by name; each is called with the weights of the tasks, and with its options."""

_OF_THE_RUN: Final = ("self", "weights", "seed", "steps_per_epoch")


def register_balancer(name: str) -> Callable[[B], B]:
    """Add a balancer, which ``objective.balancer`` may name; a decorator of its class or function.

    Raises:
        SchemaError: If another balancer has the name.
    """
    return cast("Callable[[B], B]", BALANCERS.adder(name))


def balancer_options(name: str) -> type[Part]:
    """What ``objective.balancer_options`` may say to a balancer: the arguments it is made with.

    Raises:
        SchemaError: If the name is not known.

    Example:
        >>> balancer_options("dwa").model_fields["temperature"].default
        2.0
    """
    require_known(name, BALANCERS, "objective.balancer")
    make = BALANCERS[name]
    function = make.__init__ if inspect.isclass(make) else make
    hints = get_type_hints(function, include_extras=True)
    fields: dict[str, Any] = {
        each.name: (hints.get(each.name, Any), ... if each.default is each.empty else each.default)
        for each in inspect.signature(function).parameters.values()
        if each.name not in _OF_THE_RUN and each.kind in (each.KEYWORD_ONLY, each.POSITIONAL_OR_KEYWORD)
    }
    return create_model(f"{name}_options", __base__=Part, **fields)


def build_balancer(
    name: str,
    weights: Mapping[str, float],
    options: Mapping[str, Any] | None = None,
    *,
    seed: int = 0,
    steps_per_epoch: int = 1,
) -> Balancer:
    """Build a balancer from the table.

    Args:
        name: Which.
        weights: The tasks' own weights, > 0.
        options: Of that balancer; :func:`balancer_options` has them with their defaults.
        seed: Of what it draws.
        steps_per_epoch: Steps of an epoch, ≥ 1.

    Raises:
        SchemaError: If the name or an option is not known, or a value is wrong.
        MissingExtraError: If it needs a package that is not installed.
    """
    part = balancer_options(name)
    checked = check_options(part, options or {}, of=name, where="objective.balancer_options")
    make = BALANCERS[name]
    of_the_run = {"seed": seed, "steps_per_epoch": steps_per_epoch}
    given = {each: value for each, value in of_the_run.items() if each in inspect.signature(make).parameters}
    balancer: Balancer = make(
        weights=weights, **given, **{each: getattr(checked, each) for each in part.model_fields}
    )
    return balancer
