"""Surveys, and who was asked what. Released: never edited."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables of surveys."""
    op.create_table(
        "surveys",
        sa.Column("key", _ID, primary_key=True),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("closed", sa.BigInteger()),
    )
    op.create_table(
        "questions",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("survey", _ID, nullable=False),
        sa.Column("user_id", _ID, nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("list_id", _ID),
        sa.Column("scenario", _ID),
        sa.Column("model", _ID),
        sa.Column("value", sa.Integer()),
        sa.Column("answered", sa.BigInteger()),
    )
    op.create_index("questions_by_user", "questions", ["user_id", "time"])
    op.create_index("questions_by_survey", "questions", ["survey", "time"])
