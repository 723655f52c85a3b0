from ._build import BudgetedGenerator, GenerationBudget, build_generator
from ._cache import CachedGenerator, GenerationCache, PrivateCaches
from ._decoders import OnnxDecoder
from ._endpoint import EndpointGenerator
from ._generator import Generation, GenerationSettings, Generator, Prompt, ask_generator
from ._gguf import open_generator_folder
from ._local import Chat, LocalGenerator

__all__ = [
    "BudgetedGenerator",
    "CachedGenerator",
    "Chat",
    "EndpointGenerator",
    "Generation",
    "GenerationBudget",
    "GenerationCache",
    "GenerationSettings",
    "Generator",
    "LocalGenerator",
    "OnnxDecoder",
    "PrivateCaches",
    "Prompt",
    "ask_generator",
    "build_generator",
    "open_generator_folder",
]
