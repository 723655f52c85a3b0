from __future__ import annotations

from pathlib import Path

import pytest

from motet.errors import RequestError
from motet.service.store import Store


def test_the_first_key_is_made_once_and_is_the_owner_s_alone(tmp_path: Path) -> None:
    path = tmp_path / "first.key"
    with Store(tmp_path / "store.sqlite") as store:
        assert store.keys.make_first(path)
        key = path.read_text(encoding="utf-8").strip()
        assert path.stat().st_mode & 0o777 == 0o600
        found = store.keys.verify(key)
        assert found is not None
        assert found.scopes == {"read", "write", "admin"}
        assert not store.keys.make_first(path)  # a start later
        assert path.read_text(encoding="utf-8").strip() == key


def test_the_key_of_a_lost_store_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "first.key"
    path.write_text("motet_of_another_store\n", encoding="utf-8")
    path.chmod(0o644)
    with Store(tmp_path / "store.sqlite") as store:
        assert store.keys.make_first(path)
        assert store.keys.verify(path.read_text(encoding="utf-8").strip()) is not None
    assert path.stat().st_mode & 0o777 == 0o600


def test_no_key_is_made_that_cannot_be_written_down(tmp_path: Path) -> None:
    with Store(tmp_path / "store.sqlite") as store:
        with pytest.raises(RequestError, match=r"cannot be written.*Cure: name a file"):
            store.keys.make_first(tmp_path / "nowhere" / "first.key")
        assert not store.keys.any()
