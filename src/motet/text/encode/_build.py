"""From settings to an encoder, by an explicit table; equal models are in memory once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Sequence
from threading import Lock
from typing import Any, Final, TypeVar
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from motet.schema import TEXT_ENCODERS, LanguageSettings, Progress, silent
from motet.text.encode._caches import VectorCache, encode_cached
from motet.text.encode._encoders import CTranslate2Encoder, TextEncoder, TorchEncoder, UnsupportedEncoderError
from motet.text.encode._endpoint import EndpointEncoder

__all__ = ["build_encoder", "one_in_use", "register_text_encoder", "text_encoder"]

_T = TypeVar("_T")
_IN_USE: Final[WeakValueDictionary[Hashable, Any]] = WeakValueDictionary()
_LOCK: Final = Lock()


def one_in_use(one: _T, *settings: Hashable) -> _T:
    """The model of the same kind and settings that is in use already, or else this one.

    Args:
        one: A model that has loaded no weights yet.
        settings: All that its answers depend on.
    """
    with _LOCK:
        found: _T = _IN_USE.setdefault((type(one), *settings), one)
        return found


_log: Final = logging.getLogger("motet.text")


def ctranslate2_encoder(settings: LanguageSettings) -> TextEncoder:
    """The encoder of ``backend: ctranslate2``; PyTorch's where CTranslate2 does not know the architecture."""
    try:
        return CTranslate2Encoder(
            settings.encoder, max_tokens=settings.max_tokens, batch_size=settings.batch_size
        )
    except UnsupportedEncoderError as error:
        _log.warning(
            "%s, so PyTorch encodes in float32, at about half the speed; language.backend: torch says so, too",
            error.problem,
        )
        return torch_encoder(settings)


def torch_encoder(settings: LanguageSettings) -> TextEncoder:
    """The encoder of ``backend: torch``."""
    return TorchEncoder(settings.encoder, max_tokens=settings.max_tokens, batch_size=settings.batch_size)


def endpoint_encoder(settings: LanguageSettings) -> TextEncoder:
    """The encoder of ``backend: endpoint``."""
    return EndpointEncoder(
        settings.encoder,
        settings.endpoint or "",
        max_tokens=settings.max_tokens,
        batch_size=settings.batch_size,
    )


def register_text_encoder(
    name: str,
) -> Callable[[Callable[[LanguageSettings], TextEncoder]], Callable[[LanguageSettings], TextEncoder]]:
    """Add a text encoder, which ``language.backend`` may name; a decorator of what makes it of the settings.

    Raises:
        SchemaError: If another encoder has the name.
    """
    return TEXT_ENCODERS.adder(name)


def build_encoder(settings: LanguageSettings) -> TextEncoder:
    """Build the encoder that the settings name.

    Args:
        settings: The ``language:`` part of a schema. A model that CTranslate2 cannot run is run by PyTorch, and that is
            logged.

    Returns:
        An encoder that has read its configuration; it loads its weights when they are first needed. As long as an equal
        one is in use, it is that.

    Raises:
        LanguageError: If there is no such model.
        AssetError: If a packaged model cannot be fetched.
        MissingExtraError: If an optional dependency is missing.
    """
    encoder: TextEncoder = TEXT_ENCODERS[settings.backend](settings)
    return one_in_use(encoder, encoder.settings_key, settings.batch_size)


def text_encoder(
    settings: LanguageSettings, progress: Progress = silent, cache: VectorCache | None = None
) -> Callable[[Sequence[str]], NDArray[np.float32]]:
    """A function from texts to vectors that keeps what it has encoded; no model is loaded before it is called.

    Args:
        settings: Name the encoder.
        progress: Progress callback.
        cache: Where vectors are kept; motet's cache on disk when left out.
    """
    kept = cache or VectorCache()
    built: list[TextEncoder] = []  # of the first call: a service receives one item after the other
    lock = Lock()

    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        with lock:
            if not built:
                built.append(build_encoder(settings))
        return encode_cached(built[0], texts, kept, progress)

    return encode
