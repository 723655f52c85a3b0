"""How interests are mined."""

from __future__ import annotations

from pydantic import Field

from motet.schema import Part

__all__ = ["ProfileSettings"]


class ProfileSettings(Part):
    """How interests are mined.

    Attributes:
        half_life_days: Days before a user's own last event after which an event counts half;
            None for events that never age.
        prior_events: Events of the population's mixture that a user's choices are smoothed with, > 0.
        prior_likes: Events at the expected like rate that each trait of a user is smoothed with, > 0.
        min_likes: Liked events that a liking rests on at least, and labelled ones that an
            aversion does, ≥ 1.
        most: Interests of each polarity that a profile holds, ≥ 1; the weightiest.
        latest: Liked items that a profile names, the latest ones.
        leave_out: Columns of the catalogue that are not looked at, beside the sensitive ones.
        title_words: Whether words of titles are traits, as those of running texts are. On films they
            were not: what one half of somebody's events said of them hardly held in the other.
        word_items: Items that a word of a title or text stands in at least, ≥ 1.
        word_share: Share of the items that it stands in at most, in (0, 1].
    """

    half_life_days: float | None = Field(180.0, gt=0, allow_inf_nan=False)
    prior_events: float = Field(10.0, gt=0, allow_inf_nan=False)
    prior_likes: float = Field(5.0, gt=0, allow_inf_nan=False)
    min_likes: int = Field(2, ge=1)
    most: int = Field(12, ge=1)
    latest: int = Field(5, ge=0)
    leave_out: tuple[str, ...] = ()
    title_words: bool = False
    word_items: int = Field(5, ge=1)
    word_share: float = Field(0.1, gt=0, le=1)
