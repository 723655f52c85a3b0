"""The encoder as an ONNX graph, written node by node: no exporter, so the same file every time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from motet.language._bert import Bert, Linear
from motet.language._graph import MICROSOFT, Graph
from motet.language._quantise import Quantised, round_weights

__all__ = ["build_graph"]


class _Graph(Graph):
    """A graph that knows its largest 8-bit weight."""

    def __init__(self, largest: int) -> None:
        super().__init__()
        self.largest = largest


def build_graph(
    bert: Bert,
    quantised: Mapping[str, Quantised] | None = None,
    watch: Sequence[str] = (),
    largest: int = 127,
) -> bytes:
    """Write the graph from token ids [B, L] of one length to vectors [B, D].

    Texts of a batch have one length, so there is no mask and nothing is padded.

    Args:
        bert: The weights.
        quantised: How each activation that enters a matrix product becomes 8 bits; None keeps
            float32 everywhere.
        watch: Activations to give out besides, for calibration.
        largest: Largest 8-bit weight, see :func:`motet.language._quantise.round_weights`.

    Returns:
        A serialised ONNX model with input ``ids`` and output ``vectors``.
    """
    from onnx import TensorProto  # noqa: PLC0415

    graph = _Graph(largest)
    graph.constant("words", bert.words)
    graph.constant("positions", bert.positions)
    graph.constant("start", np.array([0]))
    graph.constant("ones", np.ones(bert.width, np.float32))
    graph.node("Gather", ["words", "ids"], "word")  # [B, L, D]
    graph.node("Shape", ["ids"], "length", start=1)
    graph.node("Slice", ["positions", "start", "length", "start"], "position")  # [L, D]
    graph.node("Add", ["word", "position"], "embedded")
    x = graph.node("LayerNormalization", ["embedded", "ones"], "x0", epsilon=bert.epsilon)
    for i in range(bert.layers):
        x = _layer(graph, bert, i, x, quantised or {})
    _pool(graph, bert, x)
    kinds: dict[str, tuple[int, list[Any] | None]] = {"vectors": (TensorProto.FLOAT, ["batch", bert.width])}
    kinds |= dict.fromkeys(watch, (TensorProto.FLOAT, None))
    return graph.serialise("motet_text_encoder", {"ids": (TensorProto.INT32, ["batch", "length"])}, kinds)


def _layer(graph: _Graph, bert: Bert, i: int, x: str, quantised: Mapping[str, Quantised]) -> str:
    _round_activation(graph, x, quantised)
    heads = [_linear(graph, bert, f"{name}{i}", quantised) for name in "qkv"]
    graph.node("MultiHeadAttention", heads, f"a{i}", MICROSOFT, num_heads=bert.heads)
    _round_activation(graph, f"a{i}", quantised)
    h = _residual(graph, bert, _linear(graph, bert, f"o{i}", quantised), x, f"h{i}")
    _round_activation(graph, h, quantised)
    graph.node("Gelu", [_linear(graph, bert, f"f{i}", quantised)], f"u{i}", MICROSOFT)
    _round_activation(graph, f"u{i}", quantised)
    return _residual(graph, bert, _linear(graph, bert, f"d{i}", quantised), h, f"x{i + 1}")


def _residual(graph: _Graph, bert: Bert, change: str, base: str, output: str) -> str:
    gain = graph.constant(f"{base}_gain", bert.gains[base])
    graph.node("Mul", [base, gain], f"{base}_kept")
    graph.node("Add", [change, f"{base}_kept"], f"{output}_sum")
    return graph.node("LayerNormalization", [f"{output}_sum", "ones"], output, epsilon=bert.epsilon)


def _round_activation(graph: _Graph, name: str, quantised: Mapping[str, Quantised]) -> None:
    how = quantised.get(name)
    if how is None:
        return
    smooth = name
    if not name.startswith("a"):  # attention's outputs are scaled by the weights that make them
        factor = graph.constant(f"{name}_factor", 1 / how.channel_scale)
        smooth = graph.node("Mul", [name, factor], f"{name}_smooth")
    scale = graph.constant(f"{name}_scale", np.array(how.scale, np.float32))
    zero = graph.constant(f"{name}_zero", np.array(how.zero_point, np.uint8))
    graph.node("QuantizeLinear", [smooth, scale, zero], f"{name}_8")


def _linear(graph: _Graph, bert: Bert, name: str, quantised: Mapping[str, Quantised]) -> str:
    linear, output = bert.linears[name], f"{name}_out"
    how = quantised.get(linear.reads)
    if how is None:
        weight = graph.constant(f"{name}_weight", linear.weight)
        graph.node("MatMul", [linear.reads, weight], f"{name}_product")
        return graph.node("Add", [f"{name}_product", graph.constant(f"{name}_bias", linear.bias)], output)
    linear = _smoothed(linear, how, quantised.get(f"a{name[1:]}") if name[0] == "v" else None)
    rounded, scales = round_weights(linear.weight, graph.largest)
    inputs = [
        f"{linear.reads}_8",
        graph.constant(f"{name}_weight", rounded),
        f"{linear.reads}_scale",
        graph.constant(f"{name}_weight_scale", scales),
        f"{linear.reads}_zero",
        graph.constant(f"{name}_weight_zero", np.zeros(len(scales), rounded.dtype)),
        graph.constant(f"{name}_bias", linear.bias),
    ]
    return graph.node("MatMulIntegerToFloat", inputs, output, MICROSOFT)


def _smoothed(linear: Linear, inputs: Quantised, outputs: Quantised | None) -> Linear:
    weight, bias = linear.weight * inputs.channel_scale[:, None], linear.bias
    if outputs is not None:
        weight, bias = weight / outputs.channel_scale, bias / outputs.channel_scale
    return Linear(weight, bias, linear.reads)


def _pool(graph: _Graph, bert: Bert, x: str) -> None:
    if bert.pooling == "mean":
        graph.node("ReduceMean", [x], "pooled", axes=[1], keepdims=0)
    else:
        graph.constant("first", np.array(0))
        graph.node("Gather", [x, "first"], "pooled", axis=1)
    graph.constant("last_gain", bert.last_gain)
    graph.constant("last_bias", bert.last_bias)
    graph.node("Mul", ["pooled", "last_gain"], "gained")
    final = "shifted" if bert.normalises else "vectors"
    graph.node("Add", ["gained", "last_bias"], final)
    if bert.normalises:
        graph.node("LpNormalization", [final], "vectors", axis=1, p=2)
