"""The bundle: a trained model, its encoder, entities and metrics in one directory; read and written."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from safetensors.torch import load_file as load_tensors
from safetensors.torch import save_file as save_tensors

from motet._renamed import current_metrics
from motet.data import (
    Behaviour,
    Catalogue,
    Dataset,
    Encoder,
    EntityTable,
    History,
    IdIndex,
    Ragged,
    Scale,
    Vocabulary,
    behaviour_of,
    catalogue_of,
    read_reductions,
)
from motet.errors import BundleError, MotetError
from motet.models import AddedShape, EnsembleModel, MultiTaskModel, build_model
from motet.schema import Schema
from motet.training._manifest import replace_part, verify, write_manifest
from motet.training.blending import (
    RankingBlend,
    TaskBlend,
    read_blend,
    read_task_blend,
    write_blend,
    write_task_blend,
)

__all__ = [
    "Bundle",
    "load_bundle",
    "metrics_json",
    "put_in_place",
    "read_behaviour",
    "read_catalogue",
    "read_encoder",
    "save_bundle",
    "write_behaviour",
    "write_catalogue",
    "write_encoder",
    "write_metrics",
]


def write_encoder(directory: Path, encoder: Encoder) -> None:
    """Write an encoder's files."""
    words = [
        pl.DataFrame(
            [
                pl.Series("feature", [name] * len(v.words), pl.String),
                v.words.words.alias("word"),
                pl.Series("row", v.places),
            ]
        )
        for name, v in encoder.vocabularies.items()
    ]
    empty = pl.DataFrame(schema={"feature": pl.String, "word": pl.String, "row": pl.Int32})
    pl.concat([empty, *words]).write_parquet(directory / "vocabularies.parquet")
    content = {
        "offsets": {name: v.offset for name, v in encoder.vocabularies.items()},
        "rows": {name: v.rows for name, v in encoder.vocabularies.items()},
        "scales": {name: scale.to_json() for name, scale in encoder.scales.items()},
        "missing": encoder.missing,
        "vector_widths": encoder.vector_widths,
        "classes": {name: list(words) for name, words in encoder.classes.items()},
        "class_shares": {name: list(shares) for name, shares in encoder.class_shares.items()},
        "label_mean": encoder.label_mean,
        "label_std": encoder.label_std,
        "table_rows": encoder.table_rows,
    }
    (directory / "encoder.json").write_text(
        json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8"
    )
    arrays = {
        f"{name}.{part}": array
        for name, r in encoder.reductions.items()
        for part, array in r.arrays().items()
    }
    save_file(arrays, str(directory / "whitening.safetensors"))


def read_encoder(directory: Path, schema: Schema) -> Encoder:
    """Read what :func:`write_encoder` wrote."""
    content = json.loads((directory / "encoder.json").read_text(encoding="utf-8"))
    words = pl.read_parquet(directory / "vocabularies.parquet").partition_by("feature", as_dict=True)
    none = pl.DataFrame(schema={"word": pl.String, "row": pl.Int32})
    vocabularies = {}
    for name, offset in content["offsets"].items():
        of = words.get((name,), none)
        vocabularies[name] = Vocabulary.fitted(IdIndex(of["word"]), offset)
        if "rows" in content:  # earlier versions had no others
            rows, places = int(content["rows"][name]), of["row"].to_numpy()
            vocabularies[name] = replace(vocabularies[name], rows=rows, places=places)
    return Encoder(
        schema=schema,
        vocabularies=vocabularies,
        scales={name: Scale.from_json(scale) for name, scale in content["scales"].items()},
        missing=list(content["missing"]),
        reductions=read_reductions(load_file(str(directory / "whitening.safetensors"))),
        vector_widths=dict(content["vector_widths"]),
        classes={name: tuple(found) for name, found in content["classes"].items()},
        class_shares={name: tuple(found) for name, found in content.get("class_shares", {}).items()},
        label_mean=dict(content["label_mean"]),
        label_std=dict(content["label_std"]),
        table_rows=int(content["table_rows"]),
    )


# The catalogue, and the latest events of users.


def write_catalogue(directory: Path, catalogue: Catalogue | None) -> None:
    """Write ``catalogue.parquet`` and ``catalogue.json``."""
    kinds: dict[str, str] = {}
    if catalogue is not None:
        kinds |= dict.fromkeys(catalogue.tags, "tags") | dict.fromkeys(catalogue.categories, "category")
        kinds |= dict.fromkeys(catalogue.numbers, "number") | dict.fromkeys(catalogue.texts, "text")
    title = None if catalogue is None else catalogue.title
    frame = pl.DataFrame({"id": pl.Series([], dtype=pl.String)}) if catalogue is None else catalogue.frame
    frame.write_parquet(directory / "catalogue.parquet")
    content = json.dumps({"title": title, "kinds": kinds}, ensure_ascii=False)
    (directory / "catalogue.json").write_text(content, encoding="utf-8")


