"""Requests read by a language model, of which only what the request supports is believed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from motet.language import GenerationSettings, Generator, ask_generator
from motet.requests._fast import FastReader, Heard
from motet.requests._lexicon import Lexicon
from motet.requests._prompt import answer_schema, prompt_for
from motet.requests._reading import TagSaid
from motet.requests._request import Range, Request
from motet.requests._supported import numbers_said, says_placement, says_tag, says_title
from motet.requests._understanding import Understanding

__all__ = ["ModelReader"]

_MAX_TOKENS: Final = 256


class ModelReader:
    """Reads requests with a language model and checks every slot of its answer.

    The fast reader reads first, and its exclusions, limits and links stay. A slot of the model counts
    where the catalogue has the value, words of the request say it, and the fast reader did not read
    those words otherwise. A model that fails, is too slow or answers nonsense leaves the fast reading.

    Args:
        generator: The model.
        lexicon: What can be asked for.
        fast: Reads first; a plain one when left out.
        time_limit_s: Seconds for one answer; None for no limit but the generator's own.
    """

    def __init__(
        self,
        generator: Generator,
        lexicon: Lexicon,
        fast: FastReader | None = None,
        *,
        time_limit_s: float | None = 20.0,
    ) -> None:
        self.generator = generator
        self.lexicon = lexicon
        self.fast = fast or FastReader(lexicon)
        self._settings = GenerationSettings(
            max_tokens=_MAX_TOKENS, answer=answer_schema(lexicon), time_limit_s=time_limit_s
        )

    def read(self, text: str, previous: Request | None = None, shown: Sequence[str] = ()) -> Request:
        """Understand a request; as :meth:`FastReader.read`."""
        return self.understand(text, previous, shown).request

    def understand(
        self, text: str, previous: Request | None = None, shown: Sequence[str] = ()
    ) -> Understanding:
        """Understand a request, and say what the model was good for."""
        heard = self.fast.hear(text, previous, shown)
        if not heard.text or heard.reading.again:  # nothing for it to read
            return Understanding(heard.request())
        texts, problem = ask_generator(self.generator, [prompt_for(self.lexicon, heard.text)], self._settings)
        answer = _json_object(texts[0]) if texts else None
        if answer is None:
            return Understanding(heard.request(), problem=problem or "its answer is no JSON object")
        checked = _Checked(heard)
        checked.take(answer)
        return Understanding(
            heard.request(),
            self.generator.name,
            "",
            tuple(checked.agreed),
            tuple(checked.added),
            tuple(checked.dropped),
        )


def _json_object(text: str) -> dict[str, Any] | None:
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


class _Checked:
    """Puts the slots of an answer into a reading, one by one, if the request supports them."""

    def __init__(self, heard: Heard) -> None:
        self.heard, self.reading, self.lexicon = heard, heard.reading, heard.lexicon
        self.agreed: list[str] = []
        self.added: list[str] = []
        self.dropped: list[str] = []

    def take(self, answer: Mapping[str, Any]) -> None:
        """Take over what holds; exclusions first, so that nothing excluded can be wanted later."""
        for slot in ("must_not", "must", "prefer"):
            self._each(answer, slot, self._tag)
        for slot in ("without", "like"):
            self._each(answer, slot, self._title)
        for column in self.lexicon.numbers:
            self._limit(column, answer.get(f"{column}_from"), answer.get(f"{column}_to"))
        self._count(answer.get("count"))
        self._scenario(answer.get("scenario"))

    def _each(self, answer: Mapping[str, Any], slot: str, take: Callable[[str, str], bool | None]) -> None:
        values = answer.get(slot)
        for value in values if isinstance(values, list) else ():
            if isinstance(value, str):
                self._note(f"{slot}: {value}", take(slot, value))

    def _note(self, what: str, taken: bool | None) -> None:
        """Note what became of a slot; None says that it was known already."""
        (self.agreed if taken is None else self.added if taken else self.dropped).append(what)

    def _tag(self, slot: str, value: str) -> bool | None:
        tag = self.lexicon.tag(value)
        if tag is None:
            return False
        known = [said for said in self.reading.said if tag in said.tags]
        if known:  # the fast reader follows the scope of each "no"; the model may not turn it round
            return None if any(said.excluded == (slot == "must_not") for said in known) else False
        if not says_tag(self.heard.scan, self.lexicon, tag):
            return False
        self.reading.said.append(TagSaid((tag,), False, slot == "must_not", slot == "prefer", -1, value))
        return True

    def _title(self, slot: str, title: str) -> bool | None:
        rows = says_title(self.heard.scan, self.lexicon, title)
        known = {*self.reading.like, *self.reading.without}
        if not rows:
            return False
        if known & set(rows):
            return (
                None
                if set(rows) & set(self.reading.like if slot == "like" else self.reading.without)
                else False
            )
        (self.reading.like if slot == "like" else self.reading.without).extend(rows)
        return True

    def _limit(self, column: str, low: Any, high: Any) -> None:
        bounds = [
            float(v) if isinstance(v, int | float) and not isinstance(v, bool) else None for v in (low, high)
        ]
        if bounds == [None, None]:
            return
        said = numbers_said(self.heard.scan, 1.0 if self.lexicon.numbers[column].role == "year" else 0.0)
        what = f"{column}: {bounds[0]} to {bounds[1]}"
        limit = self.reading.ranges.get(column)
        if limit is not None:
            same = all(b is None or b in (limit.low, limit.high) for b in bounds)
            self._note(what, None if same else False)
            return
        supported = all(bound is None or bound in said for bound in bounds)
        ordered = None in bounds or bounds[0] <= bounds[1]  # type: ignore[operator]
        if supported and ordered and not self.reading.total and not self.reading.compared:
            self.reading.ranges[column] = Range(column=column, low=bounds[0], high=bounds[1])
            self._note(what, True)
        else:
            self._note(what, False)

    def _count(self, count: Any) -> None:
        if not isinstance(count, int) or isinstance(count, bool):
            return
        if count == self.reading.count:
            self._note(f"count: {count}", None)
            return
        taken = self.reading.count is None and 1 <= count <= 100 and self._is_free(float(count))
        if taken:
            self.reading.count = count
        self._note(f"count: {count}", taken)

    def _is_free(self, number: float) -> bool:
        """Whether a number was said that stands for nothing else yet."""
        limits = {v for r in self.reading.ranges.values() for v in (r.low, r.high)}
        bare = {
            item.value.low
            for item in self.heard.scan.items
            if item.has("number") and item.value.unit == "none" and not item.value.is_decade
        }
        return number in bare and number not in limits

    def _scenario(self, scenario: Any) -> None:
        if not isinstance(scenario, str):
            return
        if scenario == self.reading.scenario:
            self._note(f"scenario: {scenario}", None)
            return
        taken = self.reading.scenario is None and says_placement(self.heard.scan, self.lexicon, scenario)
        if taken:
            self.reading.scenario = scenario
        self._note(f"scenario: {scenario}", taken)
