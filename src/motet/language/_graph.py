"""An ONNX graph, written node by node: no exporter, so the same file every time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["MICROSOFT", "Graph"]

MICROSOFT: Final = "com.microsoft"
_OPSET: Final = 17
_IR_VERSION: Final = 9


class Graph:
    """Collects nodes and constants."""

    def __init__(self) -> None:
        from onnx import helper, numpy_helper  # noqa: PLC0415

        self._helper: Any = helper
        self._numpy_helper: Any = numpy_helper
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}

    def constant(self, name: str, values: NDArray[Any]) -> str:
        """Keep a constant under a name; a second one of that name is the first."""
        if name not in self._constants:
            self._constants[name] = self._numpy_helper.from_array(np.asarray(values, order="C"), name)
        return name

    def node(
        self,
        kind: str,
        inputs: Sequence[str],
        outputs: str | Sequence[str],
        domain: str = "",
        **attributes: Any,
    ) -> str:
        """Add a node and return the name of its first output."""
        names = [outputs] if isinstance(outputs, str) else list(outputs)
        self._nodes.append(self._helper.make_node(kind, inputs, names, domain=domain, **attributes))
        return names[0]

    def serialise(
        self,
        name: str,
        inputs: Mapping[str, tuple[int, Sequence[Any]]],
        outputs: Mapping[str, tuple[int, Sequence[Any] | None]],
    ) -> bytes:
        """Write the model.

        Args:
            name: Of the graph.
            inputs: Element type and shape of each.
            outputs: Element type and shape of each.
        """
        describe = self._helper.make_tensor_value_info
        model = self._helper.make_model(
            self._helper.make_graph(
                self._nodes,
                name,
                [describe(what, *kind) for what, kind in inputs.items()],
                [describe(what, *kind) for what, kind in outputs.items()],
                list(self._constants.values()),
            ),
            opset_imports=[
                self._helper.make_opsetid("", _OPSET),
                self._helper.make_opsetid(MICROSOFT, 1),
            ],
            ir_version=_IR_VERSION,
            producer_name="motet",
        )
        return bytes(model.SerializeToString())
