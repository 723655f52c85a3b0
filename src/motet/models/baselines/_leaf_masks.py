"""Boosted trees for many items of one request: what an item rules out of each tree is computed once.

QuickScorer (Lucchese et al. 2015): leaves of a tree are numbered from left to right, and every node whose test fails
rules out the leaves of its left branch; the lowest leaf that is left is the one a row falls into. Tests of a row that
look at the item alone rule out the same leaves in every request, and tests that look at the user and the context alone
do so for every item of a request.

Legend of shapes: n pairs of one user in one context with items, I items, R trees, N nodes, F inputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

__all__ = ["LeafMasks", "read_by_masks"]

_MOST_LEAVES: Final = 16  # bits of a mask
_ALL: Final = np.uint16(2**_MOST_LEAVES - 1)
# lowest bit of each mask; a mask of no bit does not occur
_LOWEST: Final = np.array([0] + [(m & -m).bit_length() - 1 for m in range(1, 2**_MOST_LEAVES)], np.uint8)

Masks = NDArray[np.uint16]


_READ: Final = (
    "split_feature",
    "decision_type",
    "threshold",
    "missing_type",
    "left_child",
    "right_child",
    "leaf_value",
)


def read_by_masks(dumped: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a dumped LightGBM model that :class:`LeafMasks` reads; empty where it would refuse it."""
    if any(tree["num_leaves"] > _MOST_LEAVES for tree in dumped["tree_info"]):
        return {}

    def part(node: Any) -> Any:
        if not isinstance(node, Mapping):
            return node
        return {name: part(cell) for name, cell in node.items() if name in _READ or name == "leaf_coeff"}

    return {
        "objective": dumped["objective"],
        "num_tree_per_iteration": dumped["num_tree_per_iteration"],
        "tree_info": [
            {"num_leaves": tree["num_leaves"], "tree_structure": part(tree["tree_structure"])}
            for tree in dumped["tree_info"]
        ],
    }


class LeafMasks:
    """Trees of several tasks as masks of leaves.

    Args:
        dumped: Per task, a LightGBM model as ``Booster.dump_model`` gives it.
        of_item: Which inputs look at the item alone, [F].
        of_pair: Which look at the item and at something else, [F].

    Raises:
        ValueError: If the trees are of a kind that is left to LightGBM: more than 16 leaves, missing values, linear
            leaves, or an objective other than ``binary``, ``regression`` and ``multiclass``.
    """

    def __init__(
        self,
        dumped: Mapping[str, Mapping[str, Any]],
        of_item: NDArray[np.bool_],
        of_pair: NDArray[np.bool_],
    ) -> None:
        self._links: dict[str, tuple[str, slice, int]] = {}
        nodes = _Nodes()
        for task, model in dumped.items():
            trees = model["tree_info"]
            link = str(model["objective"]).split(" ")[0]
            if link not in {"binary", "regression", "multiclass"}:
                raise ValueError(f"objective {link}")
            start = nodes.trees
            for tree in trees:
                nodes.add_tree(tree["tree_structure"])
            self._links[task] = link, slice(start, nodes.trees), int(model["num_tree_per_iteration"])
        self._trees = nodes.trees
        self._values = np.zeros((nodes.trees, _MOST_LEAVES))
        for tree, leaves in enumerate(nodes.leaves):
            self._values[tree, : len(leaves)] = leaves
        self._first = (np.arange(nodes.trees) * _MOST_LEAVES).astype(np.int32)
        feature = np.array(nodes.feature, np.int64)
        self._tests = {
            "item": _Tests(nodes, np.flatnonzero(of_item[feature])),
            "pair": _Tests(nodes, np.flatnonzero(of_pair[feature])),
            "request": _Tests(nodes, np.flatnonzero(~(of_item | of_pair)[feature])),
        }

    @property
    def looks_at_pairs(self) -> bool:
        """Whether a test looks at an item together with something else."""
        return len(self._tests["pair"]) > 0

    def of_items(self, inputs: NDArray[np.float32]) -> Masks:
        """Leaves that items leave, [I, R].

        Args:
            inputs: With those that look at the item alone, [I, F].
        """
        return self._tests["item"].masks(inputs, self._trees)

    def predict(
        self,
        request: NDArray[np.float32],
        items: Masks,
        pairs: NDArray[np.float32] | None,
        tasks: Sequence[str],
    ) -> dict[str, NDArray[np.float64]]:
        """Predictions on the labels' own scale, as LightGBM gives them up to rounding, [n] or [n, K].

        Args:
            request: Inputs of any one pair, [1, F].
            items: From :meth:`of_items`, [n, R].
            pairs: Inputs of all pairs, [n, F]; None where no test looks at pairs.
            tasks: The tasks.
        """
        left = items & self._tests["request"].masks(request, self._trees)
        if pairs is not None:
            left &= self._tests["pair"].masks(pairs, self._trees)
        found = {}
        for task in tasks:
            link, trees, classes = self._links[task]
            leaves = _LOWEST[left[:, trees]] + self._first[trees]
            values = self._values.ravel().take(leaves).reshape(len(left), -1, classes).sum(axis=1)
            if link == "multiclass":
                found[task] = softmax(values, axis=1)
            else:
                found[task] = expit(values[:, 0]) if link == "binary" else values[:, 0]
        return found


