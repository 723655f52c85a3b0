"""What was said in the turn itself, beside what the request became by it."""

from __future__ import annotations

from motet.assist._answer import Conversation
from motet.requests import FastReader, Heard, ModelReader, Reader, Request, Tag

__all__ = ["Heard", "contradicted", "heard", "parts_of"]


def heard(reader: Reader, text: str, before: Conversation | None = None) -> Heard | None:
    """What the rules hear in what is said now; None where the reader has no rules."""
    fast = reader.fast if isinstance(reader, ModelReader) else reader
    if not isinstance(fast, FastReader):
        return None
    return fast.hear(text, before.request if before else None, before.shown if before else ())


def contradicted(request: Request, aloud: Heard | None) -> list[Tag]:
    """What was asked for and excluded in one breath, and is excluded therefore."""
    if aloud is None:
        return []
    said = aloud.reading.said
    wanted = {tag for one in said if not one.excluded for tag in one.tags}
    against = {tag for one in said if one.excluded for tag in one.tags}
    return [tag for tag in request.must_not if tag in wanted & against]


def parts_of(request: Request) -> set[str]:
    """Names of the parts of a request that ask for something."""
    return request.model_dump(exclude_defaults=True).keys() - {"text", "language", "flags", "tone"}