def read_catalogue(directory: Path, schema: Schema) -> Catalogue | None:
    """Read what :func:`write_catalogue` wrote; None where the schema has no items."""
    if schema.keys.item is None:
        return None
    content = json.loads((directory / "catalogue.json").read_text(encoding="utf-8"))
    frame = pl.read_parquet(directory / "catalogue.parquet")
    return catalogue_of(schema, frame, content["title"], content["kinds"])


def write_behaviour(directory: Path, behaviour: Behaviour) -> None:
    """Write ``behaviour.safetensors``: the latest events of each user, with their labels."""
    columns: dict[str, NDArray[Any]] = {
        "items.values": behaviour.items.values,
        "items.offsets": behaviour.items.offsets,
        "time": behaviour.time,
        "labels": behaviour.labels,
    }
    if behaviour.scenario is not None:
        columns["scenario"] = behaviour.scenario
    arrays: dict[str, NDArray[Any]] = {name: np.ascontiguousarray(a) for name, a in columns.items()}
    save_file(arrays, str(directory / "behaviour.safetensors"))


def read_behaviour(directory: Path, encoder: Encoder) -> Behaviour:
    """Read what :func:`write_behaviour` wrote; bundles written before scenarios were kept have none."""
    arrays = load_file(str(directory / "behaviour.safetensors"))
    items = Ragged(arrays["items.values"], arrays["items.offsets"])
    tasks = tuple(encoder.interaction_tasks)
    return Behaviour(items, arrays["time"], arrays["labels"], tasks, arrays.get("scenario"))


@dataclass(frozen=True, slots=True)
class Bundle:
    """A trained model with the entities it knows.

    Attributes:
        directory: Where it is.
        schema: What it was trained for.
        model: In evaluation mode.
        data: Its users, items, vectors and whole histories; a data set without interactions.
        seen: Items that each user had interactions with, [U].
        behaviour: The latest events of each user, with their labels.
        metrics: What was measured; empty before the first evaluation.
        manifest: Version, time and hashes.
        blend: Plain members that rank beside the model; None where it ranks alone.
        task_blend: Plain members that predict tasks beside the model; None where it does so alone.
        found: Items of each user that the retrieval task is about, oldest first, [U]; empty without such a task.
    """

    directory: Path
    schema: Schema
    model: MultiTaskModel
    data: Dataset
    seen: Ragged
    behaviour: Behaviour
    metrics: Mapping[str, Any]
    manifest: Mapping[str, Any]
    blend: RankingBlend | None = None
    task_blend: TaskBlend | None = None
    found: Ragged = field(default_factory=lambda: Ragged.empty(0))

    @property
    def is_empty(self) -> bool:
        """Whether it was made without any data, for a service that begins with none: its weights say nothing."""
        return not len(self.data.items)


def save_bundle(
    directory: Path,
    *,
    model: MultiTaskModel,
    data: Dataset,
    metrics: Mapping[str, Any],
    blend: RankingBlend | None = None,
    task_blend: TaskBlend | None = None,
    overwrite: bool = False,
    write_more: Callable[[Path], None] | None = None,
) -> None:
    """Write a bundle, whole or not at all.

    Args:
        directory: Where it goes.
        model: The trained model.
        data: The data set it was trained on; its users, items and histories go with the model.
        metrics: What was measured, plain values.
        blend: Plain members that rank beside the model.
        task_blend: Plain members that predict tasks beside the model.
        overwrite: Replace a bundle that is there already; nothing but a bundle is ever replaced.
        write_more: Writes the optional parts into the directory it is given.

    Raises:
        BundleError: If something else is there, or it cannot be written.
    """
    check_place(directory, overwrite)
    temporary = directory.with_name(directory.name + ".new")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        (temporary / "schema.yaml").write_text(data.schema.to_yaml(whole=True), encoding="utf-8")
        write_encoder(temporary, data.encoder)
        state = {name: t.contiguous() for name, t in model.state_dict().items()}
        save_tensors(state, str(temporary / "weights.safetensors"))
        for name, table, ids in (("users", data.users, data.user_ids), ("items", data.items, data.item_ids)):
            save_file(_table_arrays(table), str(temporary / f"{name}.safetensors"))
            side = data.sides.get(name.removesuffix("s"), pl.DataFrame())
            pl.DataFrame([ids.alias("id"), *side]).write_parquet(temporary / f"{name}.parquet")
        entity_vectors = [name for entity in ("user", "item") for name in data.encoder.layout(entity).vectors]
        vectors = {name: np.ascontiguousarray(data.vectors[name]) for name in entity_vectors}
        save_file(vectors, str(temporary / "vectors.safetensors"))
        save_file(_history_arrays(data), str(temporary / "histories.safetensors"))
        write_catalogue(temporary, data.catalogue)
        write_behaviour(temporary, behaviour_of(data))
        if blend is not None:
            write_blend(temporary, blend)
        if task_blend is not None:
            write_task_blend(temporary, task_blend)
        if write_more is not None:
            write_more(temporary)
        (temporary / "metrics.json").write_text(metrics_json(metrics), encoding="utf-8")
        added = {name: shape.to_json() for name, shape in model.added_shapes.items()}
        grown = not all(v.is_fitted for v in data.encoder.vocabularies.values())
        write_manifest(
            temporary,
            {"added": added, "start": metrics.get("start"), "grown": grown, "moments": "alone" in state},
        )
        put_in_place(temporary, directory)
    except (OSError, SafetensorError, pl.exceptions.PolarsError) as error:
        raise BundleError(
            f"the bundle {directory} cannot be written ({error})",
            "free some space, or choose another directory",
        ) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def put_in_place(new: Path, directory: Path) -> None:
    """Give a complete directory its name; one that had it before is gone only then."""
    old = directory.with_name(directory.name + ".old")
    if directory.exists():
        shutil.rmtree(old, ignore_errors=True)
        directory.rename(old)
    try:
        new.rename(directory)
    except OSError:
        if old.exists():
            old.rename(directory)
        raise
    shutil.rmtree(old, ignore_errors=True)


