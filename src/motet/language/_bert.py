"""BERT's weights, rearranged so that the same numbers take fewer operations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from motet.errors import LanguageError
from motet.language._model_folder import ModelFolder

__all__ = ["Bert", "Linear", "check_bert", "read_bert"]

Array = NDArray[np.float32]

_CURE = "use language.backend: torch, which runs any architecture"


@dataclass(frozen=True, slots=True)
class Linear:
    """y = x W + b.

    Attributes:
        weight: W, shape [in, out].
        bias: b, shape [out].
        reads: Name of the activation x: ``x`` enters a layer, ``a`` leaves attention, ``h`` lies
            between attention and feed-forward, ``u`` inside the feed-forward; the layer follows.
    """

    weight: Array
    bias: Array
    reads: str


@dataclass(frozen=True, slots=True)
class Bert:
    """An encoder of Devlin et al. (2019) whose layer norms only standardise.

    A layer norm is γ ⊙ x̂ + β. The next matrix product takes γ and β into its own weights,
    (γ ⊙ x̂ + β) W + b = x̂ (diag(γ) W) + (β W + b), and β of the residual path goes into the bias
    that is added there anyway; what remains is x̂ and one product with γ.

    Attributes:
        words: Shape [vocabulary, D].
        positions: Position plus the constant token type, shape [longest, D].
        linears: ``q0, k0, v0, o0, f0, d0, q1, …``: query, key, value, output, feed-forward up, down.
        gains: γ of the residual path that starts at an activation ``x0, h0, x1, …``, shape [D].
        last_gain: γ of the last layer norm.
        last_bias: β of the last layer norm.
        layers: Number of layers.
        heads: Attention heads.
        epsilon: Of the layer norms.
        pooling: ``mean`` or ``cls``.
        normalises: Whether vectors are scaled to length 1.
    """

    words: Array
    positions: Array
    linears: Mapping[str, Linear]
    gains: Mapping[str, Array]
    last_gain: Array
    last_bias: Array
    layers: int
    heads: int
    epsilon: float
    pooling: str
    normalises: bool

    @property
    def width(self) -> int:
        """D, the length of a vector."""
        return int(self.words.shape[1])


def check_bert(folder: ModelFolder) -> None:
    """Refuse what :class:`Bert` cannot express, before any weight is read.

    Raises:
        LanguageError: If the model is of another architecture, or has other modules on top.
    """
    config = folder.config
    rules = {
        "model_type": (config.get("model_type"), ("bert",)),
        "hidden_act": (config.get("hidden_act"), ("gelu",)),
        "position_embedding_type": (config.get("position_embedding_type", "absolute"), ("absolute",)),
        "pooling": (folder.pooling, ("mean", "cls")),
    }
    for rule, (value, allowed) in rules.items():
        if value not in allowed:
            raise LanguageError(
                f"language.backend: onnx cannot run {folder.path}: {rule} is {value!r}, not "
                + " or ".join(repr(name) for name in allowed),
                _CURE,
            )
    extra = set(folder.modules) - {"Transformer", "Pooling", "Normalize"}
    if extra:
        raise LanguageError(
            f"language.backend: onnx cannot run {folder.path}: it has a module {sorted(extra)[0]!r}", _CURE
        )


def read_bert(folder: ModelFolder) -> Bert:
    """Read and rearrange the weights.

    Raises:
        LanguageError: If a weight is missing or has the wrong shape.
    """
    check_bert(folder)
    raw = _read_weights(folder.path)
    try:
        return _rearrange(raw, folder)
    except (KeyError, ValueError) as error:
        raise LanguageError(f"{folder.path}: the weights are not those of a BERT ({error})", _CURE) from error


def _read_weights(path: Path) -> dict[str, Array]:
    from safetensors import SafetensorError  # noqa: PLC0415
    from safetensors.torch import load_file  # NumPy has no bfloat16, in which some weights are kept  # noqa: PLC0415

    weights: dict[str, Array] = {}
    for file in sorted(path.glob("*.safetensors")):
        try:
            tensors = load_file(file)
        except (SafetensorError, OSError) as error:
            raise LanguageError(f"{file} cannot be read ({error})", "fetch the model again") from error
        weights |= {
            name.removeprefix("bert."): tensor.float().numpy()
            for name, tensor in tensors.items()
            if tensor.is_floating_point()
        }
    return weights


def _rearrange(raw: Mapping[str, Array], folder: ModelFolder) -> Bert:
    def pair(name: str) -> tuple[Array, Array]:
        return raw[f"{name}.weight"], raw[f"{name}.bias"]

    linears: dict[str, Linear] = {}
    gains: dict[str, Array] = {}
    gain, shift = pair("embeddings.LayerNorm")
    layers = int(folder.config["num_hidden_layers"])
    for i in range(layers):
        layer = f"encoder.layer.{i}"

        def after_norm(name: str, reads: str, gain: Array, shift: Array, layer: str = layer) -> Linear:
            weight, bias = pair(f"{layer}.{name}")
            return Linear(np.ascontiguousarray(gain[:, None] * weight.T), bias + weight @ shift, reads)

        def before_residual(name: str, reads: str, shift: Array, layer: str = layer) -> Linear:
            weight, bias = pair(f"{layer}.{name}")
            return Linear(np.ascontiguousarray(weight.T), bias + shift, reads)

        for short, name in (("q", "query"), ("k", "key"), ("v", "value")):
            linears[f"{short}{i}"] = after_norm(f"attention.self.{name}", f"x{i}", gain, shift)
        linears[f"o{i}"] = before_residual("attention.output.dense", f"a{i}", shift)
        gains[f"x{i}"] = gain
        gain, shift = pair(f"{layer}.attention.output.LayerNorm")
        linears[f"f{i}"] = after_norm("intermediate.dense", f"h{i}", gain, shift)
        linears[f"d{i}"] = before_residual("output.dense", f"u{i}", shift)
        gains[f"h{i}"] = gain
        gain, shift = pair(f"{layer}.output.LayerNorm")
    return Bert(
        words=raw["embeddings.word_embeddings.weight"],
        positions=raw["embeddings.position_embeddings.weight"]
        + raw["embeddings.token_type_embeddings.weight"][0],
        linears=linears,
        gains=gains,
        last_gain=gain,
        last_bias=shift,
        layers=layers,
        heads=int(folder.config["num_attention_heads"]),
        epsilon=float(folder.config.get("layer_norm_eps", 1e-12)),
        pooling=folder.pooling,
        normalises=folder.normalises,
    )
