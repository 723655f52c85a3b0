"""One answer out of a list: the likeliest as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from motet.language._decoder import Decoder

__all__ = ["Choices", "choose"]

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
            # Two texts of the same tokens cannot be told apart: the first stands for both.
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
        pick: Told the prompt and the log-likelihood of each text (−∞ for one that fell out); picks.
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
