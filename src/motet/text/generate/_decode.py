"""The loop from prompts to answers: many side by side, held to a schema or to a list of choices."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from motet.errors import GenerationError, MissingExtraError
from motet.text.generate._generator import Ending

__all__ = [
    "Choices",
    "Constraint",
    "Decoder",
    "Grammars",
    "Logits",
    "Rows",
    "Writing",
    "choose",
    "drawn",
    "likeliest",
    "write",
]

Logits = NDArray[np.float32]


class Rows(Protocol):
    """Some texts in the making.

    Attributes:
        logits: For the next token of each row, shape [B, vocabulary].
    """

    logits: Logits

    def step(self, tokens: Sequence[int]) -> None:
        """Read one more token a row.

        Args:
            tokens: B tokens.
        """
        ...

    def take(self, rows: Sequence[int]) -> None:
        """Go on with these rows, in this order; one may come more than once."""
        ...


class Decoder(Protocol):
    """A language model with its weights loaded.

    Attributes:
        vocabulary: Number of tokens that it knows.
        longest: Most tokens of a row.
        together: Most rows at a time for which a row's logits do not depend on its neighbours.
    """

    vocabulary: int
    longest: int
    together: int

    def read(self, prompts: Sequence[Sequence[int]]) -> Rows:
        """Read prompts.

        Args:
            prompts: Tokens of each, ≥ 1; at most ``together`` of them.
        """
        ...

    def join(self, first: Rows, second: Rows) -> Rows:
        """Rows of the first, then of the second; neither is used any more."""
        ...


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
        is_over: Called with the tokens so far; whether the text is complete (a stop text has come).
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


_BEAMS: Final = 32


@dataclass(slots=True)
class _Node:
    """The choices that begin with the same tokens."""

    children: dict[int, _Node] = field(default_factory=dict)
    choice: int | None = None


class Choices:
    """Texts by their tokens, as a tree.

    Args:
        tokens: Of each text, ≥ 1.
    """

    def __init__(self, tokens: Sequence[Sequence[int]]) -> None:
        self.root = _Node()
        self.count = len(tokens)
        for index, path in enumerate(tokens):
            node = self.root
            for token in path:
                node = node.children.setdefault(token, _Node())
            # Two texts of the same tokens are the same: the first represents both.
            node.choice = index if node.choice is None else node.choice


@dataclass(slots=True)
class _Beam:
    prompt: int
    score: float
    node: _Node


def choose(
    decoder: Decoder,
    prompts: Sequence[Sequence[int]],
    choices: Choices,
    ends: frozenset[int],
    pick: Callable[[int, NDArray[np.float64]], int],
    is_late: Callable[[], bool],
) -> Iterator[tuple[int, int]]:
    """Choose one text for each prompt by its log-likelihood, end token included.

    log p(text | prompt) = Σ log p(token | prompt, tokens before); all texts are followed side by
    side through their tree, at most 32 beginnings at a time. With up to 32 texts that is exact; with
    more, a text whose beginning is among the unlikelier ones falls out.

    Args:
        decoder: The model.
        prompts: Tokens of each.
        choices: The texts.
        ends: Tokens that end an answer.
        pick: Called with the prompt and the log-likelihood of each text (−∞ for one that fell out); picks.
        is_late: Whether time has run out; then nothing more is given out.

    Yields:
        (prompt, index of the text), group by group.
    """
    ending = sorted(ends)
    group = max(1, min(decoder.together, _BEAMS // min(choices.count, _BEAMS)))
    for start in range(0, len(prompts), group):
        part = prompts[start : start + group]
        if is_late():
            return
        found = np.full((len(part), choices.count), -np.inf)
        rows = decoder.read(part)
        beams = [_Beam(prompt, 0.0, choices.root) for prompt in range(len(part))]
        while True:
            if is_late():
                return
            chances = _log_softmax(rows.logits)
            longer: list[tuple[float, int, int, _Node]] = []  # score, parent, token, node
            for parent, beam in enumerate(beams):
                if beam.node.choice is not None:
                    end = float(np.logaddexp.reduce(chances[parent, ending]))
                    found[beam.prompt, beam.node.choice] = beam.score + end
                longer += [
                    (beam.score + float(chances[parent, token]), parent, token, node)
                    for token, node in beam.node.children.items()
                ]
            kept = []
            for prompt in range(len(part)):
                mine = [one for one in longer if beams[one[1]].prompt == prompt]
                kept += sorted(mine, key=lambda one: -one[0])[:_BEAMS]
            if not kept:
                break
            rows.take([parent for _, parent, _, _ in kept])
            rows.step([token for _, _, token, _ in kept])
            beams = [_Beam(beams[parent].prompt, score, node) for score, parent, _, node in kept]
        for prompt, scores in enumerate(found):
            yield start + prompt, pick(start + prompt, scores)


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    rest: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return rest


class Grammars:
    """Turns schemas into constraints for the tokens of one model.

    Args:
        tokenizer_json: The tokenizer, as its library writes it.
        vocabulary: Logits a step.
        ends: Tokens that end an answer.

    Raises:
        MissingExtraError: If llguidance is not installed.
    """

    def __init__(self, tokenizer_json: str, vocabulary: int, ends: frozenset[int]) -> None:
        try:
            import llguidance  # noqa: PLC0415
        except ImportError:
            raise MissingExtraError("llguidance", "generate") from None
        self._matcher: Any = llguidance.LLMatcher
        self._tokens: Any = llguidance.LLTokenizer(tokenizer_json, n_vocab=vocabulary, eos_token=sorted(ends))

    def constraint(self, schema: Mapping[str, Any]) -> JsonConstraint:
        """A constraint for one answer.

        Raises:
            GenerationError: If the schema says something that cannot be enforced token by token.
        """
        try:
            # No white space between the parts: a model that likes it would spend its tokens on it.
            grammar = self._matcher.grammar_from_json_schema(
                json.dumps(schema), defaults={"whitespace_flexible": False}
            )
            wrong = self._matcher.validate_grammar(grammar, self._tokens)
        except ValueError as error:
            wrong = str(error)
        if wrong:
            raise GenerationError(
                f"GenerationSettings.answer cannot be enforced: {wrong.strip().splitlines()[0]}",
                "leave that part of the schema out and check it afterwards",
            )
        return JsonConstraint(self._matcher(self._tokens, grammar))


class JsonConstraint:
    """What may come next in one answer."""

    def __init__(self, matcher: Any) -> None:
        self._matcher = matcher

    def allow(self, logits: Logits) -> Logits:
        """Logits in which what may not come next is −∞; see :class:`motet.text.generate._decode.Constraint`."""
        mask = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        self._check()
        may = np.unpackbits(mask, bitorder="little")[: len(logits)].astype(np.bool_)
        return np.where(may, logits, np.float32(-np.inf))

    def accept(self, token: int) -> bool:
        """Note a token; whether the answer is complete; see :class:`motet.text.generate._decode.Constraint`."""
        self._matcher.consume_token(token)
        self._check()
        return bool(self._matcher.is_stopped())

    def _check(self) -> None:
        if self._matcher.is_error():
            first = str(self._matcher.get_error()).strip().splitlines()
            raise GenerationError(
                f"GenerationSettings.answer could not be enforced ({first[0] if first else 'no reason given'})",
                "use a simpler schema",
            )
