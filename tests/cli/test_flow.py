"""From a stranger's files to answers, through the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from motet.schema import Schema

N = 300


def shop(place: Path) -> Path:
    """Files that were not designed around a schema."""
    place.mkdir()
    rng = np.random.default_rng(1)
    words = ["sturdy", "light", "blue", "folding", "classic", "tiny", "shovel", "pan", "robot", "kettle"]
    shelves = ["Garden", "Kitchen", "Toys", "Tools & DIY"]
    pl.DataFrame(
        {
            "Customer ID": [f"C {k:03}/é" for k in range(30)],
            "Sign-up date": [f"2023-{1 + k % 12:02}-{1 + k % 28:02}" for k in range(30)],
            "Newsletter?": [k % 2 == 0 for k in range(30)],
            "Age": [None if k % 7 == 0 else 18 + k for k in range(30)],
            "Interests": [";".join(rng.choice(shelves, 2, replace=False)) for _ in range(30)],
        }
    ).write_csv(place / "customers.csv")
    pl.DataFrame(
        {
            "Product No.": range(1000, 1020),
            "Description": [" ".join(rng.choice(words, 12)) + ', for "home" use' for _ in range(20)],
            "Price (EUR)": [None if k % 11 == 0 else round(rng.gamma(2, 20), 2) for k in range(20)],
            "Categories": [";".join(rng.choice(shelves, 2, replace=False)) for _ in range(20)],
        }
    ).write_csv(place / "products.csv")
    taste = rng.normal(size=(30, 20))
    who, what = rng.integers(0, 30, N), rng.integers(0, 20, N)
    pl.DataFrame(
        {
            "Order #": [f"O-{k:05}" for k in range(N)],
            "Customer ID": [f"C {k:03}/é" for k in who],
            "Product No.": 1000 + what,
            "Ordered at": [f"2024-{1 + k % 12:02}-{1 + k * 7 % 28:02}T{k % 24:02}:{k % 60:02}:00Z" for k in range(N)],
            "Channel": rng.choice(["web", "app", "phone"], N),
            "Qty": rng.integers(1, 5, N),
            "Returned": rng.random(N) < 0.2,
            "Star Rating": [None if k % 5 == 0 else s for k, s in enumerate(np.clip(np.round(3.5 + taste[who, what]), 1, 5).astype(int).tolist())],
        }
    ).write_csv(place / "orders.csv")  # fmt: skip
    return place


def said(answer: Any) -> Any:
    assert answer.code == 0, answer.err
    return answer.out


def test_a_shop_from_inspect_to_report(motet: Callable[..., Any], tmp_path: Path) -> None:
    files, schema, bundle = shop(tmp_path / "shop"), tmp_path / "schema.yaml", tmp_path / "runs" / "shop"
    schema.write_text(said(motet("inspect", files)))
    parsed = Schema.load(schema)
    assert [f.kind for _, _, f in parsed.features.all()].count("text") == 1

    checked = said(motet("check", schema, "--data", files))
    for words in ("orders.csv: 300 rows", "Price (EUR)", "star_rating_high", "phone", "leaks: none found"):
        assert words in checked
    assert (
        " ".join(checked.split("orders.csv: 300 rows")[1].split()[:9])
        == "column type missing distinct from … to used by"
    )

    assert (
        Schema.load(schema).tasks["next"].offers_again
    )  # customers order products again: that is found, and undone
    options = ("--set", "training.epochs=2", "--set", "tasks.next.repeats=false")
    trained = motet("train", schema, "--data", files, "--out", bundle, *options)
    assert "motet ple" in said(trained)
    assert "encoding text" in trained.err
    assert "train: epoch 2/2" in trained.err

    evaluated = motet("evaluate", bundle, "--data", files, "--baselines", "--json")
    metrics = json.loads(said(evaluated))
    assert evaluated.err == ""
    assert {"popularity", "like_ratio", "ease", "linear", "tfidf", "lightgbm", "single_task"} <= set(
        metrics["baselines"]
    )
    assert set(metrics["scenarios"]) == {"web", "app", "phone"}

    pairs = pl.DataFrame(
        {
            "Customer ID": ["C 001/é", "someone new 🦊", "C 002/é"],
            "Product No.": ["1003", "1004", "a/new one"],
            "Channel": ["web", "app", "fax"],
            "Age": [None, 44, None],
            "Description": [None, None, "a tiny blue kettle"],
            "Colour": ["red"] * 3,
        }
    )
    pairs.write_csv(tmp_path / "pairs.csv")
    run = motet("predict", bundle, "--pairs", tmp_path / "pairs.csv", "--out", tmp_path / "answers.csv")
    assert "3 rows" in said(run)
    assert "not looked at: Colour" in run.err
    answers = pl.read_csv(tmp_path / "answers.csv")
    assert answers.columns[:2] == ["Customer ID", "Product No."]
    assert answers["Customer ID"].to_list() == pairs["Customer ID"].to_list()
    assert answers["returned"].is_between(0, 1).all()
    assert answers["star_rating"].is_between(1, 5).all()

    out = tmp_path / "best.parquet"
    run = motet(
        "recommend", bundle, "--users", tmp_path / "pairs.csv", "-k", "4", "--scenario", "web", "--out", out
    )
    assert "12 rows for 3 users" in said(run)
    assert "recommend: 3 of 3" in run.err
    best = pl.read_parquet(out)
    had = pl.read_csv(files / "orders.csv").filter(pl.col("Customer ID") == "C 001/é")["Product No."]
    mine = best.filter(pl.col("Customer ID") == "C 001/é")["Product No."].cast(pl.Int64)
    assert len(mine) == 4
    assert not set(mine) & set(had)

    (bundle / "report.html").unlink()
    assert "report.html" in said(motet("report", bundle))
    page = (bundle / "report.html").read_text()
    assert "star_rating" in page
    assert sorted(path.name for path in bundle.parent.iterdir()) == ["shop"]


def test_one_flat_table(motet: Callable[..., Any], tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    (tmp_path / "flat").mkdir()
    budget = rng.gamma(2, 10, N).round(1)
    flat = pl.DataFrame(
        {
            "Lead Source": [["ads", "referral", None][k] for k in rng.integers(0, 3, N)],
            "Company Size": rng.choice(["1-10", "11-50"], N),
            "Budget ($k)": budget,
            "Meeting booked": np.where(budget + rng.normal(0, 5, N) > 20, "yes", "no"),
            "Deal won": (rng.random(N) < 0.3).astype(int),
        }
    )
    flat.write_csv(tmp_path / "flat" / "Leads 2024.csv")
    schema, bundle = tmp_path / "schema.yaml", tmp_path / "bundle"
    assert motet("inspect", tmp_path / "flat", "--out", schema).code == 0
    assert motet("inspect", tmp_path / "flat", "--out", schema).code == 2  # nothing is overwritten
    train = motet(
        "train", schema, "--data", tmp_path / "flat", "--out", bundle, "--set", "training.epochs=8", "--json"
    )
    assert train.err == ""
    metrics = json.loads(train.out)
    assert metrics["tasks"]["meeting_booked"]["auc"] > 0.8
    assert motet("evaluate", bundle, "--data", tmp_path / "flat", "--baselines").code == 0
    out = tmp_path / "out.csv"
    assert motet("predict", bundle, "--pairs", tmp_path / "flat" / "Leads 2024.csv", "--out", out).code == 0
    found = pl.read_csv(out)
    assert found["row"].to_list() == list(range(1, N + 1))
    assert np.corrcoef(found["meeting_booked"], budget)[0, 1] > 0.5
    answer = motet("recommend", bundle, "--users", out, "--out", tmp_path / "r.csv")
    assert answer.code == 2
    assert "use 'motet predict'" in answer.err


def test_parquet_beside_tsv_and_keys_of_sixty_four_bits(motet: Callable[..., Any], tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    place, schema, bundle = tmp_path / "mixed", tmp_path / "schema.yaml", tmp_path / "bundle"
    place.mkdir()
    users = [2**63 + int(k) for k in rng.integers(0, 20, N)]
    pl.DataFrame(
        {
            "visitor": pl.Series(users, dtype=pl.UInt64),
            "article_id": [f"a/{k} 🦊" for k in rng.integers(0, 12, N)],
            "ts": np.sort(rng.integers(1_700_000_000, 1_710_000_000, N)) * 1000,
            "section": rng.choice(["home", "search"], N),
            "clicked": rng.integers(0, 2, N),
        }
    ).write_parquet(place / "views.parquet")
    lines = [f"a/{k} 🦊\t{'ab'[k % 2]}\t{'|'.join(['eu', 'us'][: 1 + k % 2])}" for k in range(12)]
    (place / "articles.tsv").write_text("article_id\tauthor\ttags\n" + "\n".join(lines) + "\n")
    assert motet("inspect", place, "--out", schema).code == 0
    train = motet("train", schema, "--data", place, "--out", bundle, "--set", "training.epochs=1")
    assert train.code == 0, train.err
    (tmp_path / "who.csv").write_text(f"visitor,article_id\n{users[0]},a/1 🦊\n")
    pl.DataFrame({"visitor": pl.Series(users[:1], dtype=pl.UInt64), "article_id": ["a/1 🦊"]}).write_parquet(tmp_path / "who.parquet")  # fmt: skip
    for kind in ("csv", "parquet"):
        out = tmp_path / f"out_{kind}.parquet"
        assert motet("predict", bundle, "--pairs", tmp_path / f"who.{kind}", "--out", out).code == 0
    one, two = (pl.read_parquet(tmp_path / f"out_{kind}.parquet") for kind in ("csv", "parquet"))
    assert one["clicked"].to_list() == two["clicked"].to_list()
    assert (
        one["visitor"].cast(pl.String).to_list()
        == two["visitor"].cast(pl.String).to_list()
        == [str(users[0])]
    )


def test_help_reads_like_a_manual(motet: Callable[..., Any]) -> None:
    text = motet("--help").out
    for words in (
        "inspect",
        "check",
        "train",
        "evaluate",
        "predict",
        "recommend",
        "report",
        "datasets",
        "Exit codes",
    ):
        assert words in text
    for command in ("inspect", "check", "train", "evaluate", "predict", "recommend", "report", "datasets"):
        answer = motet(command, "--help")
        assert answer.code == 0
        assert "--json" in answer.out or command == "datasets"
    assert motet("--version").out.strip()


@pytest.mark.parametrize("command", ["check", "inspect"])
def test_json_is_pure(command: str, motet: Callable[..., Any], data: Path) -> None:
    arguments = [data / "schema.yaml", "--data", data] if command == "check" else [data]
    answer = motet(command, *arguments, "--json")
    assert answer.code == 0
    assert answer.err == ""
    assert isinstance(json.loads(answer.out), dict)


def test_scenarios_that_the_model_does_not_know_are_named(
    motet: Callable[..., Any], trained: Path, tmp_path: Path
) -> None:
    pairs = pl.DataFrame(
        {"who": ["u1", "u2", "u3"], "what": [1, 2, 3], "place": ["home", "serach", "serach"]}
    )
    pairs.write_csv(tmp_path / "pairs.csv")
    answer = motet(
        "predict", trained / "bundle", "--pairs", tmp_path / "pairs.csv", "--out", tmp_path / "out.csv"
    )
    assert answer.code == 0, answer.err
    assert "pairs.csv, column 'place': the scenario 'serach' is not known" in answer.err
    assert "(2 rows, data row 2 first)" in answer.err
    assert "did you mean 'search'?" in answer.err
    assert "home" not in answer.err.replace("did you mean", "")
    pairs.with_columns(place=pl.lit("home")).write_csv(tmp_path / "pairs.csv")
    answer = motet(
        "predict", trained / "bundle", "--pairs", tmp_path / "pairs.csv", "--out", tmp_path / "out.csv"
    )
    assert "is not known" not in answer.err
    answer = motet(
        "recommend", trained / "bundle", "--users", tmp_path / "pairs.csv", "--out", tmp_path / "out.csv",
        "--scenario", "serach",
    )  # fmt: skip
    assert answer.code == 2
    assert "the scenario 'serach' is not known" in answer.err
    assert "did you mean 'search'?" in answer.err


def test_a_task_without_test_rows_is_left_out_of_the_table(
    motet: Callable[..., Any], data: Path, tmp_path: Path
) -> None:
    clicks = pl.read_csv(data / "clicks.csv")
    last = pl.col("when") >= clicks["when"].sort()[len(clicks) * 8 // 10]
    clicks.with_columns(stars=pl.when(~last).then("stars")).write_csv(data / "clicks.csv")
    answer = motet(
        "train", data / "schema.yaml", "--data", data, "--out", tmp_path / "bundle", "--set", "split.by=time",
        "--set", "split.train=0.6",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    head = next(line for line in answer.out.splitlines() if "click" in line and "rows" not in line)
    assert "stars" not in head
    assert "no labelled test rows for stars: not measured" in answer.out


def test_former_names_of_options_work_with_a_warning(
    motet: Callable[..., Any], trained: Path, tmp_path: Path
) -> None:
    users = tmp_path / "users.csv"
    users.write_text("who\nu1\n")
    command = ("recommend", trained / "bundle", "--users", users, "--out")
    former = motet(*command, tmp_path / "former.csv", "--keep-seen")
    present = motet(*command, tmp_path / "present.csv", "--include-seen")
    assert (former.code, present.code) == (0, 0)
    assert "--keep-seen is now --include-seen" in former.err
    assert "warning" not in present.err
    assert (tmp_path / "former.csv").read_text() == (tmp_path / "present.csv").read_text()
    assert "--controls is now --baselines" in motet("evaluate", "--controls", "--help").err
