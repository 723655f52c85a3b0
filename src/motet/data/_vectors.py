"""Matrices of text and vector features: encoded once a distinct text, made narrower as training rows say.

Legend of shapes: n vectors, D width as encoded, W width that the model gets, K classes of a task.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from motet.data._containers import IdIndex
from motet.data._dataset import Dataset
from motet.data._encoder import Encoder
from motet.data._in_training import changed_text
from motet.data._raw import RawTable
from motet.errors import DataError
from motet.schema import ENTITIES, Entity, ReduceSettings, Schema, TextAugmentSettings

__all__ = [
    "ItemsToVectors",
    "LabelledRows",
    "LinearReduction",
    "Reduction",
    "SparseCodes",
    "TextToVectors",
    "Whitening",
    "build_vectors",
    "fit_reduction",
    "graph_features",
    "known_items",
    "read_reductions",
    "with_vectors",
]

# Reductions: from the vectors of a feature to the ones that the model gets. Fitted on training rows, stored as arrays,
# and applied by the same code in training and in serving. A missing vector, all zeros, stays one.


class Reduction(ABC):
    """What makes the vectors of a feature narrower."""

    @property
    @abstractmethod
    def inputs(self) -> int:
        """Width D of the vectors that it takes."""

    @abstractmethod
    def apply(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Reduce vectors, [n, D] → [n, W]; all-zero vectors (missing) stay zero."""

    @abstractmethod
    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """What it is made of, by name, for a file."""


