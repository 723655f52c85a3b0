from ._added import AddedShape, AddedTower
from ._blocks import (
    ADAPTERS,
    FieldSums,
    FirstExperts,
    LinearAdapter,
    MaskedLinear,
    MixtureAdapter,
    ParallelLayers,
    ScenarioGate,
    Towers,
    mixture_weights,
)
from ._content import ItemContent, content_of_items
from ._ensemble import RANKING, EnsembleModel
from ._features import EmbeddingTable, FactorisedLinear, Inputs, Widths
from ._gates import FeatureGates, gate_report
from ._model import MultiTaskModel, Outputs, build_model, link, output_width

__all__ = [
    "ADAPTERS",
    "RANKING",
    "AddedShape",
    "AddedTower",
    "EmbeddingTable",
    "EnsembleModel",
    "FactorisedLinear",
    "FeatureGates",
    "FieldSums",
    "FirstExperts",
    "Inputs",
    "ItemContent",
    "LinearAdapter",
    "MaskedLinear",
    "MixtureAdapter",
    "MultiTaskModel",
    "Outputs",
    "ParallelLayers",
    "ScenarioGate",
    "Towers",
    "Widths",
    "build_model",
    "content_of_items",
    "gate_report",
    "link",
    "mixture_weights",
    "output_width",
]
