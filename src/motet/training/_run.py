"""The data flow of training: each verb as one function, which the public API and the command line call.

files ─► data set ─► model ─► evaluation ─► bundle ─► report
"""

from __future__ import annotations

import copy
import glob
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from motet.data import (
    CleaningReport,
    Dataset,
    Encoder,
    Fold,
    Frames,
    ItemsToVectors,
    as_tables,
    build_dataset,
    graph_features,
    known_items,
)
from motet.errors import BundleError, DataError, ModelError, TrainingError, require_packages
from motet.evaluation import evaluate
from motet.evaluation.report import render_report
from motet.graph import (
    GraphInteractions,
    KnowledgeGraph,
    hidden_relations,
    knowledge_vectors,
    read_knowledge,
    write_knowledge,
)
from motet.models.architectures import check_architecture
from motet.models.baselines import BASELINES, MEMBERS, PAIR_MEMBERS, ItemScores, PairMember, run_baselines
from motet.schema import Progress, Schema, require_known, silent
from motet.text.encode import text_encoder
from motet.training._bag import branch_of, check_bag, refit_bag, train_bag
from motet.training._bundle import Bundle, check_place, load_bundle, save_bundle, write_metrics
from motet.training._checkpoint import only_run
from motet.training._export import export_measured
from motet.training._loop import Trained
from motet.training._measure import follows_from, measure_trained, single_task_baseline
from motet.training._predictor import ModelPredictor
from motet.training._refit import Refit
from motet.training._search import search_directory, search_settings
from motet.training._search_space import SearchSettings
from motet.training._step import TrainingStep
from motet.training._warm_start import WarmStart, WarmStep
from motet.training.balancing import build_balancer
from motet.training.blending import (
    Members,
    RankingBlend,
    TaskBlend,
    check_plain,
    fit_blend,
    fit_members,
    fit_pair_members,
    fit_task_blend,
    plain_blends,
    plain_network,
)

__all__ = ["Prepared", "evaluate_bundle", "load_data", "remove_checkpoint", "train", "write_report"]

