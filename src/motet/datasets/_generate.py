"""Writes a synthetic world to disk, part by part."""

from __future__ import annotations

import hashlib
from pathlib import Path

from motet.assets import Progress
from motet.datasets._build import build_items, build_truth, build_users, stream
from motet.datasets._directory import write_directory
from motet.datasets._impressions import draw_impressions
from motet.datasets._source import copy_texts
from motet.datasets._world import World

__all__ = ["generate", "write_world"]

_REVISION = 1


def generate(world: World, out: str | Path, progress: Progress | None = None) -> Path:
    """Draw a world and write its tables, schema, datasheet and truth into a new directory.

    Memory is bounded by ``chunk_rows`` impressions and the users' preferences, whatever the number
    of interactions. The same world gives the same bytes.

    Args:
        world: Its settings.
        out: Directory to write; absent, empty, or already holding this very world.
        progress: Called after each part with the rows written and the rows in all.

    Returns:
        ``out``, with ``users.parquet``, ``items.parquet``, ``interactions/part-00000.parquet`` …,
        ``schema.yaml``, ``DATASHEET.md``, ``world.json`` and ``truth.npz``.

    Raises:
        DataError: If ``out`` holds something else, or cannot be written.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as directory:
        ...     out = generate(World(users=50, items=20, interactions=1_000), Path(directory) / "world")
        ...     sorted(path.name for path in out.iterdir() if path.suffix != ".parquet")
        ['.motet-dataset', 'DATASHEET.md', 'interactions', 'schema.yaml', 'truth.npz', 'world.json']
    """
    key = hashlib.sha256(f"{_REVISION} {world.model_dump_json()}".encode()).hexdigest()[:16]

    def write(directory: Path) -> None:
        write_world(world, directory, progress)
        copy_texts("worlds", directory)

    return write_directory(Path(out), key, write)


def write_world(world: World, directory: Path, progress: Progress | None = None) -> None:
    """Write the tables and the truth of a world into an existing directory."""
    truth = build_truth(world)
    (directory / "world.json").write_text(world.model_dump_json(indent=1) + "\n", encoding="utf-8")
    truth.save(directory / "truth.npz")
    build_users(world, truth).write_parquet(directory / "users.parquet")
    build_items(world, truth).write_parquet(directory / "items.parquet")
    parts = directory / "interactions"
    parts.mkdir()
    total = world.interactions
    for part, first in enumerate(range(0, total, world.chunk_rows)):
        after = min(first + world.chunk_rows, total)
        rows = draw_impressions(
            truth, first / total, after / total, after - first, world.positions, stream(world, 3, part)
        )
        rows.write_parquet(parts / f"part-{part:05d}.parquet", compression_level=1)
        if progress is not None:
            progress("drawing impressions", after, total)
