"""The fast path on CPUs: int8 by ONNX Runtime, made from the same weights on first use."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from motet.assets import cache_root
from motet.errors import LanguageError, MissingExtraError
from motet.language._batches import equal_length_batches
from motet.language._bert import check_bert, read_bert
from motet.language._calibration import CALIBRATION_TEXTS
from motet.language._model_folder import find_model, read_model
from motet.language._onnx_graph import build_graph
from motet.language._protocol import Progress
from motet.language._quantise import choose_quantisation, measure_ranges
from motet.language._text import characters_for, clean_text
from motet.threads import chosen_threads

__all__ = ["OnnxEncoder", "open_session", "read_checked", "write_checked"]

_VERSION: Final = "onnx-int8-1"  # change it whenever the graph or the rounding changes
_CHUNK: Final = 4096  # texts tokenised at a time
_ERRORS_ONLY: Final = 3
_CLOSE_ENOUGH: Final = 0.97


class OnnxEncoder:
    """Encodes with ONNX Runtime in 8 bits; for BERT-like encoders with mean or first-token pooling.

    Texts are grouped by their exact number of tokens, so nothing is padded and nothing masked; each
    thread takes a batch of its own, small enough to stay in its core's cache. Calls from several threads take turns.

    Args:
        encoder: A packaged name, a folder, or a hub id.
        max_tokens: Longer texts are cut; at most what the model has positions for.
        batch_size: Most texts a batch.
        token_budget: Most tokens a batch.
        threads: Batches computed at the same time; 0 for one a core.
        prepared: Directory for the 8-bit model; a place in motet's cache by default.

    Raises:
        LanguageError: If there is no such model, or it is not a BERT.
        MissingExtraError: On the first use, if onnxruntime, onnx or tokenizers is not installed.
    """

    def __init__(
        self,
        encoder: str,
        *,
        max_tokens: int = 128,
        batch_size: int = 64,
        token_budget: int = 1024,
        threads: int = 0,
        prepared: Path | None = None,
    ) -> None:
        self._folder = read_model(find_model(encoder))
        check_bert(self._folder)
        self._limit = min(max_tokens, int(self._folder.config.get("max_position_embeddings", max_tokens)))
        self._batch_size = batch_size
        self._token_budget = token_budget
        self._threads = threads or chosen_threads()
        self._prepared = prepared or cache_root() / "onnx"
        self._lock, self._turn = Lock(), Lock()
        self.name = encoder
        self.width = int(self._folder.config["hidden_size"])
        key = f"{_VERSION}\0{self._folder.content_hash}\0{self._limit}"
        self.settings_key = hashlib.sha256(key.encode()).hexdigest()

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> NDArray[np.float32]:
        """Encode texts; see :meth:`motet.language.TextEncoder.encode`."""
        vectors = np.zeros((len(texts), self.width), np.float32)
        cleaned = [clean_text(text, characters_for(self._limit)) for text in texts]
        # Similar lengths side by side, so that the batches of a chunk are full.
        filled = sorted((row for row, text in enumerate(cleaned) if text), key=lambda row: -len(cleaned[row]))
        if not filled:
            return vectors
        session, done = self._session, 0  # of one thread: the batches are what runs side by side
        with ThreadPoolExecutor(self._threads) as pool:
            for start in range(0, len(filled), _CHUNK):
                rows = filled[start : start + _CHUNK]
                batches = list(self._batches([self._folder.prompt + cleaned[row] for row in rows]))
                with self._turn:  # the runtime keeps the memory of all that ever ran at once
                    results = pool.map(
                        lambda ids: session.run(None, {"ids": ids})[0], [b[1] for b in batches]
                    )
                    for (members, _), result in zip(batches, results, strict=True):
                        vectors[[rows[i] for i in members]] = result
                        done += len(members)
                        if progress is not None:
                            progress("encoding text", done, len(filled))
        return vectors

    def _batches(self, texts: list[str]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int32]]]:
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(texts)]
        lengths = [len(ids) for ids in tokens]
        for batch in equal_length_batches(lengths, self._token_budget, self._batch_size):
            yield batch, np.array([tokens[i] for i in batch], np.int32)  # [B, L]

    @cached_property
    def _tokenizer(self) -> Any:
        try:
            from tokenizers import Tokenizer  # noqa: PLC0415
        except ImportError:
            raise MissingExtraError("tokenizers", "language") from None
        path = self._folder.path / "tokenizer.json"
        if not path.is_file():
            raise LanguageError(f"{path} is missing", "use language.backend: torch, which can convert it")
        tokenizer = Tokenizer.from_file(str(path))
        tokenizer.no_padding()
        tokenizer.enable_truncation(self._limit)
        return tokenizer

    @property
    def _session(self) -> Any:
        with self._lock:
            return self._opened

    @cached_property
    def _opened(self) -> Any:
        readable = re.sub(r"[^A-Za-z0-9]+", "-", self.name)[-40:].strip("-")
        path = self._prepared / f"{readable}-{_VERSION}-{self._folder.content_hash[:16]}.onnx"
        model = read_checked(path)
        if model is None:
            model = self._prepare()
            write_checked(path, model)
        return open_session(model)

    def _prepare(self) -> bytes:
        if importlib.util.find_spec("onnx") is None:
            raise MissingExtraError("onnx", "language")
        bert = read_bert(self._folder)
        names = sorted({linear.reads for linear in bert.linears.values()})
        batches = [ids for _, ids in self._batches(list(CALIBRATION_TEXTS))]
        exact = open_session(build_graph(bert, watch=names))
        quantised = choose_quantisation(bert, measure_ranges(exact, names, batches))
        close = 0.0
        for largest in (127, 63):  # the second for processors whose 16-bit sums overflow
            model = build_graph(bert, quantised, largest=largest)
            close = _mean_cosine(exact, open_session(model), batches)
            if close >= _CLOSE_ENOUGH:
                return model
        raise LanguageError(
            f"{self.name}: 8 bits lose too much (mean cosine {close:.3f} to the weights as they are, "
            f"less than {_CLOSE_ENOUGH})",
            "use language.backend: torch",
        )


def _mean_cosine(one: Any, other: Any, batches: Sequence[NDArray[np.int32]]) -> float:
    pairs = [(one.run(["vectors"], {"ids": b})[0], other.run(["vectors"], {"ids": b})[0]) for b in batches]
    a, b = (np.concatenate(side) for side in zip(*pairs, strict=True))
    return float(((a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))).mean())


def open_session(model: bytes, threads: int = 1) -> Any:
    """Open a model on the CPU.

    Raises:
        MissingExtraError: If onnxruntime is not installed.
    """
    try:
        import onnxruntime  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("onnxruntime", "language") from None
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
        LanguageError: If it cannot be written.
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
        raise LanguageError(
            f"the 8-bit model cannot be written to {path.parent} ({error.strerror or error})",
            "make room, or set MOTET_CACHE to a directory that can be written",
        ) from error
