"""Are reasons true, do they rest on what moved the score, and what do they cost? On MovieLens-100K.

    python -m benchmarks.reasons BUNDLE --data DIR [--reasons 1000] [--generated 100] [--seed 0] [--show 30]

truth         every sentence compared with the raw tables, by other code than the one that made it
moved         whether what moved the score is named, if it is asked of the served score or of the network alone
descriptions  likewise, of random items in both languages
generator     sentences of the packaged model after checking, and how many fell back to templates
faithfulness  the score without the cited evidence, beside as much random evidence of the same user;
              intervals of 95 % by drawing users 2,000 times
completeness  attributions added up, beside score − baseline
time          milliseconds a reason
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import motet
from benchmarks._reasons_truth import Truth
from motet.assistant.explain import (
    Attributor,
    Explainer,
    Language,
    Reason,
    Sentence,
    Tone,
    check_sentence,
    rephrase,
    verify,
)
from motet.text.generate import LocalGenerator

_LANGUAGES: tuple[Language, ...] = ("en", "en", "en", "zh")
_TONES: tuple[Tone, ...] = ("plain", "warm", "brief")
_LIST = 5  # items of one user
_MOVED = 200  # reasons whose items are asked for what moved their score
_DRAWS = 10  # of random evidence beside each cited one
Group = tuple[str, list[Reason]]


def say(what: str) -> None:
    """Progress, on standard error."""
    print(what, file=sys.stderr, flush=True)


def draw_groups(explainer: Explainer, n: int, seed: int) -> Iterator[Group]:
    """Half of the reasons for the best items of a user, half for random items the user has not met."""
    rng = np.random.default_rng(seed)
    users, items = explainer.bundle.data.user_ids.to_list(), explainer.bundle.data.item_ids.to_list()
    for turn in range(0, n, _LIST):
        user = str(rng.choice(users))
        if turn // _LIST % 2 == 0:
            kind, chosen = "best", explainer.recommender.recommend([user], k=_LIST)["item_id"].to_list()
        else:
            met = set(explainer.evidence.taste(explainer._user(user)).had.tolist())
            free = [item for row, item in enumerate(items) if row not in met]
            kind, chosen = "random", rng.choice(free, _LIST, replace=False).tolist()
        language, tone = _LANGUAGES[turn // _LIST % 4], _TONES[int(rng.integers(3))]
        yield (
            kind,
            explainer.reason(
                user, chosen, language=language, tone=tone, k=int(rng.integers(1, 4)), seed=seed
            ),
        )


def truth(explainer: Explainer, against: Truth, groups: Sequence[Group]) -> list[str]:
    """Statement precision of the templates, by kind."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    wrong: list[str] = []
    for kind, reasons in groups:
        for reason in reasons:
            for sentence in reason.sentences:
                right = against.right(sentence)
                verified = verify(sentence.claim, explainer.evidence)
                clean = not check_sentence(sentence.text, sentence, explainer.evidence)
                for row in (sentence.claim.kind, f"all, {kind} items", "**all**"):
                    for place, one in enumerate((1, right, verified, clean)):
                        counts[row][place] += int(one)
                if not right:
                    wrong.append(f"{sentence.claim.kind}: {sentence.text} {sentence.claim}")
    lines = ["| statements | n | true by the raw tables | `verify` | `check` |", "|---|---|---|---|---|"]
    for row, (n, *found) in sorted(counts.items(), key=lambda one: one[1][0]):
        lines.append(f"| {row} | {n:,} | " + " | ".join(f"{100 * part / n:.1f} %" for part in found) + " |")
    n = counts["**all**"][0]
    lines.append(f"\n{n:,} statements in {sum(len(r) for _, r in groups):,} reasons; with none wrong, the rate of wrong ones is below {100 * 3 / max(n, 1):.2f} % at 95 % (rule of three).")  # fmt: skip
    return lines + [f"- WRONG {line}" for line in wrong[:10]]


