"""Text → vectors and text → text, each by one protocol; what was computed once is kept."""

from motet.language.encode._build import build_encoder, register_text_encoder, text_encoder
from motet.language.encode._caches import RowsInMemory, RowsOnDisk, VectorCache, encode_cached
from motet.language.encode._encoders import (
    CTranslate2Encoder,
    Progress,
    TextEncoder,
    TorchEncoder,
    equal_length_batches,
    sorted_batches,
)
from motet.language.encode._endpoint import EndpointEncoder, refuse_if_offline
from motet.language.encode._model_folder import PACKAGED
from motet.language.generate._build import BudgetedGenerator, Estimate, GenerationBudget, build_generator
from motet.language.generate._cache import CachedGenerator, GenerationCache, PrivateCaches
from motet.language.generate._decoders import OnnxDecoder
from motet.language.generate._endpoint import LLM_KEY_VARIABLE, EndpointGenerator
from motet.language.generate._generator import (
    Ending,
    Generation,
    GenerationSettings,
    Generator,
    Prompt,
    ask_generator,
)
from motet.language.generate._gguf import (
    DEFAULT_GENERATOR,
    PACKAGED_GENERATORS,
    GeneratorFolder,
    open_generator_folder,
)
from motet.language.generate._local import Chat, LocalGenerator
from motet.language.safety._as_data import SEPARATOR, as_data, clean_text, delimit, fuse
from motet.language.safety._redact import PERSONAL_KINDS, PersonalKind, Redaction, redact, redactions
from motet.language.safety._suspicion import FLAG_KINDS, Flag, FlagKind, suspicion, without_suspicious

__all__ = [
    "DEFAULT_GENERATOR",
    "FLAG_KINDS",
    "LLM_KEY_VARIABLE",
    "PACKAGED",
    "PACKAGED_GENERATORS",
    "PERSONAL_KINDS",
    "SEPARATOR",
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
    "GenerationBudget",
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
    "RowsInMemory",
    "RowsOnDisk",
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
    "equal_length_batches",
    "fuse",
    "open_generator_folder",
    "redact",
    "redactions",
    "refuse_if_offline",
    "register_text_encoder",
    "sorted_batches",
    "suspicion",
    "text_encoder",
    "without_suspicious",
]
