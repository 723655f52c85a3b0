"""The command line."""

from __future__ import annotations

import json
import sys

from motet.cli._app import app
from motet.errors import MotetError

__all__ = ["app", "main"]


def main(arguments: list[str] | None = None) -> int:
    """Run a command; a mistake that can be explained becomes one clear message and exit code 2."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        result = app(arguments, standalone_mode=False)
        return result if isinstance(result, int) else 0
    except MotetError as error:
        if "--json" in arguments:
            print(json.dumps({"error": error.problem, "cure": error.cure}))
        else:
            print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; 'motet train … --resume' goes on from the last checkpoint", file=sys.stderr)
        return 130
    except Exception as error:
        # the command line's own mistakes: an unknown option, a missing argument
        if hasattr(error, "format_message") and hasattr(error, "exit_code"):
            print(f"error: {error.format_message()}", file=sys.stderr)
            return int(error.exit_code)
        if type(error).__name__ in ("Abort", "Exit"):
            return int(getattr(error, "exit_code", 1))
        raise


def run() -> None:
    """The entry point of the installed command."""
    sys.exit(main())
