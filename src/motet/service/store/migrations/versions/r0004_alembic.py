"""From here on Alembic's table holds the version. Released: never edited."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Tell a motet from before Alembic, which reads this row alone, that the store is newer than it."""
    op.execute("UPDATE meta SET value = '4' WHERE key = 'version'")
