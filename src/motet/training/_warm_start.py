"""Training that begins with the weights of another bundle, perhaps of another domain.

Embeddings go over by their words, first layers by their features, towers by their tasks, and all other layers by name and
shape. What has no counterpart begins as it would without.

Legend of shapes: R rows of the embedding table, d width of an embedding, D input columns of a layer, T tasks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motet.data import Dataset, Encoder, Vocabulary
from motet.errors import ModelError
from motet.models import FactorisedLinear, FieldSums, MultiTaskModel, Towers
from motet.schema import ENTITIES, Entity, Schema, require_known
from motet.training._bundle import Bundle, load_bundle
from motet.training._step import TrainingStep
from motet.training.blending import check_plain

__all__ = ["WarmStart", "WarmStep", "start_line"]

_TABLE, _CONTENT = "features.table.weight", "features.content."
Places: TypeAlias = NDArray[np.int64]  # of each part here, its place there; −1 where it is not there


@dataclass(frozen=True, slots=True)
class WarmStart:
    """Where training begins.

    Attributes:
        bundle: Directory of the bundle whose weights are taken over.
        names: Features and tasks of the schema, by what the bundle calls them; the same name when left out, and None
            for one that is to begin afresh: ``{"maker": "brand", "item_id": None}``.
    """

    bundle: str | Path
    names: Mapping[str, str | None] = field(default_factory=dict)


class WarmStep:
    """Builds the step of a training run that begins with a bundle's weights; see :func:`~motet.training.train_model`.

    Args:
        start: The bundle, and what it calls things.
        schema: That is to be trained.

    Attributes:
        facts: What was taken over, once a step was built: plain values for ``metrics.json``.

    Raises:
        BundleError: If it is no bundle.
        ModelError: If it has no network, or a name is not known.
    """

    def __init__(self, start: WarmStart, schema: Schema) -> None:
        self.start, self.source = start, load_bundle(start.bundle)
        for one, what in ((self.source.schema, "the bundle is"), (schema, "the schema names")):
            if check_plain(one):
                raise ModelError(
                    f"{what} the plain method '{one.model.architecture}', which has no weights to begin with",
                    "leave --from out, or choose another architecture",
                )
        here, there = _names(schema), _names(self.source.schema)
        for name, other in start.names.items():
            require_known(name, here, "--map: the feature or task of the schema", ModelError)
            if other is not None:
                require_known(other, there, "--map: the feature or task of the bundle", ModelError)
        self.facts: dict[str, Any] = {}

    def __call__(self, data: Dataset, schema: Schema) -> TrainingStep:
        """A step whose model has the weights that fit.

        Raises:
            ModelError: If none does.
        """
        step = TrainingStep(data, schema)
        self.facts = _Transfer(self.source, step.model, schema, data.encoder, self.start.names).run()
        if not self.facts["weights"]["copied"]:
            reasons = "; ".join(sorted(self.facts["fresh"])) or "no layer has the same name"
            raise ModelError(
                f"nothing of {self.start.bundle} fits the schema: {reasons}",
                "give both the same model settings, or name what goes together with --map",
            )
        step.start = {key: self.facts[key] for key in ("bundle", "weights_sha256", "names")}
        return step


def start_line(facts: Mapping[str, Any]) -> str:
    """What was taken over, in a sentence.

    Args:
        facts: ``start`` of ``metrics.json``.
    """
    words = ", ".join(f"{name} {of['copied']:,} of {of['of']:,}" for name, of in facts["embeddings"].items())
    weights, fresh = facts["weights"], facts["fresh"]
    line = (
        f"started from {facts['bundle']} ({facts['name']}): {weights['copied']:,} of {weights['of']:,} weights; "
        f"embeddings of {words or 'nothing'}; layers {weights['layers']} of {weights['of_layers']}"
    )
    reasons = [f"{why} ({len(layers)})" for why, layers in fresh.items()]
    return line + (f"; fresh: {', '.join(reasons)}" if reasons else "")


def _names(schema: Schema) -> list[str]:
    return [*(name for _, name, _ in schema.features.all()), *schema.tasks, "scenario"]


class _Transfer:
    """One model's weights, as far as they fit, into another."""

    def __init__(
        self,
        source: Bundle,
        model: MultiTaskModel,
        schema: Schema,
        encoder: Encoder,
        names: Mapping[str, str | None],
    ) -> None:
        self.bundle, self.there = source, source.model.networks[0]
        self.here, self.schema, self.encoder, self.names = model, schema, encoder, names
        self.known = source.data.encoder
        self.fresh: dict[str, list[str]] = defaultdict(list)
        self.embeddings: dict[str, dict[str, Any]] = {}
        self.copied = self.layers = 0
        self.columns = {entity: self._columns(entity) for entity in ENTITIES}
        self.same_columns = all(
            _is_whole(places, sum(self.there.features.blocks(entity).values()))
            for entity, places in self.columns.items()
        )

    def name(self, name: str) -> str | None:
        """What the bundle calls a feature or a task."""
        return self.names.get(name, name)

    @torch.no_grad()
    def run(self) -> dict[str, Any]:
        """Copy, and say what was."""
        self._embed()
        source = self.there.state_dict()
        own = {n: p for n, p in self.here.named_parameters() if n != _TABLE}
        inputs, towers = dict(self._inputs()), self._towers()
        for name, weight in own.items():
            other = self._other(name)
            why = self._mismatch(name, other, source)
            if why is None and other is not None:
                places = inputs.get(name)
                rows = towers.get(name.rpartition(".")[0] if places is None else "", None)
                why = self._copy(name, weight, source[other], places, rows)
            if why is not None:
                self.fresh[why].append(name)
        of = sum(weight.numel() for weight in own.values()) + self.here.features.table.weight.numel()
        return {
            "bundle": str(self.bundle.directory),
            "name": self.bundle.schema.name,
            "weights_sha256": self.bundle.manifest["files"]["weights.safetensors"]["sha256"],
            "names": dict(self.names),
            "embeddings": self.embeddings,
            "weights": {"copied": self.copied, "of": of, "layers": self.layers, "of_layers": len(own)},
            "fresh": dict(self.fresh),
        }

    # -- embeddings: word by word -------------------------------------------------------------------------

    def _embed(self) -> None:
        mine, theirs = self.here.features.table.weight, self.there.features.table.weight
        for name, vocabulary in self.encoder.vocabularies.items():
            other = self.name(name)
            found = self.known.vocabularies.get(other or "")
            facts = {"from": other, "copied": 0, "of": len(vocabulary.words)}
            self.embeddings[name] = facts
            if found is None:
                facts["from"] = None
                continue
            if mine.shape[1] != theirs.shape[1]:
                why = f"embeddings have width {theirs.shape[1]} there and {mine.shape[1]} here"
                self.fresh[why] = [_TABLE]
                continue
            places = _words(vocabulary, found)
            known = np.flatnonzero(places >= 0)
            # the row of unknown words goes over as well: it says what is to be thought of a word without one
            at = np.append(vocabulary.places[known], vocabulary.offset)
            rows = np.append(found.places[places[known]], found.offset)
            mine[torch.from_numpy(at)] = theirs[torch.from_numpy(rows)]
            facts["copied"] = len(known)
            self.copied += len(at) * mine.shape[1]

    # -- layers ------------------------------------------------------------------------------------------

    def _other(self, name: str) -> str | None:
        """What the bundle calls a layer: features and tasks are marked by ``@``."""
        parts = []
        for part in name.split("."):
            other = self.name(part[1:]) if part.startswith("@") else part
            if other is None:
                return None
            parts.append(f"@{other}" if part.startswith("@") else part)
        return ".".join(parts)

    def _mismatch(self, name: str, other: str | None, source: Mapping[str, Tensor]) -> str | None:
        """Why a layer cannot go over, whatever its shape; None if it can."""
        settings, theirs = self.schema.model, self.bundle.schema.model
        if name.startswith("architecture.") and settings.architecture != theirs.architecture:
            return f"the architecture is {theirs.architecture} there and {settings.architecture} here"
        about = None if self.here.architecture is None else self.here.architecture.about
        if name.startswith("architecture.") and about is not None and about.family == "scenario":
            places = self._scenarios()
            known = 1 + len(self.known.vocabularies["scenario"].words) if places is not None else 0
            if places is not None and not _is_whole(places, known):  # layers are each scenario's own
                return f"the scenarios differ, which '{settings.architecture}' is about"
        if other is None or other not in source:
            return "no such layer there"
        if name.startswith("features.gates."):
            return "gates of features are learnt afresh"
        if name.startswith(_CONTENT) and not self._same_content():
            return "histories tell of other content there"
        marked = next((part[1:] for part in name.split(".") if part.startswith("@")), "")
        theirs_marked = self.name(marked) or ""
        if name.startswith("features.adapters."):
            if marked in self.encoder.reductions or theirs_marked in self.known.reductions:
                return "whitened or reduced vectors have other directions there"
            texts = any(n == marked and f.is_text for _, n, f in self.schema.features.all())
            mine, other_encoder = self.schema.language.encoder, self.bundle.schema.language.encoder
            if texts and mine != other_encoder:
                return f"texts are encoded by {other_encoder} there and {mine} here"
        if name.startswith("entity_heads.") and self._classes(marked) != self._classes(theirs_marked, True):
            return "the classes of the task are others there"
        return None

    def _copy(
        self, name: str, weight: Tensor, found: Tensor, columns: Places | None, rows: Places | None
    ) -> str | None:
        """Copy a layer, or those of its columns or rows that are there too; why not if nothing could be."""
        if name.endswith("scenario.weight") or name == "retrieval.scenario":
            rows = self._scenarios()
        if columns is not None and len(columns) == weight.shape[1] and len(weight) == len(found):
            some = np.flatnonzero(columns >= 0)
            weight[:, torch.from_numpy(some)] = found[:, torch.from_numpy(columns[some])]
            return self._count(name, len(some) * len(weight), "no feature is there too")
        if rows is not None and weight.shape[1:] == found.shape[1:] and len(rows) == len(weight):
            some = np.flatnonzero(rows >= 0)
            weight[torch.from_numpy(some)] = found[torch.from_numpy(rows[some])]
            return self._count(name, len(some) * weight[0].numel(), "no task or scenario is there too")
        if weight.shape != found.shape:
            return (
                f"another shape there ({'the tasks differ' if self._tasks_differ() else 'the sizes differ'})"
            )
        if columns is not None or (rows is not None and self._tasks_differ()):
            return "the features or tasks are others there"
        weight.copy_(found)
        return self._count(name, weight.numel(), "")

    def _count(self, name: str, weights: int, why: str) -> str | None:
        self.copied += weights
        self.layers += bool(weights)
        return None if weights else why

    # -- which column, row and class is which --------------------------------------------------------------

    def _columns(
        self, entity: Entity, hide: tuple[str, ...] = (), other_hide: tuple[str, ...] = ()
    ) -> Places:
        """Of each input column of an entity, its place in the bundle's, [D]."""
        mine = list(_roles(self.here, self.encoder, entity, hide))
        theirs = _roles(self.there, self.known, entity, other_hide)
        place = {role: at for at, role in enumerate(theirs)}
        return np.array(
            [place.get((self.name(owner) or "", part, at), -1) for owner, part, at in mine], np.int64
        )

    def _inputs(self) -> Iterator[tuple[str, Places]]:
        """Layers over input vectors, with the place of each of their columns."""
        whole = _joined([self.columns[e] for e in ENTITIES], self.there)
        for name, module in self.here.named_modules():
            if isinstance(module, FactorisedLinear) and module.widths == self.here.features.widths:
                yield f"{name}.weight", whole
            elif isinstance(module, FieldSums) and not self.same_columns:
                yield from ((f"{name}.{n}", np.full(0, -1)) for n, _ in module.named_parameters())
        for entity in ENTITIES[:2]:
            for layer in (f"retrieval.{entity}_direct", f"retrieval.{entity}_hidden.0"):
                yield f"{layer}.weight", self.columns[entity]
        for task, of in self.schema.tasks.items():
            other = self.bundle.schema.tasks.get(self.name(task) or "")
            if of.on != "interaction" and other is not None and other.on == of.on:
                yield f"entity_heads.@{task}.weight", self._columns(of.on, of.hide, other.hide)

    def _towers(self) -> dict[str, Places]:
        """Modules with a row for each task, with the place of each task."""
        mine, theirs = self.here.shape.tasks, self.there.shape.tasks
        rows = np.array(
            [
                theirs.index(other)
                if (other := self.name(task)) in theirs and self._classes(task) == self._classes(other, True)
                else -1
                for task in mine
            ],
            np.int64,
        )
        found: dict[str, Places] = {}
        for name, module in self.here.named_modules():
            if isinstance(module, Towers) and len(module.weight) == len(mine):
                found |= {f"{name}.{part}".rstrip("."): rows for part, _ in module.named_modules()}
        return found

    def _tasks_differ(self) -> bool:
        return tuple(self.name(task) for task in self.here.shape.tasks) != self.there.shape.tasks

    def _classes(self, task: str | None, there: bool = False) -> tuple[str, ...]:
        return (self.known if there else self.encoder).classes.get(task or "", ())

    def _scenarios(self) -> Places | None:
        """Of each scenario, the unknown one first, its place in the bundle's."""
        mine, theirs = self.encoder.vocabularies.get("scenario"), self.known.vocabularies.get("scenario")
        if mine is None or theirs is None:
            return None
        places = _words(mine, theirs)
        return np.append(0, np.where(places >= 0, places + 1, -1)).astype(np.int64)

    def _same_content(self) -> bool:
        """Whether what histories tell of the items that are in both is the same."""
        mine, theirs = self.here.features, self.there.features
        if mine.content is None or theirs.content is None or mine.history is None or theirs.history is None:
            return False
        ids, other = self.encoder.vocabularies[mine.history[1]], self.known.vocabularies[theirs.history[1]]
        places = _words(ids, other)
        known = np.flatnonzero(places >= 0)
        there = (
            other.places[places[known]] - other.offset
        )  # words that came after a full training have no content
        known, there = known[there < other.rows], there[there < other.rows]
        one = mine.content.values[torch.from_numpy(ids.places[known] - ids.offset)]
        two = theirs.content.values[torch.from_numpy(there)]
        return bool(len(known)) and torch.equal(one, two)


