"""From settings to an encoder, by an explicit table."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Final

from motet.language._ctranslate2 import CTranslate2Encoder, UnsupportedEncoderError
from motet.language._endpoint import EndpointEncoder
from motet.language._in_use import one_in_use
from motet.language._protocol import TextEncoder
from motet.language._torch import TorchEncoder
from motet.schema import LanguageSettings

__all__ = ["build_encoder"]

_log: Final = logging.getLogger("motet.language")


def _ctranslate2(settings: LanguageSettings) -> TextEncoder:
    try:
        return CTranslate2Encoder(
            settings.encoder, max_tokens=settings.max_tokens, batch_size=settings.batch_size
        )
    except UnsupportedEncoderError as error:
        _log.warning(
            "%s, so PyTorch encodes in float32, at about half the speed; language.backend: torch says so, too",
            error.problem,
        )
        return _torch(settings)


def _torch(settings: LanguageSettings) -> TextEncoder:
    return TorchEncoder(settings.encoder, max_tokens=settings.max_tokens, batch_size=settings.batch_size)


def _endpoint(settings: LanguageSettings) -> TextEncoder:
    return EndpointEncoder(
        settings.encoder,
        settings.endpoint or "",
        max_tokens=settings.max_tokens,
        batch_size=settings.batch_size,
    )


_BACKENDS: Final[Mapping[str, Callable[[LanguageSettings], TextEncoder]]] = {
    "ctranslate2": _ctranslate2,
    "torch": _torch,
    "endpoint": _endpoint,
}


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
    encoder = _BACKENDS[settings.backend](settings)
    return one_in_use(encoder, encoder.settings_key, settings.batch_size)
