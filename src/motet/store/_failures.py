"""What databases say, in motet's errors."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import exc

from motet.errors import StoreError, StoreUnavailableError

__all__ = ["translated"]

_AGAIN: Final = "send it again with the same ids: nothing counts twice"
_CURES: Final = (
    (("disk is full", "No space left", "could not extend file", "disk full"), f"make room; then {_AGAIN}"),
    (("locked", "busy", "lock timeout"), f"another process writes for long; {_AGAIN}"),
    (("readonly", "read-only"), f"let the service write there; then {_AGAIN}"),
    (("unable to open", "disk I/O"), f"see that directory and disk are there; then {_AGAIN}"),
    (("password", "authentication", "does not exist"), "mend user, password or name in the store's URL"),
)
_REACH: Final = f"see that the database runs; then {_AGAIN}"
_DAMAGED: Final = ("malformed", "not a database")


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn what goes wrong in a database into a StoreError or a StoreUnavailableError.

    Args:
        where: The store's URL without its password.
    """
    try:
        yield
    except exc.TimeoutError as error:
        problem = f"the store {where} has no connection to spare"
        public = "the store has no connection to spare"
        raise StoreUnavailableError(problem, "ask less at once", public=public) from error
    except exc.DBAPIError as error:
        raise _explained(error.orig or error, where, error.connection_invalidated) from error
    except (sqlite3.Error, OSError) as error:
        raise _explained(error, where, False) from error
    except exc.SQLAlchemyError as error:
        # A connection that broke between two statements.
        problem = f"the store {where} failed ({_first(error)})"
        raise StoreUnavailableError(problem, _REACH, public="the store failed") from error


def _explained(error: BaseException, where: str, lost: bool) -> StoreError:
    said = _first(error)
    if any(word in said for word in _DAMAGED):
        # Not the caller's mistake: what can be answered without the store is, and the same call may be sent again.
        problem = f"the store {where} is damaged ({said})"
        cure = f"put the file aside and restore the newest backup; then {_AGAIN}"
        return StoreUnavailableError(problem, cure, public="the store is damaged")
    names = {kind.__name__ for kind in type(error).__mro__}
    if lost or isinstance(error, OSError) or names & {"OperationalError", "InterfaceError"}:
        cure = next((cure for words, cure in _CURES if any(word in said for word in words)), _REACH)
        problem, public = f"the store {where} cannot be used now ({said})", "the store cannot be used now"
        return StoreUnavailableError(problem, cure, public=public)
    return StoreError(
        f"the store {where} refused it ({said})", "see what was sent", public="the store refused it"
    )


def _first(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
