"""The weights as they are, through sentence-transformers; only the batching is ours."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motet.errors import LanguageError, MissingExtraError
from motet.language._batches import sorted_batches
from motet.language._model_folder import find_model, longest_text, read_model
from motet.language._protocol import Progress
from motet.language._text import characters_for, clean_text

__all__ = ["TorchEncoder"]


class TorchEncoder:
    """Encodes with PyTorch in float32; every architecture that sentence-transformers can load.

    Nothing is loaded before the first text that must be encoded, so that a run whose texts are all
    in the cache pays for no model.

    Args:
        encoder: A packaged name, a folder, or a hub id.
        max_tokens: Longer texts are cut; at most what the model has positions for.
        batch_size: Most texts a batch.
        token_budget: Most tokens a batch, padding included.
        device: Where to compute.

    Raises:
        LanguageError: If there is no such model.
        MissingExtraError: On the first use, if sentence-transformers is not installed.
    """

    def __init__(
        self,
        encoder: str,
        *,
        max_tokens: int = 128,
        batch_size: int = 64,
        token_budget: int = 4096,
        device: str = "cpu",
    ) -> None:
        self._folder = read_model(find_model(encoder))
        self._limit = longest_text(self._folder.config, max_tokens)
        self._batch_size = batch_size
        self._token_budget = token_budget
        self._device = device
        self.name = encoder
        key = f"torch-1\0{self._folder.content_hash}\0{self._limit}"
        self.settings_key = hashlib.sha256(key.encode()).hexdigest()

    @cached_property
    def width(self) -> int:
        """Length of a vector; read from the configuration where that says it."""
        simple = self._folder.pooling in ("mean", "cls") and "Dense" not in self._folder.modules
        if simple and "hidden_size" in self._folder.config:
            return int(self._folder.config["hidden_size"])
        return int(self._model.get_embedding_dimension())

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> NDArray[np.float32]:
        """Encode texts; see :meth:`motet.language.TextEncoder.encode`."""
        import torch  # noqa: PLC0415

        vectors = np.zeros((len(texts), self.width), np.float32)
        cleaned = [clean_text(text, characters_for(self._limit)) for text in texts]
        filled = [row for row, text in enumerate(cleaned) if text]
        if not filled:
            return vectors
        tokenizer = self._model.tokenizer
        tokens = tokenizer(
            [self._folder.prompt + cleaned[row] for row in filled], truncation=True, max_length=self._limit
        )
        lengths = [len(ids) for ids in tokens["input_ids"]]
        done = 0
        for batch in sorted_batches(lengths, self._token_budget, self._batch_size):
            part = {name: [values[i] for i in batch] for name, values in tokens.items()}
            padded = tokenizer.pad(part, return_tensors="pt").to(self._device)
            with torch.inference_mode():
                result = self._model(dict(padded))["sentence_embedding"]  # [B, D]
            vectors[[filled[i] for i in batch]] = result.float().cpu().numpy()
            done += len(batch)
            if progress is not None:
                progress("encoding text", done, len(filled))
        return vectors

    @cached_property
    def _model(self) -> Any:
        try:
            from safetensors import SafetensorError  # noqa: PLC0415
            from sentence_transformers import SentenceTransformer  # noqa: PLC0415
        except ImportError:
            raise MissingExtraError("sentence_transformers", "language") from None
        try:
            model = SentenceTransformer(
                str(self._folder.path),
                device=self._device,
                local_files_only=True,  # everything is in the folder: the hub has nothing to add
                model_kwargs={"use_safetensors": True},
            )
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise LanguageError(
                f"{self.name}: the model could not be loaded ({str(error).splitlines()[0]})",
                "give a folder in the format of sentence-transformers or Transformers",
            ) from error
        return model.eval()