_WHOLE_SCHEMAS: Final = 3  # from this format on a bundle's schema states every setting of model and training
_THEN: Final[Mapping[str, Mapping[str, Any]]] = {
    "model": {"width": 16},
    "training": {
        "learning_rate": 1e-3,
        "schedule": "constant",
        "warmup": 0.0,
        "batch_size": 2048,
        "refit": False,
    },
}
"""Defaults of format 2 that have changed since."""


def check_place(directory: Path, overwrite: bool) -> None:
    """Raise unless a bundle may be written here; called before any long work."""
    home = next(p for p in directory.absolute().parents if p.exists())
    if not home.is_dir():
        raise BundleError(f"{directory} cannot be made: {home} is a file", "name another directory")
    if not os.access(home, os.W_OK | os.X_OK):
        raise BundleError(f"{directory} cannot be made: {home} is not writable", "name another directory")
    if directory.exists() and not directory.is_dir():
        raise BundleError(f"{directory} is a file", "name a directory")
    if directory.is_dir() and any(directory.iterdir()):
        if not (directory / "manifest.json").exists():
            raise BundleError(f"{directory} is not empty and is not a bundle", "name a new directory")
        if not overwrite:
            raise BundleError(
                f"{directory} holds a bundle already", "name a new directory, or say --overwrite"
            )


def load_bundle(directory: str | Path) -> Bundle:
    """Load a bundle after checking every file against the manifest.

    Raises:
        BundleError: If it is not a bundle, is damaged, or is of a format this version cannot read.
    """
    directory = Path(directory)
    manifest = verify(directory)
    try:
        schema = _schema_of(directory, int(manifest["format"]))
        encoder = read_encoder(directory, schema)
        weights = load_tensors(str(directory / "weights.safetensors"))
        newer = ("retrieval.together", "features.content.values")
        histories = any(name.endswith(newer) for name in weights)
        members = {name.split(".")[1] for name in weights if name.startswith("members.")}
        added = {name: AddedShape.from_json(of) for name, of in manifest.get("added", {}).items()}
        each = [build_model(schema, encoder, histories=histories, added=added) for _ in members or ("",)]
        alone = weights.get("alone")
        model = EnsembleModel(each, None if alone is None else alone.tolist()) if members else each[0]
        if model.retrieval is not None and model.retrieval.scenario is not None:
            # older bundles rank alike in every scenario
            weights.setdefault("retrieval.scenario", model.retrieval.scenario.detach())
        model.load_state_dict(weights)
        model.eval()
        data, seen = _read_entities(directory, schema, encoder)
        behaviour = read_behaviour(directory, encoder)
        blend = read_blend(directory)
        task_blend = read_task_blend(directory, encoder.statistics)
        metrics = current_metrics(json.loads((directory / "metrics.json").read_text(encoding="utf-8")))
    except MotetError:
        raise
    except Exception as error:  # every part has its own kinds of error; each means that it cannot be read
        reason = (str(error).splitlines() or [""])[0][:200]
        raise BundleError(
            f"{directory} cannot be loaded ({type(error).__name__}: {reason})",
            "train again with this version",
        ) from None
    found = _found(schema, behaviour)
    return Bundle(
        directory, schema, model, data, seen, behaviour, metrics, manifest, blend, task_blend, found
    )


