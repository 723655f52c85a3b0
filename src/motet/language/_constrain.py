"""Answers that can only be what a JSON schema allows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from motet.errors import GenerationError, MissingExtraError
from motet.language._decoder import Logits

__all__ = ["Grammars"]


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
        """Logits in which what may not come next is −∞; see :class:`motet.language._decode.Constraint`."""
        mask = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        self._check()
        may = np.unpackbits(mask, bitorder="little")[: len(logits)].astype(np.bool_)
        return np.where(may, logits, np.float32(-np.inf))

    def accept(self, token: int) -> bool:
        """Note a token; whether the answer is complete; see :class:`motet.language._decode.Constraint`."""
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
