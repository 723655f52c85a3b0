"""One answer from all of it, over HTTP; models swapped; watched."""

from motet.serving._app import build_app
from motet.serving._ask_for import AskRequest, ListRequest, RankRequest, RecommendRequest
from motet.serving._engine import Engine
from motet.serving._golden import check_golden
from motet.serving._logs import log_as_json
from motet.serving._models import ModelDesk
from motet.serving._parts import LoadPast, ModelParts, OpenModel
from motet.serving._quiet_memory import few_arenas
from motet.serving._server import LOOPBACK, is_loopback, listen, run_server
from motet.serving._settings import EngineSettings, HttpSettings
from motet.serving._traces import open_traces

__all__ = [
    "LOOPBACK",
    "AskRequest",
    "Engine",
    "EngineSettings",
    "HttpSettings",
    "ListRequest",
    "LoadPast",
    "ModelDesk",
    "ModelParts",
    "OpenModel",
    "RankRequest",
    "RecommendRequest",
    "build_app",
    "check_golden",
    "few_arenas",
    "is_loopback",
    "listen",
    "log_as_json",
    "open_traces",
    "run_server",
]
