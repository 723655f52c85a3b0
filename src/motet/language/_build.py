"""From settings to an encoder, by an explicit table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from motet.language._endpoint import EndpointEncoder
from motet.language._in_use import one_in_use
from motet.language._onnx import OnnxEncoder
from motet.language._protocol import TextEncoder
from motet.language._torch import TorchEncoder
from motet.schema import LanguageSettings

__all__ = ["build_encoder"]


def _onnx(settings: LanguageSettings) -> TextEncoder:
    return OnnxEncoder(settings.encoder, max_tokens=settings.max_tokens, batch_size=settings.batch_size)


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
    "onnx": _onnx,
    "torch": _torch,
    "endpoint": _endpoint,
}


def build_encoder(settings: LanguageSettings) -> TextEncoder:
    """Build the encoder that the settings name.

    Args:
        settings: The ``language:`` part of a schema.

    Returns:
        An encoder that has read its configuration; it loads its weights when they are first needed. As long as an equal
        one is in use, it is that.

    Raises:
        LanguageError: If there is no such model, or the backend cannot run it.
        AssetError: If a packaged model cannot be fetched.
        MissingExtraError: If an optional dependency is missing.
    """
    encoder = _BACKENDS[settings.backend](settings)
    return one_in_use(encoder, encoder.settings_key, settings.batch_size)
