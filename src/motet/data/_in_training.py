"""What training batches change and no others do: histories and texts in part, labels left out, rows of rare classes.

Legend of shapes: n histories of a batch, L longest of them.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from motet.data._containers import Ragged
from motet.data._dataset import Dataset, EntityTable
from motet.data._labels import SPLIT_CODES
from motet.errors import DataError, require_packages
from motet.schema import AugmentSettings, ResampleSettings, Schema, TextAugmentSettings

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["TrainingRows", "augmented", "changed_text"]

# Histories in training that are cut, masked or shuffled in part (CL4SRec, Xie et al. 2022).
#
# A history s = [v₁, …, v_m] becomes, with one of the operations drawn for it,
#
# - crop (eq. 3): [v_c, …, v_{c+k−1}] with k = ⌊η·m⌋, at least one event, and c drawn;
# - mask (eq. 4): ⌊γ·m⌋ drawn events are unknown;
# - reorder (eq. 5): [v_r, …, v_{r+k−1}] with k = ⌊β·m⌋ and r drawn stand in a drawn order.
#
# The paper makes two views of a history so and compares them; here the history that a task learns from is changed.


def augmented(
    codes: NDArray[np.int32],
    lengths: NDArray[np.int64],
    settings: AugmentSettings,
    unknown: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Change some histories by one operation each.

    Args:
        codes: Events, oldest first, padded at the end, int [n, L].
        lengths: int [n].
        settings: Which operations there are.
        unknown: Code of an unknown event.
        rng: Source of the draws, of which there are as many whatever is drawn.

    Returns:
        Codes and lengths of the same shapes.
    """
    operations = settings.operations
    n, longest = codes.shape
    drawn = rng.random((3, n))
    keys = rng.random((n, longest))
    if not operations or not n:
        return codes, lengths
    which = np.where(
        drawn[0] < settings.share, (drawn[1] * len(operations)).astype(np.int64), len(operations)
    )
    at = np.broadcast_to(np.arange(longest), (n, longest)).copy()
    codes, after = codes.copy(), lengths.copy()
    for number, (name, ratio) in enumerate(operations.items()):
        rows = np.flatnonzero((which == number) & (lengths > 0))
        m = lengths[rows]
        k = np.floor(ratio * m).astype(np.int64)
        if name == "crop":
            k = np.maximum(k, 1)
        first = (drawn[2, rows] * (m - k + 1)).astype(np.int64)
        place = np.arange(longest)[None]
        if name == "crop":
            at[rows] = np.minimum(first[:, None] + place, longest - 1)
            after[rows] = k
        elif name == "mask":
            order = np.where(place < m[:, None], keys[rows], 2.0).argsort(1)
            hidden = np.zeros(order.shape, bool)
            np.put_along_axis(hidden, order, place < k[:, None], 1)
            codes[rows] = np.where(hidden, unknown, codes[rows])
        else:
            within = (place >= first[:, None]) & (place < (first + k)[:, None])
            # a key below first + k for each of them, so that they stay behind what is before and before the rest
            key = np.where(within, first[:, None] + k[:, None] * keys[rows], place)
            at[rows] = key.argsort(1, kind="stable")
    return np.take_along_axis(codes, at, 1), after


# Texts that training changes (Wei & Zou 2019, §2: random deletion and random swap; masked words as in Devlin et al. 2019).

_MASK: Final = "[MASK]"
_KEPT: Final = "[SEP]"  # what stands between the parts of a template


