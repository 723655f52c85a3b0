from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from motet.data import Batch, Batcher, Dataset
from motet.kinds import SequenceFeature
from motet.schema import Entity
from motet.testing import toy_dataset

ENTITIES: tuple[Entity, ...] = ("user", "item", "interaction")


def rows_of(batch: Batch, entity: Entity) -> list[int]:
    """Where each row of the batch finds its user, its item and itself."""
    return {
        "user": batch.user_of_row.tolist(),
        "item": batch.item_of_row.tolist(),
        "interaction": list(range(len(batch))),
    }[entity]


@pytest.mark.parametrize("n", [1, 7, 150])
def test_a_batch_is_what_its_rows_say_one_by_one(toy: Dataset, n: int) -> None:
    rows = np.random.default_rng(n).choice(len(toy), n)
    batch = Batcher(toy).batch(rows)
    ids = batch.ids.tolist()
    assert len(set(ids)) == len(ids)
    for entity in ENTITIES:
        table, side, layout = toy.table(entity), batch.side(entity), toy.encoder.layout(entity)
        sources: dict[Entity, NDArray[Any]] = {
            "user": toy.user_row[rows],
            "item": toy.item_row[rows],
            "interaction": rows,
        }
        own = sources[entity]
        for place, source in zip(rows_of(batch, entity), own, strict=True):
            assert [ids[p] for p in side.codes[place]] == table.codes[source].tolist()
            assert side.numbers[place].tolist() == table.numbers[source].tolist()
            for column, name in enumerate(layout.vectors):
                vector = toy.vectors[name][table.vector_rows[source, column]]
                assert side.vectors[name][place].tolist() == vector.tolist()
            for name in layout.tags:
                tags = side.tags[name]
                ends = [*tags.starts.tolist()[1:], len(tags.positions)]
                found = [ids[p] for p in tags.positions[tags.starts[place] : ends[place]]]
                lists = table.tags[name]
                assert found == lists.values[lists.offsets[source] : lists.offsets[source + 1]].tolist()
    for name, history in toy.histories.items():
        feature = toy.schema.features.user[name]
        assert isinstance(feature, SequenceFeature)
        events = batch.user.events[name]
        for place, row in zip(batch.user_of_row.tolist(), rows, strict=True):
            start = history.items.offsets[toy.user_row[row]]
            past = history.items.values[start : start + history.before[row]]
            column = toy.encoder.layout("item").codes.index("item")
            wanted = toy.items.codes[past[-feature.last :], column].tolist()
            length = int(events.lengths[place])
            assert [ids[p] for p in events.positions[place, :length]] == wanted
            assert float(events.total[place]) == len(past)
    assert batch.scenario.tolist() == toy.scenario[rows].tolist()
    for name in toy.encoder.interaction_tasks:
        np.testing.assert_array_equal(batch.labels[name].numpy(), toy.label(name, rows))


def test_labels_of_items_in_a_batch_are_training_labels_only(toy: Dataset) -> None:
    everything = np.arange(len(toy))
    assert not Batcher(toy).batch(everything).item_labels
    batch = Batcher(toy).batch(everything, rng=np.random.default_rng(0))
    assert set(batch.item_labels) == {"dear", "maker", "stock", "topics"}
    for name, labels in batch.item_labels.items():
        known = toy.entity_labels[name]
        wanted = known.values[batch.item_rows.numpy()].copy()
        wanted[known.split[batch.item_rows.numpy()] != 0] = np.nan
        np.testing.assert_array_equal(labels.numpy(), wanted)


def test_a_user_with_the_same_history_is_there_once() -> None:
    data = toy_dataset(sequences=())
    rows = np.arange(200)
    batch = Batcher(data).batch(rows)
    assert len(batch.user) == len(np.unique(data.user_row[rows]))
    assert len(batch.item) == len(np.unique(data.item_row[rows]))


