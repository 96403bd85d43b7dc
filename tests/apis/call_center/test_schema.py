"""The OpenAPI document: valid, complete, and kept by a live server, whatever clients send."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
from collections import Counter
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.apis.call_center.rest import Rest
from tests.apis.call_center.test_agents import live
from tests.apis.call_center.test_agents_at_work import VIEW
from tests.apis.call_center.test_live import as_json
from tests.apis.call_center.test_queues import SALES
from tests.apis.call_center.test_users import JOHN
from trunkline.apis.call_center.openapi import document
from trunkline.apis.call_center.operations import OPERATIONS

EXAMPLES = 6
"""Requests of each kind (data by the schema, data against it) for each operation."""

LIVE = live()

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


async def test_the_document_has_each_operation_once(rest: Rest) -> None:
    served = (await rest.ask("GET", "/api/openapi.json", key=None)).content
    described = {
        f"{verb.upper()} {path}" for path, operations in served["paths"].items() for verb in operations
    }
    assert described == {one.name for one in OPERATIONS}
    assert len(described) == len(OPERATIONS)
    names = [one["operationId"] for path in served["paths"].values() for one in path.values()]
    assert len(set(names)) == len(names)
    for path, operations in served["paths"].items():
        for one in operations.values():
            in_path = {parameter["name"] for parameter in one["parameters"] if parameter["in"] == "path"}
            assert in_path == set(re.findall(r"\{(\w+)\}", path)), path
    assert served["openapi"] == "3.1.0"


@pytest.mark.shells
@pytest.mark.timeout(300)
@pytest.mark.long
async def test_no_answer_is_outside_of_the_document(rest: Rest) -> None:
    served = (await rest.ask("GET", "/api/openapi.json", key=None)).content
    rest.switch.answers |= {
        "start_agent_call": {"call_session_id": 7},
        "wait_for_agent": {"state": "answered"},
        "list_agent_calls": [LIVE],
        "set_agent_status": VIEW,
        "set_agent_wrap_up": VIEW,
        "list_queues_live": as_json(),
        "list_agents": {"agents": as_json()["agents"]},
    }
    # The session has a valid key; without these no other keys are made up, which would all be 401.
    del served["security"], served["components"]["securitySchemes"]
    statuses = await asyncio.to_thread(_send_everything, rest.base, rest.key, served)
    print(statuses)
    assert statuses["500"] == 0
    assert statuses["200"] > 3 * len(OPERATIONS), "most operations also succeed"
    assert statuses["400"] > len(OPERATIONS), "and refuse"


def _send_everything(base: str, key: str, served: dict[str, Any]) -> Counter[str]:
    session = requests.Session()
    session.headers["api_key"] = key
    statuses: Counter[str] = Counter()
    schema = schemathesis.openapi.from_dict(served)
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        known = _Known(base, session)
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            _send(operation, mode, known, statuses)
    return statuses


class _Known:
    """Records that are there, so that requests do not only meet missing ones."""

    def __init__(self, base: str, session: requests.Session) -> None:
        self.base, self.session = base, session
        self._numbers = itertools.count()

    def id_of(self, path: str) -> int:
        kind = path.split("/")[2]
        name = f"{kind}{next(_NUMBERS)}"
        bodies: dict[str, dict[str, Any]] = {
            "phone_list": {"name": name},
            "user": {**JOHN, "username": name},
            "cc_queue": {**SALES, "name": name},
            "pgroup": {"name": name},
            "notification": {"key": name, "url": "https://crm.example/", "events": ["call_finish"]},
        }
        if kind == "notification_delivery":
            subscription = self.id_of("/api/notification")
            sample = f"{self.base}/api/notification/{subscription}/test"
            return int(self.session.post(sample, json={}, timeout=30).json()["data"]["delivery_id"])
        made = self.session.post(f"{self.base}/api/{kind}", json=bodies[kind], timeout=30).json()["data"][
            "id"
        ]
        if kind == "phone_list":
            lead = {"phone": "12025550110"}
            self.session.post(f"{self.base}/api/{kind}/{made}/lead", json=lead, timeout=30)
        return int(made)


_NUMBERS = itertools.count()


def _send(operation: Any, mode: GenerationMode, known: _Known, statuses: Counter[str]) -> None:
    strategy = operation.as_strategy(generation_mode=mode)
    ids: list[int] = []

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy, is_known=st.integers(0, 3))
    def send(case: Any, is_known: int) -> None:
        if is_known and "id" in (case.path_parameters or {}):
            if not ids or operation.method.upper() == "DELETE":
                ids.append(known.id_of(operation.path))
            case.path_parameters["id"] = ids[-1]
            if "phone" in case.path_parameters and is_known > 1:
                case.path_parameters["phone"] = "12025550110"
        response = case.call(base_url=known.base, session=known.session)
        statuses[str(response.status_code)] += 1
        case.validate_response(response, checks=CHECKS)

    # An operation without parameters has nothing that could be sent against its schema.
    with contextlib.suppress(*([Unsatisfiable] if mode is GenerationMode.NEGATIVE else [])):
        send()


def test_the_document_does_not_change_unnoticed() -> None:
    """It is the same for each process: a client may keep it."""
    assert document(OPERATIONS) == document(OPERATIONS)
    assert len(json.loads(document(OPERATIONS))["paths"]) > 10
