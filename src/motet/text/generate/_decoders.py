"""Decoders, which write tokens: ONNX Runtime in 8 bits for llamas, Transformers for every other model."""

from __future__ import annotations

import copy
import hashlib
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from motet.datasets import cache_root
from motet.errors import GenerationError, MissingExtraError
from motet.text.generate._decode import Logits, Rows
from motet.text.generate._llama import Graph, Weights, build_llama_graph, read_llama

__all__ = ["OnnxDecoder", "TorchDecoder", "weight_bytes"]

_VERSION: Final = "llama-int8-3"  # change it whenever the graph or the rounding changes
_ERRORS_ONLY: Final = 3
_MOST_ROWS: Final = 32
_BLOCK: Final = 64  # the capacity for tokens grows by this
_SHORTEST_SHARED: Final = 16


class OnnxDecoder:
    """A llama in 8 bits; logits of a row do not depend on its neighbours, bit for bit.

    Whole-number sums are exact, norms and attention are computed row by row over that row's own
    tokens, and nothing is padded: prompts are read one by one, which with exact sums costs little,
    and what they begin with alike is read once.

    Args:
        folder: With ``config.json`` and safetensors; read only if the 8-bit model is not prepared.
        config: Its content.
        content_hash: Of the files in the folder.
        threads: Threads a pass.
        prepared: Directory for the 8-bit model; a place in motet's cache by default.
        weights: ``signed`` or ``unsigned`` bytes, which write the same answers, or ``float32``; by default the bytes
            that this processor multiplies exactly.

    Raises:
        GenerationError: If a weight is missing, or the 8-bit model cannot be written.
        MissingExtraError: If onnx or onnxruntime is not installed.
    """

    def __init__(
        self,
        folder: Path,
        config: Mapping[str, Any],
        content_hash: str,
        *,
        threads: int = 1,
        prepared: Path | None = None,
        weights: Weights | None = None,
    ) -> None:
        readable = re.sub(r"[^A-Za-z0-9]+", "-", folder.name)[-40:].strip("-")
        weights = weights or weight_bytes()
        name = f"{readable}-{_VERSION}-{weights}-{content_hash[:16]}.onnx"
        path = (prepared or cache_root() / "onnx") / name
        model = read_checked(path)
        if model is None:
            model = build_llama_graph(read_llama(folder, config), weights)
            write_checked(path, model)
        self._session = open_session(model, threads)
        heads = int(config["num_attention_heads"])
        self._kv_heads = int(config.get("num_key_value_heads") or heads)
        self._width = int(config.get("head_dim") or int(config["hidden_size"]) // heads)
        self._names = [f"{part}{i}" for i in range(int(config["num_hidden_layers"])) for part in "kv"]
        self.vocabulary = int(config["vocab_size"])
        self.longest = int(config["max_position_embeddings"])
        self.together = _MOST_ROWS
        self._shared: tuple[tuple[int, ...], _OnnxRows] | None = None

    def read(self, prompts: Sequence[Sequence[int]]) -> Rows:
        """Read prompts; see :meth:`motet.text.generate._decode.Decoder.read`."""
        shared = self._shared_start(prompts)
        rows = [self._read_one(prompt, shared) for prompt in prompts]
        return rows[0] if len(rows) == 1 else _OnnxRows.together(rows)

    def join(self, first: Rows, second: Rows) -> Rows:
        """Put rows together; see :meth:`motet.text.generate._decode.Decoder.join`."""
        assert isinstance(first, _OnnxRows)  # noqa: S101
        assert isinstance(second, _OnnxRows)  # noqa: S101
        return _OnnxRows.together([first, second])

    def _shared_start(self, prompts: Sequence[Sequence[int]]) -> _OnnxRows | None:
        """What all prompts begin with, read once; kept for the next call, which mostly begins alike."""
        # Two tokens at least are left: a single one takes another path through attention, whose
        # last bits differ.
        shortest = min(len(prompt) for prompt in prompts) - 2
        if self._shared is not None:
            known, rows = self._shared
            if len(known) <= shortest and all(tuple(p[: len(known)]) == known for p in prompts):
                return rows
        ordered = sorted(tuple(prompt) for prompt in prompts)
        first, last = ordered[0], ordered[-1]
        same = 0
        while same < shortest and first[same] == last[same]:
            same += 1
        if len(prompts) < 2 or same < _SHORTEST_SHARED:
            return None
        rows = self._read_one(first[:same], None)
        self._shared = (tuple(first[:same]), rows)
        return rows

    def _read_one(self, prompt: Sequence[int], shared: _OnnxRows | None) -> _OnnxRows:
        done = 0 if shared is None else int(shared.lengths[0])
        rows = _OnnxRows(self, np.array([done], np.int32), {})
        shape = (1, self._kv_heads, _capacity(len(prompt) + 1), self._width)
        for name in self._names:
            memory = np.zeros(shape, np.float32)
            if shared is not None:
                memory[:, :, :done] = shared.memory[name][:, :, :done]
            rows.memory[name] = memory
        rows.read_more(np.array([prompt[done:]], np.int64))
        return rows

    def run(
        self, memory: Mapping[str, NDArray[np.float32]], ids: NDArray[np.int64], lengths: NDArray[np.int32]
    ) -> Logits:
        """One pass; keys and values are written into the memory.

        Args:
            memory: A block of keys or values by name, [B, kv heads, capacity, width of a head].
            ids: New tokens, [B, L].
            lengths: Tokens of each row after the pass, [B].

        Returns:
            Logits after the last token of each row, [B, vocabulary].
        """
        import onnxruntime  # noqa: PLC0415

        rows = np.arange(len(ids), dtype=np.int64)
        binding = self._session.io_binding()
        binding.bind_cpu_input("ids", np.ascontiguousarray(ids))
        binding.bind_cpu_input("last", np.stack([rows, np.full_like(rows, ids.shape[1] - 1)], 1))
        binding.bind_cpu_input("lengths", lengths - 1)
        binding.bind_cpu_input("total", np.array(lengths.max(), np.int32))
        for name, block in memory.items():
            value = onnxruntime.OrtValue.ortvalue_from_numpy(block)  # shares the array's memory
            binding.bind_ortvalue_input(name, value)
            binding.bind_ortvalue_output(f"{name}_new", value)
        binding.bind_output("logits")
        self._session.run_with_iobinding(binding)
        (logits,) = (v for v in binding.get_outputs() if len(v.shape()) == 2)
        return np.array(logits.numpy())


class _OnnxRows:
    def __init__(
        self, decoder: OnnxDecoder, lengths: NDArray[np.int32], memory: dict[str, NDArray[np.float32]]
    ) -> None:
        self._decoder = decoder
        self.lengths = lengths
        self.memory = memory
        self.logits: Logits = np.zeros((0, 0), np.float32)

    def read_more(self, ids: NDArray[np.int64]) -> None:
        self.lengths = self.lengths + np.int32(ids.shape[1])
        self._make_room(int(self.lengths.max()))
        self.logits = self._decoder.run(self.memory, ids, self.lengths)

    def step(self, tokens: Sequence[int]) -> None:
        self.read_more(np.array(tokens, np.int64)[:, None])

    def take(self, rows: Sequence[int]) -> None:
        chosen = np.array(rows, np.int64)
        self.lengths, self.logits = self.lengths[chosen], self.logits[chosen]
        self.memory = {name: block[chosen] for name, block in self.memory.items()}

    def _make_room(self, tokens: int) -> None:
        for name, block in self.memory.items():
            if block.shape[2] < tokens:
                shape = (*block.shape[:2], _capacity(tokens), block.shape[3])
                self.memory[name] = np.zeros(shape, np.float32)
                self.memory[name][:, :, : block.shape[2]] = block

    @staticmethod
    def together(parts: Sequence[_OnnxRows]) -> _OnnxRows:
        lengths = np.concatenate([part.lengths for part in parts])
        whole = _OnnxRows(parts[0]._decoder, lengths, {})
        whole.logits = np.concatenate([part.logits for part in parts])
        capacity = _capacity(int(lengths.max()) + 1)
        for name, first in parts[0].memory.items():
            block = np.zeros((len(lengths), first.shape[1], capacity, first.shape[3]), np.float32)
            row = 0
            for part in parts:
                piece = part.memory[name][:, :, :capacity]
                block[row : row + len(piece), :, : piece.shape[2]] = piece
                row += len(piece)
            whole.memory[name] = block
        return whole


def _capacity(tokens: int) -> int:
    return -(-tokens // _BLOCK) * _BLOCK


@cache
def weight_bytes() -> Weights:
    """How weights are written for this processor: the faster of the two ways whose sums are exact.

    A processor without VNNI multiplies unsigned activations with signed weights in pairs that it adds in 16 bits,
    which can overflow; with unsigned weights it adds in 32 bits, exactly, at 0.7 to 1.0 times the speed.

    Raises:
        MissingExtraError: If onnx or onnxruntime is not installed.
    """
    try:
        from onnx import TensorProto  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("onnx", "generate") from None
    graph = Graph()
    graph.constant("weight", np.full((64, 16), 127, np.int8))
    graph.node("MatMulInteger", ["x", "weight"], "y")
    model = graph.serialise(
        "sums",
        {"x": (TensorProto.UINT8, ["rows", 64])},
        {"y": (TensorProto.INT32, ["rows", 16])},
    )
    session = open_session(model, 1)
    sums = [session.run(None, {"x": np.full((rows, 64), 255, np.uint8)})[0] for rows in (1, 16)]
    return "signed" if all((s == 64 * 255 * 127).all() for s in sums) else "unsigned"


def open_session(model: bytes, threads: int = 1) -> Any:
    """Open a model on the CPU.

    Raises:
        MissingExtraError: If onnxruntime is not installed.
    """
    try:
        import onnxruntime  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("onnxruntime", "generate") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # A thread that waits by spinning takes its core from whoever else runs here.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = _ERRORS_ONLY
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def read_checked(path: Path) -> bytes | None:
    """The prepared model, or None if there is none or it is not what was written."""
    try:
        content = path.read_bytes()
        expected = path.with_suffix(".sha256").read_text("ascii").strip()
    except (OSError, ValueError):
        return None
    return content if hashlib.sha256(content).hexdigest() == expected else None


def write_checked(path: Path, content: bytes) -> None:
    """Write a prepared model and its hash.

    Raises:
        GenerationError: If it cannot be written.
    """
    digest = hashlib.sha256(content).hexdigest().encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for target, part in ((path, content), (path.with_suffix(".sha256"), digest)):
            handle, name = tempfile.mkstemp(prefix=".partial-", dir=path.parent)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(part)
                os.replace(name, target)
            except BaseException:
                os.unlink(name)
                raise
    except OSError as error:
        raise GenerationError(
            f"the 8-bit model cannot be written to {path.parent} ({error.strerror or error})",
            "free some space, or set MOTET_CACHE to a directory that can be written",
        ) from error


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
        """Read one prompt; see :meth:`motet.text.generate._decode.Decoder.read`."""
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
