"""Writes docs/reference/cli.md from the command table: ``python docs/_generate_cli.py [FILE]``."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import typer

from motet.cli._app import app

PAGE = Path(__file__).parent / "reference" / "cli.md"
HEAD = """\
# Command line

Written by `python docs/_generate_cli.py` from the commands themselves; a test fails where the two differ. Every command
has `--help`, and most have `--json` for machines. `motet --version` prints the version.

Exit codes: 0 done, 2 a mistake that the message explains, 130 interrupted.
"""
VALUES = {Path: "path", int: "whole number", float: "number", str: "text"}


def commands(table: typer.Typer, name: str = "motet") -> Iterator[tuple[str, str, Callable[..., Any]]]:
    """Each command: what is typed, what its help says, and the function."""
    for command in table.registered_commands:
        function = command.callback
        assert function is not None  # noqa: S101 (typer sets it where a function is registered)
        typed = command.name or function.__name__.replace("_", "-")
        yield f"{name} {typed}", inspect.cleandoc(command.help or function.__doc__ or ""), function
    for group in table.registered_groups:
        inner = group.typer_instance
        if inner is None:
            continue
        own = inner.registered_callback
        if own is not None and own.callback is not None and own.invoke_without_command is True:
            yield f"{name} {group.name}", inspect.cleandoc(own.callback.__doc__ or ""), own.callback
        yield from commands(inner, f"{name} {group.name}")


def value_of(kind: Any, info: Any) -> str:
    """What a value has to be, as a cell of a table."""
    if get_origin(kind) in (Union, UnionType):
        (kind,) = (part for part in get_args(kind) if part is not NoneType)
    several = get_origin(kind) is list
    if several:
        (kind,) = get_args(kind)
    if kind is bool:
        return "flag"
    if get_origin(kind) is Literal:
        said = ", ".join(f"`{value}`" for value in get_args(kind))
    else:
        said = VALUES[kind]
    low, high = info.min, info.max
    if low is not None and high is not None:
        said += f", {low} to {high}"
    elif low is not None:
        said += f", at least {low}"
    elif high is not None:
        said += f", at most {high}"
    return said + ("; may be repeated" if several else "")


def default_of(default: Any) -> str:
    """A default, as a cell of a table."""
    if default is inspect.Parameter.empty:
        return "required"
    if isinstance(default, bool):
        return "on" if default else "off"
    return f"`{default}`" if default not in (None, "", ()) else "none"


def section(typed: str, said: str, function: Callable[..., Any]) -> str:
    """One command: its help, how it is called, and a table of what it takes."""
    hints = get_type_hints(function, include_extras=True)
    usage, rows = [typed], []
    for name, parameter in inspect.signature(function).parameters.items():
        if hints[name] is typer.Context:
            continue
        kind, info = get_args(hints[name])
        if getattr(info, "hidden", False):
            continue
        required = parameter.default is inspect.Parameter.empty
        if isinstance(info, typer.models.ArgumentInfo):
            shown = name.upper()
            usage.append(shown if required else f"[{shown}]")
        else:
            # in ``Annotated[…, typer.Option("--json")]`` the first name arrives where a default would
            named = tuple(n for n in (info.default, *(info.param_decls or ())) if isinstance(n, str))
            options = named or (f"--{name.replace('_', '-')}",)
            shown = ", ".join(options)
            if kind is bool and not named:
                shown += f" / --no-{name.replace('_', '-')}"
            if required:
                usage.append(f"{options[0]} {name.upper()}")
        cells = (f"`{shown}`", value_of(kind, info), default_of(parameter.default), info.help or "")
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    lines = [f"## {typed}", "", said, "", "```text", " ".join([*usage, "[OPTIONS]"]), "```", ""]
    return "\n".join(
        [*lines, "| argument or option | value | default | meaning |", "|---|---|---|---|", *rows]
    )


def page() -> str:
    """The whole page."""
    table = sorted(commands(app), key=lambda command: command[0])
    return "\n\n".join([HEAD.rstrip(), *(section(*command) for command in table)]) + "\n"


if __name__ == "__main__":
    (Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE).write_text(page(), encoding="utf-8")
