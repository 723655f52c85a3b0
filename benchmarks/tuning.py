"""What tuning adds on MovieLens-100K: tuned, frozen, and plain baselines, on warm and on cold films.

    python -m benchmarks.tuning [align] [joint] [instruct] [--seeds 0 1 2] [--json FILE] [--set tune.steps=50]

align     the recommender trained on the aligned encoder, on the frozen one, and the like-ratio baseline
joint     the recommender trained together with its encoder; the encoder it ends with, frozen again and put
          under a recommender trained again; the frozen one; the like-ratio baseline
instruct  a generating model asked about test rows, tuned and as it was; biases and popularity as baselines

A fifth of the films is held out of training and validation by each seed; a film without a training row is
cold. Nothing is chosen on the test rows. Values are means over seeds with 95 % intervals over users; the
differences are paired. `--device cuda --set tune.precision=bf16 --set tune.batch_size=256` scales it up.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motet.data import Dataset
from motet.datasets import fetch
from motet.models.baselines import BASELINES
from motet.schema import Schema
from motet.training import ModelPredictor, load_data, train_model
from motet.training.tuning import (
    AlignSettings,
    ChatModel,
    InstructSettings,
    Interval,
    JointSettings,
    Measured,
    Question,
    Questions,
    align,
    answer_probabilities,
    baseline_answers,
    difference,
    instruct,
    item_texts,
    mean_of,
    measure_answers,
    measure_predictor,
    read_settings,
    sample_questions,
    tune_jointly,
)

Arms = dict[str, list[Measured]]

# The stated subset: so many steps, texts and questions, sized for less than 15 minutes of tuning on two cores.
_ALIGN = ["steps=150", "check_every=25"]
_JOINT = ["items_per_step=64", "compare=false"]
_INSTRUCT = ["steps=60", "check_every=20", "check_questions=16"]


def say(what: str) -> None:
    """Progress, on standard error."""
    print(what, file=sys.stderr, flush=True)


def progress(what: str, done: int, total: int) -> None:
    """A line now and then."""
    if done in (0, total) or done % 10 == 0:
        say(f"  {what}: {done:,} of {total:,}")


def cold_split(seed: int, changes: Sequence[str] = ()) -> tuple[Schema, Path, Dataset]:
    """MovieLens with a fifth of the films held out: its schema, its files, the data set."""
    place = fetch("movielens-100k")
    overrides = ["split.hold_out_items=0.2", f"split.seed={seed}", f"training.seed={seed}", *changes]
    schema = Schema.load(place / "schema.yaml", overrides)
    return schema, place, load_data(schema, place).data


def recommender(data: Dataset, seed: int) -> Measured:
    """The recommender trained on a data set, measured."""
    return measure_predictor(data, ModelPredictor(train_model(data).model, data), seed=seed)


def add(arms: Arms, name: str, measured: Measured) -> None:
    """Note what was measured of one arm for one seed."""
    arms.setdefault(name, []).append(measured)


def add_untuned(arms: Arms, data: Dataset, seed: int) -> None:
    """Note the recommender on the encoder as it was, and the plain baseline."""
    add(arms, "frozen", recommender(data, seed))
    add(arms, "like ratio", measure_predictor(data, BASELINES["like_ratio"].fit(data), seed=seed))


def tune_align(options: argparse.Namespace, work: Path, seed: int, arms: Arms) -> str:
    """Contrastive alignment."""
    schema, place, data = cold_split(seed, options.schema)
    settings = read_settings("align", [*_ALIGN, *options.set], seed=seed, device=options.device)
    assert isinstance(settings, AlignSettings)
    tuned = align(data, work, settings, progress=progress)
    add(arms, "aligned", recommender(with_encoder(schema, place, tuned.model), seed))
    add_untuned(arms, data, seed)
    return str(tuned.report["summary"])


def tune_joint(options: argparse.Namespace, work: Path, seed: int, arms: Arms) -> str:
    """The encoder trained inside the recommender."""
    schema, place, data = cold_split(seed, options.schema)
    settings = read_settings("joint", [*_JOINT, *options.set], seed=seed, device=options.device)
    assert isinstance(settings, JointSettings)
    result = tune_jointly(data, work, settings, progress=progress)
    predictor = ModelPredictor(result.trained.model, result.data)
    add(arms, "joint", measure_predictor(result.data, predictor, seed=seed))
    again = with_encoder(schema, place, result.tuned.model)
    add(arms, "its encoder, trained again", recommender(again, seed))
    add_untuned(arms, data, seed)
    return str(result.tuned.report["summary"])


def tune_instruct(options: argparse.Namespace, work: Path, seed: int, arms: Arms) -> str:
    """Instruction tuning of a generating model."""
    _, _, data = cold_split(seed, options.schema)
    settings = read_settings("instruct", [*_INSTRUCT, *options.set], seed=seed, device=options.device)
    assert isinstance(settings, InstructSettings)
    tuned = instruct(data, work, settings, progress=progress)
    groups = test_questions(data, settings, options.questions, seed)
    frozen, own = (
        ChatModel(name, max_tokens=settings.max_tokens, device=settings.device, precision=settings.precision)
        for name in (settings.generator, str(tuned.model))
    )
    for arm, model in (("tuned", own), ("frozen", frozen), ("biases, popularity", None)):
        say(f"  {arm} is asked {sum(map(len, groups.values()))} test questions")
        values: dict[str, float] = {}
        draws: dict[str, NDArray[np.float64]] = {}
        for group, asked in groups.items():
            answers = (
                baseline_answers(data, asked)
                if model is None
                else answer_probabilities(model, asked, progress)
            )
            part = measure_answers(data, asked, answers, group, seed=seed)
            values.update(part.values)
            draws.update(part.draws)
        add(arms, arm, Measured(values, draws))
    return str(tuned.report["summary"])


def test_questions(data: Dataset, settings: InstructSettings, n: int, seed: int) -> dict[str, list[Question]]:
    """At most n test questions of each task, on warm and on cold films."""
    questions = Questions(
        data, item_texts(data), history=settings.history, candidates=settings.candidates, tasks=settings.tasks
    )
    cold = np.bincount(data.item_row[data.rows("train")], minlength=len(data.items)) == 0
    groups: dict[str, list[Question]] = {"warm": [], "cold": []}
    for task in questions.tasks:
        rows = questions.rows(task, "test")
        item = rows if data.schema.tasks[task].on == "item" else data.item_row[rows]
        for group, chosen in (("warm", ~cold[item]), ("cold", cold[item])):
            groups[group] += sample_questions(questions, task, rows[chosen], n, seed)
    return groups


def with_encoder(schema: Schema, place: Path, encoder: Path) -> Dataset:
    """The data set with the vectors of another encoder, by the path that `motet train` takes."""
    return load_data(schema.with_overrides(f"language.encoder={encoder}"), place).data


def summary(arms: Arms, notes: list[str]) -> dict[str, Any]:
    """Means, differences of the first arm to the frozen one, and the summary of each seed."""
    ours = next(iter(arms))
    return {
        "arms": {name: mean_of(found) for name, found in arms.items()},
        "difference": difference(arms[ours], arms["frozen"]),
        "by_seed": {
            metric: [
                a.values[metric] - b.values[metric] for a, b in zip(arms[ours], arms["frozen"], strict=True)
            ]
            for metric in difference(arms[ours], arms["frozen"])
        },
        "ours": ours,
        "notes": list(notes),
    }


def show(title: str, found: Mapping[str, Any], elapsed_s: float) -> None:
    """Print a Markdown table, metrics as rows."""
    arms = found["arms"]
    print(f"\n### {title} ({elapsed_s / 60:.0f} min)\n", flush=True)
    print("| | " + " | ".join(arms) + f" | {found['ours']} − frozen | |")
    print("|---|" + "---:|" * (len(arms) + 1) + "---|")
    for metric in arms[found["ours"]]:
        cells = [cell(arm.get(metric)) for arm in arms.values()]
        gap = found["difference"].get(metric)
        print(
            f"| {metric} | "
            + " | ".join(cells)
            + f" | {cell(gap, '+')} | {verdict(metric, gap, found['by_seed'].get(metric, []))} |"
        )
    for note in found["notes"]:
        print(f"\n{note}")


def cell(interval: Interval | None, sign: str = "") -> str:
    """A value with its interval."""
    if interval is None:
        return ""
    value, low, high = interval
    return f"{value:{sign}.4f} [{low:{sign}.4f}, {high:{sign}.4f}]"


def verdict(metric: str, gap: Interval | None, by_seed: Sequence[float]) -> str:
    """Whether tuning helped, in a word.

    The interval is over users and knows nothing of the noise of training, so all seeds must agree too.
    """
    if gap is None:
        return ""
    better = [-gain if "rmse" in metric else gain for gain in by_seed]
    low, high = (-gap[2], -gap[1]) if "rmse" in metric else gap[1:]
    word = "helps" if low > 0 and min(better) > 0 else "hurts" if high < 0 and max(better) < 0 else ""
    if not word:
        return "no difference shown"
    return f"**{word}**" if len(better) > 1 else f"{word}, in one run"


# What is run for one seed and notes its arms, the tuned one first; returns the summary of the tuning.
PARTS: dict[str, Callable[[argparse.Namespace, Path, int, Arms], str]] = {
    "align": tune_align,
    "joint": tune_joint,
    "instruct": tune_instruct,
}


def main() -> None:
    """Run the parts asked for; print the table after each seed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--questions", type=int, default=60, help="test questions a task and group, of instruct"
    )
    parser.add_argument(
        "--set", action="append", default=[], help="a setting: tune.steps=50, training.epochs=2"
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    options.schema = [change for change in options.set if not change.startswith("tune.")]
    options.set = [change.removeprefix("tune.") for change in options.set if change.startswith("tune.")]
    everything = {}
    with tempfile.TemporaryDirectory() as work:
        for part in options.parts or PARTS:
            arms: Arms = {}
            notes: list[str] = []
            began_s = time.monotonic()
            for seed in options.seeds:
                say(f"{part}, seed {seed}")
                said = PARTS[part](options, Path(work) / f"{part}-{seed}", seed, arms)
                notes.append(f"seed {seed}: {said}")
                everything[part] = summary(arms, notes)
                show(f"{part}, {len(notes)} seeds", everything[part], time.monotonic() - began_s)
                if options.json:
                    options.json.write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
