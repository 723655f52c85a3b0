"""What is refused before any long work."""

from __future__ import annotations

from pathlib import Path

import pytest

from motet.errors import MotetError
from motet.testing import toy_dataset
from motet.training.tuning import check_before, read_settings


@pytest.mark.parametrize(
    ("overrides", "resume", "problem", "cure"),
    [
        (["device=cuda:99"], False, "there is no device 'cuda:99'", "GPU|up to"),
        (["device=gpuu"], False, "'gpuu' is no device", "name cpu"),
        (["feature=abot"], False, "the text feature of items 'abot' is not known", "story"),
        (["task=nothing"], False, "the task 'nothing' is not known", ""),
        ([], True, "there is no checkpoint", "--resume"),
    ],
)
def test_what_cannot_end_well_is_refused_at_once(
    tmp_path: Path, overrides: list[str], resume: bool, problem: str, cure: str
) -> None:
    schema = toy_dataset(rows=20).schema
    with pytest.raises(MotetError, match=problem) as caught:
        check_before(schema, tmp_path / "out", read_settings("align", overrides), resume=resume)
    assert cure in str(caught.value) or any(part in str(caught.value) for part in cure.split("|"))


def test_what_can_be_done_is_let_through(tmp_path: Path) -> None:
    schema = toy_dataset(rows=20).schema
    check_before(schema, tmp_path / "out", read_settings("align"))
    (tmp_path / "out.checkpoint").mkdir()
    check_before(schema, tmp_path / "out", read_settings("align"), resume=True)
    assert not (tmp_path / "out").exists()
