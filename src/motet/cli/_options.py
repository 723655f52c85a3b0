"""Arguments and options that several commands share, and how they print."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from motet.errors import ModelError

if TYPE_CHECKING:
    from motet.schema import LanguageSettings
    from motet.service.engine import LoadPast, ModelParts, OpenModel

__all__ = [
    "BundleDir",
    "Data",
    "Json",
    "Language",
    "Model",
    "SchemaFile",
    "Settings",
    "Threads",
    "User",
    "model_opener",
    "names_there",
    "out_console",
    "print_json",
]

# a log or a pipe has no width of its own, and 80 columns cut the tables short
out_console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)

BundleDir = Annotated[Path, typer.Argument(help="Directory of a trained bundle.")]
SchemaFile = Annotated[Path, typer.Argument(help="Schema file (YAML).")]
Data = Annotated[Path, typer.Option("--data", help="Directory with the tables that the schema names.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines, and no progress.")]
Threads = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Threads of this process; OMP_NUM_THREADS when left out, else one for each core it may use.",
    ),
]
User = Annotated[str, typer.Option(help="Id of the user; an unknown user when left out.")]
Language = Annotated[str, typer.Option(help="en or zh.")]
Model = Annotated[
    bool,
    typer.Option(
        "--model",
        help="Let the language model of the schema read requests and say reasons in its own words; what it "
        "gets wrong, or has no time for, is left to rules and templates.",
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change a setting of the language model: --set language.generator_seconds=10"),
]


def names_there(pairs: Sequence[str]) -> dict[str, str | None]:
    """What is called how in a bundle, from ``here=there``; None where nothing stands behind the sign.

    Raises:
        ModelError: If there is no sign.
    """
    wrong = next((pair for pair in pairs if not pair.partition("=")[0] or "=" not in pair), None)
    if wrong is not None:
        raise ModelError(
            f"--map {wrong!r} has no form here=there", "write --map maker=brand, or --map item_id="
        )
    split = (pair.partition("=") for pair in pairs)
    return {here.strip(): there.strip() or None for here, _, there in split}


def print_json(content: Any) -> None:
    """Print plain values for machines."""
    typer.echo(json.dumps(content, indent=1, ensure_ascii=False, default=str))


def model_opener(settings: LanguageSettings | None) -> OpenModel:
    """Opens bundles as the service needs them."""
    import motet  # noqa: PLC0415 (a command imports what it uses)
    from motet.assistant.explain import Profiler  # noqa: PLC0415
    from motet.recommend import LiveRecommender  # noqa: PLC0415
    from motet.service.engine import ModelParts  # noqa: PLC0415
    from motet.text.generate import PrivateCaches  # noqa: PLC0415

    private = PrivateCaches()  # one for all versions

    def open_model(path: Path, load: LoadPast) -> ModelParts:
        assistant = motet.load(path, language_model=settings, private=private).assistant
        explainer = assistant.explainer
        live = LiveRecommender(explainer.recommender, graph=explainer.evidence.graph, load=load)
        return ModelParts(live, assistant, Profiler.of_bundle(explainer.bundle), private.forget)

    return open_model
