"""``motet store``, ``motet keys`` and ``motet import-gorse``: the store of a service from the command line."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, cast

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from motet.cli._experiments import Place, opened_store
from motet.cli._options import Json, out_console, print_json
from motet.cli._output import progress_on_terminal
from motet.errors import RequestError, StoreError, require_packages

if TYPE_CHECKING:
    from motet.service.gorse import GorseImport
    from motet.service.store import Key, Kind, Scope, StoreVersion

__all__ = ["import_gorse", "keys", "store"]

store = typer.Typer(
    name="store",
    no_args_is_help=True,
    help="Back up, restore, migrate, export and import the store of a service.",
)
keys = typer.Typer(
    name="keys", no_args_is_help=True, help="Create, list, revoke and rotate API keys of a store."
)

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]
Kinds = Annotated[
    list[str] | None,
    typer.Option(
        "--kind",
        help="Only these: users, items, identities, events, feedback or answers; repeatable; all when left out.",
    ),
]
_ORDER: Final[tuple[Kind, ...]] = ("users", "items", "identities", "events", "feedback", "answers")


@contextmanager
def _serving(place: str) -> Iterator[None]:
    """Needs the packages of the store, and a store that is there."""
    require_packages("serve", "sqlalchemy")
    if "://" not in place and not Path(place).is_file():
        raise StoreError(
            f"the store {place} is not there", "name the one that motet serve prints when it starts"
        )
    yield


def _free(path: Path, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise RequestError(f"there is a file {path} already", "name another, or add --overwrite")


# -- copies and versions ---------------------------------------------------------------------------


@store.command("backup")
def backup(
    file: Annotated[Path, typer.Argument(help="File of the copy.")],
    place: Place,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Copy an SQLite store at one moment, while it is served; the copy is checked, and appears whole or not at all."""
    with _serving(place):
        from motet.service.store import backup_store, store_version  # noqa: PLC0415 (a command imports what it uses)

        _free(file, overwrite)
        backup_store(place, file)
        version = store_version(place).version
    size = file.stat().st_size
    if as_json:
        print_json({"file": str(file), "bytes": size, "version": version})
    else:
        typer.echo(f"{file}: {size:,} bytes, checked, a store of version {version}")


