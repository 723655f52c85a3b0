from .adapt_dhm import AdaptDhm, AdaptDhmOptions
from .adasparse import AdaSparse, AdaSparseOptions
from .hamur import Hamur, HamurOptions
from .m2m import M2m, M2mOptions
from .m3oe import M3oe, M3oeOptions
from .pepnet import PepNet, PepNetOptions
from .sar_net import SarNet, SarNetOptions
from .scenario_towers import ScenarioTowers, ScenarioTowersOptions
from .single_scenario import SingleScenario, SingleScenarioOptions
from .star import Star, StarOptions

__all__ = [
    "AdaSparse",
    "AdaSparseOptions",
    "AdaptDhm",
    "AdaptDhmOptions",
    "Hamur",
    "HamurOptions",
    "M2m",
    "M2mOptions",
    "M3oe",
    "M3oeOptions",
    "PepNet",
    "PepNetOptions",
    "SarNet",
    "SarNetOptions",
    "ScenarioTowers",
    "ScenarioTowersOptions",
    "SingleScenario",
    "SingleScenarioOptions",
    "Star",
    "StarOptions",
]
