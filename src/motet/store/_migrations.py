"""A store brought to the newest version by Alembic, under a lock."""

from __future__ import annotations

import threading
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, select

from motet.errors import StoreError
from motet.store._database import Database
from motet.store._tables import META, METADATA, VERSION

__all__ = ["migrate"]

_SCRIPTS: Final = "motet.store:migrations"
# What the store itself wrote into its table meta, before Alembic kept the version.
_BEFORE_ALEMBIC: Final = {"1": "0001", "2": "0002", "3": "0003"}
_ONE_AT_A_TIME: Final = threading.Lock()  # Alembic's context is global to the process


def migrate(database: Database) -> None:
    """Bring a store to the newest version; a new one is made.

    All steps are one transaction, and the first of several processes takes them: a store is at its old version or at
    the new one, whatever happens.

    Args:
        database: Its connections.

    Raises:
        StoreError: If the store is of a newer version, or is no store of motet.
        StoreUnavailableError: If it cannot be reached or written.
    """
    config = Config()
    config.set_main_option("script_location", _SCRIPTS)
    config.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(config)
    with _ONE_AT_A_TIME, database.writing() as connection:
        known = [script.revision for script in scripts.walk_revisions()]
        version, is_alembic = _version(connection, database.where)
        if version is not None and version not in known:
            problem = f"the store {database.where} has version {version}, and this motet knows versions up to {known[0]}"
            raise StoreError(problem, "use the newer motet that made it, or restore a backup made before")
        if version != known[0]:
            config.attributes.update(connection=connection, version_table=VERSION.name)
            if version is not None and not is_alembic:
                command.stamp(config, version)
            command.upgrade(config, "head")
    database.remember_file()


def _version(connection: Connection, where: str) -> tuple[str | None, bool]:
    """The version of a store, None of an empty database; and whether Alembic keeps it."""
    tables = set(inspect(connection).get_table_names())
    if META.name not in tables:
        if clash := tables & set(METADATA.tables):
            problem = f"the database {where} holds other tables ({', '.join(sorted(clash))})"
            raise StoreError(problem, "give the store a database of its own")
        return None, False
    is_alembic = VERSION.name in tables
    own = select(META.c.value).where(META.c.key == "version")
    value = connection.execute(select(VERSION.c.version_num) if is_alembic else own).scalar()
    if value is None:
        raise StoreError(f"the database {where} is no store of motet", "give the store a database of its own")
    return (value, True) if is_alembic else (_BEFORE_ALEMBIC.get(value, value), False)
