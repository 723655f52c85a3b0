"""Ids that come and go: an encoder with them behaves as a plain dictionary does."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch

from motet.data import IdIndex
from motet.models import EmbeddingTable
from motet.testing import toy_dataset
from motet.training.online import grow_encoder


def seen(words: dict[str, tuple[int, int]]) -> pl.DataFrame:
    """How often and when last each word was seen."""
    return pl.DataFrame(
        {
            "word": list(words),
            "count": [count for count, _ in words.values()],
            "last": [last for _, last in words.values()],
        },
        schema={"word": pl.String, "count": pl.Int64, "last": pl.Int64},
    )


@pytest.mark.parametrize("seed", range(5))
def test_it_behaves_as_a_dictionary_whatever_comes_and_goes(seed: int) -> None:
    encoder = toy_dataset().encoder
    features = [name for name in ("user", "item") if name in encoder.vocabularies]
    assert len(features) == 2
    begin, rng = encoder.table_rows, np.random.default_rng(seed)
    held = {
        name: dict(zip(v.words.words.to_list(), v.places.tolist(), strict=True))
        for name, v in encoder.vocabularies.items()
    }
    sightings: dict[str, dict[str, tuple[int, int]]] = {name: {} for name in features}
    most = 0
    for now in range(1, 40):
        for name in features:
            for word in rng.integers(0, 30, rng.integers(0, 8)).tolist():
                count, _ = sightings[name].get(f"new {word}", (0, 0))
                sightings[name][f"new {word}"] = (count + 1, now)
            for word in list(held[name]):
                if not word.startswith("new ") and rng.random() < 0.7:
                    sightings[name][word] = (1, now)
        keep_from = max(1, now - 6) if rng.random() < 0.5 else None
        grown = grow_encoder(
            encoder, {n: seen(of) for n, of in sightings.items()}, admit_after=3, keep_from=keep_from
        )
        assert encoder.table_rows <= grown.encoder.table_rows
        taken_before = {row for of in held.values() for row in of.values()}
        for name in features:
            now_held = grown.encoder.vocabularies[name]
            after = dict(zip(now_held.words.words.to_list(), now_held.places.tolist(), strict=True))
            stays = {
                w: row
                for w, row in held[name].items()
                if keep_from is None or sightings[name].get(w, (0, -1))[1] >= keep_from
            }
            often = {
                w
                for w, (count, last) in sightings[name].items()
                if count >= 3 and (keep_from is None or last >= keep_from)
            }
            assert after.keys() == stays.keys() | often
            assert {w: after[w] for w in stays} == stays  # who stays keeps the row
            assert grown.dropped[name] == len(held[name]) - len(stays)
            assert grown.admitted[name] == len(often - stays.keys())
            assert all(row >= begin for w, row in after.items() if w not in stays)
            held[name] = after
        rows = [row for of in held.values() for row in of.values()]
        offsets = {v.offset for v in encoder.vocabularies.values()}
        assert len(set(rows)) == len(rows)  # no two share one
        assert not offsets & set(rows)  # and none has that of unknown words
        assert set(grown.rows.tolist()) <= set(rows)
        assert set(grown.like.tolist()) <= offsets
        most = max(most, sum(row >= begin for row in rows))
        assert grown.encoder.table_rows <= begin + most + len(taken_before)
        encoder = grown.encoder
        words = [*held["user"], "never seen", None]
        codes = encoder.vocabularies["user"].encode(
            IdIndex(pl.Series(words[:-1], dtype=pl.String)), np.array([*range(len(words) - 1), -1], np.int32)
        )
        offset = encoder.vocabularies["user"].offset
        assert codes.tolist() == [*held["user"].values(), offset, offset]
        some = words[0]
        assert encoder.vocabularies["user"].word(int(codes[0])) == some
        assert encoder.vocabularies["user"].word(offset) is None
    assert encoder.table_rows <= begin + most  # freed rows are used again


def test_nothing_changes_where_nothing_comes_or_goes() -> None:
    encoder = toy_dataset().encoder
    grown = grow_encoder(encoder, {"user": seen({"rare": (2, 9)})}, admit_after=3)
    assert grown.encoder.table_rows == encoder.table_rows
    assert grown.admitted == {"user": 0}
    assert all(v.is_fitted for v in grown.encoder.vocabularies.values())


def test_new_rows_begin_as_the_unknown_one_and_the_others_stay() -> None:
    torch.manual_seed(0)
    table = EmbeddingTable(rows=5, width=3)
    before = table.weight.detach().clone()
    table.take_in(torch.tensor([6, 2]), torch.tensor([0, 4]))
    assert table.weight.shape == (7, 3)
    assert torch.equal(table.weight[6], before[0])
    assert torch.equal(table.weight[2], before[4])
    assert torch.equal(table.weight[[0, 1, 3, 4]], before[[0, 1, 3, 4]])
    assert table.weight.requires_grad
