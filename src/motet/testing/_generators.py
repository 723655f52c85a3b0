"""The conformance suite of text generators, and a scripted one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from motet.datasets import Progress
from motet.errors import GenerationError
from motet.text.generate import Generation, GenerationSettings, Generator, Prompt

__all__ = ["ScriptedGenerator", "check_generator"]

# The conformance suite of text generators.

_PROMPTS = (
    Prompt("What is the capital of France?"),
    Prompt(
        "Rephrase: the jacket is warm.", "You rephrase sentences.", (("Rephrase: hot soup.", "Warm soup."),)
    ),
    Prompt("emoji 🎻, ümläuts, 巴黎 and\nlines"),
    Prompt("What is the capital of France?"),
    Prompt(""),
)
_SHORT = GenerationSettings(max_tokens=8)
_SCHEMA = {
    "type": "object",
    "properties": {
        "kind": {"enum": ["film", "book"]},
        "stars": {"type": "integer", "minimum": 1, "maximum": 5},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 6}, "maxItems": 2},
        "where": {
            "type": "object",
            "properties": {"known": {"type": "boolean"}},
            "required": ["known"],
            "additionalProperties": False,
        },
    },
    "required": ["kind", "stars", "tags", "where"],
    "additionalProperties": False,
}
_CONTRADICTIONS = (
    replace(_SHORT, max_tokens=0),
    replace(_SHORT, temperature=-1.0),
    replace(_SHORT, choices=("yes", "yes")),
    replace(_SHORT, choices=("yes", "no"), answer={"type": "string"}),
    replace(_SHORT, stop=("",)),
    replace(_SHORT, answer={"type": "banana"}),
    replace(_SHORT, time_limit_s=0.0),
)


def check_generator(generator: Generator) -> None:
    """Check that a text generator keeps its promises.

    One answer a prompt, in their order, with counts; at temperature 0 equal prompts give equal
    answers, and neighbours change nothing; pieces of a stream make the answer; an answer fits its
    schema or its choices, stops at its stop texts, and keeps to its number of tokens; contradictory
    settings and no time at all are a GenerationError.

    Args:
        generator: The generator. Its model need not be a good one, but must have something to say.

    Raises:
        AssertionError: If a promise is broken; the text says which.
    """
    assert generator.name, "it has no name"
    assert generator.settings_key == generator.settings_key, "its settings key changes"
    assert generator.generate([], _SHORT) == [], "no prompts give answers"
    for wrong in _CONTRADICTIONS:
        _check_refused(wrong, generator.generate, [_PROMPTS[0]])
        _check_refused(wrong, lambda prompt, how: list(generator.stream(prompt, how)), _PROMPTS[0])
    _check_constrained(generator)
    _check_plain(generator)


def _check_refused(wrong: GenerationSettings, ask: Callable[..., object], asked: object) -> None:
    cure = None
    try:
        ask(asked, wrong)
    except GenerationError as error:
        cure = error.cure
    assert cure is not None, f"{wrong} is accepted"
    assert cure, f"{wrong} is refused without a word on what to do"


def _check_plain(generator: Generator) -> None:
    seen: list[tuple[str, int, int]] = []
    answers = generator.generate(_PROMPTS, _SHORT, lambda *args: seen.append(args))
    assert len(answers) == len(_PROMPTS), f"{len(_PROMPTS)} prompts give {len(answers)} answers"
    for answer in answers:
        _check_counts(answer)
        assert answer.ended in ("stop", "length"), f"an answer without a time limit ended by {answer.ended!r}"
        # An endpoint counts tokens of its own, or not at all.
        assert answer.tokens <= 2 * _SHORT.max_tokens, f"{answer.tokens} tokens where 8 were the most"
    assert all(answer.cached for answer in answers) or seen, "progress is never called"
    assert all(0 <= done <= total for _, done, total in seen), f"progress counts wrongly: {seen}"
    texts = [answer.text for answer in answers]
    assert any(texts), "it has nothing to say"
    assert texts[0] == texts[3], "equal prompts give different answers at temperature 0"
    backwards = [answer.text for answer in generator.generate(_PROMPTS[::-1], _SHORT)][::-1]
    assert backwards == texts, "the order of prompts matters"
    for prompt, text in zip(_PROMPTS, texts, strict=True):
        (alone,) = generator.generate([prompt], _SHORT)
        assert alone.text == text, f"neighbours change the answer to {prompt.user!r}"
    assert "".join(generator.stream(_PROMPTS[0], _SHORT)) == texts[0], "pieces do not make the answer"
    mark = texts[0][len(texts[0]) // 2 :][:2]
    stopping = replace(_SHORT, stop=(mark,))
    expected = texts[0][: texts[0].index(mark)]
    (stopped,) = generator.generate([_PROMPTS[0]], stopping)
    assert stopped.text == expected, f"stop text {mark!r}: {stopped.text!r}, not {expected!r}"
    assert "".join(generator.stream(_PROMPTS[0], stopping)) == expected, "a stream does not stop"


def _check_constrained(generator: Generator) -> None:
    formed = GenerationSettings(max_tokens=80, answer=_SCHEMA)
    for answer in generator.generate(_PROMPTS[:2], formed):
        _check_counts(answer)
        value = json.loads(answer.text)
        assert set(value) == {"kind", "stars", "tags", "where"}, f"{answer.text} does not fit the schema"
        assert value["kind"] in ("film", "book"), f"{answer.text}: kind is none of the two"
        assert type(value["stars"]) is int, f"{answer.text}: stars are not whole"
        assert 1 <= value["stars"] <= 5, f"{answer.text}: stars are out of range"
        assert len(value["tags"]) <= 2, f"{answer.text}: too many tags"
        assert all(len(tag) <= 6 for tag in value["tags"]), f"{answer.text}: a tag is too long"
        assert type(value["where"]["known"]) is bool, f"{answer.text}: known is not yes or no"
    chosen = GenerationSettings(choices=("a comedy", "a western", "巴黎"))
    for answer in generator.generate(_PROMPTS, chosen):
        assert answer.text in chosen.choices, f"{answer.text!r} is none of the choices"
    text = "".join(generator.stream(_PROMPTS[0], chosen))
    assert text in chosen.choices, f"the stream {text!r} is none of the choices"
    try:
        text = generator.generate([_PROMPTS[0]], replace(formed, max_tokens=3))[0].text
    except GenerationError:
        return
    raise AssertionError(f"{text!r} was cut off, and given as an answer")


def _check_counts(answer: Generation) -> None:
    assert isinstance(answer.text, str), f"the answer {answer.text!r} is no text"
    assert answer.prompt_tokens >= 0, f"{answer.prompt_tokens} tokens were read"
    assert answer.tokens >= 0, f"{answer.tokens} tokens were written"
    assert answer.elapsed_s >= 0, f"it took {answer.elapsed_s} s"


class ScriptedGenerator:
    """Answers without a model, for tests of what uses a generator: right, wrong, hostile or not at all.

    Args:
        answer: What it says, or a function of the prompt; an error that it raises is the generator's.

    Attributes:
        prompts: What it was asked, in order.
        settings: Settings of each call.

    Example:
        >>> generator = ScriptedGenerator(lambda prompt: prompt.user.upper())
        >>> generator.generate([Prompt("hello")])[0].text
        'HELLO'
    """

    name = settings_key = "scripted"

    def __init__(self, answer: str | Callable[[Prompt], str]) -> None:
        self._answer = answer
        self.prompts: list[Prompt] = []
        self.settings: list[GenerationSettings] = []

    def count_tokens(self, text: str) -> int:
        """Words of a text."""
        return len(text.split())

    def generate(
        self,
        prompts: Sequence[Prompt],
        settings: GenerationSettings = GenerationSettings(),
        progress: Progress | None = None,
    ) -> list[Generation]:
        """Answer prompts, one by one."""
        self.prompts += prompts
        self.settings.append(settings)
        texts = [
            self._answer if isinstance(self._answer, str) else self._answer(prompt) for prompt in prompts
        ]
        return [Generation(text, 1, 1, "stop", 0.0) for text in texts]

    def stream(self, prompt: Prompt, settings: GenerationSettings = GenerationSettings()) -> Iterator[str]:
        """Answer one prompt, in one piece."""
        yield self.generate([prompt], settings)[0].text
