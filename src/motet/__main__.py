"""``python -m motet``."""

from motet.cli import run

run()
