"""Where the weights of a generating model lie."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from motet.assets import ASSETS, Progress, cache_root, fetch, workshop
from motet.errors import AssetError, GenerationError, LanguageError
from motet.language._gguf import convert_gguf
from motet.language._model_folder import content_hash, find_model

__all__ = ["DEFAULT_GENERATOR", "PACKAGED_GENERATORS", "GeneratorFolder", "open_generator_folder"]

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
        source = fetch(asset, progress)
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
            "make room, or set MOTET_CACHE to a directory that can be written",
        ) from error
    return target
