"""Trees beside a network predict many items of one request from masks of leaves, as LightGBM does row by row."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from motet.data import Dataset
from motet.models.baselines import PAIR_MEMBERS, Pairs
from motet.schema import ENTITIES
from motet.testing import toy_dataset


@pytest.fixture(scope="module")
def data() -> Dataset:
    return toy_dataset(rows=1500)


def one_request(data: Dataset, user: int, context: int) -> Pairs:
    """Every item, for one user in one context."""
    n = len(data.items)
    rows = {"user": np.full(n, user), "item": np.arange(n), "interaction": np.full(n, context)}
    tables = {entity: data.table(entity) for entity in ENTITIES}
    return Pairs(tables, rows, {"user": rows["user"], "item": rows["item"]})  # type: ignore[arg-type]


def test_masks_of_leaves_say_what_the_trees_say(data: Dataset) -> None:
    trees = PAIR_MEMBERS["lightgbm"].fit(data, data.rows("train"))
    kinds = {data.schema.tasks[name].kind for name in trees.tasks}
    assert {"binary", "regression", "multiclass"} <= kinds
    tables = {entity: data.table(entity) for entity in ENTITIES}
    part = trees.item_part(tables, np.arange(len(data.items)))
    assert part is not None
    spread = 0.0
    for user, context in ((0, 0), (3, 40), (len(data.users) - 1, 900)):
        pairs = one_request(data, user, context)
        plain = trees.predict(pairs)
        masked = trees.predict(Pairs(pairs.tables, pairs.rows, pairs.known, item_parts={trees: part}))
        assert set(plain) == set(masked) == set(trees.tasks)
        for name, values in plain.items():
            np.testing.assert_allclose(masked[name], values, rtol=1e-5, atol=1e-6)
            spread = max(spread, float(np.ptp(values)))
    assert spread > 0  # items do differ


def test_items_one_by_one_have_the_same_part(data: Dataset) -> None:
    trees = PAIR_MEMBERS["lightgbm"].fit(data, data.rows("train"))
    tables = {entity: data.table(entity) for entity in ENTITIES}
    whole = trees.item_part(tables, np.arange(len(data.items)))
    assert whole is not None
    for item in range(len(data.items)):
        alone = trees.item_part(tables, np.array([item]))
        assert alone is not None
        assert (alone[0] == whole[item]).all()


def test_pairs_of_several_users_go_row_by_row(data: Dataset) -> None:
    trees = PAIR_MEMBERS["lightgbm"].fit(data, data.rows("train"))
    tables = {entity: data.table(entity) for entity in ENTITIES}
    part = trees.item_part(tables, np.arange(len(data.items)))
    assert part is not None
    pairs = Pairs.of(data, data.rows("test"))
    with_parts = Pairs(pairs.tables, pairs.rows, pairs.known, pairs.texts, {trees: part})
    plain, again = trees.predict(pairs), trees.predict(with_parts)
    assert all((plain[name] == again[name]).all() for name in trees.tasks)
    each = Pairs(*(getattr(pairs.take(np.array([7])), f) for f in ("tables", "rows", "known", "texts")))
    one = trees.predict(Pairs(each.tables, each.rows, each.known, each.texts, {trees: part}))
    for name in trees.tasks:
        np.testing.assert_allclose(one[name][0], plain[name][7], rtol=1e-5, atol=1e-6)


def test_items_of_a_request_need_no_lightgbm(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    trees = PAIR_MEMBERS["lightgbm"].fit(data, data.rows("train"))
    tables = {entity: data.table(entity) for entity in ENTITIES}
    part, arrays = trees.item_part(tables, np.arange(len(data.items))), trees.arrays()
    monkeypatch.setitem(sys.modules, "lightgbm", None)  # whoever imports it fails
    again = type(trees).read(arrays)
    its_part = again.item_part(tables, np.arange(len(data.items)))
    assert part is not None
    assert its_part is not None
    assert (part == its_part).all()
    pairs = one_request(data, 3, 40)
    before = trees.predict(Pairs(pairs.tables, pairs.rows, pairs.known, item_parts={trees: part}))
    after = again.predict(Pairs(pairs.tables, pairs.rows, pairs.known, item_parts={again: its_part}))
    assert all((before[name] == after[name]).all() for name in trees.tasks)
    of_before = {name: array for name, array in arrays.items() if not name.startswith("masks.")}
    with pytest.raises(ImportError):  # of a bundle that was written before they were kept
        type(trees).read(of_before).item_part(tables, np.arange(1))
