"""The public API of comparisons: methods on the same rows, seeds and tuning budget."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motet.schema import Progress, silent

__all__ = ["MethodComparison", "compare"]


@dataclass(frozen=True)
class MethodComparison:
    """What a comparison of methods found; printed, it is a table of every task and one of costs for each schema.

    Attributes:
        content: Everything, as in ``compare.json``.
        directory: Where that and ``compare.html`` are; None where :func:`compare` was given no place.
    """

    content: Mapping[str, Any]
    directory: Path | None

    def __str__(self) -> str:
        from motet.cli._compare import comparison_lines, comparison_tables  # noqa: PLC0415 (importing motet costs nothing)
        from motet.cli._output import printed  # noqa: PLC0415

        return "\n".join([printed(*comparison_tables(self.content)), *comparison_lines(self.content)])


def compare(
    spec: str | Path | Mapping[str, Any],
    tables: Any,
    out: str | Path | None = None,
    *,
    progress: Progress = silent,
) -> MethodComparison:
    """Compare methods on the same rows, with the same seeds and tuning budget; see :class:`motet.training.compare.ComparisonSpec`.

    Args:
        spec: What is compared, or the path of its YAML file; ``schemas`` may hold :class:`Schema` objects.
        tables: Data as for :func:`fit`; only a directory where several processes work.
        out: Directory of finished cells, with which the same call goes on, and of ``compare.json`` and
            ``compare.html``; nothing is kept when left out.
        progress: Progress callback: stage, work done, work in all.

    Raises:
        MotetError: If the comparison, a schema, a method or the data is wrong, before anything is trained.
    """
    from motet.training.compare import compare_methods  # noqa: PLC0415

    if out is not None:
        return MethodComparison(compare_methods(spec, tables, out, progress=progress), Path(out))
    with tempfile.TemporaryDirectory(prefix="motet-") as place:
        return MethodComparison(
            compare_methods(spec, tables, Path(place) / "compare", progress=progress), None
        )