def changed_text(text: str, settings: TextAugmentSettings, number: int) -> str:
    """A changed version of a text: words swapped, then left out, then masked; at least one word stays.

    Words are what stands between spaces. What is drawn depends on the text and the number alone.

    Args:
        text: The text.
        settings: Which operations there are.
        number: Of the version, ≥ 0.

    Example:
        >>> settings = TextAugmentSettings(drop=0.4)
        >>> [changed_text("runs small but lovely", settings, number) for number in range(2)]
        ['runs small but lovely', 'small']
    """
    words = text.split()
    places = [k for k, word in enumerate(words) if word != _KEPT]
    if not places:
        return text
    rng = np.random.default_rng([zlib.crc32(text.encode("utf-8", "surrogatepass")), number])
    if len(places) > 1:
        for _ in range(round(settings.swap * len(places))):
            i, j = rng.choice(places, 2, replace=False)
            words[i], words[j] = words[j], words[i]
    drawn = rng.random((2, len(places)))
    gone = {k for k, u in zip(places, drawn[0], strict=True) if u < settings.drop}
    if len(gone) == len(places):
        gone.discard(int(rng.choice(places)))
    for k, u in zip(places, drawn[1], strict=True):
        if u < settings.mask:
            words[k] = _MASK
    return " ".join(word for k, word in enumerate(words) if k not in gone)


# Negative labels left out of training, as their tasks say (King & Zeng 2001, §4.1).
#
# With a share w of the negatives the odds of a label are 1/w times what they are in all rows; the task's link function takes
# that back: q = p / (p + (1 − p)/w) (He et al. 2014, §6.3).
#
# Classes that are resampled: those of a task with f_k times as many labels of class k as there are. The link takes that back
# likewise, q_k ∝ p_k / f_k (Saerens et al. 2002, eq. 4): exactly where rows are repeated or left out, nearly where they are
# made up, for these are not quite where rows of their class are.

_SEED = 20_010_109  # apart from all other draws
_RESAMPLE_SEED = 20_020_616


