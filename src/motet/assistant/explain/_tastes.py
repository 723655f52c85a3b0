"""What users choose, and what they like of it, against all users: log-odds per user and trait, all at once.

Legend of shapes: U users asked for, I items, V traits, n events.

For a user, w are the weights of its events, 2^(−age / half-life), scaled so that they sum to Kish's
effective number of events (Σw)²/Σw²: old events are less evidence, not only less weight. n, m and k
are the weighted events, labelled events and likes that bear a trait, N, M and K those of all; σ and
π are the population's share of likes and of events with the trait, p_v and p its like rates.

liking  = logit((k + ασ) / (K + α)) − logit(σ)        what is liked, against all users
choice  = logit((n + απ) / (N + α)) − logit(π)        what is picked, against all users
expected: logit(ρ) = logit((K + βp) / (M + β)) + logit(p_v) − logit(p)
outcome = logit((k + βρ) / (m + β)) − logit(ρ)        what is liked once picked, against what is expected
aversion: the same with min(ρ, p_v) for ρ             else who loves one thing would seem to avoid the rest

A share of likes is a share of picks times a like rate over that of everything, so a liking is made
of choice and outcome. Each is a log-odds with an informative Dirichlet prior (Monroe, Colaresi &
Quinn 2008, "Fightin' Words", eq. 15–16); chances and intervals are those of the Beta posterior, for
a normal approximation (eq. 20) is far too sure of rare traits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.special import betainc, betaincinv, expit, logit

from motet.assistant.explain._profile import ProfileSettings
from motet.assistant.explain._traits import Traits
from motet.data import Behaviour

__all__ = ["LogOdds", "Population", "Tastes", "false_discovery", "population_of", "tastes_of"]

Floats = NDArray[np.float64]

_DAY_US = 86_400_000_000
_PRIOR_OF_POPULATION = 10.0
_EPS = 1e-6


@dataclass(frozen=True, slots=True)
class Population:
    """What all users do.

    Attributes:
        share: π, share of all events that bear each trait, in (0, 1), [V].
        like_share: σ, the same of all likes.
        like_rate: p_v, smoothed share of labelled events with the trait that are likes, [V].
        overall: p, the same of all labelled events.
        judges: Whether labels say of some events that they are no likes.
    """

    share: Floats
    like_share: Floats
    like_rate: Floats
    overall: float
    judges: bool


@dataclass(frozen=True, slots=True)
class LogOdds:
    """Log-odds of Beta-distributed shares against given ones.

    Attributes:
        hits: First parameter of the posterior: smoothed counts of what bears the trait, [U, V].
        rest: Second parameter: those of what does not, [U, V].
        share: What they are compared with, [V] or [U, V].
        value: Log-odds of the posterior mean against the share, [U, V].
    """

    hits: Floats
    rest: Floats
    share: Floats
    value: Floats

    @property
    def below(self) -> Floats:
        """Posterior chance that the true share is at most the given one, [U, V]."""
        chance: Floats = betainc(self.hits, self.rest, self.share)
        return chance

    def interval(self, user: int, trait: int, level: float = 0.95) -> tuple[float, float]:
        """Central posterior interval of the log-odds of one user and trait."""
        share = self.share[trait] if self.share.ndim == 1 else self.share[user, trait]
        tails = np.array([(1 - level) / 2, (1 + level) / 2])
        ends = np.clip(betaincinv(self.hits[user, trait], self.rest[user, trait], tails), 1e-12, 1 - 1e-12)
        low, high = logit(ends) - logit(share)
        return float(low), float(high)


@dataclass(frozen=True, slots=True)
class Tastes:
    """Log-odds of users and traits, with plain counts, [U, V] each.

    Attributes:
        liking: What is liked more than by all users.
        choice: What is picked more than by all users.
        outcome: What is liked more than expected once it is picked; None where labels say nothing.
        aversion: The same, against what is expected and others' like rate, whichever is lower.
        events: Events with the trait.
        labelled: Those of them that are labelled.
        likes: Those of them that are likes.
        of_events: All events of each user, [U, 1].
    """

    liking: LogOdds
    choice: LogOdds
    outcome: LogOdds | None
    aversion: LogOdds | None
    events: Floats
    labelled: Floats
    likes: Floats
    of_events: Floats


def population_of(behaviour: Behaviour, likes: Floats, traits: Traits) -> Population:
    """Count what all users do.

    Args:
        behaviour: Of all users.
        likes: 1 for a like, 0 for none, NaN where it was not said, [n].
        traits: Of the items.
    """
    items = len(traits.of_item.indptr) - 1
    rows, said = behaviour.items.values, ~np.isnan(likes)
    events = np.bincount(rows, minlength=items).astype(float)
    labelled = np.bincount(rows[said], minlength=items).astype(float)
    liked = np.bincount(rows[said], likes[said], minlength=items).astype(float)
    of_catalogue = np.asarray(traits.of_item.mean(axis=0)).ravel() if items else np.zeros(len(traits.traits))

    def share(counts: Floats) -> Floats:
        mixed: Floats = counts @ traits.of_item + _PRIOR_OF_POPULATION * of_catalogue
        clipped: Floats = np.clip(mixed / (counts.sum() + _PRIOR_OF_POPULATION), _EPS, 1 - _EPS)
        return clipped

    overall = (liked.sum() + 1) / (labelled.sum() + 2)
    like_rate = (liked @ traits.of_item + _PRIOR_OF_POPULATION * overall) / (
        labelled @ traits.of_item + _PRIOR_OF_POPULATION
    )
    judges = bool((likes[said] == 0).any() and (likes[said] == 1).any())
    like_rate = np.clip(like_rate, _EPS, 1 - _EPS)
    return Population(share(events), share(liked), like_rate, float(overall), judges)


def age_weights(time: NDArray[np.int64], last: NDArray[np.int64], half_life_days: float | None) -> Floats:
    """2^(−age / half-life) of events, [n].

    Args:
        time: Of each event, microseconds.
        last: Of the last event of each one's user, microseconds.
        half_life_days: None for weights of 1.

    Example:
        >>> day = 86_400_000_000
        >>> age_weights(np.array([0, 5, 10]) * day, np.full(3, 10 * day), 5).tolist()
        [0.25, 0.5, 1.0]
    """
    if half_life_days is None:
        return np.ones(len(time))
    return np.asarray(np.exp2(-(last - time) / (_DAY_US * half_life_days)))


def tastes_of(
    behaviour: Behaviour,
    likes: Floats,
    traits: Traits,
    population: Population,
    settings: ProfileSettings,
    users: NDArray[np.int64],
) -> Tastes:
    """Compute the tastes of some users; see the head of this file for the formulas.

    Args:
        behaviour: Of all users.
        likes: As for :func:`population_of`.
        traits: Of the items.
        population: What all users do.
        settings: Half-life and priors.
        users: Rows of users, [U]; one beyond those known has no events.
    """
    offsets = np.append(behaviour.items.offsets, behaviour.items.offsets[-1])  # for one beyond those known
    start = offsets[np.minimum(users, len(behaviour.items))]
    stop = offsets[np.minimum(users, len(behaviour.items)) + 1]
    length = stop - start
    of_user = np.repeat(np.arange(len(users)), length)
    at = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length) + np.repeat(start, length)
    time, items, label = behaviour.time[at], behaviour.items.values[at], likes[at]
    last = behaviour.time[np.maximum(stop - 1, 0)] if len(behaviour.time) else np.zeros(len(users), np.int64)
    weight = age_weights(time, last[of_user], settings.half_life_days)
    said, liked = ~np.isnan(label), label == 1
    shape = (len(users), traits.of_item.shape[0])

    def summed(values: Floats) -> Floats:
        dense: Floats = (sp.csr_array((values, (of_user, items)), shape=shape) @ traits.of_item).toarray()
        return dense

    def total(values: Floats) -> Floats:
        return np.bincount(of_user, values, minlength=len(users)).astype(np.float64)[:, None]

    def effective(values: Floats) -> Floats:
        """Scaled so that a user's sum to the effective number of its events."""
        scale: Floats = (total(values) / np.maximum(total(values**2), 1e-300))[:, 0]
        return values * scale[of_user]

    of_all, of_said, of_likes = effective(weight), effective(weight * said), effective(weight * liked)
    alpha, beta = settings.prior_events, settings.prior_likes
    choice = _against(summed(of_all), total(of_all), population.share, alpha)
    liking = _against(summed(of_likes), total(of_likes), population.like_share, alpha)
    outcome = aversion = None
    if population.judges:
        own = (total(of_said * liked) + beta * population.overall) / (total(of_said) + beta)
        expected = expit(logit(own) + logit(population.like_rate) - logit(population.overall))
        likes_of, labelled_of = summed(of_said * liked), summed(of_said)
        outcome = _against(likes_of, labelled_of, expected, beta)
        aversion = _against(likes_of, labelled_of, np.minimum(expected, population.like_rate), beta)
    plain = np.ones_like(weight)
    counts = (summed(plain), summed(plain * said), summed(plain * liked))
    return Tastes(liking, choice, outcome, aversion, *counts, total(plain))


