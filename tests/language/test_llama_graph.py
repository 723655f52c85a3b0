"""The graph of a llama in float32 computes what Transformers computes, and in 8 bits nearly the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from motet.language._decoder import Logits
from motet.language._llama import read_llama
from motet.language._llama_graph import build_llama_graph
from motet.language._onnx import open_session

SHAPE: dict[str, Any] = {
    "vocab_size": 97,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
}


def logits_of_graph(
    folder: Path, config: dict[str, Any], ids: NDArray[np.int64], largest: int | None
) -> Logits:
    session = open_session(build_llama_graph(read_llama(folder, config), largest), 1)
    width = SHAPE["hidden_size"] // SHAPE["num_attention_heads"]
    rows, length = ids.shape
    memory = np.zeros((rows, SHAPE["num_key_value_heads"], 64, width), np.float32)
    feed = {
        "ids": ids,
        "last": np.stack([np.arange(rows), np.full(rows, length - 1)], 1).astype(np.int64),
        "lengths": np.full(rows, length - 1, np.int32),
        "total": np.array(length, np.int32),
    }
    feed |= {f"{part}{i}": memory for i in range(SHAPE["num_hidden_layers"]) for part in "kv"}
    found: Logits = session.run(["logits"], feed)[0]
    return found


@pytest.mark.parametrize("kind", ["llama", "qwen2", "llama, tied"])
def test_the_graph_is_the_model(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
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
    exact = logits_of_graph(tmp_path, config, ids, None)
    # The table of words is kept in 16 bits in any case.
    np.testing.assert_allclose(exact, expected, rtol=0, atol=0.01 * float(np.abs(expected).max()))
    rounded = logits_of_graph(tmp_path, config, ids, 127)
    cosine = (rounded * expected).sum(1) / np.linalg.norm(rounded, axis=1) / np.linalg.norm(expected, axis=1)
    assert cosine.min() > 0.99
    assert not np.allclose(rounded, exact, atol=1e-6)
