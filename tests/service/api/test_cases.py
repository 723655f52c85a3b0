"""Made-up requests, right and wrong, to every operation: the short form of benchmarks/api_cases.py."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import CHECKS
from schemathesis.core.result import Ok

SLOW = ("/v1/ask", "/v1/lists", "/v1/explain", "/v1/models")
CHECKED = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance", "response_schema_conformance", "negative_data_rejection")  # fmt: skip


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_what_the_description_promises_holds(shared_client: TestClient) -> None:
    made = shared_client.post(
        "/v1/keys", json={"scopes": ["admin"]}
    ).json()  # an invented key locks no one out
    headers = {"X-API-Key": made["key"]}
    schema = schemathesis.openapi.from_asgi("/openapi.json", shared_client.app, headers=headers)
    checks: Any = [CHECKS.get_one(name) for name in CHECKED]
    operations = [one.ok() for one in schema.get_all_operations() if isinstance(one, Ok)]
    operations = [
        one for one in operations if one.path != "/v1/import/{what}"
    ]  # streams, which only the long form makes
    assert len(operations) > 80
    statuses: Counter[int] = Counter()
    for at, operation in enumerate(operations):
        few = 1 if operation.path.startswith(SLOW) else 3

        @seed(at)
        @settings(
            max_examples=few,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )
        @given(data=st.data())
        def check(data: st.DataObject) -> None:
            case = data.draw(operation.as_strategy())  # noqa: B023 (run at once)
            answer = case.call(base_url="http://127.0.0.1", headers=headers, timeout=60)
            statuses[answer.status_code] += 1
            case.validate_response(answer, checks=checks)

        check()
    assert sum(statuses.values()) >= 200
    assert statuses[200] >= 50
