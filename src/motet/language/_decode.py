"""The loop from prompts to answers, many side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from motet.language._decoder import Decoder, Logits, Rows
from motet.language._generator import Ending

__all__ = ["Constraint", "Writing", "drawn", "likeliest", "write"]

_DROP_BELOW: Final = 0.75  # finished rows are only dropped when this share is left: dropping copies


class Constraint(Protocol):
    """Says which tokens may come next."""

    def allow(self, logits: Logits) -> Logits:
        """Logits [vocabulary] in which what may not come next is −∞."""
        ...

    def accept(self, token: int) -> bool:
        """Note the token that came; whether the answer is now complete and nothing may follow."""
        ...


@dataclass(slots=True)
class Writing:
    """An answer in the making.

    Attributes:
        prompt: Tokens read.
        most: Most tokens to write.
        draw: Picks a token from the logits [vocabulary].
        constraint: Which tokens may come; None for all.
        is_over: Told the tokens so far, whether the text is complete (a stop text has come).
        tokens: What has been written, without the end token.
        ended: Why it ended; None while it has not.
    """

    prompt: Sequence[int]
    most: int
    draw: Callable[[Logits], int]
    constraint: Constraint | None = None
    is_over: Callable[[Sequence[int]], bool] | None = None
    tokens: list[int] = field(default_factory=list)
    ended: Ending | None = None


def write(
    decoder: Decoder, writings: Sequence[Writing], ends: frozenset[int], until_s: float | None = None
) -> Iterator[Writing]:
    """Write all answers; gives out each one whenever it has a token more, and when it ended.

    As answers end, the next prompts take their place.

    Args:
        decoder: The model.
        writings: What to write; changed in place.
        ends: Tokens that end an answer.
        until_s: Time of the monotonic clock after which every answer ends as it is.
    """
    # The longest first: at the end, few rows are left, and they shall not be the longest.
    waiting = sorted(writings, key=lambda writing: -len(writing.prompt))
    active: list[Writing | None] = []  # None: a row that ended and has not been dropped
    rows: Rows | None = None
    while waiting or any(active):
        living = sum(one is not None for one in active)
        if waiting and living <= decoder.together // 2 and not _late(until_s):
            chosen = waiting[: decoder.together - living]
            waiting = waiting[len(chosen) :]
            more = decoder.read([one.prompt for one in chosen])
            if rows is not None and living:
                rows.take([i for i, one in enumerate(active) if one is not None])
                rows = decoder.join(rows, more)
            else:
                rows = more
            active = [*(one for one in active if one is not None), *chosen]
        if _late(until_s):
            for one in [*active, *waiting]:
                if one is not None:
                    one.ended = "time"
                    yield one
            return
        assert rows is not None  # noqa: S101
        steps = [_next(one, rows.logits[i], ends) for i, one in enumerate(active)]
        for i, one in enumerate(active):
            if one is not None:
                yield one
                active[i] = None if one.ended else one
        living = sum(one is not None for one in active)
        if not living:
            rows = None
            active = []
            continue
        if living <= _DROP_BELOW * len(active):
            kept = [i for i, one in enumerate(active) if one is not None]
            rows.take(kept)
            active, steps = [active[i] for i in kept], [steps[i] for i in kept]
        rows.step(steps)


def _late(until_s: float | None) -> bool:
    return until_s is not None and time.monotonic() >= until_s


def _next(one: Writing | None, logits: Logits, ends: frozenset[int]) -> int:
    """Take the next token of an answer; note whether it ends. A row that has ended reads anything."""
    if one is None:
        return 0
    token = one.draw(logits if one.constraint is None else one.constraint.allow(logits))
    if token in ends:
        one.ended = "stop"
        return token
    one.tokens.append(token)
    complete = one.constraint is not None and one.constraint.accept(token)
    if complete or (one.is_over is not None and one.is_over(one.tokens)):
        one.ended = "stop"
    elif len(one.tokens) >= one.most:
        one.ended = "length"
    return token


def likeliest(logits: Logits) -> int:
    """The likeliest token; of equals the first."""
    return int(logits.argmax())


def drawn(temperature: float, random: np.random.Generator) -> Callable[[Logits], int]:
    """Draw tokens with probability softmax(logits / temperature)."""

    def draw(logits: Logits) -> int:
        scaled: NDArray[np.float64] = (logits.astype(np.float64) - float(logits.max())) / temperature
        chance = np.exp(scaled)
        return int(np.searchsorted(np.cumsum(chance), random.random() * chance.sum(), side="right"))

    return draw
