"""A llama as an ONNX graph in 8 bits: its weights rearranged, its nodes written one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from motet.errors import GenerationError

__all__ = [
    "MICROSOFT",
    "Graph",
    "Llama",
    "Weights",
    "build_llama_graph",
    "is_llama",
    "read_llama",
    "turned",
    "turned_columns",
]

MICROSOFT: Final = "com.microsoft"
_OPSET: Final = 17
_IR_VERSION: Final = 9


class Graph:
    """Collects nodes and constants."""

    def __init__(self) -> None:
        from onnx import helper, numpy_helper  # noqa: PLC0415

        self._helper: Any = helper
        self._numpy_helper: Any = numpy_helper
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}

    def constant(self, name: str, values: NDArray[Any]) -> str:
        """Keep a constant under a name; a second one of that name is the first."""
        if name not in self._constants:
            self._constants[name] = self._numpy_helper.from_array(np.asarray(values, order="C"), name)
        return name

    def node(
        self,
        kind: str,
        inputs: Sequence[str],
        outputs: str | Sequence[str],
        domain: str = "",
        **attributes: Any,
    ) -> str:
        """Add a node and return the name of its first output."""
        names = [outputs] if isinstance(outputs, str) else list(outputs)
        self._nodes.append(self._helper.make_node(kind, inputs, names, domain=domain, **attributes))
        return names[0]

    def serialise(
        self,
        name: str,
        inputs: Mapping[str, tuple[int, Sequence[Any]]],
        outputs: Mapping[str, tuple[int, Sequence[Any] | None]],
    ) -> bytes:
        """Write the model.

        Args:
            name: Of the graph.
            inputs: Element type and shape of each.
            outputs: Element type and shape of each.
        """
        describe = self._helper.make_tensor_value_info
        model = self._helper.make_model(
            self._helper.make_graph(
                self._nodes,
                name,
                [describe(what, *kind) for what, kind in inputs.items()],
                [describe(what, *kind) for what, kind in outputs.items()],
                list(self._constants.values()),
            ),
            opset_imports=[
                self._helper.make_opsetid("", _OPSET),
                self._helper.make_opsetid(MICROSOFT, 1),
            ],
            ir_version=_IR_VERSION,
            producer_name="motet",
        )
        return bytes(model.SerializeToString())


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


Weights = Literal["signed", "unsigned", "float32"]
"""How weights are written: as signed or unsigned bytes, whose sums are the same, or as they are."""

_MIDDLE: Final = 128  # the unsigned byte of 0
_SMALLEST: Final = 1e-9


def build_llama_graph(llama: Llama, weights: Weights) -> bytes:
    """Write the graph of one pass: new tokens in, logits of chosen ones out, keys and values in place.

    A product rounds each row of activations by that row's own largest number and each column of
    weights by its own, and sums whole numbers: the sum is exact, so what a token gets does not
    depend on how many rows are beside it.

    Inputs: ``ids`` [B, L]; ``last`` [n, 2], the (row, column) of each token whose logits are wanted;
    ``lengths`` [B], tokens of each row after the pass, less 1; ``total``, the longest row after it;
    ``k0, v0, k1, …`` [B, kv heads, capacity, width of a head]. Outputs: ``logits`` [n, vocabulary], and
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
    memory = (TensorProto.FLOAT, ["batch", llama.kv_heads, "capacity", llama.head_width])
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
