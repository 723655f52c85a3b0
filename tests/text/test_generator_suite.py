"""Every generator keeps the promises of the protocol, one by one and one around another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from motet.datasets import Progress
from motet.schema import LanguageSettings
from motet.testing import check_generator
from motet.text.generate import (
    BudgetedGenerator,
    CachedGenerator,
    Generation,
    GenerationBudget,
    GenerationCache,
    GenerationSettings,
    LocalGenerator,
    Prompt,
    build_generator,
)


def test_local(local_generator: LocalGenerator) -> None:
    check_generator(local_generator)


def test_cached_and_budgeted(local_generator: LocalGenerator, tmp_path: Path) -> None:
    budget = GenerationBudget(tokens=100_000, seconds=3600, money=9.0, price_read=1.0, price_written=2.0)
    generator = CachedGenerator(BudgetedGenerator(local_generator, budget), GenerationCache(tmp_path))
    check_generator(generator)
    check_generator(generator)  # once more, and now most of it is known


def test_built_from_settings(tmp_path: Path) -> None:
    generator = build_generator(LanguageSettings(), GenerationCache(tmp_path))
    assert generator is not None
    check_generator(generator)


class _Broken:
    """A generator with one fault."""

    def __init__(self, inside: LocalGenerator, fault: str) -> None:
        self._inside, self._fault = inside, fault
        self.name = "broken"
        self.settings_key = inside.settings_key

    def count_tokens(self, text: str) -> int:
        return self._inside.count_tokens(text)

    def generate(
        self,
        prompts: Sequence[Prompt],
        settings: GenerationSettings = GenerationSettings(),
        progress: Progress | None = None,
    ) -> list[Generation]:
        if self._fault == "accepts anything" and not settings.max_tokens:
            return []
        formed = settings.answer is not None or bool(settings.choices)
        if self._fault == "fails open" and "properties" in (settings.answer or {}):
            settings = GenerationSettings(max_tokens=settings.max_tokens)
        answers = self._inside.generate(prompts, settings, progress)
        if self._fault == "neighbours" and len(prompts) > 1 and not formed:
            return [Generation(a.text + "!", a.prompt_tokens, a.tokens, a.ended, 0.0) for a in answers]
        return answers[1:] if self._fault == "loses one" else answers

    def stream(self, prompt: Prompt, settings: GenerationSettings = GenerationSettings()) -> Iterator[str]:
        pieces = list(self._inside.stream(prompt, settings))
        yield from pieces[1:] if self._fault == "eats a piece" and len(pieces) > 1 else pieces


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("loses one", "5 prompts give 4 answers"),
        ("neighbours", "neighbours change the answer"),
        ("eats a piece", "pieces do not make the answer"),
        ("fails open", "Expecting value|does not fit"),
        ("accepts anything", "is accepted"),
    ],
)
def test_the_suite_finds_faults(local_generator: LocalGenerator, fault: str, message: str) -> None:
    with pytest.raises((AssertionError, ValueError), match=message):
        check_generator(_Broken(local_generator, fault))
