from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from motet.text.encode import equal_length_batches, sorted_batches

LENGTHS = st.lists(st.integers(1, 40), max_size=60)

Cut = Callable[[Sequence[int], int, int], Iterator[NDArray[np.int64]]]


@pytest.mark.parametrize("cut", [sorted_batches, equal_length_batches])
@given(lengths=LENGTHS, budget=st.integers(1, 100), most=st.integers(1, 10))
def test_each_text_comes_once_and_no_batch_exceeds_its_budget(
    cut: Cut, lengths: list[int], budget: int, most: int
) -> None:
    batches = list(cut(lengths, budget, most))
    assert sorted(np.concatenate([np.zeros(0, int), *batches]).tolist()) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[i] for i in batch)
        assert 1 <= len(batch) <= most
        assert len(batch) == 1 or len(batch) * longest <= budget


@given(lengths=LENGTHS)
def test_equal_length_batches_hold_one_length(lengths: list[int]) -> None:
    for batch in equal_length_batches(lengths, 64, 8):
        assert len({lengths[i] for i in batch}) == 1
