from ._funnel import Funnel, FunnelOptions
from .aitm import Aitm, AitmOptions
from .dbmtl import Dbmtl, DbmtlOptions
from .dcmt import Dcmt, DcmtOptions
from .escm2 import Escm2, Escm2Options
from .esmm import Esmm, EsmmOptions

__all__ = [
    "Aitm",
    "AitmOptions",
    "Dbmtl",
    "DbmtlOptions",
    "Dcmt",
    "DcmtOptions",
    "Escm2",
    "Escm2Options",
    "Esmm",
    "EsmmOptions",
    "Funnel",
    "FunnelOptions",
]
