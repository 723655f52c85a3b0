"""A new task on a trained model: nothing of the model moves, and every old task answers as before, bit for bit.

bundle ─► data, read as the bundle reads it ─► adapter and tower of the task ─► bundle
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl
import torch
from safetensors.torch import save_file as save_tensors
from torch import nn

from motet.data import Batch, Behaviour, Dataset, Frames, graph_features, known_items
from motet.errors import BundleError, DataError, ModelError, SchemaError
from motet.evaluation import evaluate, validation_score
from motet.models import AddedShape, AddedTower, MultiTaskModel, Outputs, output_width
from motet.schema import Progress, Schema, Task, silent
from motet.training._bundle import (
    Bundle,
    check_place,
    load_bundle,
    metrics_json,
    put_in_place,
    write_behaviour,
    write_encoder,
)
from motet.training._checkpoint import only_run
from motet.training._loop import Trained, train_model
from motet.training._manifest import OPTIONAL_PARTS, PARTS, write_manifest
from motet.training._measure import follows_from
from motet.training._predictor import ModelPredictor
from motet.training._run import load_data, remove_checkpoint, write_report
from motet.training._step import TrainingStep
from motet.training.blending import check_plain

__all__ = ["add_task"]

_CHANGEABLE = ("training.", "tables.", "split.")


class _TaskOnFrozen(MultiTaskModel):
    """One task on a frozen network, as a model of its own: its state and parameters are those of the task alone.

    Args:
        base: The network; it stays in evaluation mode.
        task: Name of the task.
        tower: Its adapter and tower.
    """

    def __init__(self, base: MultiTaskModel, task: str, tower: AddedTower) -> None:
        nn.Module.__init__(self)
        base.requires_grad_(False)
        self.__dict__["features"] = base.features  # no part of it: what is frozen is neither trained nor kept
        self.architecture = self.retrieval = None
        self.entity_heads = type(base.entity_heads)()
        self.item_tasks = ()
        self.tower, self.task = tower, task
        self.outputs = {task: tower.outputs}

    def forward(self, batch: Batch) -> Outputs:
        with torch.no_grad():
            inputs = self.features(batch)
        y = self.tower(inputs)
        nothing = inputs.context.new_zeros(len(batch), 0)
        return Outputs(
            logits={self.task: y if y.shape[1] > 1 else y.squeeze(1)},
            entity={},
            user_vectors=inputs.user[:, :0],
            item_vectors=inputs.item[:, :0],
            item_bias=inputs.item.new_zeros(len(inputs.item)),
            inputs=inputs,
            query_shift=nothing,
            extra=nothing,
        )


def add_task(
    bundle: str | Path,
    directory: str | Path | Frames,
    tasks: Mapping[str, Mapping[str, Any] | Task],
    out: str | Path,
    *,
    shape: AddedShape | None = None,
    overrides: tuple[str, ...] = (),
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Bundle:
    """Train a new task on a frozen bundle, measure it on the test rows, and write a bundle with all tasks.

    The network, its vocabularies and its plain members do not change, so that the other tasks predict what they
    predicted, bit for bit. The new task has an adapter and a tower of its own (:class:`~motet.models.AddedTower`).

    Args:
        bundle: Directory of the bundle.
        directory: The files: those of the bundle's schema, with the columns that the new label reads.
        tasks: The new task by its name, as in a schema: ``{"rating": {"kind": "regression", "label": "stars"}}``.
        out: The new bundle's directory. Checkpoints are kept beside it until it is complete.
        shape: Widths of adapter and tower.
        overrides: ``a.b=c`` changes of ``training``, ``tables`` and ``split`` for this run; the new bundle's schema
            keeps those of the bundle.
        resume: Go on from a checkpoint of the same task on the same bundle, if there is one.
        overwrite: Replace a bundle that is there.
        progress: Progress callback.

    Raises:
        SchemaError: If the task is none, or does not fit the bundle's schema.
        ModelError: If it cannot be added: it has the name of another one, is not on interactions, or ranks the
            catalogue; or if the bundle is a plain method, which has no network, or holds several networks.
        MotetError: If the data or the place is wrong; nothing half-written remains.
    """
    out, shape = Path(out), shape or AddedShape()
    old = load_bundle(bundle)
    if len(old.model.networks) > 1:
        raise ModelError(
            f"{bundle} holds {len(old.model.networks)} networks, and a task is added to one",
            "train the bundle with training.bag=1 and training.blend_checkpoints=false",
        )
    schema, name = _with_task(old.schema, tasks)
    for change in overrides:
        if not change.startswith(_CHANGEABLE):
            raise SchemaError(
                f"'{change}' cannot be changed here: the model and its features are the bundle's",
                "change settings under training, tables or split",
            )
    settings = schema.with_overrides(*overrides)
    check_place(out, overwrite)
    checkpoint = out.with_name(out.name + ".checkpoint")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BundleError(f"{out} cannot be made ({error.strerror})", "name another directory") from None
    with (
        only_run(out),
        tempfile.TemporaryDirectory(prefix=f".{out.name}.columns.", dir=out.parent) as columns,
    ):
        if not resume:
            remove_checkpoint(checkpoint)
        data, cleaning = _read(old, settings, name, directory, Path(columns), progress)
        base = old.manifest["files"]["weights.safetensors"]["sha256"]
        trained, tower = _trained(old, data, name, shape, base, checkpoint, resume, progress)
        metrics = _measured(old, data, name, trained, schema, cleaning, progress)
        metrics["added"][name] |= {"base": base, "overrides": list(overrides)}
        _write(old, out, schema, data, name, tower, metrics)
    remove_checkpoint(checkpoint)
    write_report(out)
    return load_bundle(out)


def _with_task(schema: Schema, tasks: Mapping[str, Mapping[str, Any] | Task]) -> tuple[Schema, str]:
    """The schema with the new task at its end, and the task's name."""
    if len(tasks) != 1:
        raise SchemaError(
            f"{len(tasks)} tasks are given ({', '.join(tasks) or 'none'}), and one is added at a time",
            "give one; the bundle that this writes takes the next",
        )
    ((name, task),) = tasks.items()
    if name in schema.tasks:
        raise ModelError(
            f"the bundle has a task '{name}' already; its tasks are {', '.join(schema.tasks)}",
            "give the new task another name",
        )
    if check_plain(schema):
        raise ModelError(
            f"the bundle is the plain method '{schema.model.architecture}', which has no network to add a task to",
            "train a bundle with another architecture, such as --set model.architecture=shared_bottom",
        )
    whole = Schema.parse(
        {**schema.model_dump(), "tasks": {**schema.model_dump()["tasks"], name: task}}, source="the new task"
    )
    new = whole.tasks[name]
    if new.on != "interaction" or new.ranks_catalogue:
        what = "ranks the catalogue" if new.ranks_catalogue else f"is on the {new.on}"
        raise ModelError(
            f"task '{name}' {what}, and only tasks that are predicted for interactions can be added",
            "add it to the schema and train again: motet train",
        )
    return whole, name


