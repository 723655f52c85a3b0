"""Experiments, and who was exposed to which variant. Released: never edited."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables of experiments."""
    op.create_table(
        "experiments",
        sa.Column("key", _ID, primary_key=True),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.Column("state", _ID, nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("started", sa.BigInteger()),
        sa.Column("stopped", sa.BigInteger()),
        sa.Column("reason", sa.Text(), nullable=False),
    )
    op.create_table(
        "exposures",
        sa.Column("experiment", _ID, primary_key=True),
        sa.Column("user_id", _ID, primary_key=True),
        sa.Column("variant", _ID, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
    )
    op.create_index("exposures_by_user", "exposures", ["user_id"])
    op.create_index("exposures_by_time", "exposures", ["experiment", "time"])
