from __future__ import annotations

import pytest

from motet.errors import GenerationError
from motet.text.generate import GenerationSettings, LocalGenerator, Prompt

SENTENCES = (
    "You liked Toy Story, and Aladdin is also an animated comedy.",
    "The jacket is warm and light.",
    "Users who liked Alien also liked Aliens.",
    "It was directed by Ridley Scott, who also made Gladiator, a film about Rome.",
    "This is a long film.",
    "Three hours.",
)
SHORT = GenerationSettings(max_tokens=24)


def prompts() -> list[Prompt]:
    asked = [Prompt(f"Rephrase this sentence: {sentence}") for sentence in SENTENCES]
    shown = (("Rephrase: The soup is hot.", "Careful, this soup is quite hot."),)
    return [*asked, Prompt("Rephrase: The tea is cold.", "You rephrase.", shown), Prompt("2 + 2 =")]


def test_it_knows_the_capital_of_france(local_generator: LocalGenerator) -> None:
    (answer,) = local_generator.generate([Prompt("What is the capital of France?")], SHORT)
    assert "Paris" in answer.text  # in which words is a matter of the last bits
    assert (answer.ended, answer.cached) == ("stop", False)
    assert 0 < answer.tokens <= SHORT.max_tokens
    assert answer.prompt_tokens == 37


@pytest.mark.soak
def test_an_answer_does_not_depend_on_its_neighbours(local_generator: LocalGenerator) -> None:
    asked = prompts()
    together = [answer.text for answer in local_generator.generate(asked, SHORT)]
    assert len(set(together)) == len(together)
    assert [local_generator.generate([prompt], SHORT)[0].text for prompt in asked] == together
    many = local_generator.generate([*asked[::-1], *asked, *asked, *asked, *asked, *asked], SHORT)
    assert [answer.text for answer in many] == together[::-1] + together * 5


def test_no_time_means_nothing_is_loaded() -> None:
    generator = LocalGenerator("/no/such/folder")
    with pytest.raises(GenerationError, match="time limit ran out"):
        generator.generate([Prompt("x")], GenerationSettings(time_limit_s=0))
