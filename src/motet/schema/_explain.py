"""How reasons speak: what an item is called, what users do with it, and what may be said of them."""

from __future__ import annotations

from pydantic import Field

from motet.schema._base import Part

__all__ = ["ExplainSettings"]


class ExplainSettings(Part):
    """The words of reasons, and what they may mention.

    Attributes:
        noun: What an item is, by language: one and several, ``{en: [film, films]}``; in Chinese the
            measure word and the noun, ``{zh: [部, 电影]}``;
            "item" and 件商品 when left out.
        liked: What users did who liked an item, by language, in the past: ``{en: bought, zh: 买过}``;
            by the name of the task when left out.
        had: What they did with an item whatever came of it: ``{en: rated, zh: 评过分}``;
            "tried" and 试过 when left out.
        mention: Categories of users that reasons may speak of, such as ``occupation``; no reason
            says anything of a user's features when left out.
    """

    noun: dict[str, tuple[str, str]] = Field(default_factory=dict)
    liked: dict[str, str] = Field(default_factory=dict)
    had: dict[str, str] = Field(default_factory=dict)
    mention: tuple[str, ...] = ()
