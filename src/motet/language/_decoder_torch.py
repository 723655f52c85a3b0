"""Tokens by Transformers, for every architecture it knows."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from motet.errors import GenerationError, MissingExtraError
from motet.language._decoder import Logits, Rows

__all__ = ["TorchDecoder"]


class TorchDecoder:
    """A causal language model as Transformers loads it, in float32, one prompt at a time.

    One at a time because the last bits of a float32 product depend on how many rows it has, and one
    bit can tip the likeliest token: an answer would depend on its neighbours.

    Args:
        folder: With ``config.json`` and safetensors.
        config: Its content.
        device: A device of PyTorch.

    Raises:
        GenerationError: If Transformers cannot load it.
        MissingExtraError: If transformers is not installed.
    """

    together = 1

    def __init__(self, folder: Path, config: Mapping[str, Any], *, device: str = "cpu") -> None:
        try:
            import torch  # noqa: PLC0415
            from transformers import AutoModelForCausalLM  # noqa: PLC0415
        except ImportError:
            raise MissingExtraError("transformers", "generate") from None
        self._torch: Any = torch
        self._device = device
        try:
            model = AutoModelForCausalLM.from_pretrained(
                folder, dtype=torch.float32, use_safetensors=True, local_files_only=True
            )
            self._model = model.to(device).eval()
        except Exception as error:  # Transformers raises whatever its parts raise
            first = str(error).strip().splitlines()
            raise GenerationError(
                f"{folder} cannot be loaded ({type(error).__name__}: {first[0] if first else 'no reason given'})",
                "give a folder or hub id of a causal language model that the installed Transformers knows",
            ) from error
        self.vocabulary = int(self._model.config.vocab_size)
        self.longest = int(config.get("max_position_embeddings") or 2048)

    def read(self, prompts: Sequence[Sequence[int]]) -> Rows:
        """Read one prompt; see :meth:`motet.language._decoder.Decoder.read`."""
        (prompt,) = prompts
        rows = _TorchRows(self)
        rows.read_more([list(prompt)])
        return rows

    def join(self, first: Rows, second: Rows) -> Rows:
        """Refused: rows of different lengths do not go together."""
        raise NotImplementedError

    def run(self, ids: Sequence[Sequence[int]], memory: Any) -> tuple[Logits, Any]:
        """One pass over new tokens [B, L]; logits after the last of each row, and what to remember."""
        with self._torch.inference_mode():
            tokens = self._torch.tensor(ids, device=self._device)
            answer = self._model(tokens, past_key_values=memory, use_cache=True, logits_to_keep=1)
        return answer.logits[:, -1].float().cpu().numpy(), answer.past_key_values


class _TorchRows:
    def __init__(self, decoder: TorchDecoder) -> None:
        self._decoder = decoder
        self._memory: Any = None
        self.logits: Logits = np.zeros((0, 0), np.float32)

    def read_more(self, ids: Sequence[Sequence[int]]) -> None:
        self.logits, self._memory = self._decoder.run(ids, self._memory)

    def step(self, tokens: Sequence[int]) -> None:
        self.read_more([[token] for token in tokens])

    def take(self, rows: Sequence[int]) -> None:
        chosen = self._decoder._torch.tensor(list(rows), device=self._decoder._device)
        self._memory = copy.deepcopy(self._memory)  # one that was chosen from stays what it was
        self._memory.reorder_cache(chosen)
        self.logits = self.logits[np.array(rows, np.int64)]