def moved_by(explainer: Explainer, against: Truth, groups: Sequence[Group]) -> list[str]:
    """Claims about what moved the score, made by the served score and by the network alone: which name the right items."""
    alone = Explainer(replace(explainer.bundle, blend=None))
    lines = ["| `moved`, made by | claims | name the items without which the served score falls furthest |", "|---|---|---|"]  # fmt: skip
    for name, one in (("the served score", explainer), ("the network alone", alone)):
        claims = [
            claim
            for _, reasons in groups[: _MOVED // _LIST]
            for reason in reasons
            for claim in one.explain(reason.user, reason.item, attribute=False).evidence
            if claim.kind == "moved"
        ]
        lines.append(f"| {name} | {len(claims)} | {sum(against.names_most(claim) for claim in claims)} |")
    return lines


def descriptions(explainer: Explainer, against: Truth, n: int, seed: int) -> list[str]:
    """Statement precision of descriptions, and whether anything but the catalogue and the graph speaks in them."""
    rng = np.random.default_rng(seed)
    items = explainer.bundle.data.item_ids.to_list()
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    wrong: list[str] = []
    for turn, item in enumerate(rng.choice(items, min(n, len(items)), replace=False).tolist()):
        for language in ("en", "zh"):
            found = explainer.describe(item, language=language, tone=_TONES[turn % 3], seed=seed)
            for sentence in found.sentences:
                right = against.right(sentence)
                for row in (sentence.claim.kind, "**all**"):
                    counts[row][0] += 1
                    counts[row][1] += int(right)
                if not right:
                    wrong.append(f"- WRONG {sentence.text} {sentence.claim}")
    lines = ["| statements of descriptions | n | true by the raw tables |", "|---|---|---|"]
    lines += [f"| {row} | {n:,} | {100 * right / n:.1f} % |" for row, (n, right) in counts.items()]
    return lines + wrong[:10]


def generated(explainer: Explainer, against: Truth, groups: Sequence[Group], n: int, show: int) -> list[str]:
    """What the packaged generator's sentences are worth after checking."""
    sentences: list[Sentence] = [
        sentence
        for _, reasons in groups
        for reason in reasons
        for sentence in reason.sentences
        if sentence.language == "en"
    ][:n]
    if not sentences:
        return []
    generator = LocalGenerator()
    began_s = time.monotonic()
    found = rephrase(sentences, generator, explainer.evidence, time_limit_s=3600.0)
    elapsed_s = time.monotonic() - began_s
    kept = [s for s, refused in zip(found.sentences, found.refused, strict=True) if not refused]
    changed = [s for s in kept if s.text != s.template]
    right = [against.right(s) for s in changed]
    lines = [
        "| generator | sentences | refused (templates instead) | kept word for word | kept in new words | of those in new words, names and numbers true by the raw tables |",
        "|---|---|---|---|---|---|",
        f"| {generator.name} | {len(sentences)} | {sum(found.refused)} ({100 * sum(found.refused) / len(sentences):.0f} %) | {len(kept) - len(changed)} | {len(changed)} | {f'{100 * np.mean(right):.1f} %' if right else '–'} |",
        f"\n{elapsed_s / len(sentences):.2f} s a sentence. {found.note}",
    ]
    return lines + [f"- {s.template} → {s.text}" for s in changed[:show]]


def faithfulness(explainer: Explainer, groups: Sequence[Group], seed: int) -> list[str]:
    """Does the score move more without what is cited than without as much of anything else."""
    rng = np.random.default_rng(seed)
    probe = explainer.evidence.probe
    moves: dict[str, list[tuple[float, float, float, int]]] = defaultdict(list)
    for kind, reasons in groups:
        for reason in reasons:
            user, item = explainer._user(reason.user), explainer._item(reason.item)
            past = probe.history(user)
            seen = np.unique(np.concatenate(list(past.values())))
            cited: dict[str, set[int]] = {}
            for claim in reason.claims:
                rows = {mention.row for mention in claim.of("liked")}
                if claim.kind in ("tags", "number"):
                    rows = counted(explainer, user, item, claim.kind, {m.key for m in claim.of("tag")})
                cited[claim.kind] = rows & set(seen.tolist())
            named = set().union(*(rows for of, rows in cited.items() if of not in ("tags", "number")))
            cited[f"**all items named, {kind} items**"] = named
            for row, rows in cited.items():
                rest = np.setdiff1d(seen, list(rows))
                if rows and len(rest) >= len(rows):
                    moves[row].append((*_moved(explainer, user, item, past, rows, rest, rng), user))
            for claim in reason.claims:
                tags = {(m.column, m.key) for m in claim.of("tag")}
                every = [explainer.evidence.tags.keys[tag] for tag in explainer.evidence.tags.of(item)]
                others = [tag for tag in every if tag not in tags]
                if tags and claim.kind in ("tags", "rate") and len(others) >= len(tags):
                    draws = [
                        [others[at] for at in rng.choice(len(others), len(tags), replace=False)]
                        for _ in range(_DRAWS)
                    ]
                    scores = probe.without_tags(user, item, [[], list(tags), *draws])
                    moves["the item's own tags that are named"].append((*_difference(scores), user))
    lines = [
        "| evidence taken away | reasons | score moves by | random evidence of the same size | difference [95 %] | falls further by [95 %] |",
        "|---|---|---|---|---|---|",
    ]
    for row, found in sorted(moves.items()):
        table = np.array(found)
        cells = []
        for values in (table[:, 0] - table[:, 1], table[:, 2]):
            low, high = _interval(values, table[:, 3], rng)
            cells.append(f"{values.mean():+.3f} [{low:+.3f}, {high:+.3f}]")
        lines.append(f"| {row} | {len(found)} | {table[:, 0].mean():.3f} | {table[:, 1].mean():.3f} | {cells[0]} | {cells[1]} |")  # fmt: skip
    return lines


def counted(explainer: Explainer, user: int, item: int, kind: str, tags: set[str]) -> set[int]:
    """The liked items that a claim about tags or years counts."""
    catalogue, liked = (
        explainer.evidence.catalogue,
        explainer.evidence.taste(user).without(item).liked.tolist(),
    )
    if kind == "tags":
        return {row for row in liked if tags <= {v for c in catalogue.tags for v in catalogue.values(row, c)}}
    column = next(c for c in catalogue.numbers if explainer.evidence.is_year(c))
    decade = (catalogue.number(item, column) or 0) // 10
    return {row for row in liked if (catalogue.number(row, column) or 0) // 10 == decade}


def _moved(
    explainer: Explainer,
    user: int,
    item: int,
    past: dict[str, NDArray[np.int32]],
    rows: set[int],
    rest: NDArray[np.int32],
    rng: np.random.Generator,
) -> tuple[float, float, float]:
    gone = [np.array(sorted(rows)), *(rng.choice(rest, len(rows), replace=False) for _ in range(_DRAWS))]
    pasts = [
        past,
        *({name: mine[~np.isin(mine, drop)] for name, mine in past.items()} for drop in gone),
    ]
    return _difference(explainer.evidence.probe.with_histories(user, [item], pasts)[:, 0])


def _difference(scores: NDArray[np.float32]) -> tuple[float, float, float]:
    """How far the score moves without the cited, without random evidence, and how much further it falls."""
    falls = scores[0] - scores[1:]
    return float(abs(falls[0])), float(np.abs(falls[1:]).mean()), float(falls[0] - falls[1:].mean())


def _interval(
    values: NDArray[np.float64], users: NDArray[np.float64], rng: np.random.Generator
) -> tuple[float, float]:
    """Of the mean, by drawing users with all of their reasons, which are not independent of each other."""
    _, at = np.unique(users, return_inverse=True)
    sums, counts = np.bincount(at, values), np.bincount(at)
    drawn = rng.integers(0, len(sums), (2000, len(sums)))
    low, high = np.percentile(sums[drawn].sum(1) / counts[drawn].sum(1), [2.5, 97.5])
    return float(low), float(high)


def completeness(explainer: Explainer, groups: Sequence[Group]) -> list[str]:
    """How far attributions are from adding up, and what they say."""
    attributor = Attributor(explainer.evidence.probe)
    pairs = {(explainer._user(r.user), explainer._item(r.item)) for _, reasons in groups for r in reasons}
    found = [attributor.attribute(user, item) for user, item in sorted(pairs)[:200]]
    parts: dict[str, list[float]] = defaultdict(list)
    for one in found:
        for group, part in one.parts:
            parts[group].append(part)
    lines = [
        f"{len(found)} pairs: largest gap {max(one.gap for one in found):.1e} of the difference (tolerance 1e-3), mean {np.mean([one.gap for one in found]):.1e}.",
        "\n| group | mean attribution | mean size |",
        "|---|---|---|",
    ]
    for group, values in sorted(parts.items(), key=lambda one: -float(np.mean(np.abs(one[1])))):
        lines.append(f"| {group} | {np.mean(values):+.3f} | {np.mean(np.abs(values)):.3f} |")
    return lines


def speed(explainer: Explainer, seed: int) -> list[str]:
    """Milliseconds a reason, in a list of ten and alone, and of an explanation with attribution."""
    rng = np.random.default_rng(seed)
    users = rng.choice(explainer.bundle.data.user_ids.to_list(), 40, replace=False).tolist()
    lists = {user: explainer.recommender.recommend([user], k=10)["item_id"].to_list() for user in users}
    times: dict[str, list[float]] = defaultdict(list)
    for user, items in lists.items():
        for what, asked in (("in a list of ten", items), ("alone", items[:1])):
            began_s = time.perf_counter()
            explainer.reason(user, asked)
            times[what].append(1000 * (time.perf_counter() - began_s) / len(asked))
        began_s = time.perf_counter()
        explainer.explain(user, items[0], attribute=True)
        times["explanation with attribution"].append(1000 * (time.perf_counter() - began_s))
    lines = ["| ms | median | 95th percentile |", "|---|---|---|"]
    return lines + [
        f"| {what} | {np.median(found):.1f} | {np.percentile(found, 95):.1f} |"
        for what, found in times.items()
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="directory of the raw tables")
    parser.add_argument("--reasons", type=int, default=1000)
    parser.add_argument(
        "--generated", type=int, default=100, help="sentences given to the generator; 0 for none"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", type=int, default=30, help="sentences in new words that are printed")
    chosen = parser.parse_args()
    explainer = motet.load(chosen.bundle).explainer
    against = Truth(chosen.data, explainer.bundle)
    groups = list(draw_groups(explainer, chosen.reasons, chosen.seed))
    parts: dict[str, Callable[[], list[str]]] = {
        "Truth": lambda: truth(explainer, against, groups),
        "Moved": lambda: moved_by(explainer, against, groups),
        "Descriptions": lambda: descriptions(explainer, against, chosen.reasons // 2, chosen.seed),
        "Faithfulness": lambda: faithfulness(explainer, groups, chosen.seed),
        "Completeness": lambda: completeness(explainer, groups),
        "Time": lambda: speed(explainer, chosen.seed),
        "Generator": lambda: generated(explainer, against, groups, chosen.generated, chosen.show),
    }
    print(f"# Reasons on {explainer.bundle.schema.name}, seed {chosen.seed}")
    for title, part in parts.items():
        say(title)
        print(f"\n## {title}\n")
        print("\n".join(part()), flush=True)


if __name__ == "__main__":
    main()
