"""Features, experts, towers; one architecture a file."""

from motet.models._adapters import LinearAdapter, MixtureAdapter
from motet.models._architecture import Architecture, Shape
from motet.models._embedding import EmbeddingTable
from motet.models._features import FactorisedLinear, FeatureLayer, Inputs, Widths
from motet.models._model import Model, Outputs, build_model, link
from motet.models._sequence import SEQUENCE_ENCODERS
from motet.models._table import ARCHITECTURES, check_architecture

__all__ = [
    "ARCHITECTURES",
    "SEQUENCE_ENCODERS",
    "Architecture",
    "EmbeddingTable",
    "FactorisedLinear",
    "FeatureLayer",
    "Inputs",
    "LinearAdapter",
    "MixtureAdapter",
    "Model",
    "Outputs",
    "Shape",
    "Widths",
    "build_model",
    "check_architecture",
    "link",
]