def _read(
    old: Bundle, schema: Schema, name: str, directory: str | Path | Frames, columns: Path, progress: Progress
) -> tuple[Dataset, list[str]]:
    """The data as the bundle sees it, with the labels of the new task alone; and its cleaning report."""
    first, parent = dict[str, Task](), schema.tasks[name].after
    while parent is not None:  # a label that is masked by other tasks needs their labels
        first = {parent: schema.tasks[parent], **first}
        parent = schema.tasks[parent].after
    needed = schema.model_copy(update={"tasks": {**first, name: schema.tasks[name]}})
    known = old.data.encoder
    encoder = replace(
        known,
        schema=needed,
        classes=dict(known.classes),
        label_mean=dict(known.label_mean),
        label_std=dict(known.label_std),
    )
    prepared = load_data(
        needed,
        directory,
        encoder=encoder,
        item_vectors=known_items(old.data) if graph_features(schema) else None,
        fit_tasks=(name,),
        spill_directory=columns,
        progress=progress,
    )
    alone = schema.tasks[name].model_copy(update={"after": None})
    objective = schema.objective.model_copy(update={"balancer": "fixed", "balancer_options": {}})
    own = needed.model_copy(update={"tasks": {name: alone}, "objective": objective})
    return replace(prepared.data, schema=own), [str(finding) for finding in prepared.cleaning_report]


def _trained(
    old: Bundle,
    data: Dataset,
    name: str,
    shape: AddedShape,
    base: str,
    checkpoint: Path,
    resume: bool,
    progress: Progress,
) -> tuple[Trained, AddedTower]:
    schema = data.schema
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(schema.training.seed)
        tower = AddedTower(
            widths=old.model.features.widths,
            outputs=output_width(schema, data.encoder, name),
            shape=shape,
            dropout=schema.model.dropout,
        )
    # a checkpoint is for the same sizes on the same network
    options = {"added": shape.to_json(), "base": base}
    said = schema.model_copy(update={"model": schema.model.model_copy(update={"options": options})})
    model = _TaskOnFrozen(old.model, name, tower)
    trained = train_model(
        data,
        schema=said,
        checkpoint=checkpoint,
        resume=resume,
        progress=progress,
        step=lambda data, schema: TrainingStep(data, schema, model=model),
    )
    return trained, tower