@store.command("restore")
def restore(
    file: Annotated[Path, typer.Argument(help="File that `motet store backup` wrote.")],
    place: Place,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the store that is there; stop its services first.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Put a backup where a store is to be. Users who were deleted from the replaced store since are deleted again."""
    require_packages("serve", "sqlalchemy")
    from motet.service.store import restore_store  # noqa: PLC0415

    found = restore_store(file, place, overwrite=overwrite)
    if as_json:
        print_json({"store": place, **asdict(found)})
        return
    typer.echo(f"{place} is the store of {file}, version {found.version}")
    if found.deleted_again is not None:
        typer.echo(f"users deleted again: {found.deleted_again:,}")
    elif overwrite:
        typer.echo("delete again whoever was deleted after the backup: the replaced store does not say who")


@store.command("migrate")
def migrate(
    place: Place,
    check: Annotated[bool, typer.Option("--check", help="Say what is to be done, and do nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Bring a store to the version of this motet, in one transaction; opening it for a service does the same."""
    with _serving(place):
        from motet.service.store import Store, store_version  # noqa: PLC0415

        before = store_version(place)
        if not check:
            with Store(place):
                pass
        after = before if check else store_version(place)
    if as_json:
        print_json({"store": before.where, "from": before.version, "to": after.version, "newest": before.newest,
                    "steps": [version for version, _ in before.steps]})  # fmt: skip
    else:
        typer.echo(_migrated(before, check))


def _migrated(found: StoreVersion, check: bool) -> str:
    if not found.steps:
        return f"{found.where} has version {found.version}, the newest: nothing to do"
    lines = "".join(f"\n  {version}  {purpose}" for version, purpose in found.steps)
    before = "empty" if found.version is None else f"of version {found.version}"
    done = "is to be brought" if check else "was brought"
    return f"{found.where} was {before}, and {done} to {found.newest}:{lines}"


# -- records ---------------------------------------------------------------------------------------


@store.command("export")
def export(
    directory: Annotated[Path, typer.Argument(help="Directory to write; made when it is not there.")],
    place: Place,
    kind: Kinds = None,
    form: Annotated[
        Literal["jsonl", "parquet"], typer.Option("--format", help="Kind of the files.")
    ] = "jsonl",
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Write the records of a store, a file for each kind; deleted users are not among them."""
    counts: dict[str, int] = {}
    with opened_store(place) as opened, progress_on_terminal(as_json) as report:
        wanted = _wanted(kind)
        files = {one: directory / f"{one}.{form}" for one in wanted}
        for path in files.values():
            _free(path, overwrite)
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RequestError(
                f"the directory {directory} cannot be made ({error.strerror})", "name another"
            ) from None
        for done, (one, path) in enumerate(files.items(), 1):
            counts[one] = opened.export_file(one, path)
            report(f"exporting: {one}", done, len(files))
    if as_json:
        print_json({"directory": str(directory), **counts})
    else:
        typer.echo(f"{directory}: " + ", ".join(f"{number:,} {one}" for one, number in counts.items()))


@store.command("import")
def import_records(
    directory: Annotated[Path, typer.Argument(help="Directory that `motet store export` wrote.")],
    place: Place,
    kind: Kinds = None,
    as_json: Json = False,
) -> None:
    """Read the records of a directory into a store, each once; every file is checked before anything is written."""
    require_packages("serve", "sqlalchemy")
    from motet.service.store import Store, store_version  # noqa: PLC0415

    files = _files(directory, _wanted(kind))
    counts: dict[str, dict[str, int]] = {}
    store_version(place)  # it can be reached and is a store, or is not there
    with progress_on_terminal(as_json) as report:
        for done, (one, path) in enumerate(files.items(), 1):
            with _named(path):
                Store.check_file(one, path)
            report(f"checking: {one}", done, len(files))
        with Store(place) as opened:  # made only now, where it is not there
            for done, (one, path) in enumerate(files.items(), 1):
                # Rows of feedback bring the sums themselves.
                mode: Literal["none", "add"] = "none" if "feedback" in files else "add"
                with _named(path):
                    counts[one] = asdict(opened.import_file(one, path, feedback=mode))
                report(f"importing: {one}", done, len(files))
    if as_json:
        print_json(counts)
    else:
        typer.echo(", ".join(f"{one}: {n['rows']:,} read, {n['new']:,} new" for one, n in counts.items()))


def _wanted(kinds: list[str] | None) -> list[Kind]:
    from motet.schema import require_known  # noqa: PLC0415 (a command imports what it uses)

    for one in kinds or ():
        require_known(one, _ORDER, "the kind of record", RequestError)
    return [one for one in _ORDER if not kinds or one in kinds]


def _files(directory: Path, wanted: list[Kind]) -> dict[Kind, Path]:
    found: dict[Kind, Path] = {}
    for one in wanted:
        there = [
            path for path in (directory / f"{one}.jsonl", directory / f"{one}.parquet") if path.is_file()
        ]
        if len(there) > 1:
            raise RequestError(
                f"{directory} has {there[0].name} and {there[1].name}", "move one of them away"
            )
        if there:
            found[one] = there[0]
    if not found:
        raise RequestError(
            f"{directory} has none of {', '.join(f'{one}.jsonl' for one in wanted)}, nor as .parquet",
            "name a directory that motet store export wrote",
        )
    return found


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors that name the file as well as its line."""
    try:
        yield
    except StoreError as error:
        if error.problem.startswith(("line ", "row ")):
            raise StoreError(f"{path}, {error.problem}", error.cure) from None
        raise


# -- keys ------------------------------------------------------------------------------------------

Scopes = Annotated[
    list[str] | None,
    typer.Option(
        "--scope", help="What it allows: read, write or admin; repeatable; read and write when left out."
    ),
]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--file", help="Write the key there, for its owner alone, instead of printing it.", metavar="FILE"
    ),
]
KeyId = Annotated[str, typer.Argument(help="Id of the key, as `motet keys list` prints it.")]


