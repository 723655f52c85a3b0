"""Model versions, API keys, settings that outlive a restart. Released: never edited."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables by which a service is operated."""
    op.create_table(
        "models",
        sa.Column("name", _ID, primary_key=True),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("state", _ID, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("changed", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "keys",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("revoked", sa.BigInteger()),
    )
    op.create_table(
        "settings", sa.Column("name", _ID, primary_key=True), sa.Column("value", sa.Text(), nullable=False)
    )
