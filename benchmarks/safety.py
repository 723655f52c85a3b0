"""Safety of text, in numbers: hostile texts flagged, false alarms, and what redaction finds and takes wrongly.

    python -m benchmarks.safety [--reviews N] [--json FILE]

Hostile item texts and requests come from ``tests/text/hostile_items.yaml`` and
``tests/assistant/understand/hostile_requests.yaml``, lines with personal data from ``tests/text/personal.yaml``:
written by those who wrote the rules, so those figures say that the rules do what they were written for.
``tests/text/hostile_unseen.yaml`` says how they fare elsewhere: it was written afterwards, and no rule
was changed for it. False alarms are counted on real texts: all titles of
MovieLens-100K and clothing reviews, each alarm printed. Intervals are Wilson's, 95 %.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from math import sqrt
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from motet import datasets
from motet.text.safety import Flag, Redaction, as_data, redactions, suspicion, without_suspicious

TESTS = Path(__file__).parents[1] / "tests"
Z = 1.96


def share(part: int, whole: int) -> str:
    """A share with Wilson's interval, for example ``0.08% (0.03%-0.21%)``."""
    if not whole:
        return "none"
    p, n = part / whole, whole
    middle, half = p + Z * Z / (2 * n), Z * sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
    low, high = (max(0.0, (middle - half) / (1 + Z * Z / n)), min(1.0, (middle + half) / (1 + Z * Z / n)))
    return f"{part}/{whole} = {p:.2%} ({low:.2%}-{high:.2%})"


def entries(path: str) -> list[dict[str, Any]]:
    """A written set of hostile texts, each repeated as often as it says."""
    found: list[dict[str, Any]] = yaml.safe_load((TESTS / path).read_text(encoding="utf-8"))
    return [entry | {"text": entry["text"] * entry.get("repeat", 1)} for entry in found]


def real_texts(reviews: int) -> dict[str, list[str]]:
    """Titles of films and reviews of clothes."""
    with tempfile.TemporaryDirectory() as place:
        films = pl.read_parquet(datasets.fetch("movielens-100k", Path(place) / "films") / "items.parquet")
        clothes = pl.read_parquet(
            datasets.fetch("clothing-reviews", Path(place) / "clothes") / "reviews.parquet"
        )
    titles = films.select(pl.format("{} ({})", "title", "year"))["title"].fill_null("").to_list()
    said = clothes.select(pl.concat_str("title", "review_text", separator="\n", ignore_nulls=True))
    return {"film titles": titles, "clothing reviews": said["title"].to_list()[:reviews]}


def personal_lines() -> list[tuple[str, set[Redaction]]]:
    """Lines, and what should be found in each."""
    lines = []
    for line in yaml.safe_load((TESTS / "text" / "personal.yaml").read_text(encoding="utf-8")):
        text, gold, end = "", set(), 0
        for found in re.finditer(r"⟦(\w+)\|([^⟧]*)⟧", line):
            text += line[end : found.start()]
            gold.add(Redaction(found[1], len(text), len(text) + len(found[2])))  # type: ignore[arg-type]
            text, end = text + found[2], found.end()
        lines.append((text + line[end:], gold))
    return lines


def hostile(name: str, found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How many hostile texts are flagged as they should be, and how many at all."""
    missed = {}
    flagged = 0
    for entry in found:
        kinds = {flag.kind for flag in suspicion(entry["text"])}
        flagged += bool(kinds)
        if lost := set(entry["flags"]) - kinds:
            missed[entry["id"]] = sorted(lost)
    active = [e["id"] for e in found if re.search(r"[<>{}\\`]", as_data(e["text"]))]
    print(f"{name}: flagged {flagged}/{len(found)}, with every kind expected {len(found) - len(missed)}/{len(found)}, "
          f"markup left by as_data in {len(active)}")  # fmt: skip
    for which, kinds_lost in missed.items():
        print(f"  missed: {which}: {', '.join(kinds_lost)}")
    return {"texts": len(found), "flagged": flagged, "missed": missed, "active": active}


def excerpts(text: str, places: Iterable[Flag | Redaction]) -> str:
    """What was found in a text, with a little of what stands around it."""
    return "; ".join(f"{p.kind}: …{text[max(0, p.start - 25) : p.end + 25]!r}…" for p in places)


def alarms(name: str, texts: Sequence[str]) -> dict[str, Any]:
    """False alarms of both searches on texts that hold neither orders nor personal data."""
    found: dict[str, Any] = {"texts": len(texts)}
    for what, search in (("suspicion", suspicion), ("redactions", redactions)):
        start_s = time.perf_counter()
        hits = [(text, places) for text in texts if (places := search(text))]
        per_text_ms = (time.perf_counter() - start_s) / max(len(texts), 1) * 1e3
        print(f"{name}, {what}: false alarms {share(len(hits), len(texts))}, {per_text_ms:.2f} ms a text")
        for text, places in hits:
            print("  " + excerpts(text, places))
        found[what] = {"alarms": len(hits), "per_text_ms": per_text_ms}
    return found


def unseen() -> dict[str, Any]:
    """How many hostile texts are flagged that no rule was made for."""
    texts = yaml.safe_load((TESTS / "text" / "hostile_unseen.yaml").read_text(encoding="utf-8"))
    missed = [text for text in texts if not suspicion(text)]
    print(f"hostile texts that no rule was made for: flagged {share(len(texts) - len(missed), len(texts))}")
    for text in missed:
        print(f"  missed: {text}")
    return {"texts": len(texts), "missed": missed}


def redaction() -> dict[str, Any]:
    """Precision and recall on the written lines, by place and kind."""
    right: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    notes = []
    lines = personal_lines()
    for text, gold in lines:
        got = set(redactions(text))
        right.update(p.kind for p in got & gold)
        wrong.update(p.kind for p in got - gold)
        lost.update(p.kind for p in gold - got)
        notes += [f"  taken wrongly: {excerpts(text, [p])}" for p in got - gold]
        notes += [f"  missed: {excerpts(text, [p])}" for p in gold - got]
    hits, misses, errors = right.total(), lost.total(), wrong.total()
    print(
        f"redaction, {len(lines)} lines: precision {share(hits, hits + errors)}, recall {share(hits, hits + misses)}"
    )
    for kind in sorted({*right, *lost, *wrong}):
        print(f"  {kind}: {right[kind]} found, {lost[kind]} missed, {wrong[kind]} taken wrongly")
    print("\n".join(notes))
    return {"found": dict(right), "missed": dict(lost), "wrong": dict(wrong)}


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--reviews", type=int, default=5000, help="clothing reviews to read, of 23,486")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    asked = parser.parse_args()
    requests = entries("assistant/understand/hostile_requests.yaml")
    figures: dict[str, Any] = {
        "items": hostile("hostile item texts", entries("text/hostile_items.yaml")),
        "requests": hostile("hostile requests", requests),
    }
    emptied = sum(not without_suspicious(e["text"]) for e in requests if e["must"]["same_as"])
    figures["requests"]["wishes_lost"] = emptied
    print(f"hostile requests with a wish in them: {emptied} lose it")
    figures["unseen"] = unseen()
    for name, texts in real_texts(asked.reviews).items():
        figures[name] = alarms(name, texts)
    figures["redaction"] = redaction()
    if asked.json:
        asked.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