@dataclass(frozen=True, slots=True)
class LinearReduction(Reduction):
    """A projection z = (x − μ)·W.

    Attributes:
        mean: μ, shape [D].
        matrix: W, shape [D, W].
    """

    mean: NDArray[np.float32]
    matrix: NDArray[np.float32]

    @property
    def inputs(self) -> int:
        """Width D of the vectors that it takes."""
        return len(self.mean)

    def apply(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Project vectors, [n, D] → [n, W]; all-zero vectors (missing) stay zero."""
        missing = ~vectors.any(1)
        narrow = ((vectors - self.mean) @ self.matrix).astype(np.float32)
        narrow[missing] = 0.0
        return narrow

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """μ and W."""
        return {"mean": self.mean, "matrix": np.ascontiguousarray(self.matrix)}


class Whitening(LinearReduction):
    """PCA whitening z = (x − μ)·W: directions of small variance count as much as large ones.

    Su et al. 2021, "Whitening sentence representations", eq. 5–8; W = U·Λ^(−1/2) cut to its
    first columns.
    """

    __slots__ = ()

    @classmethod
    def fit(cls, vectors: NDArray[np.float32], width: int) -> Whitening:
        """Fit on the vectors of training rows, shape [n, D], keeping ``width`` directions."""
        if not len(vectors):
            return cls(
                np.zeros(vectors.shape[1], np.float32), np.eye(vectors.shape[1], width, dtype=np.float32)
            )
        mean = vectors.mean(0)
        covariance = np.cov((vectors - mean).T.astype(np.float64), ddof=0).reshape(vectors.shape[1], -1)
        values, directions = np.linalg.eigh(covariance)
        order = np.argsort(values)[::-1][:width]
        spread = np.sqrt(np.maximum(values[order], max(values.max(), 0) * 1e-6 + 1e-12))
        return cls(mean.astype(np.float32), (directions[:, order] / spread).astype(np.float32))


@dataclass(frozen=True, slots=True)
class SparseCodes(Reduction):
    """Codes of a learnt dictionary of which few are not 0: z = S_α((x − μ)·Dᵀ), S_α(v) = sign(v)·max(|v| − α, 0).

    The atoms are those of online dictionary learning (Mairal et al. 2009, alg. 1–2, λ = 1.2/√D as in their §6); the
    soft threshold that encodes by them is that of Coates & Ng 2011, §3.2, with both signs in one number. It is one
    product of matrices, where solving the lasso for each vector would take milliseconds in serving.

    Attributes:
        mean: μ, shape [D].
        dictionary: The atoms, of one length: that at which codes that are not 0 have a mean square of 1 on the vectors
            that they were fitted on, as whitened vectors do; shape [W, D].
        threshold: α, shape [1].
    """

    mean: NDArray[np.float32]
    dictionary: NDArray[np.float32]
    threshold: NDArray[np.float32]

    @property
    def inputs(self) -> int:
        """Width D of the vectors that it takes."""
        return len(self.mean)

    def apply(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Encode vectors, [n, D] → [n, W]; all-zero vectors (missing) stay zero."""
        missing = ~vectors.any(1)
        products = (vectors - self.mean) @ self.dictionary.T
        codes = (np.sign(products) * np.maximum(np.abs(products) - self.threshold, 0)).astype(np.float32)
        codes[missing] = 0.0
        return codes

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """μ, the atoms and α."""
        return {
            "mean": self.mean,
            "dictionary": np.ascontiguousarray(self.dictionary),
            "threshold": self.threshold,
        }


def read_reductions(arrays: Mapping[str, NDArray[np.float32]]) -> dict[str, Reduction]:
    """Reductions by feature, from the :meth:`~Reduction.arrays` of each, named ``feature.array``."""
    found: dict[str, Reduction] = {}
    for name in dict.fromkeys(key.rpartition(".")[0] for key in arrays):
        mean = arrays[f"{name}.mean"]
        if f"{name}.dictionary" in arrays:
            found[name] = SparseCodes(mean, arrays[f"{name}.dictionary"], arrays[f"{name}.threshold"])
        else:
            found[name] = LinearReduction(mean, arrays[f"{name}.matrix"])
    return found


LabelledRows = Callable[[Entity, str], tuple[NDArray[np.int64], NDArray[np.float32]]]
"""From an entity and a task to rows of that entity's table, one for each known training label, and the labels, [n]."""

_MOST_FITTED: Final = 100_000  # vectors that a reduction is fitted on, evenly spaced
_MOST_ATOMS_FITTED: Final = 20_000
_PASSES: Final = 10  # over them while atoms are learnt
_PENALTY: Final = 1.2  # times 1/√D


def fit_reduction(
    settings: ReduceSettings,
    vectors: NDArray[np.float32],
    labels: NDArray[np.float32] | None = None,
    *,
    name: str = "",
) -> Reduction:
    """Fit a reduction on vectors of training rows.

    - ``pca``: the directions of largest variance (Jolliffe 2002, §1.1), each with the variance it has.
    - ``svd``: the same about 0 in the place of the mean (latent semantic analysis, Deerwester et al. 1990).
    - ``lda``: directions w that part the classes most, wᵀS_b·w / wᵀS_w·w (Fisher 1936; Rao 1948), at most K − 1, with
      S_w shrunk as Ledoit & Wolf 2004 and scaled to wᵀS_w·w = 1.
    - ``sparse``: :class:`SparseCodes`.

    Args:
        settings: Which, and how wide.
        vectors: [n, D], none of them missing; distinct ones, or for ``lda`` one for each label.
        labels: For ``lda``, class numbers, [n].
        name: Of the feature, for errors.

    Raises:
        DataError: If there are too few vectors, or classes, to fit it.

    Example:
        >>> line = np.outer([-2.0, -1.0, 0.0, 3.0], [0.6, 0.8]).astype(np.float32)
        >>> found = fit_reduction(ReduceSettings(method="pca", width=1), line).apply(line)
        >>> np.abs(found).round(5).ravel().tolist()
        [2.0, 1.0, 0.0, 3.0]
    """
    inputs = vectors.shape[1]
    few = f"the feature '{name}': reduce: {settings.method} needs"
    if not vectors.any():  # 'motet check' encodes no text
        return LinearReduction(
            np.zeros(inputs, np.float32), np.eye(inputs, min(settings.width, inputs), dtype=np.float32)
        )
    if (vectors == vectors[0]).all():
        raise DataError(
            f"{few} two different vectors in training rows, there is one",
            f"give more rows with a value, or remove 'reduce' from '{name}'",
        )
    x = _evenly(vectors, _MOST_FITTED).astype(np.float64)
    if settings.method == "lda":
        assert labels is not None  # noqa: S101 (the schema names a task)
        return _discriminant(x, _evenly(labels, _MOST_FITTED), settings.width, few)
    if settings.method == "sparse":
        return _sparse_codes(_evenly(vectors, _MOST_ATOMS_FITTED), settings, inputs)
    width = min(settings.width, inputs, len(x))
    # scikit-learn takes most of a second to import
    if inputs == 1:  # nothing to choose, and no input that TruncatedSVD takes
        mean, directions = (x.mean(0) if settings.method == "pca" else np.zeros(1)), np.ones((1, 1))
        return LinearReduction(mean.astype(np.float32), directions.astype(np.float32))
    if settings.method == "pca":
        from sklearn.decomposition import PCA  # noqa: PLC0415

        fitted = PCA(width, svd_solver="full").fit(x)
        mean = fitted.mean_
    else:
        from sklearn.decomposition import TruncatedSVD  # noqa: PLC0415

        fitted = TruncatedSVD(width, n_iter=10, random_state=0).fit(x)
        mean = np.zeros(inputs)
    return LinearReduction(mean.astype(np.float32), fitted.components_.T.astype(np.float32))


def _discriminant(
    x: NDArray[np.float64], labels: NDArray[np.float32], width: int, few: str
) -> LinearReduction:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis  # noqa: PLC0415

    classes, count = np.unique(labels, return_counts=True)
    usable = np.isin(labels, classes[count > 1])  # a class of one vector has no spread
    if (count > 1).sum() < 2:
        raise DataError(
            f"{few} two classes with two training rows each that have a vector, there are {(count > 1).sum()}",
            "name another task, or write 'method: pca'",
        )
    mean = x[usable].mean(0)
    solver = LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto")
    try:
        fitted = solver.fit(x[usable] - mean, labels[usable])
    except np.linalg.LinAlgError:
        raise DataError(
            f"{few} vectors that vary within a class, and those of each class are all the same",
            "write 'method: pca'",
        ) from None
    most = min(width, int((count > 1).sum()) - 1, x.shape[1])
    return LinearReduction(mean.astype(np.float32), fitted.scalings_[:, :most].astype(np.float32))


def _sparse_codes(vectors: NDArray[np.float32], settings: ReduceSettings, inputs: int) -> SparseCodes:
    from sklearn.decomposition import MiniBatchDictionaryLearning  # noqa: PLC0415
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415

    mean = vectors.mean(0)
    x = (vectors - mean).astype(np.float64)
    length = np.sqrt((x**2).sum(1).mean()) or 1.0  # the penalty is meant for vectors of length 1
    learner = MiniBatchDictionaryLearning(
        settings.width,
        alpha=_PENALTY / inputs**0.5,
        max_iter=_PASSES,
        batch_size=256,
        fit_algorithm="cd",
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # atoms need no exact codes while they are learnt
        atoms = learner.fit(x / length).components_
    atoms = atoms / np.maximum(np.linalg.norm(atoms, axis=1, keepdims=True), 1e-12)
    products = np.abs(x @ atoms.T)
    threshold = np.quantile(products, 1 - settings.active / settings.width)
    over = np.maximum(products - threshold, 0)
    size = float(np.sqrt((over[over > 0] ** 2).mean())) if (over > 0).any() else 1.0
    atoms, threshold = atoms / size, threshold / size
    return SparseCodes(
        mean.astype(np.float32), atoms.astype(np.float32), np.array([threshold], dtype=np.float32)
    )


def _evenly(values: NDArray[np.float32], most: int) -> NDArray[np.float32]:
    """At most so many of them, evenly spaced."""
    return values[:: -(-len(values) // most)] if len(values) > most else values


# The vectors of a data set.

TextToVectors = Callable[[Sequence[str]], NDArray[np.float32]]
ItemsToVectors = Callable[[pl.Series, NDArray[np.int32], NDArray[np.int32]], NDArray[np.float32]]
"""From the keys of the items [I], and the user and the item row of each training interaction [N], to vectors
[I, D]; zeros where an item has none."""


def graph_features(schema: Schema) -> list[str]:
    """Item features whose vectors come from the knowledge graph."""
    return [name for name, feature in schema.features.item.items() if feature.from_graph]


def with_vectors(table: RawTable, names: Sequence[str], vectors: NDArray[np.float32]) -> RawTable:
    """A table of items as read, with the vectors of some features put in.

    Raises:
        DataError: If there is not one finite vector an item.
    """
    if vectors.ndim != 2 or len(vectors) != table.rows or not np.isfinite(vectors).all():
        raise DataError(
            f"the vectors of '{names[0]}' have shape {vectors.shape} for {table.rows} items, or are not finite",
            "give item_vectors a function that gives one vector an item",
        )
    return replace(table, vectors={**table.vectors, **dict.fromkeys(names, vectors.astype(np.float32))})


def known_items(data: Dataset) -> ItemsToVectors:
    """The vectors that the items of a data set have already, by key: a trained model knows no others."""
    columns = data.encoder.layout("item").vectors
    name = next(name for name in columns if name in graph_features(data.schema))
    matrix = data.vectors[name]
    at = data.items.vector_rows[:, columns.index(name)]
    index = IdIndex(data.item_ids)

    def look_up(
        keys: pl.Series, user_row: NDArray[np.int32], item_row: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        rows = index.rows(keys)
        return matrix[np.where(rows >= 0, at[np.where(rows >= 0, rows, 0)], 0)]

    return look_up


def build_vectors(
    schema: Schema,
    raw: dict[Entity, RawTable],
    weight: dict[Entity, NDArray[np.int64]],
    used: NDArray[np.bool_],
    encoder: Encoder,
    encode_text: TextToVectors | None,
    labelled: LabelledRows,
    changed: bool = False,
) -> tuple[
    dict[str, NDArray[np.float32]],
    dict[str, list[str]],
    dict[Entity, NDArray[np.int32]],
    dict[str, NDArray[np.float32]],
]:
    """Build the matrix of each text and vector feature.

    Args:
        schema: Says which are whitened or reduced.
        raw: Tables as read.
        weight: Per entity, the number of training interactions of each row; reductions are fitted on
            rows that have some.
        used: Interactions that fall into a split: texts of the others are not encoded, but those of all users
            and items are, since predictions may be asked for any of them.
        encoder: Takes the fitted reductions and the widths.
        encode_text: Turns distinct texts into vectors.
        labelled: Training labels, for reductions that part the classes of a task.
        changed: Whether the texts of training rows are encoded in changed versions too, where a feature says so.

    Returns:
        Per feature its matrix [rows, D], row 0 all zeros: missing; per text feature the distinct
        texts, aligned with the matrix; per entity the matrix row of each of its rows, int32 [n, V]; per text feature
        that training changes, its matrix in each version, [copies, rows, D].
    """
    vectors: dict[str, NDArray[np.float32]] = {}
    texts: dict[str, list[str]] = {}
    rows: dict[Entity, NDArray[np.int32]] = {}
    versions: dict[str, NDArray[np.float32]] = {}
    assert encode_text is not None or not any(t.texts for t in raw.values())  # noqa: S101 (checked at the entrance)
    encoded = _EachOnce(encode_text)
    for entity in ENTITIES:
        table, columns = raw[entity], []
        for name in encoder.layout(entity).vectors:
            if name in table.texts:
                index, positions = table.texts[name]
                words, positions = _needed(
                    index.words, positions, used if entity == "interaction" else np.ones(table.rows, bool)
                )
                texts[name] = words.to_list()
                matrix = encoded(texts[name][1:], name)
            else:
                matrix = table.vectors[name]
                positions = np.where(matrix.any(1), np.arange(1, len(matrix) + 1), 0).astype(np.int32)
            matrix = np.concatenate([np.zeros((1, matrix.shape[1]), np.float32), matrix])
            feature = schema.features.of(entity)[name]
            width, reduced = feature.whitened, feature.reduction
            if (width or reduced) and name not in encoder.reductions:
                seen = np.unique(positions[weight[entity] > 0])
                seen, labels = seen[seen > 0], None
                if reduced is None:
                    encoder.reductions[name] = Whitening.fit(matrix[seen], min(width, matrix.shape[1]))
                else:
                    if reduced.task is not None:
                        at, labels = labelled(entity, reduced.task)
                        known = positions[at] > 0
                        seen, labels = positions[at][known], labels[known]
                    encoder.reductions[name] = fit_reduction(reduced, matrix[seen], labels, name=name)
            if name in encoder.reductions:
                matrix = encoder.reductions[name].apply(matrix)
            if changed and name in texts and feature.text_augment is not None:
                seen = np.unique(positions[weight[entity] > 0])
                versions[name] = _versions(
                    encoded, name, texts[name], matrix, seen[seen > 0],
                    feature.text_augment, encoder.reductions.get(name),
                )  # fmt: skip
            vectors[name] = matrix
            encoder.vector_widths[name] = matrix.shape[1]
            columns.append(positions)
        rows[entity] = np.stack(columns, 1) if columns else np.empty((table.rows, 0), np.int32)
    return vectors, texts, rows, versions


def _versions(
    encode: _EachOnce,
    name: str,
    texts: list[str],
    matrix: NDArray[np.float32],
    seen: NDArray[np.int32],
    settings: TextAugmentSettings,
    reduction: Reduction | None,
) -> NDArray[np.float32]:
    """A matrix of texts in each changed version, [copies, rows, D]; texts that no training row has are as they are."""
    found = np.repeat(matrix[None], settings.copies, 0)
    for number in range(settings.copies):
        changed = [changed_text(texts[row], settings, number) for row in seen]
        if changed:
            new = encode(changed, name)
            found[number, seen] = new if reduction is None else reduction.apply(new)
    return found


def _needed(
    words: pl.Series, positions: NDArray[np.int32], used: NDArray[np.bool_]
) -> tuple[pl.Series, NDArray[np.int32]]:
    """The distinct texts of the rows that are used, and each row's place among them: 0 for other rows."""
    keep = np.zeros(len(words), bool)
    keep[positions[used]] = True
    keep[0] = True
    if keep.all():
        return words, positions
    place = np.cumsum(keep, dtype=np.int32) - 1
    return words.filter(pl.Series(keep)), np.where(used, place[positions], 0).astype(np.int32)


class _EachOnce:
    """Encodes the texts of one feature after another: what two of them share, once."""

    def __init__(self, encode: TextToVectors | None) -> None:
        self._encode = encode
        self._known: dict[str, NDArray[np.float32]] = {}

    def __call__(self, texts: list[str], name: str) -> NDArray[np.float32]:
        assert self._encode is not None  # noqa: S101 (there are no texts without an encoder)
        if not texts:
            return np.zeros((0, 1), np.float32)
        new = [text for text in texts if text not in self._known]
        if new:
            vectors = _checked(self._encode(new), len(new), name)
            self._known |= zip(new, vectors, strict=True)
            if len(new) == len(texts):
                return vectors
        return np.stack([self._known[text] for text in texts])


def _checked(vectors: NDArray[np.float32], n: int, name: str) -> NDArray[np.float32]:
    cure = "see that the encoder gives one finite vector a text: motet.testing.check_text_encoder"
    if vectors.ndim != 2 or len(vectors) != n:
        raise DataError(
            f"the text feature '{name}': the encoder gave vectors of shape {vectors.shape} for {n} texts",
            cure,
        )
    if not np.isfinite(vectors).all():
        raise DataError(f"the text feature '{name}': the encoder gave a vector that is not finite", cure)
    return vectors.astype(np.float32, copy=False)
