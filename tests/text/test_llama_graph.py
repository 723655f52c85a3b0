"""The graph of a llama in float32 computes what Transformers computes, and in 8 bits nearly the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from motet.text.generate import OnnxDecoder

SHAPE: dict[str, Any] = {
    "vocab_size": 97,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
}


def logits_of(
    folder: Path, config: dict[str, Any], ids: NDArray[np.int64], **how: Any
) -> NDArray[np.float32]:
    """Logits after the last token of each row."""
    found: NDArray[np.float32] = (
        OnnxDecoder(folder, config, "hash", prepared=folder, **how).read(ids.tolist()).logits
    )
    return found


def cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    product: NDArray[np.float32] = (one * other).sum(1)
    found: NDArray[np.float32] = product / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    return found


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("kind", ["llama", "qwen2", "llama, tied"])
def test_the_graph_is_the_model(kind: str, seed: int, tmp_path: Path) -> None:
    torch.manual_seed(seed)
    tied = {"tie_word_embeddings": kind == "llama, tied"}
    model = (
        Qwen2ForCausalLM(Qwen2Config(**SHAPE, **tied))
        if kind == "qwen2"
        else LlamaForCausalLM(LlamaConfig(**SHAPE, **tied))
    ).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():  # gains and biases that are not all alike
            if "norm" in name or name.endswith("bias"):
                weight.copy_(torch.rand_like(weight) + 0.5)
    model.save_pretrained(tmp_path)
    ids = np.random.default_rng(0).integers(0, 97, (2, 11))
    with torch.no_grad():
        expected = model(torch.tensor(ids)).logits[:, -1].numpy()
    config = model.config.to_dict()
    exact = logits_of(tmp_path, config, ids, weights="float32")
    # The table of words is kept in 16 bits in any case.
    np.testing.assert_allclose(exact, expected, rtol=0, atol=0.01 * float(np.abs(expected).max()))
    rounded = logits_of(tmp_path, config, ids)
    # Whatever the processor multiplies with: a sum that overflowed in 16 bits would cost 0.005 to 0.025.
    assert cosine(rounded, expected).min() > 0.999
    assert not np.allclose(rounded, exact, atol=1e-6)
    # Unsigned weights add up exactly everywhere; the default writes the same numbers another way at most.
    np.testing.assert_allclose(rounded, logits_of(tmp_path, config, ids, weights="unsigned"), atol=1e-4)
