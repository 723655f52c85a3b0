from ._app import build_app
from ._bodies import BodyRoute
from ._context import METHODS, keep_ids, whole_id
from ._problems import note_cause
from ._server import LOOPBACK, is_loopback, listen, run_server
from ._traces import open_traces
from ._wire import EventIn
from ._work import Kind, Work
from ._workers import MOST_WORKERS, RateLimit, SharedState, Worker, run_workers

__all__ = [
    "LOOPBACK",
    "METHODS",
    "MOST_WORKERS",
    "BodyRoute",
    "EventIn",
    "Kind",
    "RateLimit",
    "SharedState",
    "Work",
    "Worker",
    "build_app",
    "is_loopback",
    "keep_ids",
    "listen",
    "note_cause",
    "open_traces",
    "run_server",
    "run_workers",
    "whole_id",
]
