from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from motet.errors import GenerationError, SchemaError
from motet.schema import LanguageSettings, Schema
from motet.text.generate import GenerationCache, GenerationSettings, Prompt, build_generator

ASKED = [Prompt("What is the capital of France?")]


def test_none_is_none() -> None:
    assert build_generator(LanguageSettings(generator="none")) is None


@pytest.mark.parametrize("generator", ["/no/such/folder", "no-such-model", "./x"])
def test_nothing_is_loaded_before_the_first_call(generator: str, tmp_path: Path) -> None:
    cache = GenerationCache(tmp_path)
    built = build_generator(LanguageSettings(generator=generator, generator_seconds=0), cache)
    assert built is not None
    with pytest.raises(GenerationError, match="time limit ran out"):
        built.generate(ASKED)
    with pytest.raises(GenerationError, match="time limit ran out"):
        list(built.stream(ASKED[0]))


def test_a_missing_model_says_what_to_do(tmp_path: Path) -> None:
    built = build_generator(LanguageSettings(generator="/no/such/folder"), GenerationCache(tmp_path))
    assert built is not None
    with pytest.raises(
        GenerationError, match=r"language.generator: there is no folder '/no/such/folder'"
    ) as caught:
        built.generate(ASKED)
    assert "SmolLM2-135M-Instruct" in caught.value.cure


def test_an_endpoint_and_its_address_go_together(
    clicks: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    settings = LanguageSettings(
        generator="m",
        generator_backend="endpoint",
        generator_endpoint="http://127.0.0.1:9/v1",
        generator_seconds=2,
    )
    built = build_generator(settings, GenerationCache(tmp_path))
    assert built is not None
    assert built.name == "m"
    with pytest.raises(GenerationError, match=r"connection refused|time limit ran out"):
        built.generate(ASKED, GenerationSettings(time_limit_s=0.2))
    with pytest.raises(SchemaError, match="'generator_endpoint' goes with"):
        Schema.parse(clicks(language={"generator_backend": "endpoint"}))


def test_answers_are_kept(tmp_path: Path) -> None:
    settings = GenerationSettings(max_tokens=8)
    first = build_generator(LanguageSettings(), GenerationCache(tmp_path))
    assert first is not None
    (answer,) = first.generate(ASKED, settings)
    second = build_generator(LanguageSettings(), GenerationCache(tmp_path))
    assert second is not None
    (again,) = second.generate(ASKED, settings)
    assert (answer.cached, again.cached) == (False, True)
    assert (again.text, again.tokens, again.ended) == (answer.text, answer.tokens, answer.ended)
