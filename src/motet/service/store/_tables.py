"""The tables of the newest version of a store."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

__all__ = ["METADATA"]

METADATA: Final = MetaData()

# Ordered by code point in every database, or a cursor of one would be wrong in the other.
_ID: Final = Text().with_variant(Text(collation="C"), "postgresql")
_SEQ: Final = BigInteger().with_variant(Integer(), "sqlite")


def _id(name: str, *, key: bool = False, none: bool = False) -> Column[str]:
    return Column(name, _ID, primary_key=key, nullable=none)


def _time(name: str, *, none: bool = False) -> Column[int]:
    return Column(name, BigInteger(), nullable=none)  # microseconds since 1970, UTC


def _text(name: str, *, none: bool = False) -> Column[str]:
    return Column(name, Text(), nullable=none)


META: Final = Table("meta", METADATA, _id("key", key=True), _text("value"))

# Alembic's; of a name of its own, so that a database may also hold tables of another program that uses Alembic.
VERSION: Final = Table("motet_version", METADATA, Column("version_num", String(32), primary_key=True))

EVENTS: Final = Table(
    "events",
    METADATA,
    Column("seq", _SEQ, primary_key=True),
    _id("id"),
    _id("type"),
    _id("user_id"),
    _id("item_id"),
    Column("value", Double(), nullable=False),
    _time("time"),
    _id("scenario", none=True),
    _text("context"),
    _id("list_id", none=True),
    Column("propensity", Double()),
)
Index("events_by_id", EVENTS.c.id, unique=True)
Index("events_by_user", EVENTS.c.user_id, EVENTS.c.seq)
Index("events_by_time", EVENTS.c.time, EVENTS.c.type)

FEEDBACK: Final = Table(
    "feedback",
    METADATA,
    _id("type", key=True),
    _id("user_id", key=True),
    _id("item_id", key=True),
    Column("value", Double(), nullable=False),
    _time("time"),
    _time("updated"),
    _text("labels", none=True),
    _text("comment"),
)
Index("feedback_by_user", FEEDBACK.c.user_id, FEEDBACK.c.type, FEEDBACK.c.item_id)
Index("feedback_by_item", FEEDBACK.c.item_id, FEEDBACK.c.type, FEEDBACK.c.user_id)

USERS: Final = Table(
    "users",
    METADATA,
    _id("id", key=True),
    _text("labels", none=True),
    _text("comment"),
    _time("time"),
    _text("words"),
)

ITEMS: Final = Table(
    "items",
    METADATA,
    _id("id", key=True),
    Column("is_hidden", Boolean(), nullable=False),
    _text("categories"),
    _time("time", none=True),
    _text("labels", none=True),
    _text("comment"),
    _text("fields"),
    _text("words"),
)

CHANGES: Final = Table(
    "changes",
    METADATA,
    Column("seq", _SEQ, primary_key=True),
    _id("what"),
    _id("key"),
    Column("deleted", Boolean(), nullable=False),
)
Index("changes_by_key", CHANGES.c.what, CHANGES.c.key, unique=True)

IDENTITIES: Final = Table("identities", METADATA, _id("identity", key=True), _id("user_id"), _time("time"))
Index("identities_by_user", IDENTITIES.c.user_id, IDENTITIES.c.time)

TOMBSTONES: Final = Table(
    "tombstones",
    METADATA,
    Column("digest", LargeBinary(), primary_key=True),
    _time("time"),
    Column("returned", Boolean(), nullable=False),
)

SHOWN: Final = Table(
    "shown",
    METADATA,
    _id("id", key=True),
    _id("user_id", none=True),
    _id("session_id", none=True),
    _id("scenario", none=True),
    _time("time"),
    _id("model", none=True),
    _text("items"),
)
Index("shown_by_user", SHOWN.c.user_id, SHOWN.c.time)
Index("shown_by_time", SHOWN.c.time, SHOWN.c.id)

SATISFACTION: Final = Table(
    "satisfaction",
    METADATA,
    _id("list_id", key=True),
    _id("user_id", none=True),
    _id("scenario", none=True),
    _time("time"),
    Column("rating", Integer()),
    _text("survey", none=True),
)
Index("satisfaction_by_user", SATISFACTION.c.user_id)
Index("satisfaction_by_time", SATISFACTION.c.time)

STATES: Final = Table(
    "states",
    METADATA,
    _id("kind", key=True),
    _id("id", key=True),
    _id("user_id", none=True),
    _text("state"),
    _time("time"),
)
Index("states_by_user", STATES.c.user_id)
Index("states_by_time", STATES.c.time)

SURVEYS: Final = Table(
    "surveys",
    METADATA,
    _id("key", key=True),
    _text("definition"),
    _time("created"),
    _time("closed", none=True),
)

QUESTIONS: Final = Table(
    "questions",
    METADATA,
    _id("id", key=True),
    _id("survey"),
    _id("user_id"),
    _time("time"),
    _id("list_id", none=True),
    _id("scenario", none=True),
    _id("model", none=True),
    Column("value", Integer()),
    _time("answered", none=True),
)
Index("questions_by_user", QUESTIONS.c.user_id, QUESTIONS.c.time)
Index("questions_by_survey", QUESTIONS.c.survey, QUESTIONS.c.time)

MODELS: Final = Table(
    "models",
    METADATA,
    _id("name", key=True),
    _text("path"),
    _id("state"),
    _text("reason"),
    _time("created"),
    _time("changed"),
)

KEYS: Final = Table(
    "keys",
    METADATA,
    _id("id", key=True),
    Column("digest", LargeBinary(), nullable=False),
    _text("scopes"),
    _text("name"),
    _time("created"),
    _time("revoked", none=True),
)

SETTINGS: Final = Table("settings", METADATA, _id("name", key=True), _text("value"))

EXPERIMENTS: Final = Table(
    "experiments",
    METADATA,
    _id("key", key=True),
    _text("definition"),
    _id("state"),
    _time("created"),
    _time("started", none=True),
    _time("stopped", none=True),
    _text("reason"),
)

EXPOSURES: Final = Table(
    "exposures",
    METADATA,
    _id("experiment", key=True),
    _id("user_id", key=True),
    _id("variant"),
    Column("seq", BigInteger(), nullable=False),
    _time("time"),
)
Index("exposures_by_user", EXPOSURES.c.user_id)
Index("exposures_by_time", EXPOSURES.c.experiment, EXPOSURES.c.time)
TRAININGS: Final = Table(
    "trainings",
    METADATA,
    Column("number", _SEQ, primary_key=True, autoincrement=False),
    _id("state"),
    _id("cause"),
    Column("until", BigInteger(), nullable=False),
    Column("judged_until", BigInteger(), nullable=False),
    _time("began"),
    _time("changed"),
    _id("base", none=True),
    _id("model", none=True),
    _text("details"),
)

LEASES: Final = Table("leases", METADATA, _id("name", key=True), _text("owner"), _time("until"))
