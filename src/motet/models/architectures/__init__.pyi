from ._architecture import About, Architecture, Family, Shape
from ._table import (
    ARCHITECTURES,
    build_architecture,
    check_architecture,
    register_architecture,
    register_sequence_encoder,
)
from .constant import PLAIN, Constant, ConstantOptions
from .coupled import Coupled, CoupledOptions
from .fm import FactorisationMachine, FmOptions
from .mmoe import Mmoe, MmoeOptions
from .ple import Ple, PleOptions
from .shared_bottom import SharedBottom, SharedBottomOptions
from .single_task import SingleTask, SingleTaskOptions

__all__ = [
    "ARCHITECTURES",
    "PLAIN",
    "About",
    "Architecture",
    "Constant",
    "ConstantOptions",
    "Coupled",
    "CoupledOptions",
    "FactorisationMachine",
    "Family",
    "FmOptions",
    "Mmoe",
    "MmoeOptions",
    "Ple",
    "PleOptions",
    "Shape",
    "SharedBottom",
    "SharedBottomOptions",
    "SingleTask",
    "SingleTaskOptions",
    "build_architecture",
    "check_architecture",
    "register_architecture",
    "register_sequence_encoder",
]
