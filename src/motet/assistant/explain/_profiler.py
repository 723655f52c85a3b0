"""Profiles of users, mined from what they did."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

from motet.assistant.explain._evidence import RecentInteractions
from motet.assistant.explain._profile import (
    Certainty,
    Interest,
    LikedItem,
    Polarity,
    Profile,
    ProfileSettings,
    Support,
)
from motet.assistant.explain._tastes import Floats, LogOdds, Tastes, false_discovery, population_of, tastes_of
from motet.assistant.explain._traits import TraitCoder, traits_of
from motet.data import Behaviour, Catalogue, Dataset, IdIndex, Ragged, behaviour_of
from motet.errors import DataError
from motet.text.safety import clean_text
from motet.training import Bundle

__all__ = ["Profiler", "UserEvents", "wilson_interval"]

_DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class UserEvents:
    """Events of one user, oldest first.

    Attributes:
        items: Rows of their items, int64 [n].
        time_us: When, microseconds since 1970, [n].
        aged_us: The same on the clock by which events age, [n].
        likes: 1 for a like, 0 for none, NaN where it was not said, [n].
    """

    items: NDArray[np.int64]
    time_us: NDArray[np.int64]
    aged_us: NDArray[np.int64]
    likes: NDArray[np.float64]

    def with_recent(self, recent: RecentInteractions, half_life_days: float | None) -> UserEvents:
        """Further events, in their places by time.

        Args:
            recent: They.
            half_life_days: The clock stands still in a pause between these events and those, but for so many days.
        """
        time = recent.time_us
        if half_life_days is None:
            time = np.zeros(len(recent), np.int64)
        aged = time
        if len(self.time_us) and len(recent) and half_life_days is not None:
            pause = int(time.min() - self.time_us.max())
            aged = time - max(0, pause - round(half_life_days * _DAY_US))
        items, times = np.concatenate([self.items, recent.items]), np.concatenate([self.time_us, time])
        clock, likes = np.concatenate([self.aged_us, aged]), np.concatenate([self.likes, recent.likes])
        order = np.argsort(times, kind="stable")
        return UserEvents(items[order], times[order], clock[order], likes[order])


_Z95: Final = 1.959963984540054
_CERTAINTIES: Final[tuple[Certainty, ...]] = ("a hint", "fairly sure", "sure")
_HINT, _FAIRLY_SURE, _SURE = 1, 2, 3
_HALVED: Final = -np.log(2.0)  # odds of liking that are so much lower are an aversion, not a nuance
_EVIDENCE: Final = 10  # ids of items that an interest names
_CELLS: Final = 4_000_000  # of users times traits, held at once
_NAME_CHARACTERS: Final = 120
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Profiler:
    """Mines profiles from behaviour and the catalogue; nothing of the users' own table is looked at.

    Args:
        data: With a catalogue.
        behaviour: What users did, of which the profiles are made.
        settings: How.

    Raises:
        DataError: If there are no users or no items, or a column to leave out is not there.
    """

    def __init__(self, data: Dataset, behaviour: Behaviour, settings: ProfileSettings | None = None) -> None:
        self.settings = settings or ProfileSettings()
        catalogue = data.catalogue
        if data.schema.keys.user is None or catalogue is None:
            raise DataError(
                f"the schema '{data.schema.name}' has no users or no items", "profiles need both keys"
            )
        unknown = set(self.settings.leave_out) - set(catalogue.frame.columns)
        if unknown:
            raise DataError(
                f"leave_out names '{min(unknown)}', which is no column of the catalogue",
                f"name some of {', '.join(catalogue.frame.columns[1:])}",
            )
        self.catalogue, self.behaviour = catalogue, behaviour
        self.user_ids = data.user_ids
        self._index = IdIndex(data.user_ids)
        self._timed = data.schema.keys.time is not None
        self.task = data.schema.liking_task
        label = None if self.task is None else behaviour.label(self.task)
        # where nothing says what was liked, everything that was chosen counts as liked
        said = np.ones(len(behaviour.time)) if label is None else label.astype(np.float64)
        self.likes: Floats = np.where(np.isnan(said), np.nan, (said > 0).astype(np.float64))
        self.traits = traits_of(
            catalogue,
            leave_out=self.settings.leave_out,
            title_words=self.settings.title_words,
            fewest=self.settings.word_items,
            largest_share=self.settings.word_share,
        )
        self._coder = TraitCoder(catalogue, self.traits)
        self._ids = catalogue.frame["id"].to_list()
        named = catalogue.frame[catalogue.title or "id"].fill_null(catalogue.frame["id"])
        self._names = [clean_text(name, _NAME_CHARACTERS) for name in named]
        self._by_trait = sp.csc_array(self.traits.of_item)
        self.population = population_of(behaviour, self.likes, self.traits)

    @classmethod
    def of_bundle(cls, bundle: Bundle, settings: ProfileSettings | None = None) -> Profiler:
        """A profiler of all that a bundle knows."""
        return cls(bundle.data, bundle.behaviour, settings)

    @classmethod
    def of_training(cls, data: Dataset, settings: ProfileSettings | None = None) -> Profiler:
        """A profiler that has not seen the test rows, for what is measured on them."""
        return cls(data, behaviour_of(data, splits=("train", "validation")), settings)

    def profile(self, user: str, recent: RecentInteractions | None = None) -> Profile:
        """The profile of one user; an empty one of a user never seen.

        Args:
            user: Its id.
            recent: What the user did since the model was trained. A pause before it ages what was before by one
                half-life at most: a taste does not vanish because nothing was recorded.
        """
        if recent is None or not len(recent):
            return next(self.profiles([user]))
        row = int(self._index.rows(pl.Series([user], dtype=pl.String))[0])
        mine = self.behaviour.events(row if row >= 0 else len(self.behaviour.items))
        half_life_days = self.settings.half_life_days if self._timed else None
        events = self._events(mine).with_recent(recent, half_life_days)
        one = Behaviour(
            Ragged.from_lengths(events.items.astype(np.int32), np.array([len(events.items)], np.int64)),
            events.aged_us,
            np.zeros((len(events.items), 0), np.float32),
            (),
        )
        here = np.zeros(1, np.int64)
        tastes = tastes_of(one, events.likes, self.traits, self.population, self.settings, here)
        return self._profile(user, events, tastes, self._chosen(tastes), 0)

    def with_items(self, catalogue: Catalogue, changed: NDArray[np.int64]) -> Profiler:
        """The same profiler with further items, and with some replaced; nothing else is read again.

        Traits are those of the bundle: of others it is not known yet how many like them.

        Args:
            catalogue: All items, those of before in their places.
            changed: Places of items that are new or were replaced, in order.
        """
        new, count = copy.copy(self), len(catalogue)
        new.traits = self._coder.with_items(self.traits, catalogue, changed)
        frame = catalogue.frame[changed]
        ids, names = frame["id"].to_list(), frame[catalogue.title or "id"].fill_null(frame["id"]).to_list()
        more = [""] * (count - len(self._ids))
        new._ids, new._names = [*self._ids, *more], [*self._names, *more]
        for place, id, name in zip(changed.tolist(), ids, names, strict=True):
            new._ids[place], new._names[place] = id, clean_text(name, _NAME_CHARACTERS)
        new._by_trait = sp.csc_array(new.traits.of_item)
        return new

    def profiles(self, users: Sequence[str] | None = None) -> Iterator[Profile]:
        """Profiles of some users, or of all, computed in blocks of bounded memory."""
        ids = self.user_ids.to_list() if users is None else [str(user) for user in users]
        rows = self._index.rows(pl.Series(ids, dtype=pl.String)).astype(np.int64)
        rows = np.where(rows < 0, len(self.behaviour.items), rows)
        block = max(1, _CELLS // max(len(self.traits.traits), 1))
        for start in range(0, len(ids), block):
            part = rows[start : start + block]
            tastes = self.tastes(part)
            chosen = self._chosen(tastes)
            for place, row in enumerate(part):
                events = self._events(self.behaviour.events(int(row)))
                yield self._profile(ids[start + place], events, tastes, chosen, place)

    def tastes(self, users: NDArray[np.int64]) -> Tastes:
        """Log-odds of every trait, for rows of users, [U, V] each."""
        return tastes_of(self.behaviour, self.likes, self.traits, self.population, self.settings, users)

    def item_scores(self, weights: Floats) -> Floats:
        """Score of every item by weights of traits: the mean over its traits in a column, summed over columns.

        Args:
            weights: Such as ``tastes(users).liking.value``, [U, V].

        Returns:
            [U, I].
        """
        scores: Floats = np.asarray((self.traits.share_of_item @ weights.T).T)
        return scores

    def _chosen(self, tastes: Tastes) -> dict[Polarity, NDArray[np.int64]]:
        """How surely each trait is said: 0 not at all, 1 a hint, 2 fairly sure, 3 sure; [U, V] each."""
        words, fewest = self.traits.kinds("word"), self.settings.min_likes
        avoids = np.zeros(tastes.likes.shape, np.int64)
        if tastes.aversion is not None:
            strong = (tastes.aversion.value <= _HALVED) & (2 * tastes.likes < tastes.labelled)
            strong &= tastes.likes < tastes.aversion.share * tastes.labelled
            above = 1 - tastes.aversion.below
            avoids = np.where(strong, _levels(above, tastes.labelled >= fewest, words), 0)
        likes = _levels(tastes.liking.below, tastes.likes >= fewest, words)
        # who picks much of what it does not like, does not like it
        likes = np.where((tastes.liking.value > 0) & (avoids < _FAIRLY_SURE), likes, 0)
        chooses = np.zeros_like(likes)
        if tastes.outcome is not None:
            # what is often picked makes up much of the likes even where it pleases less than expected
            below = (likes > 0) & (tastes.likes < tastes.outcome.share * tastes.labelled)
            often = (tastes.choice.value > 0) & (tastes.events >= self.population.share * tastes.of_events)
            picked = _levels(tastes.choice.below, tastes.events >= fewest, words)
            chooses = np.where(below & often, picked, 0)
            likes = np.where(below, 0, likes)
        return {"likes": likes, "chooses": chooses, "avoids": np.where(likes + chooses > 0, 0, avoids)}

    def _events(self, events: slice) -> UserEvents:
        behaviour = self.behaviour
        time = behaviour.time[events]
        return UserEvents(behaviour.items.values[events].astype(np.int64), time, time, self.likes[events])

    def _profile(
        self,
        user: str,
        events: UserEvents,
        tastes: Tastes,
        chosen: dict[Polarity, NDArray[np.int64]],
        place: int,
    ) -> Profile:
        times, items, likes = events.time_us, events.items, events.likes
        interests = []
        by_polarity: dict[Polarity, LogOdds | None] = {
            "likes": tastes.liking,
            "chooses": tastes.choice,
            "avoids": tastes.aversion,
        }
        for polarity, odds in by_polarity.items():
            if odds is None:
                continue
            levels, weights = chosen[polarity][place], np.abs(odds.value[place])
            found = np.flatnonzero(levels)
            surest = found[np.lexsort((-weights[found], -levels[found]))][: self.settings.most]
            for v in surest[np.argsort(-weights[surest], kind="stable")]:
                interests.append(
                    self._interest(int(v), polarity, odds, int(levels[v]), tastes, place, events)
                )
        liked = np.flatnonzero(likes == 1)[::-1][: self.settings.latest]
        return Profile(
            user=user,
            known=len(items) > 0,
            judged=self.population.judges,
            events=len(items),
            likes=int((likes == 1).sum()),
            first=self._datetime(times[:1]),
            last=self._datetime(times[-1:]),
            half_life_days=self.settings.half_life_days if self._timed else None,
            interests=tuple(interests),
            liked=tuple(
                LikedItem(self._ids[items[at]], self._names[items[at]], self._datetime(times[at : at + 1]))
                for at in liked
            ),
            withheld=self.traits.withheld,
        )

    def _interest(
        self,
        v: int,
        polarity: Polarity,
        odds: LogOdds,
        level: int,
        tastes: Tastes,
        place: int,
        events: UserEvents,
    ) -> Interest:
        items, likes = events.items, events.likes
        bears = self._bears(v)[items]
        counted = np.ones(len(likes), bool) if polarity == "chooses" else likes == (polarity == "likes")
        at = np.flatnonzero(bears & counted)[::-1]
        labelled, liked = int(tastes.labelled[place, v]), int(tastes.likes[place, v])
        expected = tastes.aversion if polarity == "avoids" else tastes.outcome
        share, others = liked / max(int((likes == 1).sum()), 1), self.population.like_share
        if polarity == "chooses":
            share, others = int(bears.sum()) / max(len(items), 1), self.population.share
        evidence = list(dict.fromkeys(items[at].tolist()))[:_EVIDENCE]
        support = Support(
            events=int(bears.sum()),
            labelled=labelled,
            likes=liked,
            share=share,
            share_of_others=float(others[v]),
            expected_likes=float(labelled if expected is None else expected.share[place, v] * labelled),
            like_interval=wilson_interval(liked, labelled) if labelled else None,
            items=tuple(self._ids[item] for item in evidence),
            last=self._datetime(events.time_us[at[:1]]),
        )
        return Interest(
            trait=self.traits.traits[v],
            polarity=polarity,
            weight=float(odds.value[place, v]),
            interval=odds.interval(place, v),
            choice=float(tastes.choice.value[place, v]),
            outcome=0.0 if tastes.outcome is None else float(tastes.outcome.value[place, v]),
            certainty=_CERTAINTIES[level - 1],
            support=support,
        )

    def _bears(self, v: int) -> NDArray[np.bool_]:
        """Which items bear a trait, [I]."""
        bears = np.zeros(len(self._ids), bool)
        bears[self._by_trait.indices[self._by_trait.indptr[v] : self._by_trait.indptr[v + 1]]] = True
        return bears

    def _datetime(self, time: NDArray[np.int64]) -> datetime | None:
        if not self._timed or not len(time):
            return None
        return _EPOCH + timedelta(microseconds=int(time[0]))


def _levels(p: Floats, tested: NDArray[np.bool_], words: NDArray[np.bool_]) -> NDArray[np.int64]:
    rate = false_discovery(p, tested)
    # of so many words, one in ten by chance would fill a page
    hints = np.where(tested & (p <= 0.1) & ~words, _HINT, 0)
    return np.where(rate <= 0.01, _SURE, np.where(rate <= 0.1, _FAIRLY_SURE, hints))


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927).

    Example:
        >>> [round(x, 2) for x in wilson_interval(3, 3)]
        [0.44, 1.0]
    """
    share, z2 = successes / trials, _Z95**2
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = _Z95 / (1 + z2 / trials) * np.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))