class _Nodes:
    """Inner nodes and leaves of trees."""

    def __init__(self) -> None:
        self.tree: list[int] = []
        self.feature: list[int] = []
        self.threshold: list[float] = []
        self.categories: list[tuple[int, ...] | None] = []
        self.mask: list[int] = []
        self.leaves: list[list[float]] = []

    @property
    def trees(self) -> int:
        return len(self.leaves)

    def add_tree(self, root: Mapping[str, Any]) -> None:
        leaves: list[float] = []
        self._walk(root, leaves)
        if len(leaves) > _MOST_LEAVES:
            raise ValueError(f"{len(leaves)} leaves")
        self.leaves.append(leaves)

    def _walk(self, node: Mapping[str, Any], leaves: list[float]) -> None:
        if "split_feature" not in node:
            if "leaf_coeff" in node:
                raise ValueError("linear leaves")
            leaves.append(float(node["leaf_value"]))
            return
        if node["missing_type"] != "None":
            raise ValueError("missing values")
        at = len(self.mask)
        categories = node["decision_type"] == "=="
        self.tree.append(self.trees)
        self.feature.append(int(node["split_feature"]))
        self.categories.append(tuple(map(int, str(node["threshold"]).split("||"))) if categories else None)
        self.threshold.append(0.0 if categories else float(node["threshold"]))
        self.mask.append(0)
        first = len(leaves)
        self._walk(node["left_child"], leaves)
        ruled_out = (1 << len(leaves)) - (1 << first)
        self.mask[at] = int(_ALL) & ~ruled_out
        self._walk(node["right_child"], leaves)


class _Tests:
    """Some of the nodes, tree after tree."""

    def __init__(self, nodes: _Nodes, some: NDArray[np.int64]) -> None:
        self._feature = np.array(nodes.feature, np.int64)[some]
        self._threshold = np.array(nodes.threshold)[some]
        self._mask = np.array(nodes.mask, np.uint16)[some]
        chosen = [nodes.categories[at] for at in some.tolist()]
        self._sets = [(at, np.array(one, np.float32)) for at, one in enumerate(chosen) if one is not None]
        self._of_tree, self._starts = np.unique(np.array(nodes.tree, np.int64)[some], return_index=True)

    def __len__(self) -> int:
        return len(self._feature)

    def masks(self, inputs: NDArray[np.float32], trees: int) -> Masks:
        """Leaves that are left in each tree, [n, F] → [n, R]."""
        found = np.full((len(inputs), trees), _ALL)
        if len(self) and len(inputs):
            x = inputs[:, self._feature]
            fails = x > self._threshold  # [n, N]
            for at, members in self._sets:
                fails[:, at] = ~np.isin(np.trunc(x[:, at]), members)
            ruled = np.where(fails, self._mask, _ALL)
            found[:, self._of_tree] = np.bitwise_and.reduceat(ruled, self._starts, axis=1)
        return found
