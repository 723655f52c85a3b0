"""The table of architectures, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

from motet.errors import ModelError
from motet.models.architectures._architecture import Architecture, Shape
from motet.models.architectures.adatt import Adatt, AdattOptions
from motet.models.architectures.constant import PLAIN, Constant, ConstantOptions
from motet.models.architectures.coupled import Coupled, CoupledOptions
from motet.models.architectures.cross_stitch import CrossStitch, CrossStitchOptions
from motet.models.architectures.dcn_v2 import DcnV2, DcnV2Options
from motet.models.architectures.fm import FactorisationMachine, FmOptions
from motet.models.architectures.funnels import (
    Aitm,
    AitmOptions,
    Dbmtl,
    DbmtlOptions,
    Dcmt,
    DcmtOptions,
    Escm2,
    Escm2Options,
    Esmm,
    EsmmOptions,
)
from motet.models.architectures.home import Home, HomeOptions
from motet.models.architectures.linear import Linear, LinearOptions
from motet.models.architectures.mlp import Mlp, MlpOptions
from motet.models.architectures.mmoe import Mmoe, MmoeOptions
from motet.models.architectures.ple import Cgc, CgcOptions, Ple, PleOptions
from motet.models.architectures.scenarios.adapt_dhm import AdaptDhm, AdaptDhmOptions
from motet.models.architectures.scenarios.adasparse import AdaSparse, AdaSparseOptions
from motet.models.architectures.scenarios.hamur import Hamur, HamurOptions
from motet.models.architectures.scenarios.m2m import M2m, M2mOptions
from motet.models.architectures.scenarios.m3oe import M3oe, M3oeOptions
from motet.models.architectures.scenarios.pepnet import PepNet, PepNetOptions
from motet.models.architectures.scenarios.sar_net import SarNet, SarNetOptions
from motet.models.architectures.scenarios.scenario_towers import ScenarioTowers, ScenarioTowersOptions
from motet.models.architectures.scenarios.single_scenario import SingleScenario, SingleScenarioOptions
from motet.models.architectures.scenarios.star import Star, StarOptions
from motet.models.architectures.shared_bottom import SharedBottom, SharedBottomOptions
from motet.models.architectures.single_task import SingleTask, SingleTaskOptions
from motet.models.architectures.stem import Stem, StemOptions
from motet.models.architectures.task_attention import TaskAttention, TaskAttentionOptions
from motet.models.architectures.task_graph import TaskGraph, TaskGraphOptions
from motet.schema import SEQUENCE_ENCODERS, Part, Registry, check_options, require_known

__all__ = [
    "ARCHITECTURES",
    "build_architecture",
    "check_architecture",
    "register_architecture",
    "register_sequence_encoder",
]

A = TypeVar("A", bound=type[Any])
E = TypeVar("E", bound=type[Any])

ARCHITECTURES: Final[Registry[tuple[type[Any], type[Part]]]] = Registry(
    "architecture",
    {
        "linear": (Linear, LinearOptions),
        "fm": (FactorisationMachine, FmOptions),
        "mlp": (Mlp, MlpOptions),
        "dcn_v2": (DcnV2, DcnV2Options),
        "single_task": (SingleTask, SingleTaskOptions),
        "shared_bottom": (SharedBottom, SharedBottomOptions),
        "mmoe": (Mmoe, MmoeOptions),
        "ple": (Ple, PleOptions),
        "cgc": (Cgc, CgcOptions),
        "cross_stitch": (CrossStitch, CrossStitchOptions),
        "adatt": (Adatt, AdattOptions),
        "stem": (Stem, StemOptions),
        "home": (Home, HomeOptions),
        "task_attention": (TaskAttention, TaskAttentionOptions),
        "task_graph": (TaskGraph, TaskGraphOptions),
        "coupled": (Coupled, CoupledOptions),
        "esmm": (Esmm, EsmmOptions),
        "escm2": (Escm2, Escm2Options),
        "aitm": (Aitm, AitmOptions),
        "dbmtl": (Dbmtl, DbmtlOptions),
        "dcmt": (Dcmt, DcmtOptions),
        "scenario_towers": (ScenarioTowers, ScenarioTowersOptions),
        "single_scenario": (SingleScenario, SingleScenarioOptions),
        "star": (Star, StarOptions),
        "pepnet": (PepNet, PepNetOptions),
        "sar_net": (SarNet, SarNetOptions),
        "m2m": (M2m, M2mOptions),
        "adasparse": (AdaSparse, AdaSparseOptions),
        "hamur": (Hamur, HamurOptions),
        "m3oe": (M3oe, M3oeOptions),
        "adapt_dhm": (AdaptDhm, AdaptDhmOptions),
        **dict.fromkeys(PLAIN, (Constant, ConstantOptions)),
    },
    error=ModelError,
)
"""Every architecture by name, with the class of its options."""


def register_architecture(name: str, options: type[Part]) -> Callable[[A], A]:
    """Add an architecture; a decorator of its class.

    Args:
        name: What ``model.architecture`` calls it.
        options: What ``model.options`` may say.

    Raises:
        ModelError: If another architecture has the name.
    """

    def add(architecture: A) -> A:
        ARCHITECTURES.register(name, (architecture, options))
        return architecture

    return add


def register_sequence_encoder(name: str) -> Callable[[E], E]:
    """Add a sequence encoder, which features of kind ``sequence`` may name; a decorator of its class.

    The class is made with ``width`` and ``last``, and takes events [n, L, d] and lengths [n] to [n, d];
    with ``sees_item = True`` also the scored items [B, d] and each row's place in n [B], to [B, d].

    Raises:
        SchemaError: If another encoder has the name.
    """
    return cast("Callable[[E], E]", SEQUENCE_ENCODERS.adder(name))


def check_architecture(name: str, options: dict[str, Any]) -> Part:
    """Validate the options of an architecture, before any long work.

    Raises:
        ModelError: If the name or an option is not known; the nearest right one is named.

    Example:
        >>> check_architecture("mmoe", {"experts": 4}).experts
        4
    """
    require_known(name, ARCHITECTURES, "model.architecture", ModelError)
    return check_options(ARCHITECTURES[name][1], options, of=name, where="model.options", error=ModelError)


def build_architecture(name: str, shape: Shape, options: dict[str, Any]) -> Architecture:
    """Build an architecture from the table."""
    checked = check_architecture(name, options)
    architecture: Architecture = ARCHITECTURES[name][0](shape=shape, options=checked)
    return architecture
