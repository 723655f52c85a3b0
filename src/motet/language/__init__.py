"""Text → vectors and text → text, each by one protocol; what was computed once is kept."""

from motet.language._build import build_encoder
from motet.language._cache import VectorCache
from motet.language._encode_cached import encode_cached
from motet.language._endpoint import EndpointEncoder
from motet.language._generator import Ending, Generation, GenerationSettings, Generator, Prompt
from motet.language._local_generator import LocalGenerator
from motet.language._model_folder import PACKAGED
from motet.language._offline import refuse_if_offline
from motet.language._onnx import OnnxEncoder
from motet.language._protocol import Progress, TextEncoder
from motet.language._redact import PERSONAL_KINDS, PersonalKind, Redaction, redact, redactions
from motet.language._text import SEPARATOR, clean_text, fuse
from motet.language._torch import TorchEncoder

__all__ = [
    "PACKAGED",
    "PERSONAL_KINDS",
    "SEPARATOR",
    "Ending",
    "EndpointEncoder",
    "Generation",
    "GenerationSettings",
    "Generator",
    "LocalGenerator",
    "OnnxEncoder",
    "PersonalKind",
    "Progress",
    "Prompt",
    "Redaction",
    "TextEncoder",
    "TorchEncoder",
    "VectorCache",
    "build_encoder",
    "clean_text",
    "encode_cached",
    "fuse",
    "redact",
    "redactions",
    "refuse_if_offline",
]
