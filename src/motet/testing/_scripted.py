"""A generator that says what it is told to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from motet.assets import Progress
from motet.language import Generation, GenerationSettings, Prompt

__all__ = ["ScriptedGenerator"]


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
