"""What people call the things in the catalogue."""

from __future__ import annotations

from pydantic import Field

from motet.schema._base import Part

__all__ = ["CatalogueSettings"]


class CatalogueSettings(Part):
    """The words for items, their columns and their values, for requests and reasons.

    Attributes:
        title: Column of the items table that names an item; found by its name, or as the first
            column of the first text feature, when left out.
        columns: What a column of the items table is called, by language:
            ``{year: {en: year of release, zh: 上映年份}}``. Columns that no feature uses may be
            named too: requests can then ask for them, though no model sees them.
        words: Other ways to say a tag or category, by language:
            ``{Comedy: {en: [funny, comedies], zh: [喜剧, 搞笑]}}``. The first of a language is
            used to say it.
    """

    title: str | None = None
    columns: dict[str, dict[str, str]] = Field(default_factory=dict)
    words: dict[str, dict[str, tuple[str, ...]]] = Field(default_factory=dict)
