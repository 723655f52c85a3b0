"""What Alembic runs around the steps; ``motet.service.store._database`` hands the connection in, inside a transaction."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table=context.config.attributes["version_table"],
)
context.run_migrations()