class TrainingRows:
    """Which rows and labels of a data set training batches have.

    Args:
        data: The data set.
        schema: With the tasks that are trained.
        seed: Of the draws, each of which is made once.

    Attributes:
        data: The data set, with the rows behind its own that resampling has added so far; only the labels of the task that
            they were added for are known of these.
        left_out: Per task, the labels of the data set that training does not see, [N].

    Raises:
        MissingExtraError: If classes are to be resampled, and imbalanced-learn is not installed.

    Example:
        >>> from motet.testing import toy_dataset
        >>> data = toy_dataset(overrides=["tasks.click.negative_share=0.5"])
        >>> list(TrainingRows(data, data.schema).left_out)
        ['click']
    """

    def __init__(self, data: Dataset, schema: Schema, seed: int = 0) -> None:
        self.data, self.schema, self.seed = data, schema, seed
        self.left_out: dict[str, NDArray[np.bool_]] = {}
        self._made: dict[
            bytes, NDArray[np.int64]
        ] = {}  # rows that were added, by those that they were added to
        self._own = len(data)
        if any(task.resampling is not None for task in schema.tasks.values()):
            require_packages("resample", "imblearn")
        for place, (name, task) in enumerate(schema.tasks.items()):
            if task.kept_negatives < 1 and task.on == "interaction":
                rng = np.random.default_rng([_SEED, seed, place])
                drawn = rng.random(len(data), np.float32) >= task.kept_negatives
                self.left_out[name] = drawn & (data.label(name, np.arange(len(data))) == 0)

    def rows(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of some rows from which a task still learns, in their order, and then those that resampling adds to them.

        Of the given ones all where a task is about users or items, or ranks the catalogue: such tasks learn from every row.

        Raises:
            DataError: If a class has too few rows to be resampled as its task says.
        """
        plans = self._plans(rows)
        if not plans:
            return self._useful(rows)
        if (key := rows.tobytes()) not in self._made:
            added = [self._add(plan) for plan in plans if not plan.leaves_out]
            self._made[key] = np.concatenate([np.zeros(0, np.int64), *added])
        return np.concatenate([self._useful(rows), self._made[key]])

    def count(self, rows: NDArray[np.int64]) -> int:
        """How many :meth:`rows` gives, without making any up."""
        plans = self._plans(rows)
        return len(self._useful(rows)) + sum(plan.added for plan in plans)

    def hide(self, labels: Mapping[str, Tensor], rows: NDArray[np.int64]) -> None:
        """Make the labels that are left out of some rows NaN, in place."""
        import torch  # noqa: PLC0415 (commands that need no model load no torch)

        own = rows < self._own
        for name, left_out in self.left_out.items():
            hidden = left_out[np.where(own, rows, 0)] & own
            labels[name][torch.from_numpy(hidden)] = torch.nan

    def _useful(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        tasks = self.schema.tasks
        if not self.left_out or any(t.on != "interaction" or t.ranks_catalogue for t in tasks.values()):
            return rows
        useful = np.zeros(len(rows), bool)
        for name in tasks:
            known = ~np.isnan(self.data.labels[rows, self.data.encoder.interaction_tasks.index(name)])
            useful |= known & ~self.left_out[name][rows] if name in self.left_out else known
        return rows[useful]

    def _plans(self, rows: NDArray[np.int64]) -> list[_Plan]:
        """What resampling does to some rows; labels are left out on the way."""
        plans = []
        for place, (name, task) in enumerate(self.schema.tasks.items()):
            if (settings := task.resampling) is None:
                continue
            labels = self.data.label(name, rows)
            known = rows[~np.isnan(labels)]
            y = labels[~np.isnan(labels)].astype(np.int64)
            factors = settings.factors(task.shares_of(self.data.encoder.statistics(name)))
            there = {k: int(n) for k, n in enumerate(np.bincount(y, minlength=len(factors))) if n}
            plan = _Plan(
                name, settings, known, y, there,
                {k: max(1, round(factors[k] * n)) for k, n in there.items()},
                int(np.random.default_rng([_RESAMPLE_SEED, self.seed, place]).integers(2**31)),
            )  # fmt: skip
            if plan.leaves_out:
                hidden = self.left_out.setdefault(name, np.zeros(self._own, bool))
                hidden[known] = True
                hidden[known[plan.sampled()]] = False
            plans.append(plan)
        return plans

    def _add(self, plan: _Plan) -> NDArray[np.int64]:
        """Put rows behind those of the data set; their numbers."""
        if not plan.added:
            return np.zeros(0, np.int64)
        data, context = self.data, self.data.context
        if not plan.settings.makes_up_rows:
            chosen = plan.sampled()[len(plan.rows) :]
            source, labels = plan.rows[chosen], plan.labels[chosen]
            codes, numbers = context.codes[source], context.numbers[source]
        else:
            layout, missing = data.encoder.layout("interaction"), data.encoder.missing
            marks = [
                k
                for k, n in enumerate(layout.numbers)
                if n.removesuffix(" missing") in missing and n.endswith(" missing")
            ]
            numbers, codes, labels = plan.made_up(context.numbers[plan.rows], context.codes[plan.rows])
            numbers[:, marks] = np.round(numbers[:, marks])  # a value is missing, or is not
            source = np.full(
                len(labels), plan.rows[0]
            )  # nothing of it but features of the interaction is seen
        scenario = data.scenario[source]
        if self.schema.keys.scenario:
            scenario = (codes[:, -1] - data.encoder.vocabularies["scenario"].offset).astype(np.int16)
        column = np.full((len(source), data.labels.shape[1]), np.nan, np.float32)
        column[:, data.encoder.interaction_tasks.index(plan.task)] = labels
        nothing = np.zeros(len(source), np.int64)
        first = len(data)
        self.data = replace(
            data,
            context=EntityTable(
                np.concatenate([context.codes, codes]),
                np.concatenate([context.numbers, numbers]),
                {name: _behind(lists, lists.take(source)) for name, lists in context.tags.items()},
                np.concatenate([context.vector_rows, context.vector_rows[source]]),
            ),
            histories={
                name: replace(history, before=np.concatenate([history.before, history.before[source]]))
                for name, history in data.histories.items()
            },
            user_row=np.concatenate([data.user_row, data.user_row[source]]),
            item_row=np.concatenate([data.item_row, data.item_row[source]]),
            scenario=np.concatenate([data.scenario, scenario]),
            time=np.concatenate([data.time, data.time[source]]),
            labels=np.concatenate([data.labels, column]),
            label_sets={
                name: _behind(lists, Ragged.from_lengths(lists.values[:0], nothing))
                for name, lists in data.label_sets.items()
            },
            split=np.concatenate([data.split, np.full(len(source), SPLIT_CODES["train"], np.uint8)]),
        )
        return np.arange(first, len(self.data))


def _behind(lists: Ragged, more: Ragged) -> Ragged:
    return Ragged.from_lengths(
        np.concatenate([lists.values, more.values]), np.concatenate([lists.lengths(), more.lengths()])
    )


@dataclass(frozen=True, slots=True)
class _Plan:
    """How some rows of a task are resampled: as there are so many of each class, and are to be so many."""

    task: str
    settings: ResampleSettings
    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    there: dict[int, int]
    wanted: dict[int, int]
    seed: int

    @property
    def leaves_out(self) -> bool:
        return self.settings.method == "random_under"

    @property
    def added(self) -> int:
        return 0 if self.leaves_out else sum(self.wanted.values()) - sum(self.there.values())

    def sampled(self) -> NDArray[np.int64]:
        """Places among the rows, drawn: fewer of them, or all and then some again."""
        from imblearn.over_sampling import RandomOverSampler  # noqa: PLC0415 (an extra, and slow to import)
        from imblearn.under_sampling import RandomUnderSampler  # noqa: PLC0415

        if len(self.there) < 2:
            return np.arange(len(self.rows))
        kind = RandomUnderSampler if self.leaves_out else RandomOverSampler
        sampler = kind(sampling_strategy=self.wanted, random_state=self.seed)
        sampler.fit_resample(np.arange(len(self.rows))[:, None], self.labels)
        found: NDArray[np.int64] = np.asarray(sampler.sample_indices_, np.int64)
        return found

    def made_up(
        self, numbers: NDArray[np.float32], codes: NDArray[np.int32]
    ) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.int64]]:
        """Rows between neighbours of one class: numbers, codes and labels.

        Numbers are interpolated; a category is that of most neighbours (SMOTE-NC, Chawla et al. 2002, §6.1).
        """
        from imblearn.over_sampling import ADASYN, SMOTE, SMOTEN, SMOTENC  # noqa: PLC0415

        near, m = self.settings.neighbours, numbers.shape[1]
        where = f"tasks.{self.task}.resample: {self.settings.method}"
        for k, n in self.there.items():
            if self.wanted[k] > n <= near:
                lower = f", or lower neighbours to {n - 1}" if n > 1 else ""
                raise DataError(
                    f"{where} looks at {near} neighbours of a row in its class, and class {k} has {n} training rows",
                    f"write 'resample: random_over'{lower}",
                )
        if len(self.there) < 2:
            return numbers[:0], codes[:0], self.labels[:0]
        common: dict[str, Any] = {"sampling_strategy": self.wanted, "random_state": self.seed}
        if self.settings.method == "adasyn":
            sampler = ADASYN(**common, n_neighbors=near)
        elif not codes.shape[1]:
            sampler = SMOTE(**common, k_neighbors=near)
        elif not m:
            sampler = SMOTEN(**common, k_neighbors=near)
        else:
            sampler = SMOTENC(list(range(m, m + codes.shape[1])), **common, k_neighbors=near)
        x = np.concatenate([numbers.astype(np.float64), codes], 1)
        try:
            every, labels = sampler.fit_resample(x, self.labels)
        except ValueError as error:  # ADASYN: no row of the class has one of another among its neighbours
            raise DataError(
                f"{where} makes up no row ({str(error).splitlines()[0][:160]})", "write 'resample: smote'"
            ) from None
        new, of = every[len(x) :], np.asarray(labels[len(x) :], np.int64)
        chosen = self._exactly(of)
        return new[chosen, :m].astype(np.float32), new[chosen, m:].astype(np.int32), of[chosen]

    def _exactly(self, labels: NDArray[np.int64]) -> NDArray[np.int64]:
        """As many as wanted of each class: ADASYN makes up about so many."""
        rng, chosen = np.random.default_rng(self.seed), []
        for k, n in self.there.items():
            at, wanted = np.flatnonzero(labels == k), self.wanted[k] - n
            if len(at) > wanted:
                at = np.sort(rng.choice(at, wanted, replace=False))
            elif len(at):
                at = np.concatenate([at, rng.choice(at, wanted - len(at))])
            chosen.append(at)
        return np.concatenate(chosen)
