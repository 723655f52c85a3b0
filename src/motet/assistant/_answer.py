"""What an assistant answers: items with their reasons, notes, and the conversation that goes on."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from motet.assistant.understand import FastReader, ModelReader, ParsedTurn, Reader, Request, Tag
from motet.errors import RequestError
from motet.schema import Part

__all__ = ["Answer", "AnsweredItem", "Conversation", "contradicted", "note", "parsed_turn", "parts_of"]

_NOTES = {
    "contradicted": {
        "en": "You asked for and against {parts}; against wins.",
        "zh": "您既要求又排除了{parts}；以排除为准。",
    },
    "unknown_user": {
        "en": "User {user} is not known; answered as for anybody.",
        "zh": "没有用户 {user} 的记录；按普通用户回答。",
    },
    "nothing_asked": {
        "en": "Nothing was asked for; these are the first recommendations.",
        "zh": "没有提出要求；以下是首选推荐。",
    },
    "out_of_reach": {
        "en": "Nothing has {limit}: the catalogue goes from {low} to {high}. The nearest come first.",
        "zh": "没有符合“{limit}”的结果：目录中为 {low} 至 {high}；最接近的排在前面。",
    },
    "unread": {
        "en": "Not read: “{words}”. The catalogue has no such tag, title, number or fact.",
        "zh": "未能理解“{words}”：目录中没有这样的标签、标题、数字或事实。",
    },
    "by_meaning": {
        "en": "“{words}” is no tag, title, number or fact of the catalogue; it was only compared in meaning with the items' texts.",
        "zh": "“{words}”不是目录中的标签、标题、数字或事实，仅按含义与文本比较。",
    },
    "no_meaning": {
        "en": "Nothing was done with the words “{words}”: there is no text encoder.",
        "zh": "没有文本编码器，未使用“{words}”。",
    },
    "meaning_failed": {
        "en": "Nothing was done with the words “{words}”: {problem}.",
        "zh": "未能使用“{words}”：{problem}。",
    },
    "none_fits": {
        "en": "Nothing meets everything that was asked; what each one misses is said with it.",
        "zh": "没有同时满足全部要求的结果；每项未满足之处已注明。",
    },
    "seen_better": {
        "en": "What fits best was seen before ({count}); what each of these misses is said with it.",
        "zh": "最符合要求的 {count} 项都已看过；以下各项未满足之处已注明。",
    },
    "some_fit": {
        "en": "{count} meet everything that was asked; what the others miss is said with them.",
        "zh": "{count} 项满足全部要求；其余各项未满足之处已注明。",
    },
    "part_short": {
        "en": "Asked for was {part}; {found} could be found that may be shown.",
        "zh": "要求{part}，可推荐的只有{found}项。",
    },
    "contradictory": {
        "en": "No item can keep these together, they contradict each other: {limits}.",
        "zh": "以下限制互相矛盾，没有任何项目能同时满足：{limits}。",
    },
    "unmet": {
        "en": "The catalogue does not say enough to keep: {parts}.",
        "zh": "目录中没有相关信息：{parts}。",
    },
    "seen_again": {
        "en": "Everything that may be shown was seen before.",
        "zh": "可推荐的都已看过。",
    },
    "fewer": {
        "en": "{found} of the {wanted} asked for could be found.",
        "zh": "要求 {wanted} 个，只找到 {found} 个。",
    },
    "flags": {
        "en": "Parts of the request read like instructions to a machine and were ignored.",
        "zh": "请求中有类似机器指令的内容，已忽略。",
    },
    "long": {
        "en": "The request is too long: only its beginning was read.",
        "zh": "请求过长，只读取了开头部分。",
    },
    "not_read": {
        "en": "The request was read by rules alone: {problem}.",
        "zh": "仅按规则理解请求：{problem}。",
    },
    "not_written": {
        "en": "The reasons are in the words of templates: {problem}.",
        "zh": "推荐理由采用模板文字：{problem}。",
    },
    "refused": {
        "en": "{refused} of {sentences} sentences are in the words of templates: "
        "what the language model said did not follow from the evidence.",
        "zh": "{sentences} 句中有 {refused} 句采用模板文字：语言模型的说法与依据不符。",
    },
}


def note(kind: str, language: str, **values: Any) -> str:
    """One note in a language.

    Example:
        >>> note("fewer", "en", found=2, wanted=5)
        '2 of the 5 asked for could be found.'
    """
    return _NOTES[kind][language].format(**values)


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
        notes: Everything else that the user should know: fewer items than asked for, a language
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
        user: Id of the user; empty for an unknown one.
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
        """Refuse a conversation that cannot be of this context.

        Args:
            user: Id of the user; empty for an unknown one.
            known: Ids of the items of the catalogue.

        Raises:
            RequestError: If the conversation is with another user, names items that there are not,
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


def parsed_turn(reader: Reader, text: str, before: Conversation | None = None) -> ParsedTurn | None:
    """What the rules read in a text alone; None where the reader has no rules."""
    fast = reader.fast if isinstance(reader, ModelReader) else reader
    if not isinstance(fast, FastReader):
        return None
    return fast.parse(text, before.request if before else None, before.shown if before else ())


def contradicted(request: Request, turn: ParsedTurn | None) -> list[Tag]:
    """Tags that one turn asks for and excludes; they are excluded."""
    if turn is None:
        return []
    said = turn.reading.said
    wanted = {tag for one in said if not one.excluded for tag in one.tags}
    against = {tag for one in said if one.excluded for tag in one.tags}
    return [tag for tag in request.must_not if tag in wanted & against]


def parts_of(request: Request) -> set[str]:
    """Names of the parts of a request that ask for something."""
    return request.model_dump(exclude_defaults=True).keys() - {"text", "language", "flags", "tone"}
