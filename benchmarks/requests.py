"""How well requests in words are understood, on the written set: python -m benchmarks.requests [--show].

Of the first written set, one half (tune, by a hash of the id) was looked at while the readers were written, the other half
(held) only scored. The second set and the third were written later, scored, and then looked at whole. The fourth was
written last and never looked at.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from motet import datasets
from motet.assistant.understand import (
    SCORED_SLOTS,
    FastReader,
    GoldRequest,
    Lexicon,
    ModelReader,
    Reader,
    Request,
    RequestScore,
    Understanding,
    f1_interval,
    load_gold,
    read_gold,
)
from motet.data import build_catalogue
from motet.text.generate import LocalGenerator

__all__ = ["main"]

_FOLDER: Final = Path(__file__).parents[1] / "tests" / "assistant" / "understand"
SETS: Final = {
    "first": _FOLDER / "movielens.yaml",
    "second": _FOLDER / "movielens_second.yaml",
    "third": _FOLDER / "movielens_third.yaml",
    "fourth": _FOLDER / "movielens_fourth.yaml",
}


def movielens_lexicon() -> Lexicon:
    """The words of MovieLens-100K, with the scenarios of its schema."""
    with tempfile.TemporaryDirectory() as place:
        folder = datasets.fetch("movielens-100k", Path(place) / "data")
        frame = pl.read_parquet(folder / "items.parquet")
    schema = datasets.DATASETS["movielens-100k"].schema
    return Lexicon(build_catalogue(schema, frame), scenarios=("day", "evening", "night"))


def report(name: str, scores: Sequence[RequestScore]) -> None:
    """Print what a reader understood of some requests."""
    whole = f1_interval(scores)
    elapsed = np.array([ms for score in scores for ms in score.elapsed_ms])
    exclusions = sum(score.exclusions for score in scores)
    print(f"\n{name}: {len(scores)} requests, {len(elapsed)} turns")
    print(
        f"  all slots    precision {whole['precision']:.3f}  recall {whole['recall']:.3f}  "
        f"F1 {whole['f1']:.3f} [{whole['low']:.3f}, {whole['high']:.3f}]"
    )
    for slot in SCORED_SLOTS:
        found = f1_interval(scores, slot)
        values = int(sum(score.counts[SCORED_SLOTS.index(slot)][[0, 2]].sum() for score in scores))
        print(
            f"    {slot:10} precision {found['precision']:.3f}  recall {found['recall']:.3f}  "
            f"F1 {found['f1']:.3f} [{found['low']:.3f}, {found['high']:.3f}]  ({values} values)"
        )
    print(f"  understood as a whole: {sum(s.exact for s in scores)} of {len(scores)}")
    for kind in dict.fromkeys(score.gold.kind for score in scores):
        part = [score for score in scores if score.gold.kind == kind]
        found = f1_interval(part)
        print(f"    {kind:10} {sum(s.exact for s in part):3} of {len(part):3}  F1 {found['f1']:.3f}")
    print(
        f"  exclusions: {exclusions}, missed {sum(s.missed for s in scores)}, "
        f"turned round {sum(s.inverted for s in scores)}"
    )
    print(f"  ms a request: median {np.median(elapsed):.2f}, 95 % {np.quantile(elapsed, 0.95):.2f}")


def show(scores: Sequence[RequestScore]) -> None:
    """Print the requests that were not understood."""
    for score in scores:
        if score.exact and not score.counts[-1, 1:].any():
            continue
        print(f"\n{score.gold.id}{'' if score.exact else '  WRONG'}")
        for turn, read in zip(score.gold.turns, score.read, strict=True):
            kept = read.model_dump(exclude_defaults=True, exclude={"text", "language"})
            print(f"  {turn.say!r}\n    meant {_meant(turn)}\n    read  {kept}")


def _meant(turn: object) -> dict[str, object]:
    slots = ("tags", "items", "bounds", "plain", "wants", "unmet", "flagged")
    found = {slot: getattr(turn, slot) for slot in slots if getattr(turn, slot)}
    found["tags"] = {k: sorted(t.value for t in v) for k, v in found.get("tags", {}).items() if v}
    found["items"] = {k: v for k, v in found.get("items", {}).items() if v}
    return {key: value for key, value in found.items() if value}


def main() -> None:
    """Score readers on the written set."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--reader", choices=("fast", "model", "both"), default="fast")
    options.add_argument(
        "--model",
        default="SmolLM2-135M-Instruct",
        help="of the model reader: a packaged name, a folder or a hub id",
    )
    options.add_argument("--part", choices=("tune", "held", "both"), default="both")
    options.add_argument(
        "--show", action="store_true", help="print what was not understood, of what may be looked at"
    )
    options.add_argument(
        "--limit", type=int, default=None, help="read only so many requests of each half, of all kinds"
    )
    options.add_argument("--set", choices=(*SETS, "all"), default="all")
    given = options.parse_args()
    lexicon = movielens_lexicon()
    for name, reader in _readers(given.reader, given.model, lexicon):
        for written in SETS if given.set == "all" else (given.set,):
            gold = load_gold(SETS[written], lexicon.catalogue)
            for part in _parts(written, given.part):
                chosen: list[GoldRequest] = [
                    request for request in gold if part in ("whole", "held" if request.held else "tune")
                ]
                every = max(1, len(chosen) // given.limit) if given.limit else 1
                scores = list(read_gold(reader, chosen[::every][: given.limit]))
                report(f"{name}, {written} set, {part}", scores)
                if isinstance(reader, _Noting):
                    reader.ingest()
                if given.show and (part == "tune" or written in ("second", "third")):
                    show(scores)


def _parts(written: str, wanted: str) -> tuple[str, ...]:
    """Parts of a set that are scored apart; only the first was cut in two."""
    if written != "first":
        return ("whole",)
    return ("tune", "held") if wanted == "both" else (wanted,)


def _readers(wanted: str, model: str, lexicon: Lexicon) -> list[tuple[str, Reader]]:
    fast = FastReader(lexicon)
    fast.read("a warm-up")
    found: list[tuple[str, Reader]] = [("fast reader", fast)] if wanted != "model" else []
    if wanted != "fast":
        found.append(
            (
                f"model reader, {model}",
                _Noting(ModelReader(LocalGenerator(model), lexicon, fast, time_limit_s=120.0)),
            )
        )
    return found


class _Noting:
    """A model reader that remembers what became of what its model said."""

    def __init__(self, reader: ModelReader) -> None:
        self.reader = reader
        self.notes: list[Understanding] = []

    def understand(
        self, text: str, previous: Request | None = None, shown: Sequence[str] = ()
    ) -> Understanding:
        """As the reader."""
        self.notes.append(self.reader.understand(text, previous, shown))
        return self.notes[-1]

    def ingest(self) -> None:
        """Print what was believed and what was not."""
        agreed = sum(len(note.agreed) for note in self.notes)
        added = [what for note in self.notes for what in note.added]
        dropped = [what for note in self.notes for what in note.dropped]
        failed = [note.problem for note in self.notes if note.problem]
        print(
            f"  of the model: {agreed} slots as the fast reader, {len(added)} added, {len(dropped)} not believed, {len(failed)} answers failed"
        )
        for what in (*added[:10], *failed[:3]):
            print(f"    {what}")
        self.notes.clear()


if __name__ == "__main__":
    main()