@keys.command("create")
def create_key(
    place: Place,
    scope: Scopes = None,
    name: Annotated[str, typer.Option(help="A name, such as its owner.")] = "",
    file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Create a key, and show it this once. From the first one on, every request needs a key."""
    with opened_store(place) as opened:
        scopes = cast("set[Scope]", set(scope or ("read", "write")))  # checked where the key is made
        if "admin" not in scopes and not opened.keys.any():
            raise RequestError("the first key must have the scope admin", "add --scope admin")
        with _secret_file(file) as show:
            secret, key = opened.keys.create(scopes, name)
            show(secret, key, as_json)


@keys.command("list")
def list_keys(place: Place, as_json: Json = False) -> None:
    """List the keys of a store, without their secrets."""
    with opened_store(place) as opened:
        found = opened.keys.all()
    if as_json:
        print_json([_plain(one) for one in found])
        return
    table = Table(box=SIMPLE_HEAD)
    for head in ("id", "name", "scopes", "created", "revoked"):
        table.add_column(head, overflow="fold")
    for one in found:
        revoked = "" if one.revoked is None else f"{one.revoked:%Y-%m-%d %H:%M}"
        table.add_row(
            one.id, escape(one.name), " ".join(sorted(one.scopes)), f"{one.created:%Y-%m-%d %H:%M}", revoked
        )
    out_console.print(table)


@keys.command("revoke")
def revoke_key(id: KeyId, place: Place, as_json: Json = False) -> None:
    """Revoke a key; running services refuse it within a second."""
    with opened_store(place) as opened:
        working = [one for one in opened.keys.all() if one.revoked is None]
        if [one.id for one in working if "admin" in one.scopes] == [id]:
            raise RequestError(
                "this is the last key with the scope admin",
                f"make another first (motet keys create --scope admin), or rotate it (motet keys rotate {id})",
            )
        if not opened.keys.revoke(id):
            raise _no_key(id)
    if as_json:
        print_json({"revoked": id})
    else:
        typer.echo(f"{id} is revoked; running services refuse it within a second")


@keys.command("rotate")
def rotate_key(
    id: KeyId,
    place: Place,
    keep: Annotated[
        bool,
        typer.Option("--keep", help="Leave the old key valid; revoke it when its owner has the new one."),
    ] = False,
    file: KeyFile = None,
    as_json: Json = False,
) -> None:
    """Make a new key with the name and the scopes of another, and revoke that one."""
    with opened_store(place) as opened:
        old = next((one for one in opened.keys.all() if one.id == id and one.revoked is None), None)
        if old is None:
            raise _no_key(id)
        with _secret_file(file) as show:
            secret, key = opened.keys.create(old.scopes, old.name)
            show(secret, key, as_json)
        if not keep:  # once the new key can be read
            opened.keys.revoke(id)
    if not as_json:
        typer.echo(f"{id} is {'still valid' if keep else 'revoked'}", err=True)


def _no_key(id: str) -> RequestError:
    return RequestError(f"there is no key {id[:40]!r} that works", "see motet keys list")


def _plain(key: Key) -> dict[str, Any]:
    return {"id": key.id, "name": key.name, "scopes": sorted(key.scopes), "created": key.created.isoformat(),
            "revoked": None if key.revoked is None else key.revoked.isoformat()}  # fmt: skip


@contextmanager
def _secret_file(file: Path | None) -> Iterator[Callable[[str, Key, bool], None]]:
    """Shows a key; the file is made before the key is, so that no key exists that nobody can read."""
    if file is None:
        yield _print_key
        return
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise RequestError(
            f"the key cannot be written to {file} ({error.strerror})", "name a new file"
        ) from None
    with os.fdopen(descriptor, "w") as out:

        def write(secret: str, key: Key, as_json: bool) -> None:
            out.write(secret + "\n")
            out.flush()
            os.fsync(out.fileno())
            if as_json:
                print_json({**_plain(key), "file": str(file)})
            else:
                typer.echo(f"the key {key.id} is in {file}")

        try:
            yield write
        except BaseException:
            file.unlink(missing_ok=True)
            raise


def _print_key(secret: str, key: Key, as_json: bool) -> None:
    if as_json:
        print_json({**_plain(key), "key": secret})
        return
    typer.echo(secret)
    typer.echo(f"id {key.id}; the key is shown only this once", err=True)


# -- from Gorse ------------------------------------------------------------------------------------


def import_gorse(
    source: Annotated[
        str,
        typer.Option(
            "--from",
            help="http://host:8088 of a running Gorse; a directory with users, items and feedback as .jsonl or .csv; a "
            "file of GET /api/dump; the SQLite file of its data store, or postgresql://user@host/name.",
        ),
    ],
    place: Annotated[
        str,
        typer.Option(
            "--store",
            help="Path of an SQLite file, which is made if it is not there, or postgresql://user@host/name.",
            envvar="MOTET_STORE",
        ),
    ] = "service.sqlite",
    key_file: Annotated[
        Path | None,
        typer.Option("--key-file", help="File with the API key of the running Gorse.", metavar="FILE"),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave users and items alone that are in the store already.")
    ] = False,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave wrong rows out, instead of writing nothing.")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Read everything, and write nothing.")] = False,
    from_start: Annotated[
        bool,
        typer.Option(
            "--from-start", help="Read a running Gorse from its first page, also after an interruption."
        ),
    ] = False,
    table_prefix: Annotated[str, typer.Option(help="Prefix of the tables of the data store.")] = "",
    as_json: Json = False,
) -> None:
    """Read users, items and feedback of a Gorse into a store, each once; running it twice changes nothing."""
    require_packages("serve", "sqlalchemy", "httpx", "fastapi")
    from motet.service.gorse import import_gorse as run  # noqa: PLC0415 (a command imports what it uses)
    from motet.service.gorse import open_gorse  # noqa: PLC0415
    from motet.service.store import store_version  # noqa: PLC0415

    found = open_gorse(source, key=_key_of(key_file), prefix=table_prefix)
    where = store_version(place).where
    with progress_on_terminal(as_json) as report:
        result = run(
            place,
            found,
            keep=keep,
            skip_bad=skip_bad,
            only_check=check,
            from_start=from_start,
            progress=report,
        )
    if as_json:
        print_json(asdict(result))
    else:
        typer.echo(_imported(result, check))
        typer.echo(f"store: {where}")


def _key_of(file: Path | None) -> str:
    if file is None:
        return ""
    try:
        key = file.read_text(encoding="utf-8")[:1_000].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(
            f"the key file {file} cannot be read ({error})", "name a file with the key alone"
        ) from None
    if not key or not key.isprintable() or not key.isascii():
        raise RequestError(f"the key file {file} holds no key", "put the key into it, and nothing else")
    return key


def _imported(result: GorseImport, check: bool) -> str:
    lines = ["it went on where it had been interrupted"] if result.resumed else []
    for name in ("users", "items", "feedback"):
        counts = asdict(getattr(result, name))
        parts = [f"{counts.pop('rows'):,} read"]
        if check:
            counts = {"bad": counts["bad"]}
        said = {"same": "there already", "deleted": "of users deleted here, left out", "bad": "bad, left out",
                "kept": "other than here, left alone", "untimed": "without a time"}  # fmt: skip
        parts += [f"{number:,} {said.get(part, part)}" for part, number in counts.items() if number]
        lines.append(f"{name}: {', '.join(parts)}")
    lines += [f"  {problem}" for problem in result.problems[:10]]
    return "\n".join(lines)
