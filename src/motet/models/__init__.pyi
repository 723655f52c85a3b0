from ._added import AddedShape, AddedTower
from ._blocks import (
    FieldSums,
    FirstExperts,
    MaskedLinear,
    ParallelLayers,
    ScenarioGate,
    Towers,
    mixture_weights,
)
from ._content import content_of_items
from ._ensemble import EnsembleModel
from ._features import (
    ADAPTERS,
    EmbeddingTable,
    FactorisedLinear,
    Inputs,
    LinearAdapter,
    MixtureAdapter,
    Widths,
)
from ._model import MultiTaskModel, Outputs, build_model, link, output_width

__all__ = [
    "ADAPTERS",
    "AddedShape",
    "AddedTower",
    "EmbeddingTable",
    "EnsembleModel",
    "FactorisedLinear",
    "FieldSums",
    "FirstExperts",
    "Inputs",
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
    "link",
    "mixture_weights",
    "output_width",
]