_SINGLE = "single_task"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A data set with its cleaning report, and the knowledge graph beside it if there is one."""

    data: Dataset
    cleaning_report: CleaningReport
    graph: KnowledgeGraph | None = None


def load_data(
    schema: Schema,
    directory: str | Path | Frames,
    *,
    encoder: Encoder | None = None,
    item_vectors: ItemsToVectors | None = None,
    fit_tasks: Collection[str] = (),
    fold: Fold | None = None,
    spill_directory: Path | None = None,
    progress: Progress = silent,
) -> Prepared:
    """Read, clean, split and encode the files of a directory.

    Args:
        schema: What they are.
        directory: Where they are.
        encoder: That of a bundle, to see the files as its model does.
        item_vectors: Gives the items their vectors of the knowledge graph, as those of a bundle; learnt
            from the graph when left out.
        fit_tasks: Tasks that this encoder does not know yet; see :func:`~motet.data.build_dataset`.
        fold: A fold of a cross-validation, in the place of the schema's split.
        spill_directory: Where the columns of large tables go.
        progress: Progress callback.

    Raises:
        DataError: If a file, a column or a value is wrong.
        KnowledgeError: If the graph cannot be read.
    """
    cleaning_report = CleaningReport()
    graph: KnowledgeGraph | None = None

    def learnt(
        keys: pl.Series, user_row: NDArray[np.int32], item_row: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        nonlocal graph
        assert schema.knowledge is not None  # noqa: S101 (a schema with such a feature has the section)
        graph = read_knowledge(schema, directory, keys, cleaning_report)
        return knowledge_vectors(
            graph,
            schema.knowledge,
            interactions=GraphInteractions(user_row, item_row),
            exclude=hidden_relations(schema, graph),
            progress=progress,
        )

    data = build_dataset(
        schema,
        as_tables(directory, schema),
        encode_text=text_encoder(schema.language, progress),
        item_vectors=item_vectors or learnt,
        encoder=encoder,
        fit_tasks=fit_tasks,
        fold=fold,
        cleaning_report=cleaning_report,
        spill_directory=spill_directory,
        progress=progress,
    )
    if graph is None and encoder is None and schema.knowledge is not None:
        progress("reading the knowledge graph", 0, 1)
        graph = read_knowledge(schema, directory, data.item_ids, cleaning_report)
    return Prepared(data, cleaning_report, graph)


def train(
    schema: Schema,
    directory: str | Path | Frames,
    out: str | Path,
    *,
    search: str | float | SearchSettings | None = None,
    start: WarmStart | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Bundle:
    """Train a schema's model on the files of a directory, measure it on the test rows, write a bundle.

    Args:
        schema: What to train; ``training.seed`` decides the result.
        directory: The files.
        out: The bundle's directory. Checkpoints are kept beside it until it is complete.
        search: Time for a search over settings, such as ``20m``: the run tries settings on validation rows until
            then, and trains with the best; ``training.time_limit_s`` bounds each training. The schema as it is
            is trained once, without, when left out.
        start: The bundle whose weights training begins with, as far as they fit; drawn weights when left out.
        resume: Go on from a checkpoint, or from the trials of a search, of the same schema, if there is one.
        overwrite: Replace a bundle that is there.
        progress: Progress callback.

    Raises:
        MissingExtraError: If there is to be a search, and Optuna is not installed.
        MotetError: If the schema, the data or the place is wrong; nothing half-written remains.
    """
    out = Path(out)
    wanted = None if search is None else SearchSettings.parse(search)
    check_bag(schema, searching=wanted is not None)
    if any(task.resampling is not None for task in schema.tasks.values()):
        require_packages("resample", "imblearn")
    if wanted is not None:
        require_packages("tune", "optuna")
        if check_plain(schema):
            raise ModelError(
                f"the architecture '{schema.model.architecture}' is a plain method, which chooses its settings by "
                "itself",
                "leave --search out, or choose another architecture",
            )
    check_architecture(schema.model.architecture, schema.model.options)
    check_plain(schema)
    if start is not None and wanted is not None:
        raise TrainingError(
            "a search tries networks of many shapes, which one bundle's weights do not fit",
            "leave --search out, or --from",
        )
    step = None if start is None else WarmStep(start, schema)
    for name in schema.model.members or ():
        require_known(name, (*MEMBERS, *PAIR_MEMBERS), "model.members: the plain method", DataError)
    objective = schema.objective
    build_balancer(objective.balancer, dict.fromkeys(schema.tasks, 1.0), objective.balancer_options)
    check_place(out, overwrite)
    checkpoint = out.with_name(out.name + ".checkpoint")
    made = [parent for parent in out.absolute().parents if not parent.exists()]
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BundleError(f"{out} cannot be made ({error.strerror})", "name another directory") from None
    try:
        with only_run(out):
            _train(
                schema, directory, out, checkpoint,
                search=wanted, step=step, resume=resume, overwrite=overwrite, progress=progress,
            )  # fmt: skip
    except BaseException:
        for parent in made:  # innermost first; one that holds a checkpoint stays
            if parent.is_dir() and not any(parent.iterdir()):
                parent.rmdir()
        raise
    write_report(out)
    return load_bundle(out)


def _train(
    schema: Schema,
    directory: str | Path | Frames,
    out: Path,
    checkpoint: Path,
    *,
    search: SearchSettings | None,
    step: WarmStep | None,
    resume: bool,
    overwrite: bool,
    progress: Progress,
) -> None:
    for left in out.parent.glob(f".{glob.escape(out.name)}.columns.*"):  # of a run that was killed
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.columns.", dir=out.parent) as columns:
        limit_s = schema.training.time_limit_s if search is None else search.time_s
        deadline_s = time.monotonic() + limit_s if limit_s else None
        trials = search_directory(out)
        goes_on = resume and search is not None and trials.is_dir()
        prepared = load_data(
            schema,
            directory,
            spill_directory=Path(columns),
            progress=progress if goes_on else _until(deadline_s, limit_s, progress),
        )
        if not resume:
            remove_checkpoint(checkpoint)
            shutil.rmtree(trials, ignore_errors=True)
        data = prepared.data
        # a run that only ends a search is given little time, and its plain members are wanted all the same
        members_s = 0.0 if goes_on else limit_s
        found = None
        if search is None:
            fitted = fit_predictor(
                data,
                checkpoint=checkpoint,
                resume=resume,
                deadline_s=deadline_s,
                limit_s=members_s,
                progress=progress,
                step=step or TrainingStep,
            )
        else:
            members = fit_all_members(data, limit_s=members_s, progress=progress)
            found = search_settings(
                data, search, trials, resume=resume, deadline_s=deadline_s, progress=progress,
                finish=lambda one: _finished(data, members, copy.deepcopy(one), None, 0.0, silent),
            )  # fmt: skip
            data = found.data
            fitted = _finished(data, members, found.trained, deadline_s, limit_s, progress)
        metrics = measure_trained(
            fitted.trained,
            data,
            prepared.cleaning_report,
            progress,
            blend=fitted.blend,
            task_blend=fitted.task_blend,
            refit=fitted.refit,
        )
        if found is not None:
            metrics["search"] = found.report
        if step is not None:
            metrics["start"] = step.facts
        graph = prepared.graph
        save_bundle(
            out,
            model=fitted.trained.model,
            data=data,
            metrics=metrics,
            blend=fitted.blend,
            task_blend=fitted.task_blend,
            overwrite=overwrite,
            write_more=None if graph is None else lambda place: write_knowledge(place, graph),
        )
    shutil.rmtree(trials, ignore_errors=True)
    remove_checkpoint(checkpoint)


AllMembers: TypeAlias = tuple[Members[ItemScores], Members[PairMember]]


@dataclass(frozen=True, slots=True)
class Fitted:
    """What predicts: a network, the plain members beside it, and how it learnt from the validation rows."""

    trained: Trained
    blend: RankingBlend | None
    task_blend: TaskBlend | None
    refit: Refit | None


def fit_predictor(
    data: Dataset,
    *,
    checkpoint: Path | None = None,
    resume: bool = False,
    deadline_s: float | None = None,
    limit_s: float = 0.0,
    progress: Progress = silent,
    step: Callable[[Dataset, Schema], TrainingStep] = TrainingStep,
) -> Fitted:
    """Fit the predictor of a data set's schema: members, network, their weights, and what validation rows still teach.

    Args:
        data: The data set.
        checkpoint: See :func:`train_model`.
        resume: Likewise.
        deadline_s: Likewise.
        limit_s: Of the whole run, 0 for none; see :func:`fit_each`.
        progress: Progress callback.
        step: See :func:`train_model`.
    """
    if check_plain(data.schema):
        trained = plain_network(data)
        return Fitted(trained, *plain_blends(data, trained.model, progress), None)
    members = fit_all_members(data, limit_s=limit_s, progress=progress)
    trained = train_bag(
        data, checkpoint=checkpoint, resume=resume, deadline_s=deadline_s, progress=progress, step=step
    )
    return _finished(data, members, trained, deadline_s, limit_s, progress)


def _finished(
    data: Dataset,
    members: AllMembers,
    trained: Trained,
    deadline_s: float | None,
    limit_s: float,
    progress: Progress,
) -> Fitted:
    # a fifth of the time is left for what validation rows teach, and half of that for measuring
    weigh_s = None if deadline_s is None else deadline_s - 0.2 * limit_s
    blend, task_blend = fit_blends(data, members, trained, progress, until_s=weigh_s)
    if not data.schema.training.refit:
        return Fitted(trained, blend, task_blend, None)
    spare_s = None if deadline_s is None else deadline_s - 0.1 * limit_s
    refit = refit_bag(data, trained.model, deadline_s=spare_s, progress=progress)
    return Fitted(trained, blend, task_blend, refit)


def fit_all_members(data: Dataset, *, limit_s: float, progress: Progress) -> AllMembers:
    """Fit the plain members that may work beside the network."""
    names = data.schema.model.members
    return (
        fit_members(data, names, limit_s=limit_s, progress=progress),
        fit_pair_members(data, names, limit_s=limit_s, progress=progress),
    )


def fit_blends(
    data: Dataset,
    members: AllMembers,
    trained: Trained,
    progress: Progress = silent,
    *,
    until_s: float | None = None,
) -> tuple[RankingBlend | None, TaskBlend | None]:
    """Weigh a network and plain members on validation rows."""
    network = ModelPredictor(trained.model, data, known="train")
    return (
        fit_blend(data, members[0], network, progress, until_s=until_s),
        fit_task_blend(data, members[1], network.predict, progress),
    )


def _until(deadline_s: float | None, limit_s: float, progress: Progress) -> Progress:
    """Progress that ends reading and encoding when the time of the run is over: nothing is trained by then."""

    def report(what: str, done: int, total: int) -> None:
        if deadline_s is not None and time.monotonic() >= deadline_s:
            raise TrainingError(
                f"the time limit of {limit_s:g} s was over before training began ({what}: {done:,} of {total:,})",
                "raise training.time_limit_s (--time-limit), or the time of the search (--search); texts encoded so far are kept, but for the last "
                "thousand, and the next run goes on with the others",
            )
        progress(what, done, total)

    return report


def remove_checkpoint(checkpoint: Path) -> None:
    """Remove checkpoints, and what a killed run left of others."""
    for one in (checkpoint, branch_of(checkpoint)):
        for end in ("", ".new", ".old"):
            shutil.rmtree(one.with_name(one.name + end), ignore_errors=True)


def evaluate_bundle(
    bundle: str | Path,
    directory: str | Path | Frames,
    *,
    split: str = "test",
    baselines: bool | Sequence[str] = False,
    export: str | Path | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Measure a bundle on the files of a directory, with plain baselines beside it if asked.

    The bundle's metrics and report are replaced.

    Args:
        bundle: Its directory.
        directory: The files.
        split: ``test``, ``validation`` or ``train``.
        baselines: Whether to fit the baselines, and the same architecture on each task alone; or names of those
            that are wanted, ``single_task`` for the latter.
        export: Directory for split, predictions and lists; see :func:`~motet.training.export_measured`.
        seed: Seed of intervals and baselines.
        progress: Progress callback.

    Returns:
        The metrics.
    """
    require_known(split, ("test", "validation", "train"), "the split", DataError)
    names = list(BASELINES) if isinstance(baselines, bool) else [n for n in baselines if n != _SINGLE]
    for name in names:
        require_known(name, (*BASELINES, _SINGLE), "the baseline", DataError)
    loaded = load_bundle(bundle)
    prepared = load_data(
        loaded.schema,
        directory,
        encoder=loaded.data.encoder,
        item_vectors=known_items(loaded.data) if graph_features(loaded.schema) else None,
        progress=progress,
    )
    data = prepared.data
    known: Literal["train", "validation"] = "train" if split == "validation" else "validation"
    predictor = ModelPredictor(
        loaded.model, data, known=known, blend=loaded.blend, task_blend=loaded.task_blend
    )
    progress(f"measuring the {split} rows", 0, 1)
    found = evaluate(data, predictor, split, seed=seed)
    found["learnt_from"] = split == "train" or (split == "validation" and loaded.schema.training.refit)
    metrics = {**loaded.metrics, **found, **follows_from(data, predictor, found, split)}
    if export is not None:
        export_measured(data, predictor, split, Path(export))
    if baselines:

        def report(name: str, share: float) -> None:
            progress(f"baseline {name}", round(share * 100), 100)

        metrics["baselines"] = run_baselines(data, split, names, seed=seed, progress=report)
        if check_plain(data.schema):  # each task is by itself already
            metrics.pop("transfer", None)
        elif len(data.schema.tasks) > 1 and (baselines is True or _SINGLE in baselines):
            alone, transfer = single_task_baseline(
                data, predictor, found, split, seed=seed, progress=progress
            )
            metrics["baselines"]["single_task"], metrics["transfer"] = alone, transfer
    write_metrics(Path(bundle), metrics)
    write_report(bundle)
    return metrics


def write_report(bundle: str | Path) -> Path:
    """Write a bundle's report again from its metrics.

    Returns:
        The path of ``report.html``.
    """
    loaded = load_bundle(bundle)
    path = Path(bundle) / "report.html"
    if not loaded.metrics:
        raise BundleError(f"{bundle} holds no metrics", "measure it first: motet evaluate")
    content, temporary = render_report(loaded.metrics), path.with_name("report.html.new")
    try:
        temporary.write_text(content, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise BundleError(f"{path} cannot be written ({error.strerror})", "free some space") from None
    return path
