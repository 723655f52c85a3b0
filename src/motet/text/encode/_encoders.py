"""Text → vectors in this process: what an encoder is, 8 bits by CTranslate2, float32 by PyTorch."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from motet.datasets import Progress, cache_root, workshop
from motet.errors import LanguageError, MissingExtraError
from motet.text.encode._model_folder import ModelFolder, find_model, longest_text, read_model
from motet.text.safety import characters_for, clean_text
from motet.threads import chosen_threads

__all__ = [
    "CTranslate2Encoder",
    "Progress",
    "TextEncoder",
    "TorchEncoder",
    "UnsupportedEncoderError",
    "equal_length_batches",
    "sorted_batches",
]


class TextEncoder(Protocol):
    """Turns texts into vectors.

    The vector of a text depends on that text and the settings alone, never on its neighbours in a
    call: otherwise a cached vector and a fresh one would differ. (The last bits of float32 sums may
    still vary with the shape of a batch.)

    Attributes:
        name: What a person calls it.
        settings_key: Hash of everything that changes its output; equal keys may share a cache.
        width: D, the length of a vector.
    """

    @property
    def name(self) -> str:
        """What a person calls it."""
        ...

    @property
    def settings_key(self) -> str:
        """Hash of everything that changes the output."""
        ...

    @property
    def width(self) -> int:
        """Length of a vector."""
        ...

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> NDArray[np.float32]:
        """Encode texts.

        Args:
            texts: n texts; an empty one is zeros.
            progress: Called with what is going on, the texts done, and the texts in all.

        Returns:
            Shape [n, D], finite, in the order of the texts.

        Raises:
            LanguageError: If the model cannot be loaded or the endpoint fails.
        """
        ...


def sorted_batches(lengths: Sequence[int], token_budget: int, most: int) -> Iterator[NDArray[np.int64]]:
    """Batches of similar length, longest first, so that hardly any padding is computed.

    A batch is full when its texts times its longest text would exceed the token budget: short
    texts go many at a time, long ones few, and every batch costs about the same.

    Args:
        lengths: Tokens of each text, shape [n].
        token_budget: Tokens a batch, padding included; a longer text goes alone.
        most: Most texts a batch.

    Yields:
        Positions of texts; over all batches each position comes once.

    Example:
        >>> [batch.tolist() for batch in sorted_batches([2, 9, 3, 2], token_budget=6, most=64)]
        [[1], [2, 0], [3]]
    """
    order = np.argsort(-np.asarray(lengths, np.int64), kind="stable")
    start = 0
    while start < len(order):
        count = min(max(1, token_budget // max(1, lengths[order[start]])), most)
        yield order[start : start + count]
        start += count


def equal_length_batches(lengths: Sequence[int], token_budget: int, most: int) -> Iterator[NDArray[np.int64]]:
    """Batches of exactly one length each, longest first: no padding, so no mask either.

    Args:
        lengths: Tokens of each text, shape [n].
        token_budget: Tokens a batch; a longer text goes alone.
        most: Most texts a batch.

    Yields:
        Positions of texts; over all batches each position comes once.

    Example:
        >>> [batch.tolist() for batch in equal_length_batches([2, 9, 3, 2], token_budget=6, most=64)]
        [[1], [2], [0, 3]]
    """
    counts = np.asarray(lengths, np.int64)
    order = np.argsort(-counts, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(counts[order])) + 1):
        if len(group):
            size = min(max(1, token_budget // max(1, lengths[group[0]])), most)
            yield from np.split(group, range(size, len(group), size))


class TorchEncoder:
    """Encodes with PyTorch in float32; every architecture that sentence-transformers can load.

    Nothing is loaded before the first text that must be encoded, so that a run whose texts are all
    in the cache pays for no model.

    Args:
        encoder: A packaged name, a folder, or a hub id.
        max_tokens: Longer texts are cut; at most what the model has positions for.
        batch_size: Most texts a batch.
        token_budget: Most tokens a batch, padding included.
        device: Where to compute.

    Raises:
        LanguageError: If there is no such model.
        MissingExtraError: On the first use, if sentence-transformers is not installed.
    """

    def __init__(
        self,
        encoder: str,
        *,
        max_tokens: int = 128,
        batch_size: int = 64,
        token_budget: int = 4096,
        device: str = "cpu",
    ) -> None:
        self._folder = read_model(find_model(encoder))
        self._limit = longest_text(self._folder.config, max_tokens)
        self._batch_size = batch_size
        self._token_budget = token_budget
        self._device = device
        self.name = encoder
        key = f"torch-1\0{self._folder.content_hash}\0{self._limit}"
        self.settings_key = hashlib.sha256(key.encode()).hexdigest()

    @cached_property
    def width(self) -> int:
        """Length of a vector; read from the configuration where that says it."""
        simple = self._folder.pooling in ("mean", "cls") and "Dense" not in self._folder.modules
        if simple and "hidden_size" in self._folder.config:
            return int(self._folder.config["hidden_size"])
        return int(self._model.get_embedding_dimension())

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> NDArray[np.float32]:
        """Encode texts; see :meth:`motet.text.encode.TextEncoder.encode`."""
        import torch  # noqa: PLC0415

        vectors = np.zeros((len(texts), self.width), np.float32)
        cleaned = [clean_text(text, characters_for(self._limit)) for text in texts]
        filled = [row for row, text in enumerate(cleaned) if text]
        if not filled:
            return vectors
        tokenizer = self._model.tokenizer
        tokens = tokenizer(
            [self._folder.prompt + cleaned[row] for row in filled], truncation=True, max_length=self._limit
        )
        lengths = [len(ids) for ids in tokens["input_ids"]]
        done = 0
        for batch in sorted_batches(lengths, self._token_budget, self._batch_size):
            part = {name: [values[i] for i in batch] for name, values in tokens.items()}
            padded = tokenizer.pad(part, return_tensors="pt").to(self._device)
            with torch.inference_mode():
                result = self._model(dict(padded))["sentence_embedding"]  # [B, D]
            vectors[[filled[i] for i in batch]] = result.float().cpu().numpy()
            done += len(batch)
            if progress is not None:
                progress("encoding text", done, len(filled))
        return vectors

    @cached_property
    def _model(self) -> Any:
        try:
            from safetensors import SafetensorError  # noqa: PLC0415
            from sentence_transformers import SentenceTransformer  # noqa: PLC0415
        except ImportError:
            raise MissingExtraError("sentence_transformers", "language") from None
        try:
            model = SentenceTransformer(
                str(self._folder.path),
                device=self._device,
                local_files_only=True,  # everything is in the folder: the hub has nothing to add
                model_kwargs={"use_safetensors": True},
            )
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise LanguageError(
                f"{self.name}: the model could not be loaded ({str(error).splitlines()[0]})",
                "give a folder in the format of sentence-transformers or Transformers",
            ) from error
        return model.eval()


_VERSION: Final = "ctranslate2-int8-1"  # change it whenever the same weights would give other vectors
_CHUNK: Final = 4096  # texts tokenised at a time
_MODEL_TYPES: Final = ("bert", "camembert", "distilbert", "roberta", "xlm-roberta")
_ACTIVATIONS: Final = ("gelu", "gelu_fast", "gelu_new", "gelu_python", "gelu_pytorch_tanh", "relu", "silu")
_CURE: Final = "use language.backend: torch"

# Short and long, in several languages and scripts, with numbers and marks: what 8 bits could spoil.
_TRIAL_TEXTS: Final = (
    "Toy Story (1995)",
    "jazz",
    "USB-C to HDMI adapter 4K@60Hz, 1.8 m, braided, black",
    "likes science fiction and cooking shows [SEP] The Martian (2015) [SEP] Drama, Adventure",
    "A retired detective is pulled back into one last case when his former partner disappears in Lisbon.",
    "Disappointed. The color was nothing like the photo, the seams came apart after one wash, and it runs "
    "at least two sizes small. I had to return it and pay for shipping myself.",
    "DO NOT BUY!!! Broke on day 2. Customer service never answered.",
    "meh",
    "How do I change the password of my account if I no longer have access to the old e-mail address?",
    "SELECT user_id, COUNT(*) FROM clicks WHERE day >= '2024-01-01' GROUP BY user_id ORDER BY 2 DESC;",
    "Die Lieferung kam pünktlich, aber die Schachtel war beschädigt und ein Teil fehlte.",
    "El teléfono tiene una pantalla excelente, pero la batería dura muy poco.",
    "这部电影的剧情很精彩，演员的表演也非常出色。",
    "この本はとても面白かったので、友達にもすすめたいです。",
    "Отличный товар, доставка быстрая, всем рекомендую.",
    "المنتج ممتاز والتوصيل سريع",
    "So cute 😍😍 can't wait to wear it 🎉👗✨",
    "Queen-size bamboo mattress with cooling gel memory foam, medium firm, 25 cm thick, ten-year warranty",
)


class UnsupportedEncoderError(LanguageError):
    """The model is of an architecture that CTranslate2 cannot run, or has other modules on top."""


class CTranslate2Encoder:
    """Encodes with CTranslate2 in 8 bits; for BERT, DistilBERT, RoBERTa, XLM-R and CamemBERT.

    Texts are grouped by their exact number of tokens, so nothing is padded; each thread takes a batch of its own, small
    enough to stay in its core's cache. Pooling and length are what sentence-transformers makes of the folder. The 8-bit
    model is compared with the weights as they are when it is made, and refused if it is too far from them.

    Args:
        encoder: A packaged name, a folder, or a hub id.
        max_tokens: Longer texts are cut; at most what the model has positions for.
        batch_size: Most texts a batch.
        token_budget: Most tokens a batch.
        threads: Batches computed at the same time; 0 for one a core.
        prepared: Directory for the 8-bit model; a place in motet's cache by default.
        least_cosine: Least mean cosine of its vectors to those of the weights as they are.

    Raises:
        LanguageError: If there is no such model, or CTranslate2 cannot run it.
        MissingExtraError: On the first use, if ctranslate2, transformers or tokenizers is not installed.
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
        least_cosine: float = 0.97,
    ) -> None:
        self._folder = read_model(find_model(encoder))
        _check_supported(self._folder)
        self._limit = longest_text(self._folder.config, max_tokens)
        self._batch_size = batch_size
        self._token_budget = token_budget
        self._threads = threads or chosen_threads()
        self._prepared = prepared or cache_root() / "ctranslate2"
        self._least_cosine = least_cosine
        self._lock = Lock()
        self.name = encoder
        self.width = int(self._folder.config.get("hidden_size") or self._folder.config["dim"])
        key = f"{_VERSION}\0{self._folder.content_hash}\0{self._limit}"
        self.settings_key = hashlib.sha256(key.encode()).hexdigest()

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> NDArray[np.float32]:
        """Encode texts; see :meth:`motet.text.encode.TextEncoder.encode`."""
        vectors = np.zeros((len(texts), self.width), np.float32)
        cleaned = [clean_text(text, characters_for(self._limit)) for text in texts]
        # Similar lengths side by side, so that the batches of a chunk are full.
        filled = sorted((row for row, text in enumerate(cleaned) if text), key=lambda row: -len(cleaned[row]))
        if not filled:
            return vectors
        with self._lock:
            model, done = self._opened, 0
        with ThreadPoolExecutor(self._threads) as pool:
            for start in range(0, len(filled), _CHUNK):
                rows = filled[start : start + _CHUNK]
                batches = list(self._batches([self._folder.prompt + cleaned[row] for row in rows]))
                results = pool.map(lambda batch: self._pooled(model, batch[1]), batches)
                for (members, _), result in zip(batches, results, strict=True):
                    vectors[[rows[i] for i in members]] = result
                    done += len(members)
                    if progress is not None:
                        progress("encoding text", done, len(filled))
        return vectors

    def _batches(self, texts: list[str]) -> Iterator[tuple[NDArray[np.int64], list[list[int]]]]:
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(texts)]
        lengths = [len(ids) for ids in tokens]
        for batch in equal_length_batches(lengths, self._token_budget, self._batch_size):
            yield batch, [tokens[i] for i in batch]

    def _pooled(self, model: Any, tokens: list[list[int]]) -> NDArray[np.float32]:
        hidden = np.array(model.forward_batch(tokens).last_hidden_state, np.float32)  # [B, L, D]
        vectors: NDArray[np.float32] = hidden[:, 0] if self._folder.pooling == "cls" else hidden.mean(1)
        if self._folder.normalises:
            vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return vectors

    @cached_property
    def _tokenizer(self) -> Any:
        try:
            from tokenizers import Tokenizer  # noqa: PLC0415
        except ImportError:
            raise MissingExtraError("tokenizers", "language") from None
        path = self._folder.path / "tokenizer.json"
        if not path.is_file():
            raise LanguageError(f"{path} is missing", f"{_CURE}, which can convert it")
        tokenizer = Tokenizer.from_file(str(path))
        tokenizer.no_padding()
        tokenizer.enable_truncation(self._limit)
        return tokenizer

    @cached_property
    def _opened(self) -> Any:
        readable = re.sub(r"[^A-Za-z0-9]+", "-", self.name)[-40:].strip("-")
        path = self._prepared / f"{readable}-{_VERSION}-{self._folder.content_hash[:16]}"
        if not _is_whole(path):
            self._prepare(path)
        return self._open(path)

    def _open(self, path: Path) -> Any:
        try:
            import ctranslate2  # noqa: PLC0415
        except ImportError:
            raise MissingExtraError("ctranslate2", "language") from None
        return ctranslate2.Encoder(
            str(path), device="cpu", compute_type="int8", inter_threads=self._threads, intra_threads=1
        )

    def _prepare(self, path: Path) -> None:
        """Convert the weights, compare what comes of them, and put the 8-bit model in its place."""
        try:
            with workshop(path.parent) as bench:
                made = bench / "model"
                _convert(self._folder, made)
                self._compare(made)
                (made / "sha256").write_text(_digest(made), "ascii")
                if path.exists():  # one that is damaged
                    path.rename(bench / "damaged")
                try:
                    made.rename(path)
                except OSError:
                    if not _is_whole(path):  # otherwise another process was first, with the same model
                        raise
        except OSError as error:
            raise LanguageError(
                f"the 8-bit model cannot be written to {path.parent} ({error.strerror or error})",
                "free some space, or set MOTET_CACHE to a directory that can be written",
            ) from error

    def _compare(self, made: Path) -> None:
        model, texts = self._open(made), list(_TRIAL_TEXTS)
        found = np.zeros((len(texts), self.width), np.float32)
        for members, tokens in self._batches([self._folder.prompt + text for text in texts]):
            found[members] = self._pooled(model, tokens)
        wanted = TorchEncoder(str(self._folder.path), max_tokens=self._limit).encode(texts)
        lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(wanted, axis=1)
        cosine = float(((found * wanted).sum(1) / np.maximum(lengths, 1e-12)).mean())
        if not cosine >= self._least_cosine:
            raise LanguageError(
                f"{self.name}: 8 bits lose too much (mean cosine {cosine:.4f} to the weights as they are, "
                f"less than {self._least_cosine:g})",
                _CURE,
            )


