"""Shown lists, answers about them, sessions and conversations. Released: never edited."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables of what was shown, and of what is going on."""
    op.create_index("events_by_time", "events", ["time", "type"])
    op.create_table(
        "shown",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("user_id", _ID),
        sa.Column("session_id", _ID),
        sa.Column("scenario", _ID),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("model", _ID),
        sa.Column("items", sa.Text(), nullable=False),
    )
    op.create_index("shown_by_user", "shown", ["user_id", "time"])
    op.create_index("shown_by_time", "shown", ["time", "id"])
    op.create_table(
        "satisfaction",
        sa.Column("list_id", _ID, primary_key=True),
        sa.Column("user_id", _ID),
        sa.Column("scenario", _ID),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("rating", sa.Integer()),
        sa.Column("survey", sa.Text()),
    )
    op.create_index("satisfaction_by_user", "satisfaction", ["user_id"])
    op.create_index("satisfaction_by_time", "satisfaction", ["time"])
    op.create_table(
        "states",
        sa.Column("kind", _ID, primary_key=True),
        sa.Column("id", _ID, primary_key=True),
        sa.Column("user_id", _ID),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
    )
    op.create_index("states_by_user", "states", ["user_id"])
    op.create_index("states_by_time", "states", ["time"])