def _words(mine: Vocabulary, theirs: Vocabulary) -> Places:
    """Of each word of a vocabulary, its place in another."""
    return theirs.words.rows(mine.words.words).astype(np.int64)


def _roles(
    model: MultiTaskModel, encoder: Encoder, entity: Entity, hide: tuple[str, ...]
) -> Iterator[tuple[str, str, int]]:
    """Feature, part and number of each input column of an entity, in order, those of hidden features left out."""
    features, layout = model.features, encoder.layout(entity)
    owner = dict(zip(layout.numbers, layout.number_features, strict=True))
    owner |= {
        part: n for n, parts in encoder.parts(entity).items() for part in (*parts.codes, *parts.vectors)
    }
    at = {code: features.column(entity, code) for code in layout.codes}
    plain = sorted((place, code) for code, place in at.items() if place is not None)
    own = {name for name, _ in features.own.items()}
    for block, width in features.blocks(entity).items():
        if block == ".codes":
            parts = [(code, features.table.width) for _, code in plain if code not in own]
        elif block == ".numbers":
            parts = [(number, 1) for number in layout.numbers if owner[number] not in own]
        else:
            parts = [(block, width)]
        for part, size in parts:
            of = owner.get(part, part)
            if of not in hide:
                yield from ((of, part.removeprefix(of), at) for at in range(size))


def _joined(parts: list[Places], there: MultiTaskModel) -> Places:
    """Places of the columns of users, items and rows side by side."""
    starts = np.cumsum([0, *(sum(there.features.blocks(entity).values()) for entity in ENTITIES)])
    return np.concatenate(
        [np.where(p >= 0, p + start, -1) for p, start in zip(parts, starts[:-1], strict=True)]
    )


def _is_whole(places: Places, columns: int) -> bool:
    return len(places) == columns and bool((places == np.arange(columns)).all())
