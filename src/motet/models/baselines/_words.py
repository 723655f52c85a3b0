"""Linear models of words, which may predict tasks beside a network.

Legend of shapes: n pairs of users and items, F words, K outputs of a task.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from motet.data import Dataset
from motet.models.baselines._baseline import within_bounds
from motet.models.baselines._design import Design, fit_words, text_features, word_counter
from motet.models.baselines._linear import fit_tasks
from motet.models.baselines._pairs import PairMember, Pairs

__all__ = ["WordModels"]

Floats = NDArray[np.float32]

_NEVER: Final = -30.0  # log-odds of a class that no row had


class WordModels(PairMember):
    """Logistic and ridge regression on TF-IDF of the texts of interactions: the baseline ``tfidf`` as a member.

    Args:
        words: By feature, the words in the order of their columns.
        weights: By feature, the inverse document frequencies, [F].
        models: By task the coefficients of all features' words side by side, and the intercepts, [ΣF, K] and [K].
        bounds: By task its lowest and highest prediction where it is a number, else none.
    """

    reads_texts = True

    def __init__(
        self,
        words: Mapping[str, Sequence[str]],
        weights: Mapping[str, Floats],
        models: Mapping[str, tuple[Floats, Floats]],
        bounds: Mapping[str, tuple[float, float] | None],
    ) -> None:
        self._words, self._weights = dict(words), dict(weights)
        self._models, self._bounds = dict(models), dict(bounds)
        self._counters: dict[str, Any] = {}

    @property
    def tasks(self) -> tuple[str, ...]:
        """Tasks that it predicts."""
        return tuple(self._models)

    @classmethod
    def fit(cls, dataset: Dataset, rows: NDArray[np.int64], seed: int = 0) -> Self:
        """Fit each task by itself; without texts of interactions it predicts none."""
        words: dict[str, list[str]] = {}
        weights: dict[str, Floats] = {}
        matrices: dict[Any, sp.csr_array] = {}
        for entity, name in text_features(dataset, "interaction"):
            counter = fit_words(dataset, entity, name, rows)
            if counter is not None:
                words[name] = counter.get_feature_names_out().tolist()
                weights[name] = counter.idf_.astype(np.float32)
                matrices[entity, name] = sp.csr_array(counter.transform(dataset.texts[name]))
        models: dict[str, tuple[Floats, Floats]] = {}
        bounds: dict[str, tuple[float, float] | None] = {}
        fitted = (
            fit_tasks(dataset, Design(dataset, matrices, inputs=False), rows, seed, "tfidf") if words else {}
        )
        width = sum(len(of_feature) for of_feature in words.values())
        for name, (used, model) in fitted.items():
            task = dataset.schema.tasks[name]
            outputs = len(dataset.encoder.classes[name]) if task.has_classes else 1
            of_words, intercept = _wide(model, outputs)
            every = np.zeros((width, outputs), np.float32)
            every[used - 1] = of_words  # the first column of a design is empty
            models[name] = every, intercept
            low, high = within_bounds(task, np.array([-np.inf, np.inf])).tolist()
            bounds[name] = (low, high) if task.is_number else None
        return cls(words, weights, models, bounds)

    def predict(self, pairs: Pairs, tasks: Sequence[str] | None = None) -> dict[str, Floats]:
        """Probability, number or distribution of tasks; a text that is missing has no word, [n] or [n, K]."""
        wanted = [name for name in (self._models if tasks is None else tasks) if name in self._models]
        if not wanted:
            return {}
        matrix = self._matrix(pairs)
        found = {}
        for name in wanted:
            of_words, intercept = self._models[name]
            z = np.asarray(matrix @ of_words, np.float64) + intercept
            if (bounds := self._bounds[name]) is not None:
                values = np.clip(z[:, 0], *bounds)
            elif z.shape[1] == 1:
                values = 1 / (1 + np.exp(-z[:, 0]))
            else:
                values = np.exp(z - z.max(axis=1, keepdims=True))
                values /= values.sum(axis=1, keepdims=True)
            found[name] = values.astype(np.float32)
        return found

    def only(self, tasks: Sequence[str]) -> WordModels:
        """The models of some tasks alone."""
        models = {name: self._models[name] for name in tasks}
        return WordModels(self._words, self._weights, models, {name: self._bounds[name] for name in tasks})

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What has to be kept to read it again; words as JSON."""
        found: dict[str, NDArray[Any]] = {}
        for name, words in self._words.items():
            text = json.dumps(list(words), ensure_ascii=False)
            found[f"words.{name}"] = np.frombuffer(text.encode(), np.uint8)
            found[f"weights.{name}"] = self._weights[name]
        for name, (of_words, intercept) in self._models.items():
            bounds = self._bounds[name]
            found |= {f"model.{name}": of_words, f"intercept.{name}": intercept}
            found[f"bounds.{name}"] = np.array([] if bounds is None else bounds, np.float64)
        return found

    @classmethod
    def read(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Take over what :meth:`arrays` gave."""

        def of(kind: str) -> dict[str, NDArray[Any]]:
            start = f"{kind}."
            return {key.removeprefix(start): a for key, a in arrays.items() if key.startswith(start)}

        words = {name: json.loads(bytes(a).decode()) for name, a in of("words").items()}
        intercepts, bounds = of("intercept"), of("bounds")
        models = {name: (a, intercepts[name]) for name, a in of("model").items()}
        limits = {name: (float(b[0]), float(b[1])) if len(b) else None for name, b in bounds.items()}
        return cls(words, of("weights"), models, limits)

    def _matrix(self, pairs: Pairs) -> sp.csr_array:
        """TF-IDF of the texts of some pairs, [n, ΣF]."""
        at = pairs.rows["interaction"]
        parts = []
        for name, words in self._words.items():
            if name not in pairs.texts:
                parts.append(sp.csr_array((len(at), len(words)), dtype=np.float32))
                continue
            texts, places = pairs.texts[name]
            distinct, of_row = np.unique(places[at], return_inverse=True)
            counted = self._counter(name).transform([texts[place] for place in distinct.tolist()])
            parts.append(sp.csr_array(counted)[of_row])
        return sp.csr_array(sp.hstack(parts, format="csr"))

    def _counter(self, name: str) -> Any:
        if name not in self._counters:
            counter = word_counter(vocabulary={word: at for at, word in enumerate(self._words[name])})
            counter.idf_ = self._weights[name]
            self._counters[name] = counter
        return self._counters[name]


def _wide(model: Any, outputs: int) -> tuple[Floats, Floats]:
    """Coefficients and intercepts of a fitted model of scikit-learn, a column an output, [F, K] and [K]."""
    of_words, intercept = np.atleast_2d(model.coef_).T, np.atleast_1d(model.intercept_)
    if outputs > 1:
        seen = model.classes_.astype(np.int64)
        if of_words.shape[1] == 1:  # of two classes the log-odds of the second
            of_words, intercept = np.column_stack([0 * of_words, of_words]), np.array([0.0, intercept[0]])
        every, ends = np.zeros((len(of_words), outputs)), np.full(outputs, _NEVER)
        every[:, seen], ends[seen] = of_words, intercept
        of_words, intercept = every, ends
    return of_words.astype(np.float32), intercept.astype(np.float32)