def _measured(
    old: Bundle,
    data: Dataset,
    name: str,
    trained: Trained,
    schema: Schema,
    cleaning: list[str],
    progress: Progress,
) -> dict[str, Any]:
    """The bundle's metrics, which still hold, with those of the new task on the same split."""
    split = cast("str", old.metrics.get("split", "test"))
    predictor = ModelPredictor(trained.model, data, known="train" if split == "validation" else "validation")
    progress(f"measuring the {split} rows", 0, 1)
    found = evaluate(data, predictor, split, seed=data.schema.training.seed)
    found |= follows_from(data, predictor, found, split)
    weights = sum(p.numel() for p in trained.model.parameters())
    metrics = {**found, **old.metrics, "schema": schema.to_yaml()}
    for part in ("tasks", "calibration"):
        metrics[part] = {**old.metrics.get(part, {}), **found[part]}
    for part in ("scenarios", "groups"):
        rows = old.metrics.get(part, {})
        metrics[part] = {**rows, **{at: {**rows.get(at, {}), **of} for at, of in found[part].items()}}
    try:
        metrics["score"] = validation_score(schema, metrics)
    except (DataError, KeyError):  # a task that was never measured leaves the score undefined
        metrics["score"] = None
    if cost := old.metrics.get("cost"):
        of_task = {"parameters": weights, "own_parameters": weights, "time_share": None}
        metrics["cost"] = {
            **cost,
            "parameters": cost["parameters"] + weights,
            "tasks": {**cost["tasks"], name: of_task},
        }
    facts = {
        "parameters": weights,
        "train_s": trained.history.elapsed_s,
        "training_rows": len(data.rows("train")),
        "members": [],
        "cleaning": cleaning,
        "history": trained.history.to_json(),
    }
    metrics["added"] = {**old.metrics.get("added", {}), name: facts}
    return metrics


def _write(
    old: Bundle,
    out: Path,
    schema: Schema,
    data: Dataset,
    name: str,
    tower: AddedTower,
    metrics: Mapping[str, Any],
) -> None:
    """Write the new bundle, whole or not at all: the files of the old one, but for what the task changes."""
    new = out.with_name(out.name + ".new")
    encoder = replace(data.encoder, schema=schema)
    own = {f"added.@{name}.{key}": t for key, t in tower.state_dict().items()}
    weights = {key: t.contiguous() for key, t in {**old.model.state_dict(), **own}.items()}
    shapes = {**old.model.added_shapes, name: tower.shape}
    try:
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        for part in (*PARTS, *OPTIONAL_PARTS):
            if (old.directory / part).is_file():
                shutil.copyfile(old.directory / part, new / part)
        (new / "schema.yaml").write_text(schema.to_yaml(whole=True), encoding="utf-8")
        write_encoder(new, encoder)
        save_tensors(weights, str(new / "weights.safetensors"))
        write_behaviour(new, _with_label(old, data, name))
        (new / "metrics.json").write_text(metrics_json(metrics), encoding="utf-8")
        added = {task: of.to_json() for task, of in shapes.items()}
        write_manifest(new, {**old.manifest, "added": added})
        put_in_place(new, out)
    except OSError as error:
        raise BundleError(
            f"the bundle {out} cannot be written ({error})", "free some space, or choose another directory"
        ) from None
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _with_label(old: Bundle, data: Dataset, name: str) -> Behaviour:
    """The bundle's events with their labels of the new task, where the files have the same event."""
    behaviour, keys = old.behaviour, ["user", "item", "time"]
    users = np.repeat(np.arange(len(behaviour.items)), behaviour.items.lengths())
    events = pl.DataFrame(
        {
            "user": old.data.user_ids.gather(users),
            "item": old.data.item_ids.gather(behaviour.items.values),
            "time": behaviour.time,
        }
    )
    labels = pl.DataFrame(
        {
            "user": data.user_ids.gather(data.user_row),
            "item": data.item_ids.gather(data.item_row),
            "time": np.asarray(data.time),
            "label": data.labels[:, data.encoder.interaction_tasks.index(name)],
        }
    ).unique(keys, keep="last", maintain_order=True)
    found = events.join(labels, on=keys, how="left", maintain_order="left")["label"]
    column = found.fill_null(float("nan")).to_numpy().astype(np.float32)
    together = np.concatenate([behaviour.labels, column[:, None]], axis=1)
    return replace(behaviour, labels=together, tasks=(*behaviour.tasks, name))
