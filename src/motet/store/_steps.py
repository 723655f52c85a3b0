"""What was done to a store from one version to the next. A step that was ever released is never edited."""

from __future__ import annotations

from typing import Final

__all__ = ["STEPS", "statements"]

_TYPES: Final = {
    "sqlite": {
        "{id}": "TEXT",
        "{seq}": "INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT",
        "{double}": "DOUBLE",
        "{bytes}": "BLOB",
    },
    "postgresql": {
        "{id}": 'TEXT COLLATE "C"',
        "{seq}": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
        "{double}": "DOUBLE PRECISION",
        "{bytes}": "BYTEA",
    },
}

_ONE: Final = (
    "CREATE TABLE users (id {id} NOT NULL PRIMARY KEY, labels TEXT, comment TEXT NOT NULL, time BIGINT NOT NULL,"
    " words TEXT NOT NULL)",
    "CREATE TABLE items (id {id} NOT NULL PRIMARY KEY, is_hidden BOOLEAN NOT NULL, categories TEXT NOT NULL,"
    " time BIGINT, labels TEXT, comment TEXT NOT NULL, fields TEXT NOT NULL, words TEXT NOT NULL)",
    "CREATE TABLE events (seq {seq}, id {id} NOT NULL, type {id} NOT NULL, user_id {id} NOT NULL,"
    " item_id {id} NOT NULL, value {double} NOT NULL, time BIGINT NOT NULL, scenario {id}, context TEXT NOT NULL,"
    " list_id {id}, propensity {double})",
    "CREATE UNIQUE INDEX events_by_id ON events (id)",
    "CREATE INDEX events_by_user ON events (user_id, seq)",
    "CREATE TABLE feedback (type {id} NOT NULL, user_id {id} NOT NULL, item_id {id} NOT NULL,"
    " value {double} NOT NULL, time BIGINT NOT NULL, updated BIGINT NOT NULL, labels TEXT, comment TEXT NOT NULL,"
    " PRIMARY KEY (type, user_id, item_id))",
    "CREATE INDEX feedback_by_user ON feedback (user_id, type, item_id)",
    "CREATE INDEX feedback_by_item ON feedback (item_id, type, user_id)",
    "CREATE TABLE changes (seq {seq}, what {id} NOT NULL, key {id} NOT NULL, deleted BOOLEAN NOT NULL)",
    "CREATE UNIQUE INDEX changes_by_key ON changes (what, key)",
    "CREATE TABLE tombstones (digest {bytes} NOT NULL PRIMARY KEY, time BIGINT NOT NULL, returned BOOLEAN NOT NULL)",
)

_TWO: Final = (
    "CREATE INDEX events_by_time ON events (time, type)",
    "CREATE TABLE shown (id {id} NOT NULL PRIMARY KEY, user_id {id}, session_id {id}, scenario {id},"
    " time BIGINT NOT NULL, model {id}, items TEXT NOT NULL)",
    "CREATE INDEX shown_by_user ON shown (user_id, time)",
    "CREATE INDEX shown_by_time ON shown (time, id)",
    "CREATE TABLE satisfaction (list_id {id} NOT NULL PRIMARY KEY, user_id {id}, scenario {id}, time BIGINT NOT NULL,"
    " rating INTEGER, survey TEXT)",
    "CREATE INDEX satisfaction_by_user ON satisfaction (user_id)",
    "CREATE INDEX satisfaction_by_time ON satisfaction (time)",
    "CREATE TABLE states (kind {id} NOT NULL, id {id} NOT NULL, user_id {id}, state TEXT NOT NULL,"
    " time BIGINT NOT NULL, PRIMARY KEY (kind, id))",
    "CREATE INDEX states_by_user ON states (user_id)",
    "CREATE INDEX states_by_time ON states (time)",
)

_THREE: Final = (
    "CREATE TABLE models (name {id} NOT NULL PRIMARY KEY, path TEXT NOT NULL, state {id} NOT NULL,"
    " reason TEXT NOT NULL, created BIGINT NOT NULL, changed BIGINT NOT NULL)",
    "CREATE TABLE keys (id {id} NOT NULL PRIMARY KEY, digest {bytes} NOT NULL, scopes TEXT NOT NULL,"
    " name TEXT NOT NULL, created BIGINT NOT NULL, revoked BIGINT)",
    "CREATE TABLE settings (name {id} NOT NULL PRIMARY KEY, value TEXT NOT NULL)",
)

STEPS: Final = (_ONE, _TWO, _THREE)


def statements(step: int, dialect: str) -> list[str]:
    """The statements that lead from version ``step`` to ``step + 1``."""
    found = []
    for statement in STEPS[step]:
        for name, kind in _TYPES[dialect].items():
            statement = statement.replace(name, kind)  # noqa: PLW2901
        found.append(statement)
    return found
