"""Events, feedback, users, items, changes, and what is left of deleted users. Released: never edited."""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# Ordered by code point in every database.
_ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_SEQ = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the first tables, and the salt of the store."""
    meta = op.create_table(
        "meta", sa.Column("key", _ID, primary_key=True), sa.Column("value", sa.Text(), nullable=False)
    )
    salt = {"key": "salt", "value": secrets.token_hex(32)}
    op.bulk_insert(meta, [{"key": "version", "value": "1"}, salt])
    op.create_table(
        "users",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("labels", sa.Text()),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
    )
    op.create_table(
        "items",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("is_hidden", sa.Boolean(), nullable=False),
        sa.Column("categories", sa.Text(), nullable=False),
        sa.Column("time", sa.BigInteger()),
        sa.Column("labels", sa.Text()),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("fields", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
    )
    op.create_table(
        "events",
        sa.Column("seq", _SEQ, sa.Identity(always=True), primary_key=True),
        sa.Column("id", _ID, nullable=False),
        sa.Column("type", _ID, nullable=False),
        sa.Column("user_id", _ID, nullable=False),
        sa.Column("item_id", _ID, nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("scenario", _ID),
        sa.Column("context", sa.Text(), nullable=False),
        sa.Column("list_id", _ID),
        sa.Column("propensity", sa.Double()),
        sqlite_autoincrement=True,
    )
    op.create_index("events_by_id", "events", ["id"], unique=True)
    op.create_index("events_by_user", "events", ["user_id", "seq"])
    op.create_table(
        "feedback",
        sa.Column("type", _ID, primary_key=True),
        sa.Column("user_id", _ID, primary_key=True),
        sa.Column("item_id", _ID, primary_key=True),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("labels", sa.Text()),
        sa.Column("comment", sa.Text(), nullable=False),
    )
    op.create_index("feedback_by_user", "feedback", ["user_id", "type", "item_id"])
    op.create_index("feedback_by_item", "feedback", ["item_id", "type", "user_id"])
    op.create_table(
        "changes",
        sa.Column("seq", _SEQ, sa.Identity(always=True), primary_key=True),
        sa.Column("what", _ID, nullable=False),
        sa.Column("key", _ID, nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("changes_by_key", "changes", ["what", "key"], unique=True)
    op.create_table(
        "tombstones",
        sa.Column("digest", sa.LargeBinary(), primary_key=True),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("returned", sa.Boolean(), nullable=False),
    )
