"""Words of titles and texts that can be a trait of items."""

from __future__ import annotations

import re
from typing import Final

import numpy as np
import polars as pl

__all__ = ["words_of"]

_RUN: Final = r"[\p{L}\p{N}']+"
_CHINESE: Final = re.compile("[\u3400-\u9fff]+")
# Words of form, not of matter; what is merely frequent goes by its frequency.
_FORM: Final = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at be but by did do does for from had has have he her him his i if in into is it its me "
        "my no not of off on one or our out over she so than that the their them then there they this to too up "
        "us was we were what when where which who will with you your il la le les de du des der die das el los un "
        "une part",
    )
)


def words_of(texts: pl.Series, *, fewest: int, largest_share: float) -> pl.DataFrame:
    """The words of each text that are neither rare, frequent, mere form nor a number.

    Chinese is cut into pairs of neighbouring characters, since it has no spaces.

    Args:
        texts: One a row; may be null.
        fewest: Texts that a word must stand in, ≥ 1.
        largest_share: Share of the texts that it may stand in at most, in (0, 1].

    Returns:
        Columns ``row`` and ``value``, a row for each text and distinct word.

    Example:
        >>> words_of(pl.Series(["The red shoe", "Red wine", None]), fewest=2, largest_share=1.0).rows()
        [(0, 'red'), (1, 'red')]
    """
    found = (
        pl.DataFrame({"row": np.arange(len(texts), dtype=np.int64), "value": texts.cast(pl.String)})
        .with_columns(pl.col("value").str.to_lowercase().str.extract_all(_RUN))
        .explode("value")
        .drop_nulls()
        .with_columns(pl.col("value").str.strip_chars("'"))
    )
    chinese = found["value"].str.contains("[\u3400-\u9fff]")
    pairs = [(row, pair) for row, run in found.filter(chinese).iter_rows() for pair in _pairs(run)]
    found = pl.concat([found.filter(~chinese), pl.DataFrame(pairs, found.schema, orient="row")]).unique()
    plain = ~pl.col("value").is_in(list(_FORM)) & ~pl.col("value").str.contains(r"^\p{N}*$")
    long = pl.col("value").str.len_chars() > 1
    often = pl.len().over("value")
    most = max(fewest, int(largest_share * len(texts)))
    return found.filter(plain & long).filter(often.is_between(fewest, most)).sort("row", "value")


def _pairs(run: str) -> list[str]:
    return [part[i : i + 2] for part in _CHINESE.findall(run) for i in range(max(1, len(part) - 1))]
