"""The report: what it says, that it hides nothing, and that it is one safe and readable page."""

from __future__ import annotations

import copy
import html
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.resources import files
from itertools import pairwise
from typing import Any

import pytest

from motet.errors import DataError
from motet.evaluation.report import render_report

EVIL = "<script>alert('x')</script>\"&{{ 7*7 }}"
_VOID = {"meta", "br", "img", "link", "input", "hr"}


def _metrics() -> dict[str, Any]:
    """A whole metrics.json by hand: one task ahead, one level, one behind, one without a number."""

    def binary(auc: float, half: float = 0.01) -> dict[str, Any]:
        interval = [auc - half, auc + half]
        return {"auc": auc, "auc_interval": interval, "label_rate": 0.4, "predicted_rate": 0.41, "rows": 5000}

    def ranking(value: float) -> dict[str, Any]:
        shared = {"recall@10": value, "hit@10": 4 * value, "mrr": value, "users": 300}
        return {"ndcg@10": value, "ndcg@10_interval": [value - 0.005, value + 0.005]} | shared

    regression = {"rmse": 0.95, "mae": 0.75, "skill": 0.1, "skill_interval": [0.08, 0.12], "rows": 5000}
    sure = {"like": {"auc": 0.7, "rows": 500}, "stars": {"skill": 0.05, "rmse": 1.0, "rows": 500}}
    return {
        "motet": "0.1.0",
        "created": "2026-03-01T09:05:00+00:00",
        "dataset": "films",
        "split": "test",
        "seed": 0,
        "synthetic": False,
        "architecture": "ple",
        "schema": "name: films\ntasks:\n"
        "  like: {kind: binary, label: stars >= 4}\n  stars: {kind: regression, label: stars}\n"
        "  next: {kind: retrieval, positive: stars >= 4}\n  buy: {kind: binary, label: buy}\n",
        "rows": {
            "total": 5000,
            "scenarios": {"home": 4000, "search": 960, "tiny": 40},
            "groups": {"warm": 4500, "cold_user": 0, "cold_item": 500},
        },
        "tasks": {
            "like": binary(0.79),
            "stars": regression,
            "buy": {"auc": None, "auc_interval": None, "rows": 9, "undefined": "one class only: all 9 known labels are 0"},
        },
        "scenarios": {
            "home": {"like": {"auc": 0.8, "rows": 4000}, "stars": {"skill": 0.11, "rows": 4000}},
            "search": {"like": {"auc": 0.75, "rows": 960}, "stars": {"skill": None, "rows": 0, "undefined": "no label is known"}},
            "tiny": {"like": {"auc": 0.2, "rows": 40}, "stars": {"skill": 0.1, "rows": 40}},
        },
        "traffic": {
            "home": {"rows": 4000, "users": 280, "shared_users": 0.75, "items": 90, "shared_items": 1.0, "tasks": {"like": {"observed": 0.4, "predicted": 0.42, "ratio": 1.05}, "stars": {"observed": None, "predicted": None, "ratio": None}}},
            "search": {"rows": 960, "users": 210, "shared_users": 0.999, "items": 90, "shared_items": 1.0, "tasks": {"like": {"observed": 0.4, "predicted": 0.2, "ratio": 0.5}}},
        },
        "groups": {"warm": {"like": binary(0.8), "stars": regression}, "cold_item": sure},
        "ranking": ranking(0.06),
        "score": 0.3,
        "calibration": {"like": {"predicted": [0.1, 0.5, 0.9], "observed": [0.12, 0.48, 0.93], "rows": [100, 100, 100]}},
        "baselines": {
            "lightgbm": {"tasks": {"like": binary(0.77), "stars": regression | {"skill": 0.105, "rmse": 0.945}}, "ranking": None},
            "ease": {"tasks": {}, "ranking": ranking(0.13)},
            "tfidf": {"skipped": "no text feature"},
            "single_task": {"tasks": {"like": binary(0.795), "stars": regression | {"skill": 0.15}}, "ranking": None},
        },
        "transfer": {
            "like": {"metric": "auc", "multi": 0.79, "single": 0.795, "difference": -0.005, "interval": [-0.01, 0.001], "negative_transfer": False},
            "stars": {"metric": "skill", "multi": 0.1, "single": 0.15, "difference": -0.05, "interval": [-0.06, -0.04], "negative_transfer": True},
        },
        "relations": {
            "labels": {"tasks": ["like", "stars"], "matrix": [[1.0, 0.84], [0.84, 1.0]], "rows": [[9, 9], [9, 9]]},
            "gradients": {"tasks": ["like", "stars"], "cosine": [[1.0, -0.25], [-0.25, 1.0]]},
        },
        "cost": {"train_s": 95.2, "rows_per_s": 36000.4, "peak_rss_bytes": 1.2e9, "parameters": 1000, "embedding_parameters": 600, "tasks": {"like": {"parameters": 40, "time_share": 0.25}}},
        "history": {
            "validations": [
                {"step": 10 * i, "epoch": 0.5 * i, "loss": {"like": 0.7 - 0.05 * i, "stars": 1.0}, "primary_values": {"like": 0.6 + 0.05 * i, "buy": None}, "score": 0.2, "elapsed_s": 3.0 * i}
                for i in range(1, 4)
            ],
            "best": 1,
            "stopped": "patience",
        },
        "search": {
            "time_s": 1200, "elapsed_s": 1100.0, "ended": "time", "seed": 0,
            "trials": [
                {"trial": i, "state": state, "score": score, "validations": 3, "elapsed_s": 60.0, "settings": {"model.width": 16 + 16 * i}}
                for i, (state, score) in enumerate([("complete", 0.31), ("pruned", 0.2), ("complete", 0.34), ("diverged", None)])
            ],
            "default": {"trial": 0, "score": 0.31, "test_score": 0.3},
            "best": {"trial": 2, "score": 0.34, "test_score": 0.32},
            "gain": 0.03,
            "chosen": {"model.width": {"value": 48, "was": 16}},
        },
        "folds": {
            "key": "k", "number": 2, "kind": "rolling", "seed": 0,
            "tasks": {"like": {"auc": {"mean": 0.78, "deviation": 0.02, "interval": [0.75, 0.81], "values": [0.77, 0.79]}}},
            "ranking": {"ndcg@10": {"mean": None, "deviation": None, "interval": None, "values": [None, None]}},
            "each": [{"fold": i, "rows": {"test": 500}, "elapsed_s": 9.0} for i in (1, 2)],
        },
        "data": {"rows": {"train": 8000, "validation": 1000, "test": 5000}, "users": 300, "items": 1682, "cleaning": ["ratings: repeated rows in 7 rows: the last kept"]},
    }  # fmt: skip


