"""One answer from all of it, over HTTP; models swapped; watched."""

from motet.serving._ask_for import AskRequest, ListRequest, RankRequest, RecommendRequest
from motet.serving._engine import Engine
from motet.serving._parts import ModelParts, OpenModel
from motet.serving._settings import EngineSettings, HttpSettings

__all__ = [
    "AskRequest",
    "Engine",
    "EngineSettings",
    "HttpSettings",
    "ListRequest",
    "ModelParts",
    "OpenModel",
    "RankRequest",
    "RecommendRequest",
]
