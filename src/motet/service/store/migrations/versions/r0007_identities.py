"""Identities of users on several platforms. Released: never edited."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table of identities."""
    op.create_table(
        "identities",
        sa.Column("identity", _ID, primary_key=True),
        sa.Column("user_id", _ID, nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
    )
    op.create_index("identities_by_user", "identities", ["user_id", "time"])
