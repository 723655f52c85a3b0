"""From settings to an encoder, by an explicit table."""

from __future__ import annotations

from collections.abc import Callable

from motet.language._endpoint import EndpointEncoder
from motet.language._in_use import one_in_use
from motet.language._onnx import OnnxEncoder
from motet.language._protocol import TextEncoder
from motet.language._torch import TorchEncoder
from motet.schema import TEXT_ENCODERS, LanguageSettings

__all__ = ["build_encoder", "register_text_encoder"]


def onnx_encoder(settings: LanguageSettings) -> TextEncoder:
    """The encoder of ``backend: onnx``."""
    return OnnxEncoder(settings.encoder, max_tokens=settings.max_tokens, batch_size=settings.batch_size)


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
        settings: The ``language:`` part of a schema.

    Returns:
        An encoder that has read its configuration; it loads its weights when they are first needed. As long as an equal
        one is in use, it is that.

    Raises:
        LanguageError: If there is no such model, or the backend cannot run it.
        AssetError: If a packaged model cannot be fetched.
        MissingExtraError: If an optional dependency is missing.
    """
    encoder: TextEncoder = TEXT_ENCODERS[settings.backend](settings)
    return one_in_use(encoder, encoder.settings_key, settings.batch_size)