def test_ids_drop_in_training_batches_only(toy: Dataset) -> None:
    batcher = Batcher(toy, id_dropout=0.3)
    rows = toy.rows("train")
    plain = batcher.batch(rows)
    unknown = {e: toy.encoder.vocabularies[e].offset for e in ("user", "item")}
    column = {e: toy.encoder.layout(e).codes.index(e) for e in ("user", "item")}

    def share(batch: Batch, entity: Entity) -> float:
        codes = batch.ids[batch.side(entity).codes[:, column[entity]]]
        return float((codes == unknown[entity]).float().mean())

    drawn = [batcher.batch(rows, rng=np.random.default_rng(seed)) for seed in range(40)]
    for entity in ENTITIES[:2]:
        before = share(plain, entity)
        expected = before + (1 - before) * 0.3
        assert abs(np.mean([share(batch, entity) for batch in drawn]) - expected) < 0.05
    # categories and numbers are never dropped
    for batch in drawn[:3]:
        np.testing.assert_array_equal(batch.context.numbers.numpy(), plain.context.numbers.numpy())
        np.testing.assert_array_equal(
            batch.ids[batch.context.codes].numpy(), plain.ids[plain.context.codes].numpy()
        )


def test_an_epoch_holds_every_row_once_in_a_seeded_order(toy: Dataset) -> None:
    batcher, rows = Batcher(toy, id_dropout=0.2, negatives=5), toy.rows("train")
    batches = list(batcher.epoch(rows, 50, (1, 0)))
    order = np.concatenate([batch.rows for batch in batches])
    assert sorted(order.tolist()) == sorted(rows.tolist())
    assert [len(batch) for batch in batches] == [50] * (len(rows) // 50) + [len(rows) % 50]
    again = list(batcher.epoch(rows, 50, (1, 0), start=2))
    for one, two in zip(batches[2:], again, strict=True):
        assert torch.equal(one.ids, two.ids)
        assert torch.equal(one.item_rows, two.item_rows)
        np.testing.assert_array_equal(one.rows, two.rows)
    other = np.concatenate([batch.rows for batch in batcher.epoch(rows, 50, (1, 1))])
    assert order.tolist() != other.tolist()


def test_windows_of_a_file_on_disk_hold_every_row_once(
    toy: Dataset, constant: Callable[[str, Any], None], tmp_path: object
) -> None:
    constant("_RUN_ROWS", 8)
    constant("WINDOW_ROWS", 32)
    path = f"{tmp_path}/rows"
    toy.user_row.tofile(path)
    from dataclasses import replace  # noqa: PLC0415

    mapped = replace(toy, user_row=np.memmap(path, np.int32, "r", shape=toy.user_row.shape))
    rows = toy.rows("train")
    order = np.concatenate([batch.rows for batch in Batcher(mapped).epoch(rows, 40, (0,))])
    assert sorted(order.tolist()) == sorted(rows.tolist())
    assert order.tolist() != rows.tolist()


def test_negatives_come_uniformly_and_log_q_is_the_chance_to_be_listed(toy: Dataset) -> None:
    """Monte Carlo: batches of rows drawn at random; how often each item is in the batch's list."""
    rows, rng = toy.rows("train"), np.random.default_rng(0)
    batcher = Batcher(toy, negatives=6)
    listed, log_q = np.zeros(len(toy.items)), np.full(len(toy.items), np.nan)
    draws = 4000
    for _ in range(draws):
        batch = batcher.batch(rng.choice(rows, 10), rng=rng)
        items = batch.item_rows.numpy()
        assert len(np.unique(items)) == len(items)
        listed[items] += 1
        log_q[items] = batch.item_log_q.numpy()
    chance, error = listed / draws, np.sqrt(0.25 / draws)
    assert np.abs(chance - np.exp(log_q)).max() < 4 * error
    # by hand: not listed if no row and no draw brings it
    share = np.bincount(toy.item_row[rows], minlength=len(toy.items)) / len(rows)
    expected = 1 - (1 - share) ** 10 * (1 - 1 / len(toy.items)) ** 6
    np.testing.assert_allclose(np.exp(log_q), expected, rtol=1e-5)


def test_enough_negatives_are_the_whole_catalogue(toy: Dataset) -> None:
    batch = Batcher(toy, negatives=10_000).batch(toy.rows("train")[:5], rng=np.random.default_rng(0))
    assert sorted(batch.item_rows.tolist()) == list(range(len(toy.items)))
    assert not batch.item_log_q.any()
    assert len(Batcher(toy, negatives=10_000).batch(toy.rows("train")[:5]).item_rows) <= 5


def test_no_rows_make_an_empty_batch(toy: Dataset) -> None:
    batch = Batcher(toy).batch(np.zeros(0, np.int64))
    assert (len(batch), len(batch.user), len(batch.item)) == (0, 0, 0)
