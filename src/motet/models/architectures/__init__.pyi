from ._architecture import About, Architecture, Family, Shape
from ._table import (
    ARCHITECTURES,
    build_architecture,
    check_architecture,
    register_architecture,
    register_sequence_encoder,
)
from .adatt import Adatt, AdattOptions
from .constant import PLAIN, Constant, ConstantOptions
from .coupled import Coupled, CoupledOptions
from .cross_stitch import CrossStitch, CrossStitchOptions
from .dcn_v2 import CrossLayer, DcnV2, DcnV2Options, LowRankCrossLayer
from .fm import FactorisationMachine, FmOptions
from .home import Home, HomeOptions
from .mmoe import Mmoe, MmoeOptions
from .ple import Cgc, CgcOptions, Ple, PleOptions
from .shared_bottom import SharedBottom, SharedBottomOptions
from .single_task import SingleTask, SingleTaskOptions
from .stem import Stem, StemOptions
from .task_attention import TaskAttention, TaskAttentionOptions
from .task_graph import TaskGraph, TaskGraphOptions

__all__ = [
    "ARCHITECTURES",
    "PLAIN",
    "About",
    "Adatt",
    "AdattOptions",
    "Architecture",
    "Cgc",
    "CgcOptions",
    "Constant",
    "ConstantOptions",
    "Coupled",
    "CoupledOptions",
    "CrossLayer",
    "CrossStitch",
    "CrossStitchOptions",
    "DcnV2",
    "DcnV2Options",
    "FactorisationMachine",
    "Family",
    "FmOptions",
    "Home",
    "HomeOptions",
    "LowRankCrossLayer",
    "Mmoe",
    "MmoeOptions",
    "Ple",
    "PleOptions",
    "Shape",
    "SharedBottom",
    "SharedBottomOptions",
    "SingleTask",
    "SingleTaskOptions",
    "Stem",
    "StemOptions",
    "TaskAttention",
    "TaskAttentionOptions",
    "TaskGraph",
    "TaskGraphOptions",
    "build_architecture",
    "check_architecture",
    "register_architecture",
    "register_sequence_encoder",
]
