from __future__ import annotations

import pytest

from motet.errors import SchemaError
from motet.schema import Schema


def test_tasks_that_come_after_each_other_are_refused() -> None:
    content = {
        "name": "circle",
        "tables": {"interactions": "a.csv"},
        "split": {"by": "random"},
        "features": {"interaction": {"hour": "categorical"}},
        "tasks": {
            "a": {"kind": "binary", "label": "a", "after": "b"},
            "b": {"kind": "binary", "label": "b", "after": "a"},
        },
    }
    with pytest.raises(SchemaError, match="circle: a after b after a"):
        Schema.parse(content)
