"""From a bundle to answers: predictions for pairs, and the best of the catalogue for users.

Raw rows go through the same reading, encoding and model code as in training.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from motet.bundle import Bundle
from motet.data import Batcher, Dataset, TextToVectors, WordIndex, as_words
from motet.errors import DataError
from motet.models import link
from motet.recommend._ahead import ItemsAhead
from motet.recommend._raw_rows import RawRows
from motet.schema import Entity, require_known

__all__ = ["Recommender"]

_PAIR_ROWS = 8192


class Recommender:
    """Answers from one bundle.

    Args:
        bundle: The trained model and what it knows.
        encode_text: Turns texts of raw rows into vectors; without it they count as missing.
    """

    def __init__(self, bundle: Bundle, encode_text: TextToVectors | None = None) -> None:
        self.bundle = bundle
        self.schema = bundle.schema
        self._raw = RawRows(bundle.data, encode_text)
        self._known = {"user": WordIndex(bundle.data.user_ids), "item": WordIndex(bundle.data.item_ids)}

    def predict(self, pairs: pl.DataFrame) -> pl.DataFrame:
        """Predict every task for pairs of users and items.

        Args:
            pairs: One row a pair, with the key columns of the schema and, as far as they are there,
                the columns of its features: those of the interaction, and those of users and items
                never seen before. The past of a user is everything the bundle knows of it.

        Returns:
            The key columns, then a column for each task: a probability, a number, the likeliest
            class with its probability (``task`` and ``task_probability``), or a list of labels.

        Raises:
            DataError: If a key column is missing, or a key is empty, or a value is not of its kind.
        """
        data, user_row, item_row, frame = self._with_new_entities(pairs)
        moments = self._raw.moments(data, frame)
        columns: dict[str, list[NDArray[np.float32]]] = {}
        batcher = Batcher(moments.data)
        for start in range(0, len(pairs), _PAIR_ROWS):
            rows = np.arange(start, min(start + _PAIR_ROWS, len(pairs)), dtype=np.int64)
            users = user_row[rows]
            before = {name: history.known[users] for name, history in data.histories.items()}
            batch = batcher.assemble(
                users, item_row[rows], before, rows, context=(moments.table, moments.scenario)
            )
            with torch.no_grad():
                outputs = self.bundle.model(batch)
            found = dict(outputs.logits)
            for task, values in outputs.entity.items():
                of_row = batch.item_of_row if self.schema.tasks[task].on == "item" else batch.user_of_row
                found[task] = values.index_select(0, of_row)
            if self.bundle.model.retrieval is not None:
                task = next(n for n, t in self.schema.tasks.items() if t.kind == "retrieval")
                users_of, items_of = (
                    outputs.user_vectors[batch.user_of_row],
                    outputs.item_vectors[batch.item_of_row],
                )
                found[task] = (users_of * items_of).sum(1) + outputs.item_bias[batch.item_of_row]
            for task, values in found.items():
                columns.setdefault(task, []).append(self._on_label_scale(task, values))
        keys = [key for key in (self.schema.keys.user, self.schema.keys.item) if key]
        result = pairs.select(keys)
        return result.hstack(
            self._task_columns({task: np.concatenate(parts) for task, parts in columns.items()})
        )

    def recommend(
        self,
        users: Sequence[str],
        k: int = 10,
        *,
        scenario: str | None = None,
        by: str | None = None,
        keep_seen: bool = False,
    ) -> pl.DataFrame:
        """Rank the whole catalogue for users.

        Args:
            users: User ids; one never seen is answered from what is known of users in general.
            k: Items a user, ≥ 1.
            scenario: Where they are shown; unknown when left out.
            by: Task to rank by; the retrieval task when left out, else the first one.
            keep_seen: Whether items that a user had interactions with may come back.

        Returns:
            Columns user, rank (from 1), item, score, and a column for each task.

        Raises:
            DataError: If the scenario or the task is not known, or there are no users or items.
        """
        user_key, item_key = self.schema.keys.user, self.schema.keys.item
        if user_key is None or item_key is None:
            raise DataError(
                f"the schema '{self.schema.name}' has no users or no items", "recommend needs both keys"
            )
        if k < 1:
            raise DataError(f"k is {k}", "ask for at least one item")
        if scenario is not None:
            require_known(scenario, self.bundle.data.encoder.scenarios, "the scenario", DataError)
        by = self._ranking_task(by)
        known = self._known["user"].rows(pl.Series(list(users), dtype=pl.String))
        data = self.bundle.data
        if (known < 0).any():
            new = (
                pl.Series(list(users), dtype=pl.String)
                .filter(pl.Series(known < 0))
                .unique(maintain_order=True)
            )
            data, index = self._raw.extended(data, "user", pl.DataFrame({user_key: new}))
            known = index.rows(pl.Series(list(users), dtype=pl.String))
        scores = self._score_all(data, known, by, scenario)
        if not keep_seen:
            for place, row in enumerate(known):
                if row < len(self.bundle.seen):
                    seen = self.bundle.seen.values[
                        self.bundle.seen.offsets[row] : self.bundle.seen.offsets[row + 1]
                    ]
                    scores[place, seen] = -np.inf
        k = min(k, scores.shape[1])
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        chosen = np.take_along_axis(scores, best, 1)
        real = np.isfinite(chosen)
        places = np.repeat(np.arange(len(users)), k).reshape(-1, k)
        frame = pl.DataFrame(
            {
                user_key: pl.Series([str(u) for u in users], dtype=pl.String).gather(places[real]),
                "rank": (np.tile(np.arange(1, k + 1), (len(users), 1)))[real],
                item_key: self.bundle.data.item_ids.gather(best[real]),
                "score": chosen[real],
            }
        )
        if not len(frame):
            return frame
        asked = frame.select(user_key, item_key)
        if scenario is not None and self.schema.keys.scenario is not None:
            asked = asked.with_columns(pl.lit(scenario).alias(self.schema.keys.scenario))
        return frame.hstack(self.predict(asked).drop(user_key, item_key))

    def items_ahead(self, scenario: str | None = None) -> ItemsAhead:
        """The catalogue's side of the model, computed ahead of requests from one scenario."""
        key = self.schema.keys.scenario
        moment = pl.DataFrame({key: [scenario]}) if key is not None else pl.DataFrame({"": [None]})
        return ItemsAhead(self.bundle.model, self.bundle.data, self._raw.moments(self.bundle.data, moment))

    def _with_new_entities(
        self, pairs: pl.DataFrame
    ) -> tuple[Dataset, NDArray[np.int32], NDArray[np.int32], pl.DataFrame]:
        """Rows of the pairs' users and items, those never seen added at the end of the tables."""
        if not len(pairs):
            raise DataError("the pairs have no rows", "give at least one pair")
        data, frame = self.bundle.data, pairs
        rows: dict[Entity, NDArray[np.int32]] = {}
        entities: tuple[Literal["user", "item"], ...] = ("user", "item")
        for entity in entities:
            key = getattr(self.schema.keys, entity)
            if key is None:
                rows[entity] = np.zeros(len(pairs), np.int32)
                continue
            if key not in pairs.columns:
                raise DataError(
                    f"the pairs have no column '{key}'", f"name the {entity} of each pair in '{key}'"
                )
            words = as_words(pairs[key])
            if words.null_count():
                row = int(words.is_null().arg_true()[0]) + 1
                raise DataError(
                    f"the pairs have no {entity} in data row {row}, column '{key}'",
                    "give every pair both keys",
                )
            frame = frame.with_columns(words)
            found = self._known[entity].rows(words)
            if (found < 0).any():
                new = frame.filter(pl.Series(found < 0)).unique(
                    subset=[key], keep="first", maintain_order=True
                )
                data, index = self._raw.extended(data, entity, new)
                found = index.rows(words)
            rows[entity] = found
        return data, rows["user"], rows["item"], frame

    # -- scores --------------------------------------------------------------------------------

    def _ranking_task(self, by: str | None) -> str:
        rankable = [
            n
            for n, t in self.schema.tasks.items()
            if t.on == "interaction" and t.kind in ("retrieval", "binary", "regression")
        ]
        if by is None:
            retrieval = [n for n in rankable if self.schema.tasks[n].kind == "retrieval"]
            if not rankable:
                raise DataError(
                    f"the schema '{self.schema.name}' has no task to rank by",
                    "add a binary, regression or retrieval task",
                )
            return (retrieval or rankable)[0]
        require_known(by, rankable, "the task to rank by", DataError)
        return by

    def _score_all(
        self, data: Dataset, users: NDArray[np.int32], by: str, scenario: str | None
    ) -> NDArray[np.float32]:
        """Score of every item of the bundle for each user, [U, I]."""
        scores = np.empty((len(users), len(self.bundle.data.items)), np.float32)
        ahead = self.items_ahead(scenario)
        for place, user in enumerate(users):
            if self.schema.tasks[by].kind == "retrieval":
                found = ahead.retrieve(data, int(user))
            else:
                found = ahead.score(data, int(user))[by]
            scores[place] = found.numpy()
        return scores

    def _on_label_scale(self, task: str, values: Tensor) -> NDArray[np.float32]:
        if self.schema.tasks[task].kind == "retrieval":
            return np.asarray(values.numpy(), np.float32)
        return np.asarray(link(self.schema, self.bundle.data.encoder, task, values).numpy(), np.float32)

    def _task_columns(self, values: dict[str, NDArray[np.float32]]) -> pl.DataFrame:
        columns: list[pl.Series] = []
        for name, task in self.schema.tasks.items():
            if name not in values:
                continue
            found = values[name]
            if task.kind == "multiclass":
                classes = np.asarray(self.bundle.data.encoder.classes[name])
                best = found.argmax(1)
                columns.append(pl.Series(name, classes[best].tolist(), dtype=pl.String))
                columns.append(pl.Series(f"{name}_probability", found.max(1)))
            elif task.kind == "multilabel":
                classes = np.asarray(self.bundle.data.encoder.classes[name])
                labels = [classes[row > 0.5].tolist() for row in found]
                columns.append(pl.Series(name, labels, dtype=pl.List(pl.String)))
            else:
                columns.append(pl.Series(name, found))
        return pl.DataFrame(columns)
