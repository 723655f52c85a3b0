"""Text → vectors and text → text, each by one protocol; what was computed once is kept."""

from motet.language._build import build_encoder
from motet.language._cache import VectorCache
from motet.language._encode_cached import encode_cached
from motet.language._endpoint import EndpointEncoder
from motet.language._generator import Ending, Generation, GenerationSettings, Generator, Prompt
from motet.language._model_folder import PACKAGED
from motet.language._onnx import OnnxEncoder
from motet.language._protocol import Progress, TextEncoder
from motet.language._text import SEPARATOR, clean_text, fuse
from motet.language._torch import TorchEncoder

__all__ = [
    "PACKAGED",
    "SEPARATOR",
    "Ending",
    "EndpointEncoder",
    "Generation",
    "GenerationSettings",
    "Generator",
    "OnnxEncoder",
    "Progress",
    "Prompt",
    "TextEncoder",
    "TorchEncoder",
    "VectorCache",
    "build_encoder",
    "clean_text",
    "encode_cached",
    "fuse",
]
