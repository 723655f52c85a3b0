"""A llama as an ONNX graph in 8 bits, for ONNX Runtime on a CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from motet.language._graph import MICROSOFT, Graph
from motet.language._llama import Array, Llama

__all__ = ["Weights", "build_llama_graph"]

Weights = Literal["signed", "unsigned", "float32"]
"""How weights are written: as signed or unsigned bytes, whose sums are the same, or as they are."""

_MIDDLE: Final = 128  # the unsigned byte of 0
_SMALLEST: Final = 1e-9


def build_llama_graph(llama: Llama, weights: Weights) -> bytes:
    """Write the graph of one pass: new tokens in, logits of chosen ones out, keys and values in place.

    A product rounds each row of activations by that row's own largest number and each column of
    weights by its own, and sums whole numbers: the sum is exact, so what a token gets does not
    depend on how many rows lie beside it.

    Inputs: ``ids`` [B, L]; ``last`` [n, 2], the (row, column) of each token whose logits are wanted;
    ``lengths`` [B], tokens of each row after the pass, less 1; ``total``, the longest row after it;
    ``k0, v0, k1, …`` [B, kv heads, room, width of a head]. Outputs: ``logits`` [n, vocabulary], and
    ``k0_new, …``, which are to be bound to the same memory.

    Args:
        llama: The weights.
        weights: How they are written; activations become bytes with them.

    Returns:
        A serialised ONNX model.
    """
    from onnx import TensorProto  # noqa: PLC0415

    graph = _Rounding(weights)
    graph.constant("ones", np.ones(llama.width, np.float32))
    graph.constant("cosines", llama.cosines)
    graph.constant("sines", llama.sines)
    query, key = llama.heads * llama.head_width, llama.kv_heads * llama.head_width
    graph.constant("parts", np.array([query, key, key]))
    graph.constant("words", llama.words.astype(np.float16))
    graph.node("Gather", ["words", "ids"], "word")  # [B, L, D]
    x = graph.node("Cast", ["word"], "x0", to=TensorProto.FLOAT)
    graph.node("SimplifiedLayerNormalization", [x, "ones"], "n0", axis=-1, epsilon=llama.epsilon)
    for i in range(llama.layers):
        x = _layer(graph, llama, i, x)
    graph.node("GatherND", [f"n{llama.layers}", "last"], "wanted")  # [n, D]
    graph.linear("head", llama.head, None, "wanted", "logits")
    memory = (TensorProto.FLOAT, ["batch", llama.kv_heads, "room", llama.head_width])
    names = [f"{part}{i}" for i in range(llama.layers) for part in "kv"]
    inputs: dict[str, tuple[int, list[Any]]] = {
        "ids": (TensorProto.INT64, ["batch", "new"]),
        "last": (TensorProto.INT64, ["wanted", 2]),
        "lengths": (TensorProto.INT32, ["batch"]),
        "total": (TensorProto.INT32, []),
    }
    logits = {"logits": (TensorProto.FLOAT, ["wanted", len(llama.words)])}
    return graph.serialise(
        "motet_text_generator",
        inputs | dict.fromkeys(names, memory),
        logits | dict.fromkeys((f"{name}_new" for name in names), memory),
    )


def _layer(graph: _Rounding, llama: Llama, i: int, x: str) -> str:
    graph.linear(f"qkv{i}", *llama.linears[f"qkv{i}"], f"n{i}", f"qkv{i}_out")
    graph.node("Split", [f"qkv{i}_out", "parts"], [f"q{i}_out", f"k{i}_out", f"v{i}_out"], axis=-1)
    reads = [f"{part}{i}_out" for part in "qkv"]
    reads += [f"k{i}", f"v{i}", "lengths", "total", "cosines", "sines"]
    writes = [f"a{i}", f"k{i}_new", f"v{i}_new"]
    heads = {"num_heads": llama.heads, "kv_num_heads": llama.kv_heads}
    graph.node("GroupQueryAttention", reads, writes, MICROSOFT, do_rotary=1, **heads)
    graph.linear(f"o{i}", *llama.linears[f"o{i}"], f"a{i}", f"o{i}_out")
    between = _add_and_norm(graph, llama, f"o{i}_out", x, f"m{i}", f"y{i}")
    graph.linear(f"gu{i}", *llama.linears[f"gu{i}"], f"m{i}", f"gu{i}_out")
    graph.node("Split", [f"gu{i}_out"], [f"g{i}", f"u{i}"], axis=-1)
    graph.node("QuickGelu", [f"g{i}"], f"s{i}", MICROSOFT, alpha=1.0)  # with α = 1 it is SiLU
    graph.node("Mul", [f"s{i}", f"u{i}"], f"h{i}")
    graph.linear(f"d{i}", *llama.linears[f"d{i}"], f"h{i}", f"d{i}_out")
    return _add_and_norm(graph, llama, f"d{i}_out", between, f"n{i + 1}", f"x{i + 1}")


def _add_and_norm(graph: Graph, llama: Llama, change: str, base: str, norm: str, total: str) -> str:
    outputs: Sequence[str] = [norm, "", "", total]
    kind = "SkipSimplifiedLayerNormalization"
    graph.node(kind, [change, base, "ones"], outputs, MICROSOFT, epsilon=llama.epsilon)
    return total


class _Rounding(Graph):
    """A graph whose products take 8-bit factors; an activation is rounded once for all its readers."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self._weights = weights
        self._rounded: set[str] = set()

    def linear(self, name: str, weight: Array, bias: Array | None, reads: str, output: str) -> None:
        """Y = x W + b; weight [in, out], bias [out]."""
        product = f"{output}_product" if bias is not None else output
        if self._weights == "float32":
            self.node("MatMul", [reads, self.constant(f"{name}_weight", weight)], product)
        else:
            self._round(reads)
            whole, scales = round_weights(weight)
            zero = self.constant("zero", np.array(0, np.int8))
            if self._weights == "unsigned":
                whole, zero = (whole.astype(np.int16) + _MIDDLE).astype(np.uint8), "middle"
            factors = [f"{reads}_8", self.constant(f"{name}_weight", whole), "middle", zero]
            self.node("MatMulInteger", factors, f"{output}_whole")
            self.node("Cast", [f"{output}_whole"], f"{output}_sum", to=1)
            self.node("Mul", [f"{output}_sum", f"{reads}_step"], f"{output}_scaled")
            self.node("Mul", [f"{output}_scaled", self.constant(f"{name}_scale", scales)], product)
        if bias is not None:
            self.node("Add", [product, self.constant(f"{name}_bias", bias)], output)

    def _round(self, name: str) -> None:
        if name in self._rounded:
            return
        self._rounded.add(name)
        self.constant("middle", np.array(_MIDDLE, np.uint8))
        half = self.constant("half", np.array(_MIDDLE - 1, np.float32))
        middle = self.constant("middle_float", np.array(_MIDDLE, np.float32))
        self.node("Abs", [name], f"{name}_size")
        self.node("ReduceMax", [f"{name}_size"], f"{name}_top", axes=[-1], keepdims=1)
        least = self.constant("smallest", np.array(_SMALLEST, np.float32))
        self.node("Max", [f"{name}_top", least], f"{name}_largest")
        self.node("Div", [f"{name}_largest", half], f"{name}_step")  # [B, L, 1]
        self.node("Div", [name, f"{name}_step"], f"{name}_steps")
        self.node("Round", [f"{name}_steps"], f"{name}_nearest")
        self.node("Add", [f"{name}_nearest", middle], f"{name}_shifted")
        self.node("Cast", [f"{name}_shifted"], f"{name}_8", to=2)  # UINT8


def round_weights(weight: Array) -> tuple[NDArray[np.int8], Array]:
    """Round each column to 8 bits, symmetrically.

    Args:
        weight: Shape [in, out].

    Returns:
        Whole numbers in −127…127, shape [in, out], and the scale of each column, shape [out].

    Example:
        >>> rounded, scales = round_weights(np.array([[1.0, 0.5], [-0.5, 0.25]], np.float32))
        >>> rounded.tolist()
        [[127, 127], [-64, 64]]
    """
    scales = np.maximum(np.abs(weight).max(0), 1e-12) / 127
    return np.rint(weight / scales).astype(np.int8), scales.astype(np.float32)
