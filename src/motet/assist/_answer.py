"""What comes back when somebody asks, and what is kept for the next turn."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from motet.errors import RequestError
from motet.requests import Request
from motet.schema import Part

__all__ = ["Answer", "AnsweredItem", "Conversation"]


@dataclass(frozen=True, slots=True)
class AnsweredItem:
    """One item of an answer.

    Attributes:
        id: Its id.
        name: What it is called.
        rank: From 1.
        value: What it was ranked by within those that miss as much: what the schema ranks by and the
            soft parts of the request, in standard deviations over the items that may come; comparable within one answer only.
        predictions: Every task's prediction, on the label's own scale.
        reason: Why it is here, in the language of the request.
        misses: Parts of the request that it does not meet, in words; never an exclusion.
    """

    id: str
    name: str
    rank: int
    value: float
    predictions: Mapping[str, Any]
    reason: str
    misses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a request in words.

    Attributes:
        request: What was understood.
        items: Best first; empty only if the catalogue has nothing that may be shown.
        notes: Everything else that a person should know: fewer items than asked for, a language
            model that failed.
        read_by: Who read the request: ``rules`` or the name of a model.
        written_by: Who wrote the reasons: ``templates`` or the name of a model.
        elapsed_s: Seconds it took.
    """

    request: Request
    items: tuple[AnsweredItem, ...]
    notes: tuple[str, ...]
    read_by: str
    written_by: str
    elapsed_s: float

    def __str__(self) -> str:
        """The items, each with its reason, and the notes."""
        lines = [f"{item.rank}. {item.name} ({item.id})\n   {item.reason}" for item in self.items]
        return "\n".join([*lines, *self.notes])

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        items = [asdict(item) | {"predictions": dict(item.predictions)} for item in self.items]
        return {
            "request": self.request.model_dump(mode="json", exclude_defaults=True),
            "items": items,
            "notes": list(self.notes),
            "read_by": self.read_by,
            "written_by": self.written_by,
            "elapsed_s": self.elapsed_s,
        }


class Conversation(Part):
    """What was said and shown so far, for the next turn.

    Attributes:
        user: Whom it is with; empty for somebody unknown.
        request: What was understood last.
        shown: Ids of the items shown last, in order.
        turns: What was said, oldest first.
    """

    user: str = ""
    request: Request | None = None
    shown: tuple[str, ...] = ()
    turns: tuple[str, ...] = ()

    def after(self, said: str, answer: Answer) -> Conversation:
        """The conversation with one more turn."""
        return Conversation(
            user=self.user,
            request=answer.request,
            shown=tuple(item.id for item in answer.items),
            turns=(*self.turns, said),
        )

    def check(self, user: str, known: Container[str]) -> None:
        """Refuse what cannot have been said here.

        Args:
            user: Who asks; empty for somebody unknown.
            known: Ids of the items of the catalogue.

        Raises:
            RequestError: If the conversation is with somebody else, names items that there are not,
                or limits that are no numbers.
        """
        if user and self.user and user != self.user:
            raise RequestError(
                f"the conversation is with user '{self.user}', and user '{user}' asks",
                "start a new conversation",
            )
        request = self.request or Request()
        for item in (*self.shown, *request.like, *request.without):
            if item not in known:
                raise RequestError(
                    f"the conversation is damaged, or of another bundle: there is no item '{item}'",
                    "start a new conversation",
                )
        for limits in (*request.ranges, *request.total):
            for bound in (limits.low, limits.high):
                if bound is not None and not math.isfinite(bound):
                    raise RequestError(
                        f"the conversation is damaged: a limit of '{limits.column}' is {bound}",
                        "start a new conversation",
                    )

    @classmethod
    def load(cls, path: Path) -> Conversation:
        """Read a conversation that :meth:`save` wrote.

        Raises:
            RequestError: If it is no such file.
        """
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise RequestError(f"{path}: {error.strerror}", "name a conversation that 'ask' wrote") from None
        except (ValidationError, UnicodeDecodeError):
            raise RequestError(f"{path} is no conversation", "name one that 'ask' wrote") from None

    def save(self, path: Path) -> None:
        """Write it, whole or not at all.

        Raises:
            RequestError: If it cannot be written.
        """
        temporary = path.with_name(path.name + ".new")
        try:
            temporary.write_text(self.model_dump_json(indent=1, exclude_defaults=True), encoding="utf-8")
            temporary.replace(path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise RequestError(f"{path} cannot be written ({error.strerror})", "name another file") from None