def _schema_of(directory: Path, written: int) -> Schema:
    """The schema of a bundle; one of format 2 leaves out what was then a default."""
    path = directory / "schema.yaml"
    if written >= _WHOLE_SCHEMAS:
        return Schema.load(path)
    stated = Schema.load(path)
    then = {
        section: {
            key: value
            for key, value in values.items()
            if key not in getattr(stated, section).model_fields_set
        }
        for section, values in _THEN.items()
    }
    sections = {
        section: getattr(stated, section).model_copy(update=values) for section, values in then.items()
    }
    return stated.model_copy(update=sections)


def _found(schema: Schema, behaviour: Behaviour) -> Ragged:
    task = schema.retrieval_task
    if task is None:
        return Ragged.empty(len(behaviour.items))
    kept = behaviour.label(task) > 0
    users = np.repeat(np.arange(len(behaviour.items)), behaviour.items.lengths())
    lengths = np.bincount(users[kept], minlength=len(behaviour.items)).astype(np.int64)
    return Ragged.from_lengths(behaviour.items.values[kept], lengths)


def write_metrics(directory: Path, metrics: Mapping[str, Any]) -> None:
    """Replace the metrics of a bundle, and its manifest with them."""
    replace_part(directory, "metrics.json", metrics_json(metrics))


def metrics_json(metrics: Mapping[str, Any]) -> str:
    """Metrics as JSON; what is not finite is null, for JSON knows no NaN and a long run must not end on one."""
    return json.dumps(_finite(metrics), indent=1, allow_nan=False, ensure_ascii=False)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _table_arrays(table: EntityTable) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {
        "codes": table.codes,
        "numbers": table.numbers,
        "vector_rows": table.vector_rows,
    }
    for name, lists in table.tags.items():
        arrays |= {f"tags.{name}.values": lists.values, f"tags.{name}.offsets": lists.offsets}
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def _history_arrays(data: Dataset) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    for name, history in data.histories.items():
        arrays |= {f"{name}.values": history.items.values, f"{name}.offsets": history.items.offsets}
    pairs = np.unique(np.stack([data.user_row, data.item_row]).astype(np.int64), axis=1)
    lengths = np.bincount(pairs[0], minlength=len(data.users))
    seen = Ragged.from_lengths(pairs[1].astype(np.int32), lengths)
    arrays |= {"seen.values": seen.values, "seen.offsets": seen.offsets}
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def _read_entities(directory: Path, schema: Schema, encoder: Encoder) -> tuple[Dataset, Ragged]:
    tables = []
    for name in ("users", "items"):
        arrays = load_file(str(directory / f"{name}.safetensors"))
        tags = {
            key.removeprefix("tags.").removesuffix(".values"): Ragged(
                arrays[key], arrays[key.removesuffix("values") + "offsets"]
            )
            for key in arrays
            if key.startswith("tags.") and key.endswith(".values")
        }
        tables.append(EntityTable(arrays["codes"], arrays["numbers"], tags, arrays["vector_rows"]))
    events = load_file(str(directory / "histories.safetensors"))
    lists = {
        key.removesuffix(".values"): Ragged(events[key], events[key.removesuffix("values") + "offsets"])
        for key in events
        if key.endswith(".values")
    }
    seen = lists.pop("seen")
    vectors = load_file(str(directory / "vectors.safetensors"))
    layout = encoder.layout("interaction")
    vectors |= {name: np.zeros((1, encoder.vector_widths[name]), np.float32) for name in layout.vectors}
    histories = {
        name: History(
            items, np.zeros(0, np.int32), items.lengths().astype(np.int32), items.lengths().astype(np.int32)
        )
        for name, items in lists.items()
    }
    context = EntityTable(
        np.zeros((0, len(layout.codes)), np.int32),
        np.zeros((0, len(layout.numbers)), np.float32),
        {name: Ragged.empty(0) for name in layout.tags},
        np.zeros((0, len(layout.vectors)), np.int32),
    )
    nothing = np.zeros(0, np.int32)
    words = {name: pl.read_parquet(directory / f"{name}s.parquet") for name in ("user", "item")}
    data = Dataset(
        schema=schema,
        encoder=encoder,
        users=tables[0],
        items=tables[1],
        context=context,
        vectors=vectors,
        texts={},
        histories=histories,
        user_row=nothing,
        item_row=nothing,
        scenario=nothing.astype(np.int16),
        time=nothing.astype(np.int64),
        labels=np.zeros((0, len(encoder.interaction_tasks)), np.float32),
        label_sets={},
        entity_labels={},
        split=nothing.astype(np.uint8),
        user_ids=words["user"]["id"],
        item_ids=words["item"]["id"],
        sides={name: frame.drop("id") for name, frame in words.items() if frame.width > 1},
        catalogue=read_catalogue(directory, schema),
    )
    return data, seen
