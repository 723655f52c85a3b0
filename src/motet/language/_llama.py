"""The weights of a llama, rearranged so that the same numbers take fewer operations and fewer bits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from motet.errors import GenerationError

__all__ = ["Llama", "is_llama", "read_llama", "turned", "turned_columns"]

Array = NDArray[np.float32]

_LIKE_LLAMA: Final = frozenset({"llama", "qwen2"})
_LARGEST_HADAMARD: Final = 128


@dataclass(frozen=True, slots=True)
class Llama:
    """A decoder of Touvron et al. (2023) whose norms only divide by the root mean square.

    The gain γ of a norm goes into the weights that read it, (γ ⊙ x̂) W = x̂ (diag(γ) W), and products
    that read the same vector are one product.

    The residual stream is turned by an orthogonal Q of Hadamard blocks (QuaRot, Ashkboos et al. 2024,
    section 4, stage 1a): what writes to it becomes W Q, what reads it Qᵀ W, and a norm without gain
    does not notice. Single channels no longer stick out, so eight bits hold the activations; the
    values of attention are turned alike, between the two products that make and read them. It costs
    nothing later.

    Attributes:
        words: Shape [vocabulary, D].
        head: What turns the last hidden vector into logits, shape [D, vocabulary].
        linears: ``qkv0, o0, gu0, d0, qkv1, …``: query, key and value; attention's output; gate and
            up; down; each (W [in, out], b [out] or None).
        layers: Number of layers.
        heads: Attention heads.
        kv_heads: Heads of keys and values.
        head_width: Width of a head.
        epsilon: Of the norms.
        cosines: Of the rotary positions (Su et al. 2021), shape [longest, head width / 2].
        sines: The same.
    """

    words: Array
    head: Array
    linears: Mapping[str, tuple[Array, Array | None]]
    layers: int
    heads: int
    kv_heads: int
    head_width: int
    epsilon: float
    cosines: Array
    sines: Array

    @property
    def width(self) -> int:
        """D, the width of a hidden vector."""
        return int(self.words.shape[1])


def is_llama(config: Mapping[str, Any]) -> bool:
    """Whether a ``config.json`` describes what :class:`Llama` can express."""
    return (
        config.get("model_type") in _LIKE_LLAMA
        and config.get("hidden_act") == "silu"
        and not config.get("mlp_bias", False)
        and not config.get("attention_bias", False)
        and not config.get("use_sliding_window", False)
        and _rope(config) is not None
    )


def _rope(config: Mapping[str, Any]) -> float | None:
    """The base of the rotary positions; None where they are stretched in some way."""
    stretched = config.get("rope_scaling") or config.get("rope_parameters") or {}
    if stretched.get("rope_type", stretched.get("type", "default")) != "default":
        return None
    return float(config.get("rope_theta") or stretched.get("rope_theta") or 10_000.0)


def read_llama(path: Path, config: Mapping[str, Any]) -> Llama:
    """Read and rearrange the weights.

    Raises:
        GenerationError: If a weight is missing or has the wrong shape.
    """
    from safetensors import SafetensorError  # noqa: PLC0415

    weights: dict[str, Array] = {}
    for file in sorted(path.glob("*.safetensors")):
        try:
            weights |= _read(file)
        except (SafetensorError, OSError) as error:
            raise GenerationError(f"{file} cannot be read ({error})", "fetch the model again") from error
    try:
        return _rearrange(weights, config)
    except (KeyError, ValueError) as error:
        raise GenerationError(
            f"{path}: the weights are not those of a llama ({error})", "fetch the model again"
        ) from error


def _read(file: Path) -> dict[str, Array]:
    from safetensors import safe_open  # noqa: PLC0415

    with safe_open(file, "np") as tensors:
        names = list(tensors.keys())
        if all(tensors.get_slice(name).get_dtype() in ("F16", "F32", "F64") for name in names):
            return {name: tensors.get_tensor(name).astype(np.float32) for name in names}
    with safe_open(file, "pt") as tensors:  # NumPy has no bfloat16; PyTorch takes seconds to import
        return {name: tensors.get_tensor(name).float().numpy() for name in names}


def _rearrange(weights: Mapping[str, Array], config: Mapping[str, Any]) -> Llama:
    heads, width = int(config["num_attention_heads"]), int(config["hidden_size"])
    kv_heads = int(config.get("num_key_value_heads") or heads)
    head_width = int(config.get("head_dim") or width // heads)
    layers = int(config["num_hidden_layers"])
    before_values = (heads + kv_heads) * head_width
    linears: dict[str, tuple[Array, Array | None]] = {}
    for i in range(layers):
        place = f"model.layers.{i}"
        gains = [weights[f"{place}.{n}.weight"] for n in ("input_layernorm", "post_attention_layernorm")]
        attention, inner = f"{place}.self_attn.", f"{place}.mlp."
        qkv, bias = _joined(weights, [f"{attention}{part}_proj" for part in "qkv"])  # [out, D], [out]
        qkv = turned(qkv * gains[0])
        by_head = qkv[before_values:].reshape(kv_heads, head_width, width)
        qkv[before_values:] = np.concatenate([turned_columns(head) for head in by_head])
        if bias is not None:
            bias[before_values:] = turned(bias[before_values:].reshape(-1, head_width)).reshape(-1)
        out, _ = _joined(weights, [f"{attention}o_proj"])  # [D, in]
        out = turned(out.reshape(-1, head_width)).reshape(out.shape)
        gate_up, _ = _joined(weights, [f"{inner}gate_proj", f"{inner}up_proj"])
        down, _ = _joined(weights, [f"{inner}down_proj"])
        linears[f"qkv{i}"] = (qkv.T, bias)
        linears[f"o{i}"] = (turned_columns(out).T, None)
        linears[f"gu{i}"] = (turned(gate_up * gains[1]).T, None)
        linears[f"d{i}"] = (turned_columns(down).T, None)
    words = weights["model.embed_tokens.weight"]
    head = words if config.get("tie_word_embeddings", False) else weights["lm_head.weight"]
    steps = np.arange(0, head_width, 2) / head_width
    angles = np.outer(np.arange(int(config["max_position_embeddings"])), (_rope(config) or 1.0) ** -steps)
    return Llama(
        words=turned(words),
        head=turned(head * weights["model.norm.weight"]).T,
        linears=linears,
        layers=layers,
        heads=heads,
        kv_heads=kv_heads,
        head_width=head_width,
        epsilon=float(config["rms_norm_eps"]),
        cosines=np.cos(angles).astype(np.float32),
        sines=np.sin(angles).astype(np.float32),
    )


def turned(rows: Array) -> Array:
    """Turn each row by an orthogonal Q: blocks of a Hadamard matrix.

    Args:
        rows: Shape [n, D].

    Returns:
        rows Q, shape [n, D]; lengths and angles are as before.

    Example:
        >>> print(np.round(turned(np.array([[1.0, 0.0, 0.0, 0.0, 0.0, 2.0]], np.float32)), 2) + 0.0)
        [[ 0.71  0.71  0.    0.    1.41 -1.41]]
    """
    hadamard = _hadamard(rows.shape[1])
    blocks: Array = rows.reshape(-1, len(hadamard)) @ hadamard
    return blocks.reshape(rows.shape)


def turned_columns(columns: Array) -> Array:
    """Turn each column by the same Q.

    Args:
        columns: Shape [D, n].

    Returns:
        Qᵀ columns, shape [D, n].
    """
    hadamard = _hadamard(columns.shape[0])
    blocks: Array = np.matmul(hadamard.T, columns.reshape(-1, len(hadamard), columns.shape[1]))
    return blocks.reshape(columns.shape)


def _hadamard(width: int) -> Array:
    """The orthonormal Hadamard matrix of the largest power of two that divides a width."""
    power = min(width & -width, _LARGEST_HADAMARD)
    matrix: NDArray[np.float64] = np.ones((1, 1))
    while len(matrix) < power:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]]) / np.sqrt(2)
    return matrix.astype(np.float32)


def _joined(weights: Mapping[str, Array], names: list[str]) -> tuple[Array, Array | None]:
    weight = np.concatenate([weights[f"{name}.weight"] for name in names])
    biases = [weights[f"{name}.bias"] for name in names if f"{name}.bias" in weights]
    if len(biases) not in (0, len(names)):
        raise ValueError(f"some of {names} have a bias and some have none")
    return weight, np.concatenate(biases) if biases else None
