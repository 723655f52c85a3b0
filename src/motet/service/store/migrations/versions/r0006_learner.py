"""Trainings of the learner, and who holds it. Released: never edited."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables of the learner."""
    op.create_table(
        "trainings",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("state", _ID, nullable=False),
        sa.Column("cause", _ID, nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("judged_until", sa.BigInteger(), nullable=False),
        sa.Column("began", sa.BigInteger(), nullable=False),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.Column("base", _ID),
        sa.Column("model", _ID),
        sa.Column("details", sa.Text(), nullable=False),
    )
    op.create_table(
        "leases",
        sa.Column("name", _ID, primary_key=True),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
    )