class _Outline(HTMLParser):
    """Checks nesting while it collects tags, attributes and text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in ("style", "script"):
            self.text += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def _text(metrics: dict[str, Any]) -> str:
    return " ".join(_Outline(render_report(metrics)).text.split())


def test_the_conclusions_say_how_good_each_task_is_and_what_that_means() -> None:
    text = _text(_metrics())
    assert (
        "The model is ahead of every baseline on “like”; level with the best baseline on “stars”; behind a plain "
        "baseline on “next”. No comparison was possible on “buy”."
    ) in text
    assert "one with “like” and one without, the model ranks the right one higher in 79 % of pairs" in text
    assert (
        "ahead of every baseline: the best, LightGBM, has 77.0 % of pairs, the model 79.0 % of pairs" in text
    )
    assert "“stars” have a typical error (RMSE) of 0.95, 10 % less than guessing the same average" in text
    assert "Shown ten items out of 1,682, 24 % of the 300 users" in text


def test_a_baseline_that_wins_and_a_task_that_lost_are_told_before_the_details() -> None:
    opening = _text(_metrics()).split("Against the baselines")[0]
    assert "A baseline wins on “next”" in opening
    assert "NDCG@10 is 0.130 for EASE, 0.060 for this model" in opening
    assert "Negative transfer on “stars”" in opening


def test_no_negative_transfer_is_claimed_only_for_tasks_that_were_compared() -> None:
    metrics = _metrics()
    del metrics["transfer"]["stars"]
    opening = _text(metrics).split("Against the baselines")[0]
    assert "In the joint model “like” is not measurably worse off" in opening
    assert "Not compared: “stars”, “next” and “buy”." in opening


def test_a_clear_win_is_told_without_a_warning() -> None:
    metrics = _metrics()
    metrics["tasks"] = {"like": metrics["tasks"]["like"]}
    metrics |= {"ranking": None, "transfer": None}
    text = _text(metrics)
    assert "The model is ahead of every baseline on its one task." in text
    assert "▼" not in text


def test_an_auc_that_may_be_chance_is_called_so() -> None:
    metrics = _metrics()
    metrics["tasks"]["like"] |= {"auc": 0.53, "auc_interval": [0.44, 0.62]}
    text = _text(metrics)
    assert "No better than a coin on “like”" in text
    assert "44 % to 62 %, does not rule out that the model does no better" in text


def test_probabilities_that_run_high_are_told() -> None:
    metrics = _metrics()
    metrics["tasks"]["like"] |= {"label_rate": 0.0055, "predicted_rate": 0.37}
    text = _text(metrics)
    assert "Probabilities of “like” run high" in text
    assert "67.3 times as much" in text


def test_new_users_and_items_are_judged_by_enough_rows_only() -> None:
    metrics = _metrics()
    text = _text(metrics)
    assert "Every test row is of a known user, so nothing was learnt about new users." in text
    assert "500 test rows are of items never seen in training." in text
    assert "“like”: 70 % of pairs ranked right, for known items 80 %." in text
    metrics["rows"]["groups"]["cold_item"] = 99
    assert "Only 99 test rows are of items never seen in training: too few" in _text(metrics)


def test_a_number_that_is_not_there_is_a_dash_with_its_reason() -> None:
    text = _text(_metrics())
    assert "It could not be measured: one class only: all 9 known labels are 0." in text
    assert "—no label is known" in text
    assert "TF-IDF words (no text feature)" in text


def test_slices_of_few_rows_are_not_coloured() -> None:
    page = render_report(_metrics())
    tiny = page[page.index(">tiny<") :].split("</tr>")[0]
    assert "few rows" in tiny
    assert "--t" not in tiny
    home = page[page.index(">home<") :].split("</tr>")[0]
    assert 'class="up" style="--t:20"' in home
    assert "+0.010" in home


@pytest.mark.parametrize("wrapped", [False, True])
def test_relations_are_found_in_both_shapes(wrapped: bool) -> None:
    metrics = _metrics()
    if wrapped:
        labels, gradients = metrics["relations"]["labels"], metrics["relations"]["gradients"]
        cosine = {"tasks": gradients["tasks"], "matrix": gradients["cosine"]}
        metrics["relations"] = {"label_correlation": labels, "gradient_cosine": cosine}
    text = _text(metrics)
    assert "+0.84" in text
    assert "−0.25" in text


def test_every_part_that_is_given_is_shown() -> None:
    headings = _text(_metrics())
    for title in (
        "Against the baselines", "Recommendations", "Task by scenario", "Known and new users", "probabilities be trusted",
        "How it was trained", "Search over settings", "Cross-validation", "What the tasks do for each other", "Every metric", "What it costs", "what was done to it",
        "The schema",
    ):  # fmt: skip
        assert title in headings
    for figure in (
        "1 min 35 s",
        "36,000 rows/s",
        "1.2 GB",
        "repeated rows in 7 rows",
        "1 March 2026, 09:05 UTC",
    ):
        assert figure in headings


_NEEDED = ("dataset", "tasks")
_OPTIONAL = [key for key in _metrics() if key not in _NEEDED]


@pytest.mark.parametrize("key", _OPTIONAL)
@pytest.mark.parametrize("null", [False, True])
def test_any_part_may_be_missing_or_null(key: str, null: bool) -> None:
    metrics = _metrics()
    if null:
        metrics[key] = None
    else:
        del metrics[key]
    assert "79\u00a0%" in render_report(metrics)


@pytest.mark.parametrize("key", ["cost", "history", "data", "relations", "calibration", "transfer", "rows"])
def test_a_part_may_be_empty_or_half_there(key: str) -> None:
    full = _metrics()
    for inner in [None, *(full[key])]:
        metrics = copy.deepcopy(full)
        metrics[key] = {} if inner is None else {k: v for k, v in full[key].items() if k != inner}
        assert "79\u00a0%" in render_report(metrics)


@pytest.mark.parametrize("key", ["baselines", "transfer", "calibration", "scenarios", "traffic", "groups"])
def test_a_named_part_may_be_null(key: str) -> None:
    metrics = _metrics()
    metrics[key] = dict.fromkeys(metrics[key])
    assert "79\u00a0%" in render_report(metrics)


def test_what_a_scenario_shares_and_how_it_is_calibrated_is_said() -> None:
    page = render_report(_metrics())
    caption = "<span>Users, items and calibration of each scenario"
    table = page[page.index(caption) :].split("</table>")[0]
    assert "predicted / observed" in table
    home, search = (re.sub(r"<[^>]+>", " ", line).split() for line in table.split("<tr>")[2:4])
    assert " ".join(home) == "home 4,000 280 75 % elsewhere too 90 100 % elsewhere too 1.05 —"
    assert search[-2:] == ["0.50", "—"]
    metrics = _metrics()
    del metrics["traffic"]["search"]  # one scenario has nothing to share
    assert "elsewhere too" not in _text(metrics)


@pytest.mark.parametrize("key", ["primary_values", "headlines"])  # the second in bundles of earlier versions
def test_the_primary_metric_of_each_validation_is_drawn(key: str) -> None:
    metrics = _metrics()
    for look in metrics["history"]["validations"]:
        look[key] = look.pop("primary_values")
    assert "AUC on validation rows went from 0.6" in render_report(metrics)


def test_a_search_says_what_it_gained_and_chose() -> None:
    page = render_report(_metrics())
    text = " ".join(_Outline(page).text.split())
    assert "4 trials in 18 min 20 s" in text
    assert "Gain on validation rows: +0.0300." in text
    assert (
        "Validation score of 3 trials: 0.3100 with the settings of the schema, 0.3400 in trial 2, the best."
        in page
    )
    assert "model.width4816" in text  # setting, chosen, before
    assert "given up" in text
    assert "not finite" in text


def test_a_search_whose_best_is_the_schema_itself() -> None:
    metrics = _metrics()
    metrics["search"] |= {"best": metrics["search"]["default"], "gain": 0.0, "chosen": {}}
    text = _text(metrics)
    assert "None was better than the schema." in text
    assert "Gain on validation rows" not in text
    assert "settings of the schema, the best0.3100" in text
    assert "Settings that the search changed" not in text


def test_folds_are_a_table_with_what_varies() -> None:
    text = _text(_metrics())
    assert "each time on the rows before a window of time" in text
    assert "fold 1500 test rows0.770" in text
    assert "mean95 % interval0.7800.750 to 0.810—" in text


def test_only_what_must_be_there_makes_a_page() -> None:
    text = _text({"dataset": "toy", "tasks": {"buy": {"auc": 0.75, "rows": 40}}})
    assert "has not been compared with any baseline yet" in text
    assert "Against the baselines" not in text


@pytest.mark.parametrize("key", _NEEDED)
def test_what_is_no_metrics_file_is_refused(key: str) -> None:
    metrics = _metrics()
    del metrics[key]
    with pytest.raises(DataError, match=f"no '{key}'"):
        render_report(metrics)


def _renamed(value: Any, old: str, new: str) -> Any:
    if isinstance(value, dict):
        return {new if key == old else key: _renamed(inner, old, new) for key, inner in value.items()}
    if isinstance(value, list):
        return [_renamed(inner, old, new) for inner in value]
    return new if value == old else value


@pytest.mark.parametrize(
    "old", ["films", "like", "stars", "home", "lightgbm", "patience", "ple", "no text feature"]
)
def test_hostile_names_stay_text(old: str) -> None:
    metrics = _renamed(_metrics(), old, EVIL)
    metrics["schema"] += f"# {EVIL}"
    metrics["data"]["cleaning"].append(EVIL)
    metrics["created"] = EVIL
    page = render_report(metrics)
    outline = _Outline(page)
    assert "<script>alert" not in page
    assert len(outline.named("script")) == 1
    assert outline.text.count(EVIL) >= 4
    assert not any(name.startswith("on") for _, attributes in outline.tags for name in attributes)


def test_text_that_is_no_unicode_is_still_a_page() -> None:
    page = render_report(_renamed(_metrics(), "home", "a\ud800b\0c"))
    assert "\0" not in page
    page.encode("utf-8")


def _outside(page: str) -> Iterator[str]:
    for tag, attributes in _Outline(page).tags:
        for name, value in attributes.items():
            if name in ("src", "href", "srcset", "action", "data", "poster") and not (value or "").startswith(
                "#"
            ):
                yield f"{tag} {name}={value}"
    yield from re.findall(r"(?:url\(|@import|@font-face)[^;]*", page)


def test_the_page_loads_nothing_and_says_so_to_the_browser() -> None:
    page = render_report(_metrics())
    assert list(_outside(page)) == []
    assert not re.search(r"https?://", page.replace("http://www.w3.org/2000/svg", ""))
    policy = [str(m.get("content")) for m in _Outline(page).named("meta") if "http-equiv" in m]
    assert policy
    assert policy[0].startswith("default-src 'none'")


def test_the_page_is_the_same_text_for_the_same_metrics() -> None:
    metrics = _metrics()
    assert render_report(metrics) == render_report(json.loads(json.dumps(metrics)))


def test_structure_is_there_for_those_who_do_not_see_it() -> None:
    outline = _Outline(render_report(_metrics()))
    ids = [str(a["id"]) for _, a in outline.tags if "id" in a]
    assert len(ids) == len(set(ids))
    links = [str(a["href"])[1:] for a in outline.named("a")]
    assert set(links) <= set(ids)
    assert len(outline.named("h1")) == 1
    levels = [int(tag[1]) for tag, _ in outline.tags if re.fullmatch("h[1-6]", tag)]
    assert all(below <= above + 1 for above, below in pairwise(levels))
    tables = outline.named("table")
    assert len(outline.named("caption")) == len(tables) > 8
    assert all("scope" in attributes for attributes in outline.named("th"))
    drawings = outline.named("svg")
    assert len(drawings) == 4  # one calibration, two tasks with a training curve, one search
    assert all(d["role"] == "img" and len(str(d["aria-label"])) > 40 for d in drawings)


def test_synthetic_data_are_marked_wherever_their_numbers_stand() -> None:
    metrics = _metrics()
    assert "synthetic" not in _text(metrics).lower()
    metrics["synthetic"] = True
    page = render_report(metrics)
    text = " ".join(_Outline(page).text.split())
    assert "Synthetic data. A simulator made" in text
    for part in re.findall(r"<(?:h2|caption|figcaption)\b.*?</(?:h2|caption|figcaption)>", page, re.S):
        assert "synthetic data" in part, html.unescape(part)


_RGB = tuple[float, float, float]


def _themes() -> list[dict[str, str]]:
    style = files("motet.evaluation.report").joinpath("report.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root[^{,]*\{([^}]*)\}", style)
    return [dict(re.findall(r"--([a-z-]+):\s*([^;]+);", block)) for block in blocks]


def _rgb(colour: str) -> _RGB:
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


def _contrast(one: _RGB, other: _RGB) -> float:
    def luminance(colour: _RGB) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_both_dark_themes_are_the_same() -> None:
    light, dark, chosen = _themes()
    assert dark == chosen
    assert set(light) == set(dark)


@pytest.mark.parametrize("theme", [0, 1])
def test_text_can_be_read_in_both_themes(theme: int) -> None:
    colours = _themes()[theme]
    for text in ("ink", "soft", "up", "down", "model"):
        for ground in ("paper", "note-paper", "raised"):
            assert _contrast(_rgb(colours[text]), _rgb(colours[ground])) >= 4.5, (text, ground)
    for drawn in ("model", "other", "alone"):
        assert _contrast(_rgb(colours[drawn]), _rgb(colours["paper"])) >= 3.0, drawn
    mix = float(colours["mix"].rstrip("%")) / 100
    for tint in ("up-tint", "down-tint"):
        full, paper = _rgb(colours[tint]), _rgb(colours["paper"])
        red, green, blue = (mix * f + (1 - mix) * p for f, p in zip(full, paper, strict=True))
        assert _contrast(_rgb(colours["ink"]), (red, green, blue)) >= 4.5, tint
