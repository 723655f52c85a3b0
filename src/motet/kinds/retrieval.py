"""Which items of the whole catalogue come next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator

from motet.errors import SchemaError
from motet.kinds._labelled import yes_no_of
from motet.metrics import count, is_number, number, percent
from motet.schema import LabelSink, LabelStatistics, Schema, Task, TaskText, check_expression

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["RetrievalTask", "sampled_softmax_loss"]


class RetrievalTask(Task):
    """Which items of the whole catalogue come next.

    Trained by softmax over sampled items with log-q correction (Yi et al. 2019, eq. 3–5), exact
    when the catalogue is not larger than ``negatives``.

    Attributes:
        positive: SQL expression over an interaction that says which ones to find.
        negatives: Items drawn uniformly from the catalogue for each batch.
        repeats: Whether users come back to items they have had. If not, such items are no
            negatives in training, and none of them is offered again.
    """

    kind: Literal["retrieval"] = "retrieval"
    on: Literal["interaction"] = "interaction"
    positive: str
    negatives: int = Field(2048, ge=1)
    repeats: bool = False

    called: ClassVar[str] = "what to recommend"
    display: ClassVar[Literal["order"]] = "order"
    metrics: ClassVar[tuple[str, ...]] = (
        "ndcg@10",
        "recall@10",
        "hit@10",
        "mrr",
        "coverage@10",
        "diversity@10",
        "novelty@10",
    )
    primary_metric: ClassVar[str] = "ndcg@10"
    dimensions: ClassVar[tuple[int, int]] = (2, 2)
    is_yes_no: ClassVar[bool] = True
    ranks: ClassVar[bool] = True
    ranks_catalogue: ClassVar[bool] = True
    baselines: ClassVar[frozenset[str]] = frozenset({"popularity", "item_knn", "ease", "text_neighbours"})

    @field_validator("positive")
    @classmethod
    def _positive_parses(cls, value: str) -> str:
        return check_expression(value, "positive")

    @property
    def label(self) -> str:
        """The expression of the label, under the name that the other tasks use."""
        return self.positive

    @property
    def drawn_items(self) -> int:
        """``negatives``."""
        return self.negatives

    @property
    def offers_again(self) -> bool:
        """``repeats``."""
        return self.repeats

    def check(self, name: str, schema: Schema) -> None:
        """It needs users and items."""
        if not (schema.keys.user and schema.keys.item):
            raise SchemaError(f"tasks.{name}: retrieval needs keys.user and keys.item", "name both")

    def read_labels(self, cells: pl.Series, sink: LabelSink) -> NDArray[np.float32]:
        """1 marks what is to be found."""
        return yes_no_of(cells, sink, self.label)

    def untrainable(self, labels: NDArray[np.float32], classes: tuple[str, ...]) -> tuple[str, str] | None:
        """If there is nothing to find."""
        if (labels == 1).any():
            return None
        return (
            "has no positive label in the training split",
            "check its label expression, or remove the task",
        )

    def batch_loss(self, name: str, batch: Any, outputs: Any, statistics: LabelStatistics) -> Tensor:
        """The sampled softmax."""
        return sampled_softmax_loss(
            outputs.user_vectors,
            outputs.item_vectors,
            outputs.item_bias,
            batch.item_log_q,
            batch.user_of_row,
            batch.item_of_row,
            batch.labels[name],
            None if self.repeats else batch.had,
            outputs.query_shift,
        )

    def link(self, logits: Tensor, statistics: LabelStatistics) -> Tensor:
        """Scores have no scale of their own: they only order the items."""
        return logits

    @classmethod
    def why_undefined(cls, labels: NDArray[Any]) -> str:
        """Nothing to find."""
        return "no user has an item to find"

    @classmethod
    def describe(
        cls, name: str, value: float, values: Mapping[str, Any], metrics: Mapping[str, Any]
    ) -> TaskText:
        """By the share of users who find something."""
        items = (metrics.get("data") or {}).get("items")
        catalogue = f" out of {count(items)}" if is_number(items) else ""
        hit, users = values.get("hit@10"), values.get("users")
        user_encoder = f"the {count(users)} users" if is_number(users) else "the users"
        return TaskText(
            percent(hit),
            "find something",
            f"Shown ten items{catalogue}, {percent(hit)} of {user_encoder} with something to find (“{name}”) see at "
            f"least one of them. The lists reach {number(value)} of an ideal list's gain (NDCG@10).",
        )


def sampled_softmax_loss(
    user_vectors: Tensor,
    item_vectors: Tensor,
    item_bias: Tensor,
    log_q: Tensor,
    user_of_row: Tensor,
    item_of_row: Tensor,
    labels: Tensor,
    had: Tensor | None = None,
    query_shift: Tensor | None = None,
) -> Tensor:
    """Softmax over the items of the batch, corrected for how likely each is to be among them.

    s(u, j) = u·v_j + b_j − log q_j, loss = −log softmax(s(u, ·))_i at the item i of each positive
    row (Yi et al. 2019, eq. 3–5). Where the batch holds the whole catalogue, q = 1: the exact loss.

    Args:
        user_vectors: [U, D].
        item_vectors: [I, D].
        item_bias: [I].
        log_q: [I].
        user_of_row: int64 [B].
        item_of_row: int64 [B].
        labels: [B]; 1 marks a positive row.
        had: Pairs (user, item) that are no negatives, because the user has had the item, int64 [2, P].
        query_shift: What is added to the vector of each row's user, [B, D]; nothing if D is 0.
    """
    import torch  # noqa: PLC0415 (torch is slow to import, and a schema needs none)
    from torch.nn import functional as F  # noqa: PLC0415 (torch is slow to import, and a schema needs none)

    positive = torch.nonzero(labels == 1).squeeze(1)
    if not len(positive):
        return user_vectors.sum() * 0.0 + item_vectors.sum() * 0.0 + item_bias.sum() * 0.0
    users = user_vectors.index_select(0, user_of_row[positive])
    if query_shift is not None and query_shift.shape[1]:
        users = users + query_shift.index_select(0, positive)
    scores = torch.addmm(item_bias - log_q, users, item_vectors.T)  # [P, I]
    targets = item_of_row[positive]
    if had is not None and had.shape[1]:
        hidden = torch.zeros(len(user_vectors), len(item_vectors), dtype=torch.bool)
        hidden[had[0], had[1]] = True
        hidden = hidden.index_select(0, user_of_row[positive])
        hidden[torch.arange(len(positive)), targets] = False
        scores = scores.masked_fill(hidden, -torch.inf)
    return F.cross_entropy(scores, targets)