def _check_supported(folder: ModelFolder) -> None:
    """Refuse what CTranslate2 or the pooling here cannot express, before any weight is read."""
    config = folder.config
    activation = config.get("hidden_act") or config.get("activation")
    rules = {
        "model_type": (config.get("model_type"), _MODEL_TYPES),
        "activation": (activation, _ACTIVATIONS),
        "position_embedding_type": (config.get("position_embedding_type", "absolute"), ("absolute",)),
        "pooling": (folder.pooling, ("mean", "cls")),
    }
    problem = next(
        (f"its {rule} is {value!r}" for rule, (value, known) in rules.items() if value not in known), None
    )
    extra = sorted(set(folder.modules) - {"Transformer", "Pooling", "Normalize"})
    if problem is None and extra:
        problem = f"it has a module {extra[0]!r}"
    if problem is not None:
        raise UnsupportedEncoderError(f"CTranslate2 cannot run {folder.path}: {problem}", _CURE)


def _convert(folder: ModelFolder, target: Path) -> None:
    try:
        import ctranslate2  # noqa: F401, PLC0415
        import transformers  # noqa: F401, PLC0415
        from ctranslate2.converters import TransformersConverter  # noqa: PLC0415
        from safetensors import SafetensorError  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError(error.name or "ctranslate2", "language") from None

    class Converter(TransformersConverter):  # type: ignore[misc]
        def load_model(self, model_class: Any, path: str, **how: Any) -> Any:
            # No pickled weights: whoever writes them can run code here.
            model = model_class.from_pretrained(path, **how, use_safetensors=True, local_files_only=True)
            if not hasattr(
                model.config, "position_embedding_type"
            ):  # gone from Transformers 5, asked for by CTranslate2
                model.config.position_embedding_type = "absolute"
            return model

    try:
        Converter(str(folder.path)).convert(str(target), quantization="int8")
    except (
        AssertionError,
        AttributeError,
        KeyError,
        OSError,
        RuntimeError,
        SafetensorError,
        ValueError,
    ) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the disk, not the model
            raise
        first = str(error).strip().splitlines()
        raise LanguageError(
            f"{folder.path} could not be converted to 8 bits ({first[0] if first else type(error).__name__})",
            "fetch the model again, or use language.backend: torch",
        ) from error


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    for name in ("config.json", "model.bin"):
        with (path / name).open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _is_whole(path: Path) -> bool:
    try:
        return (path / "sha256").read_text("ascii").strip() == _digest(path)
    except (OSError, ValueError):
        return False
