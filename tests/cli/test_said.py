"""What the commands print is in one language."""

from __future__ import annotations

import polars as pl

from motet.assistant.understand import Range, Request, Tag, TagQuota
from motet.cli._said import _CHINESE, said
from motet.cli._words import _understood
from motet.data import Catalogue


def test_every_word_has_a_chinese_one() -> None:
    assert all(not any(c.isascii() and c.isalpha() for c in said(word, "zh")) for word in _CHINESE)
    assert all(said(word, "en") == word for word in _CHINESE)


def test_what_was_understood_is_said_in_chinese() -> None:
    frame = pl.DataFrame({"id": ["1"], "kind": [["War"]], "year": [1990.0]})
    catalogue = Catalogue(
        frame, None, ("kind",), (), ("year",), (), {"year": {"zh": "年份"}}, {"War": {"zh": ("战争",)}}
    )
    war = Tag(column="kind", value="War")
    request = Request(
        language="zh",
        must=(war,),
        ranges=(Range(column="year", low=1980),),
        quotas=(TagQuota(tags=(war,), high=2),),
        count=3,
    )
    line = _understood(request, str, catalogue)
    assert line == "必须是: 战争; 其中: 最多 2 × 战争; 年份: 1980 至 …; 数量: 3"
