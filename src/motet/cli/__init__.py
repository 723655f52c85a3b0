"""The command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import motet
from motet._renamed import RENAMED
from motet.errors import MotetError
from motet.threads import choose_threads

__all__ = ["main", "run"]

_INTERRUPTED = 130  # what shells expect of a command that was stopped from the keyboard


def main(arguments: list[str] | None = None) -> int:
    """Run a command; a mistake that can be explained becomes one clear message and exit code 2."""
    arguments = sys.argv[1:] if arguments is None else arguments
    choose_threads(_threads(arguments))
    if arguments == ["--version"]:  # the table of commands takes ten times as long to import
        print(motet.__version__)
        return 0
    arguments = _named_baselines([_current(argument) for argument in arguments])
    try:
        from motet.cli._app import app  # noqa: PLC0415 (an interrupt may fall into the imports, too)

        result = app(arguments, standalone_mode=False)
        code = result if isinstance(result, int) else 0
        return _interrupted(arguments) if code == _INTERRUPTED else code
    except MotetError as error:
        _mistake(arguments, error)
        return 2
    except KeyboardInterrupt:
        return _interrupted(arguments)
    except Exception as error:
        # the command line's own mistakes: an unknown option, a missing argument
        if hasattr(error, "format_message") and hasattr(error, "exit_code"):
            message = error.format_message().rstrip(".")
            command = " ".join(["motet", *arguments[:1]]) if "No such command" not in message else "motet"
            _mistake(arguments, MotetError(message, f"see '{command} --help'"))
            return int(error.exit_code)
        if type(error).__name__ == "Abort":  # what the command line makes of an interrupt
            return _interrupted(arguments)
        if type(error).__name__ == "Exit":
            code = int(getattr(error, "exit_code", 1))
            return _interrupted(arguments) if code == _INTERRUPTED else code
        raise


def _current(argument: str) -> str:
    """An argument under its current name; an old one works with a warning."""
    new = RENAMED.get(argument)
    if new is not None:
        print(f"warning: {argument} is now {new}; the old name goes with motet 0.3", file=sys.stderr)
    return new or argument


def _named_baselines(arguments: list[str]) -> list[str]:
    """``--baselines`` with its value: the names that follow, or all where a path or an option follows, or nothing."""
    found = list(arguments)
    for place, argument in enumerate(arguments):
        if argument != "--baselines":
            continue
        following = arguments[place + 1] if place + 1 < len(arguments) else "-"
        if following.startswith("-") or "/" in following or Path(following).exists():
            found[place] = "--baselines=all"
    return found


def _threads(arguments: list[str]) -> int | None:
    """What ``--threads`` says: it has to be known before the libraries are imported that start threads."""
    for place, argument in enumerate(arguments):
        name, _, value = argument.partition("=")
        if name == "--threads":
            value = value or (arguments[place + 1] if place + 1 < len(arguments) else "")
            return int(value) if value.isdigit() and int(value) else None
    return None


def _mistake(arguments: list[str], error: MotetError) -> None:
    if "--json" in arguments:
        print(json.dumps({"error": error.problem, "cure": error.cure}))
    else:
        print(f"error: {error}", file=sys.stderr)


def _interrupted(arguments: list[str]) -> int:
    more = (
        "; the same command with --resume goes on from the last checkpoint"
        if {"train", "fit", "tune"} & set(arguments)
        else "; the same command goes on with what is finished"
        if arguments[:1] == ["compare"]
        else "; the same command goes on with the finished folds"
        if any(argument.partition("=")[0] == "--folds" for argument in arguments)
        else ""
    )
    print(f"interrupted{more}", file=sys.stderr)
    return _INTERRUPTED


def run() -> None:
    """The entry point of the installed command."""
    sys.exit(main())
