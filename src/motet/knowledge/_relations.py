"""Relations that say the same from two sides: each fact stands once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motet.errors import KnowledgeError
from motet.schema import require_known

__all__ = ["Folded", "fold"]


@dataclass(frozen=True, slots=True)
class Folded:
    """Facts, each once, with relations renumbered.

    Attributes:
        heads: int32 [F], sorted by (head, relation, tail).
        relation: int32 [F].
        tails: int32 [F].
        relations: Names of the relations that are left, in order of the alphabet.
        inverses: For each of them the name of the same relation from the other side; its own name if it
            reads the same from both sides, None if it has none.
        aliases: Every relation that was folded into another, and that other one.
    """

    heads: NDArray[np.int32]
    relation: NDArray[np.int32]
    tails: NDArray[np.int32]
    relations: tuple[str, ...]
    inverses: tuple[str | None, ...]
    aliases: Mapping[str, str]


def fold(
    heads: NDArray[np.int32],
    relation: NDArray[np.int32],
    tails: NDArray[np.int32],
    names: Sequence[str],
    is_item: NDArray[np.bool_],
    given: Mapping[str, str],
) -> Folded:
    """Fold inverse relations into one another.

    Of a named pair the other stays; of one that was found, the relation whose heads are items more often,
    or else the first in the alphabet.

    Args:
        heads: Entities, [F].
        relation: Codes, [F].
        tails: Entities, [F].
        names: Name of each code.
        is_item: Whether each entity is an item, [E].
        given: Inverses that are named, each relation to its other; further ones are found: a relation
            whose reversed pairs are exactly another's, or its own.

    Raises:
        KnowledgeError: If a named relation is not in the triples.
    """
    for pair in given.items():
        for name in pair:
            require_known(name, names, "knowledge.inverses: the relation", KnowledgeError)
    n = len(is_item)
    pairs = [np.unique(heads[of].astype(np.int64) * n + tails[of]) for of in _by_code(relation, len(names))]
    back = [np.sort(p % n * n + p // n) for p in pairs]
    inverse = _given_inverses(names, given)
    signature = {(len(p), p.tobytes()): code for code, p in reversed(list(enumerate(pairs))) if len(p)}
    for code in range(len(names)):
        if code in inverse or not len(pairs[code]):
            continue
        if np.array_equal(pairs[code], back[code]):
            inverse[code] = code
            continue
        other = signature.get((len(back[code]), back[code].tobytes()))
        if other is not None and other not in inverse:
            inverse[code], inverse[other] = other, code
    share = np.bincount(relation, weights=is_item[heads], minlength=len(names)).astype(np.float64)
    kept = _kept(names, inverse, share, given)
    return _renumbered(heads, relation, tails, names, inverse, kept)


def _by_code(relation: NDArray[np.int32], n: int) -> list[NDArray[np.int64]]:
    order = np.argsort(relation, kind="stable")
    return np.split(order, np.cumsum(np.bincount(relation, minlength=n))[:-1])


def _given_inverses(names: Sequence[str], given: Mapping[str, str]) -> dict[int, int]:
    code = {name: at for at, name in enumerate(names)}
    inverse: dict[int, int] = {}
    for name, other in given.items():
        inverse[code[name]] = code[other]
        inverse.setdefault(code[other], code[name])
    return inverse


def _kept(
    names: Sequence[str], inverse: Mapping[int, int], share: NDArray[np.float64], given: Mapping[str, str]
) -> dict[int, int]:
    """For each relation the one that stands for it: itself or its inverse."""
    kept = {}
    code = {name: at for at, name in enumerate(names)}
    named = {code[name]: code[other] for name, other in given.items()}
    for at in range(len(names)):
        if at in named:  # several may be named inverses of one, which then stands for all of them
            kept[at] = named[at]
        elif at in named.values():
            kept[at] = at
        else:
            other = inverse.get(at, at)
            kept[at] = min(at, other, key=lambda c: (-share[c], names[c]))
    return kept


def _renumbered(
    heads: NDArray[np.int32],
    relation: NDArray[np.int32],
    tails: NDArray[np.int32],
    names: Sequence[str],
    inverse: Mapping[int, int],
    kept: Mapping[int, int],
) -> Folded:
    left = sorted(set(kept.values()), key=lambda code: names[code])
    number = {code: at for at, code in enumerate(left)}
    to = np.array([number[kept[code]] for code in range(len(names))], np.int32)
    turned = np.array([kept[code] != code for code in range(len(names))])
    symmetric = np.array([inverse.get(code) == code for code in left])
    turn = turned[relation]
    heads, tails = np.where(turn, tails, heads), np.where(turn, heads, tails)
    relation = to[relation]
    swap = symmetric[relation] & (heads > tails) if left else np.zeros(0, bool)
    heads, tails = np.where(swap, tails, heads), np.where(swap, heads, tails)
    facts = np.unique(np.stack([heads, relation, tails], 1), axis=0).astype(np.int32)
    return Folded(
        heads=np.ascontiguousarray(facts[:, 0]),
        relation=np.ascontiguousarray(facts[:, 1]),
        tails=np.ascontiguousarray(facts[:, 2]),
        relations=tuple(names[code] for code in left),
        inverses=tuple(names[inverse[code]] if code in inverse else None for code in left),
        aliases={names[code]: names[other] for code, other in kept.items() if code != other},
    )
