"""The public API: train, open, use and serve a model as one object.

tables ─► fit ─► Model ─► predict, recommend, evaluate, explain, ask ─► save ─► serve
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motet.errors import BundleError, DataError, require_packages
from motet.schema import LanguageSettings, Progress, Schema, silent
from motet.training import Bundle, add_task, check_place, cross_validate, evaluate_bundle, load_bundle, train

if TYPE_CHECKING:
    import polars as pl

    from motet.assistant import Answer, Assistant, Conversation
    from motet.assistant.explain import Explainer, Explanation
    from motet.data import Frames
    from motet.graph import KnowledgeGraph
    from motet.models import AddedShape
    from motet.recommend import Recommender
    from motet.text.generate import PrivateCaches
    from motet.training import SearchSettings, WarmStart

__all__ = ["Evaluation", "Model", "fit", "load", "serve"]


@dataclass(frozen=True)
class Evaluation:
    """What was measured of a model; printed, it is a table of the primary metric of every task, and one of folds.

    Attributes:
        schema: Of the model.
        metrics: Everything measured, as in ``metrics.json``.
    """

    schema: Schema
    metrics: Mapping[str, Any]

    def __str__(self) -> str:
        from motet.cli._output import folds_table, metrics_table, printed  # noqa: PLC0415 (importing motet costs nothing)

        tables = [metrics_table(self.schema, self.metrics)]
        tables += [folds_table(self.schema, self.metrics)] if self.metrics.get("folds") else []
        return printed(*tables)


class Model:
    """A trained model. What it needs for an answer is loaded once, when it is first needed, and shared.

    :func:`fit` and :func:`load` make one.

    Args:
        bundle: The bundle.
        language_model: Settings of the language model that reads requests beside the rules and rephrases reasons;
            rules and templates alone when left out.
        private: Where vectors of texts of users and requests, and answers, are kept; in motet's cache when left out.
        tables: The data that it was trained on; without them, :meth:`evaluate` has to be given some.
        progress: Progress callback: stage, work done, work in all.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        language_model: LanguageSettings | None = None,
        private: PrivateCaches | None = None,
        tables: Path | Frames | None = None,
        progress: Progress = silent,
    ) -> None:
        self.bundle = bundle
        self._language_model, self._private = language_model, private
        self._tables, self._progress = tables, progress
        self._remove: weakref.finalize[..., Model] | None = None  # removes a temporary directory

    def __repr__(self) -> str:
        saved = "not saved" if self._remove is not None else str(self.directory)
        return f"Model('{self.schema.name}', {self.schema.model.architecture}, {saved})"

    @property
    def schema(self) -> Schema:
        """What it was trained for."""
        return self.bundle.schema

    @property
    def directory(self) -> Path:
        """Where its bundle is; temporary until :meth:`save` where :func:`fit` was given no place."""
        return self.bundle.directory

    @property
    def metrics(self) -> Mapping[str, Any]:
        """What was measured of it last."""
        return self.bundle.metrics

    # -- parts ---------------------------------------------------------------------------------

    @cached_property
    def recommender(self) -> Recommender:
        """Predictions and recommendations."""
        from motet.recommend import Recommender  # noqa: PLC0415
        from motet.text.encode import text_encoder  # noqa: PLC0415

        settings = self.schema.language
        encode = text_encoder(settings, self._progress)
        private = self._private
        encode_private = (
            encode if private is None else text_encoder(settings, self._progress, private.vectors)
        )
        return Recommender(self.bundle, encode, encode_private=encode_private)

    @cached_property
    def graph(self) -> KnowledgeGraph | None:
        """The knowledge graph; None where there is none."""
        from motet.graph import KNOWLEDGE_FILES, read_written_knowledge  # noqa: PLC0415

        if not (self.directory / KNOWLEDGE_FILES[0]).is_file():
            return None
        return read_written_knowledge(self.directory)

    @cached_property
    def explainer(self) -> Explainer:
        """Reasons, descriptions and what they rest on."""
        from motet.assistant.explain import Explainer  # noqa: PLC0415
        from motet.text.generate import build_generator  # noqa: PLC0415

        if self._language_model is None:
            return Explainer(self.recommender, graph=self.graph)
        generator = build_generator(
            self._language_model, None if self._private is None else self._private.answers
        )
        return Explainer(
            self.recommender,
            graph=self.graph,
            generator=generator,
            time_limit_s=self._language_model.generator_seconds,
        )

    @cached_property
    def assistant(self) -> Assistant:
        """Answers to requests in plain language, and lists."""
        require_packages("language", "rapidfuzz", "phonenumbers", "stdnum")
        from motet.assistant import Assistant  # noqa: PLC0415
        from motet.assistant.understand import FastReader, Lexicon, ModelReader, Reader  # noqa: PLC0415
        from motet.recommend import MeaningIndex  # noqa: PLC0415
        from motet.text.encode import text_encoder  # noqa: PLC0415

        data, settings, private = self.bundle.data, self.schema.language, self._private
        catalogue = data.catalogue
        if catalogue is None:
            raise DataError(f"the schema '{self.schema.name}' has no items", "asking needs keys.item")
        lexicon = Lexicon(catalogue, scenarios=data.encoder.scenarios[1:], graph=self.graph)
        encode = text_encoder(settings, self._progress)
        encode_private = (
            encode if private is None else text_encoder(settings, self._progress, private.vectors)
        )
        reader: Reader = FastReader(lexicon)
        if self._language_model is not None and self.explainer.generator is not None:
            seconds = self._language_model.generator_seconds
            reader = ModelReader(self.explainer.generator, lexicon, time_limit_s=seconds)
        return Assistant(
            self.recommender,
            self.explainer,
            reader,
            meaning=lambda: MeaningIndex.of_catalogue(catalogue, encode, encode_private=encode_private),
        )

    # -- answers -------------------------------------------------------------------------------

    def predict(self, pairs: Any) -> pl.DataFrame:
        """Predict every task for pairs of users and items.

        Args:
            pairs: A Polars, pandas or Arrow table with the key columns, and the columns of features as far as they
                are known.

        Returns:
            The key columns and a column for each task, in the order of the pairs. ``.to_pandas()`` makes it one
            of pandas, ``.to_arrow()`` one of Arrow.

        Raises:
            DataError: If a key column is missing, a key is empty, or a value is not of its kind.
        """
        from motet.data import as_frame  # noqa: PLC0415

        return self.recommender.predict(as_frame(pairs, "the table of pairs"))

    def recommend(
        self,
        users: Any,
        k: int = 10,
        *,
        scenario: str | None = None,
        by: str | None = None,
        include_seen: bool = False,
    ) -> pl.DataFrame:
        """Rank the catalogue for users.

        Args:
            users: Ids; or a Polars, pandas or Arrow table with the user column and, of users never seen, columns
                of their features.
            k: Items a user, ≥ 1.
            scenario: Where they are shown.
            by: Task to rank by; the retrieval task when left out, else the first one.
            include_seen: Whether items come back that a user had interactions with.

        Returns:
            Columns user, rank, item, score, and a column for each task; ``.to_pandas()`` makes it one of pandas.

        Raises:
            DataError: If a scenario or a task is not known, or there are no users or items.
        """
        from motet.data import as_frame  # noqa: PLC0415

        if isinstance(users, str):
            raise DataError(f"the users are the text {users!r}", f"give a list: [{users!r}]")
        is_table = hasattr(users, "columns") or hasattr(users, "collect")
        wanted = as_frame(users, "the table of users") if is_table else list(users)
        return self.recommender.recommend(wanted, k, scenario=scenario, by=by, include_seen=include_seen)

    def explain(self, user: str, item: str, **options: Any) -> Explanation:
        """Explain why an item is, or is not, for a user; options as for :meth:`motet.assistant.explain.Explainer.explain`."""
        return self.explainer.explain(user, item, **options)

    def ask(
        self,
        request: str,
        *,
        user: str = "",
        k: int = 5,
        scenario: str | None = None,
        conversation: Conversation | None = None,
    ) -> Answer:
        """Recommend what was asked for in plain English or Chinese; printed, the answer is text.

        Args:
            request: What is wanted.
            user: For whom; an unknown user when left out.
            k: Items, where the request names no number.
            scenario: Where they are shown.
            conversation: Earlier requests and answers.

        Raises:
            MissingExtraError: If the extra ``language`` is not installed.
            RequestError: If the request cannot be read.
        """
        return self.assistant.ask(request, user=user, k=k, scenario=scenario, conversation=conversation)

    def evaluate(
        self,
        tables: Any = None,
        *,
        split: str = "test",
        baselines: bool | Sequence[str] = False,
        folds: int | None = None,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Evaluation:
        """Measure the model on rows that it was not trained on; metrics and report of its bundle are replaced.

        Args:
            tables: Data as for :func:`fit`; that of :func:`fit`, whose test rows are held out, when left out.
            split: ``test``, ``validation`` or ``train``.
            baselines: Whether to fit plain methods beside it, and the same architecture on each task alone; or the
                names of those that are wanted.
            folds: Instead of measuring this model, train its schema on so many folds of the data and measure each;
                see :func:`motet.training.cross_validate`.
            seed: Seed of intervals, baselines and folds.
            progress: Progress callback: stage, work done, work in all.

        Raises:
            DataError: If there is no data, or it is not what the schema says.
        """
        from motet.data import as_tables  # noqa: PLC0415

        given = self._tables if tables is None else as_tables(tables, self.schema)
        if given is None:
            raise DataError(
                "a model that was loaded does not know its data", "name it: model.evaluate('DIRECTORY')"
            )
        if folds is not None:
            if baselines or split != "test":
                raise DataError(
                    "folds are measured on their own test rows, without baselines",
                    "call evaluate a second time for them, without folds",
                )
            metrics = cross_validate(
                self.directory, given, folds, seed=seed, progress=progress or self._progress
            )
        else:
            metrics = evaluate_bundle(
                self.directory,
                given,
                split=split,
                baselines=baselines,
                seed=seed,
                progress=progress or self._progress,
            )
        self.bundle = replace(self.bundle, metrics=metrics)
        return Evaluation(self.schema, metrics)

    def add_task(
        self,
        tasks: Mapping[str, Any],
        tables: Any = None,
        out: str | Path | None = None,
        *,
        shape: AddedShape | None = None,
        resume: bool = False,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> Model:
        """Train a new task on this model, whose other tasks predict what they predicted, bit for bit.

        Args:
            tasks: The new task by its name, as in a schema:
                ``{"rating": {"kind": "regression", "label": "stars"}}``.
            tables: Data as for :func:`fit`, with the columns that the new label reads; that of :func:`fit` when left
                out.
            out: Where the new bundle goes; a temporary directory, for :meth:`save`, when left out.
            shape: Widths of adapter and tower.
            resume: Go on from a checkpoint, if there is one.
            overwrite: Replace a bundle that is there.
            progress: Progress callback: stage, work done, work in all.

        Returns:
            A model with all tasks; this one stays as it is.

        Raises:
            MotetError: See :func:`motet.training.add_task`.
        """
        from motet.data import as_tables  # noqa: PLC0415

        given = self._tables if tables is None else as_tables(tables, self.schema)
        if given is None:
            raise DataError(
                "a model that was loaded does not know its data", "name it: model.add_task(…, 'DIRECTORY')"
            )
        report = progress or self._progress

        def write(place: Path) -> Bundle:
            return add_task(
                self.directory, given, tasks, place,
                shape=shape, resume=resume, overwrite=overwrite, progress=report,
            )  # fmt: skip

        return _written(write, given, out, report, self._language_model, self._private)

    def save(self, directory: str | Path, *, overwrite: bool = False) -> Path:
        """Write the bundle to a directory, whole or not at all; :func:`load` opens it again.

        Args:
            directory: Absent or empty, or a bundle that may be replaced.
            overwrite: Whether it may.

        Raises:
            BundleError: If it cannot be written.
        """
        out = Path(directory)
        if out.absolute() == self.directory.absolute():
            return out
        check_place(out, overwrite)
        new = out.with_name(out.name + ".new")
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(new, ignore_errors=True)
            shutil.copytree(self.directory, new)
            if out.exists():
                shutil.rmtree(out)
            os.replace(new, out)
        except OSError as error:
            shutil.rmtree(new, ignore_errors=True)
            raise BundleError(
                f"{out} cannot be written ({error.strerror})", "name another directory"
            ) from None
        self.bundle = replace(self.bundle, directory=out)
        if self._remove is not None:  # columns that are mapped from it stay readable until they are closed
            self._remove()
            self._remove = None
        return out


def fit(
    schema: Schema | str | Path,
    tables: Any,
    out: str | Path | None = None,
    *,
    search: str | float | SearchSettings | None = None,
    start: WarmStart | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Model:
    """Train one model for all tasks of a schema, and measure it on the test rows.

    Args:
        schema: What to train, or the path of its YAML file; ``training.seed`` decides the result.
        tables: The path of a directory; what :func:`motet.datasets.load` gives; a Polars, pandas or Arrow table of
            interactions; or such tables by ``interactions``, ``users`` and ``items``.
        out: Where the bundle goes, and checkpoints until it is complete; a temporary directory, for
            :meth:`Model.save`, when left out.
        search: Time for a search over settings of the network on validation rows, such as ``20m``, reading and
            measuring included; the settings of the schema alone are trained when left out.
        start: The bundle whose weights training begins with, as far as they fit.
        resume: Go on from a checkpoint, or from the trials of a search, of the same schema, if there is one.
        overwrite: Replace a bundle that is there.
        progress: Progress callback: stage, work done, work in all.

    Raises:
        MissingExtraError: If there is to be a search, and the extra ``tune`` is not installed.
        MotetError: If the schema, the data or the place is wrong; nothing half-written remains.
    """
    from motet.data import as_tables  # noqa: PLC0415

    parsed = schema if isinstance(schema, Schema) else Schema.load(schema)
    given = as_tables(tables, parsed)

    def write(place: Path) -> Bundle:
        return train(
            parsed, given, place,
            search=search, start=start, resume=resume, overwrite=overwrite, progress=progress,
        )  # fmt: skip

    return _written(write, given, out, progress)


def _written(
    write: Callable[[Path], Bundle],
    tables: Path | Frames,
    out: str | Path | None,
    progress: Progress,
    language_model: LanguageSettings | None = None,
    private: PrivateCaches | None = None,
) -> Model:
    """The model of a bundle that is written to a place, or to a temporary directory that goes with the model."""
    temporary = Path(tempfile.mkdtemp(prefix="motet-")) if out is None else None
    place = Path(out or "") if temporary is None else temporary / "bundle"
    try:
        bundle = write(place)
    except BaseException:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
        raise
    model = Model(bundle, tables=tables, progress=progress, language_model=language_model, private=private)
    if temporary is not None:
        model._remove = weakref.finalize(model, shutil.rmtree, temporary, ignore_errors=True)
    return model


def load(
    bundle: str | Path,
    *,
    language_model: LanguageSettings | None = None,
    private: PrivateCaches | None = None,
    progress: Progress = silent,
) -> Model:
    """Open a bundle that :meth:`Model.save`, :func:`fit` or ``motet train`` wrote; arguments as of :class:`Model`.

    Raises:
        BundleError: If it is not a bundle, is damaged, or is of a format that this version cannot read.
    """
    return Model(load_bundle(bundle), language_model=language_model, private=private, progress=progress)


def serve(bundle: str | Path | Model, *, host: str = "127.0.0.1", port: int = 8000, **options: Any) -> None:
    """Serve a bundle over HTTP until the process is interrupted, as the command ``motet serve`` does.

    Args:
        bundle: Its directory, or a model that was saved.
        host: Where to listen; beyond loopback only with keys.
        port: 0 takes any that is free.
        options: Those of the command, as ``store="postgresql://…"`` or ``keep_days=30``.

    Raises:
        MissingExtraError: If the extra ``serve`` is not installed.
    """
    from motet.cli._serve import serve as command  # noqa: PLC0415

    command(bundle.directory if isinstance(bundle, Model) else Path(bundle), host=host, port=port, **options)
