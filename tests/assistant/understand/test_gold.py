"""The written sets: what readers are measured with, and what the fast one must not fall below."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from motet.assistant.understand import (
    FastReader,
    GoldRequest,
    Request,
    Understanding,
    f1_interval,
    load_gold,
    read_gold,
)
from motet.data import Catalogue
from motet.errors import RequestError

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def first(film_catalogue: Catalogue) -> list[GoldRequest]:
    return load_gold(HERE / "movielens.yaml", film_catalogue)


def test_the_first_set_holds_what_it_should(first: list[GoldRequest]) -> None:
    kinds = [request.kind for request in first]
    wanted = {
        "plain": 40,
        "vague": 20,
        "negated": 30,
        "misspelt": 25,
        "many": 30,
        "dialogue": 25,
        "chinese": 40,
    }
    assert all(kinds.count(kind) >= least for kind, least in wanted.items())
    hostile = yaml.safe_load((HERE / "hostile_requests.yaml").read_text(encoding="utf-8"))
    assert len(hostile) + kinds.count("hostile") >= 20
    assert len({request.id for request in first}) == len(first) >= 200
    assert 0.4 < sum(request.held for request in first) / len(first) < 0.6


@pytest.mark.parametrize(
    ("name", "held", "least_f1", "least_exact"),
    [
        ("movielens", False, 0.98, 0.97),
        ("movielens", True, 0.97, 0.93),
        ("movielens_second", None, 0.97, 0.95),
        ("movielens_third", None, 0.93, 0.9),
        ("movielens_fourth", None, 0.92, 0.72),
    ],
)
def test_the_fast_reader_does_not_get_worse(
    films: FastReader,
    film_catalogue: Catalogue,
    name: str,
    held: bool | None,
    least_f1: float,
    least_exact: float,
) -> None:
    gold = [r for r in load_gold(HERE / f"{name}.yaml", film_catalogue) if held in (None, r.held)]
    scores = list(read_gold(films, gold))
    assert f1_interval(scores)["f1"] >= least_f1
    assert sum(score.exact for score in scores) / len(scores) >= least_exact
    assert sum(score.missed + score.inverted for score in scores) == 0


def test_scores_see_each_kind_of_mistake(first: list[GoldRequest], films: FastReader) -> None:
    by_id = {request.id: request for request in first}

    def counts(name: str, read: Request) -> NDArray[np.int64]:
        class Fixed:
            def understand(
                self, text: str, previous: Request | None = None, shown: Sequence[str] = ()
            ) -> Understanding:
                return Understanding(read)

        (score,) = read_gold(Fixed(), [by_id[name]])
        return score.counts

    right = films.read(by_id["c03"].turns[0].say)
    assert not counts("c03", right)[:-1, 1:].any()
    for wrong in (
        {"must": ()},
        {"count": None},
        {"count": 5},
        {"ranges": ()},
        {"must_not": ()},
        {"like": ("1",)},
    ):
        assert counts("c03", right.model_copy(update=wrong))[:-1, 1:].any(), wrong
    assert counts("c27", Request())[:, 2].sum() >= 3


def test_a_reader_that_turns_exclusions_round_is_found_out(
    first: list[GoldRequest], films: FastReader
) -> None:
    class Wrong:
        def understand(
            self, text: str, previous: Request | None = None, shown: Sequence[str] = ()
        ) -> Understanding:
            read = films.read(text)
            return Understanding(
                read.model_copy(update={"must": (*read.must, *read.must_not), "must_not": ()})
            )

    (score,) = read_gold(Wrong(), [request for request in first if request.id == "n06"])
    assert (score.exclusions, score.missed, score.inverted, score.exact) == (2, 2, 2, False)


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({"id": "x", "say": "y", "must": ["Horor"]}, "no item has 'Horor'"),
        ({"id": "x", "say": "y", "like": ["Toy Storry"]}, "there is no 'Toy Storry'"),
        ({"id": "x", "say": "y", "mst": ["Horror"]}, "'mst' is no slot"),
    ],
)
def test_a_mistake_in_a_set_is_named(
    tmp_path: Path, film_catalogue: Catalogue, entry: dict[str, object], problem: str
) -> None:
    place = tmp_path / "set.yaml"
    place.write_text(yaml.safe_dump({"plain": [entry]}), encoding="utf-8")
    with pytest.raises(RequestError, match=problem):
        load_gold(place, film_catalogue)
