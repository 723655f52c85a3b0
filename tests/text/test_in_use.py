from __future__ import annotations

import gc
import weakref

from motet.schema import LanguageSettings
from motet.text.encode import build_encoder
from motet.text.generate import build_generator

SETTINGS = LanguageSettings(backend="endpoint", encoder="one", endpoint="http://127.0.0.1:9/v1")


def test_equal_encoders_are_one_as_long_as_one_is_in_use() -> None:
    first = build_encoder(SETTINGS)
    assert build_encoder(SETTINGS.model_copy()) is first
    for other in (
        {"encoder": "two"},
        {"endpoint": "http://127.0.0.1:10/v1"},
        {"max_tokens": 7},
        {"batch_size": 3},
    ):
        assert build_encoder(SETTINGS.model_copy(update=other)) is not first
    gone = weakref.ref(first)
    del first
    gc.collect()
    assert gone() is None
    assert build_encoder(SETTINGS).name == "one"


def test_equal_generators_share_their_model() -> None:
    def model(**changes: object) -> object:
        found = build_generator(LanguageSettings(generator_backend="local", **changes))
        inside = vars(vars(found)["_generator"])["_generator"]
        held.append(found)
        return inside

    held: list[object] = []
    first = model(generator="smollm2-135m")
    assert model(generator="smollm2-135m", generator_seconds=3) is first
    assert model(generator="another") is not first