def _against(counts: Floats, of: Floats, share: Floats, prior: float) -> LogOdds:
    """Log-odds against a share, of counts smoothed with so many events of that share."""
    hits, rest = counts + prior * share, of - counts + prior * (1 - share)
    return LogOdds(hits, rest, share, np.log(hits / rest) - logit(share))


def false_discovery(p: Floats, tested: NDArray[np.bool_]) -> Floats:
    """Share of false finds if all of so small a p were reported (Benjamini & Hochberg 1995), by row.

    Args:
        p: Chances, [U, V].
        tested: Which of them were looked at, [U, V].

    Returns:
        Adjusted chances, [U, V]; 1 where nothing was tested.

    Example:
        >>> false_discovery(np.array([[0.01, 0.04, 0.5]]), np.array([[True, True, False]]))
        array([[0.02, 0.04, 1.  ]])
    """
    p = np.where(tested, p, 2.0)  # last, and never found
    order = np.argsort(p, axis=1, kind="stable")
    ranked = np.take_along_axis(p, order, 1) * tested.sum(axis=1, keepdims=True)
    ranked /= np.arange(1, p.shape[1] + 1)
    lowest = np.minimum.accumulate(ranked[:, ::-1], axis=1)[:, ::-1]
    adjusted = np.empty_like(lowest)
    np.put_along_axis(adjusted, order, np.minimum(lowest, 1.0), 1)
    adjusted[~tested] = 1.0
    return adjusted
