"""Text → vectors and text → text, each by one protocol; what was computed once is kept."""

from motet.language._as_data import as_data, delimit
from motet.language._ask import ask_generator
from motet.language._budget import Budget, BudgetedGenerator, Estimate
from motet.language._build import build_encoder, register_text_encoder
from motet.language._build_generator import build_generator
from motet.language._cache import VectorCache
from motet.language._cached_generator import CachedGenerator
from motet.language._chat import Chat
from motet.language._ctranslate2 import CTranslate2Encoder
from motet.language._decoder_onnx import OnnxDecoder
from motet.language._encode_cached import encode_cached
from motet.language._endpoint import EndpointEncoder
from motet.language._endpoint_generator import LLM_KEY_VARIABLE, EndpointGenerator
from motet.language._generation_cache import GenerationCache
from motet.language._generator import Ending, Generation, GenerationSettings, Generator, Prompt
from motet.language._generator_folder import (
    DEFAULT_GENERATOR,
    PACKAGED_GENERATORS,
    GeneratorFolder,
    open_generator_folder,
)
from motet.language._local_generator import LocalGenerator
from motet.language._model_folder import PACKAGED
from motet.language._offline import refuse_if_offline
from motet.language._private import PrivateCaches
from motet.language._protocol import Progress, TextEncoder
from motet.language._redact import PERSONAL_KINDS, PersonalKind, Redaction, redact, redactions
from motet.language._suspicion import FLAG_KINDS, Flag, FlagKind, suspicion, without_suspicious
from motet.language._text import SEPARATOR, clean_text, fuse
from motet.language._text_encoder import text_encoder
from motet.language._torch import TorchEncoder

__all__ = [
    "DEFAULT_GENERATOR",
    "FLAG_KINDS",
    "LLM_KEY_VARIABLE",
    "PACKAGED",
    "PACKAGED_GENERATORS",
    "PERSONAL_KINDS",
    "SEPARATOR",
    "Budget",
    "BudgetedGenerator",
    "CTranslate2Encoder",
    "CachedGenerator",
    "Chat",
    "Ending",
    "EndpointEncoder",
    "EndpointGenerator",
    "Estimate",
    "Flag",
    "FlagKind",
    "Generation",
    "GenerationCache",
    "GenerationSettings",
    "Generator",
    "GeneratorFolder",
    "LocalGenerator",
    "OnnxDecoder",
    "PersonalKind",
    "PrivateCaches",
    "Progress",
    "Prompt",
    "Redaction",
    "TextEncoder",
    "TorchEncoder",
    "VectorCache",
    "as_data",
    "ask_generator",
    "build_encoder",
    "build_generator",
    "clean_text",
    "delimit",
    "encode_cached",
    "fuse",
    "open_generator_folder",
    "redact",
    "redactions",
    "refuse_if_offline",
    "register_text_encoder",
    "suspicion",
    "text_encoder",
    "without_suspicious",
]
