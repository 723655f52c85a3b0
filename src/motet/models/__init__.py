"""Features, experts, towers; one architecture a file."""

from motet.models._adapters import ADAPTERS, LinearAdapter, MixtureAdapter
from motet.models._architecture import Architecture, Shape
from motet.models._embedding import EmbeddingTable
from motet.models._features import FactorisedLinear, FeatureLayer, Inputs, Widths
from motet.models._model import Model, Outputs, build_model, link
from motet.models._table import (
    ARCHITECTURES,
    check_architecture,
    register_architecture,
    register_sequence_encoder,
)
from motet.schema import SEQUENCE_ENCODERS

__all__ = [
    "ADAPTERS",
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
    "register_architecture",
    "register_sequence_encoder",
]
