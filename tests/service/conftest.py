from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from motet.service.store import Store
from motet.testing import PostgresServer

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real server for the session; tests that stop it start it again."""
    if PostgresServer.programs() is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def database(postgres: PostgresServer) -> str:
    """The URL of the session's database."""
    return postgres.new_database("stores")


@pytest.fixture
def postgres_url(database: str) -> Iterator[str]:
    """An empty schema of its own: far quicker to make than a database."""
    yield from _new_schema(database)


@pytest.fixture
def second_postgres_url(database: str) -> Iterator[str]:
    """Another one."""
    yield from _new_schema(database)


def _new_schema(database: str) -> Iterator[str]:
    name = f"store{next(_NUMBERS)}"
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}".encode())
    yield f"{database}?options=-csearch_path%3D{name}"
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA {name} CASCADE".encode())


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty place for a store, of each kind of database."""
    if request.param == "sqlite":
        return str(tmp_path / "store.sqlite")
    found: str = request.getfixturevalue("postgres_url")
    return found


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """An empty store, of each kind of database."""
    with Store(url) as opened:
        yield opened
