"""Each id of one company, from each list, in each parameter of each method, asked by another company.

Generated from the declarations, so a new method is tried when it is declared. The other company gets the same answer as for
an id that no row has, never a value of the first one, and changes nothing of it.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from typing import Any

import orjson
import pytest

from tests.apis.call_api.requests import COMMANDS, REQUESTS
from tests.apis.data_api.client import NUMBERS_GO_ON
from tests.apis.data_api.walk import METHODS, NOWHERE, READS, Walk, names, places, sample, with_value
from tests.apis.support import CALLER, TOKEN, mnemonic
from tests.calls import company as c
from tests.calls.restarted_node import Node, ring
from tests.reports.company import filled_database
from trunkline.accounts.components import DEFAULT
from trunkline.apis.jsonrpc import Method, Param, ParamType
from trunkline.core.errors import TrunklineError
from trunkline.db.pool import Database
from trunkline.directory.model import Directory
from trunkline.runtime.postgres import EmbeddedPostgres

pytestmark = [pytest.mark.attack, pytest.mark.long]

OTHER = 1777
"""A company without rows of its own."""
OTHER_TOKEN = "other"
PER_NAME = 4
"""Ids that are tried of each name of a field."""
SHORTEST = 5
"""Characters of a text that is searched in the answers; shorter ones are in many."""
SESSIONS = {"login.user", "logout.user"}


@pytest.fixture(scope="module")
def company(postgres_server: EmbeddedPostgres, migrated_template: str) -> Iterator[str]:
    with filled_database(postgres_server, migrated_template, "other_ids") as dsn:
        yield dsn


@pytest.fixture
async def walk(company: str) -> AsyncIterator[Walk]:
    async with await Database.open(company) as db:
        await db.execute(
            "insert into accounts (account_id, name, time_zone) values (%s, 'Other', 'UTC') on conflict do nothing",
            (OTHER,),
        )
        await db.execute(
            "insert into users (account_id, user_id, login, password_hash, role) values (%s, 2777, 'other', '', 'owner')"
            " on conflict do nothing",
            (OTHER,),
        )
        await db.execute(NUMBERS_GO_ON)  # new rows of the other company have other ids
        made = Walk(db)
        every = {component.name for method in METHODS for component in method.components}
        made.accounts.networks[OTHER] = ["127.0.0.0/8"]
        made.accounts.callers[OTHER_TOKEN] = dataclasses.replace(
            CALLER, components=DEFAULT | every, account_id=OTHER, user_id=2777
        )
        yield made


def values(data: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Each single value of an answer with the name of its member."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield from values(value, key)
    elif isinstance(data, list):
        for value in data:
            yield from values(value, name)
    else:
        yield name, data


def is_reference(param: Param) -> bool:
    """Whether a number in this parameter may name a row; a range of numbers names none."""
    if param.name in ("limit", "offset"):
        return False
    if param.type is ParamType.ARRAY:
        return not param.params and param.items in (None, ParamType.NUMBER)
    return param.type is ParamType.NUMBER and (param.maximum is None or param.maximum >= NOWHERE)


async def everything(walk: Walk, token: str) -> dict[str, Any]:
    """The results of all lists and reports."""
    found = {}
    for method in READS:
        more = {"limit": 1000} if "limit" in names(method) else {}
        answer = await walk.ask(method, {**sample(method.params), **more, "access_token": token})
        if "result" in answer:
            result = answer["result"]
            found[method.name] = result.get("data", result) if isinstance(result, dict) else result
    return found


def texts(data: Any) -> set[str]:
    return {value for _, value in values(data) if isinstance(value, str) and len(value) >= SHORTEST}


class Findings:
    """Asks as the other company and compares."""

    def __init__(self, walk: Walk, secret: set[str]) -> None:
        self.walk = walk
        self.secret = secret
        self.wrong: list[str] = []
        self.asked = 0

    async def ask(self, method: Method, sent: dict[str, Any]) -> tuple[str, Any]:
        self.asked += 1
        answer = await self.walk.ask(method, {**sent, "access_token": OTHER_TOKEN})
        own = {value for _, value in values(sent) if isinstance(value, str)}
        shown = (texts(answer.get("result", answer.get("error"))) & self.secret) - own
        if shown:
            self.wrong.append(f"{method.name} {sent}: the answer has {sorted(shown)[:3]}")
        return mnemonic(answer), answer.get("error", {}).get("data", {}).get("field")

    def compare(self, method: Method, path: str, value: Any, theirs: Any, nobodys: Any) -> None:
        """A success is no fault only where an id that nobody has succeeds as well. The form of a value is checked first: a
        number that is refused for its form names no row."""
        if theirs != nobodys and nobodys[0] != "ok" and theirs[0] != "invalid_parameter_value":
            self.wrong.append(f"{method.name} {path}={value}: {theirs}, but {nobodys} for an id of nobody")


async def test_ids_of_another_company_are_ids_of_nobody(walk: Walk) -> None:
    before = await everything(walk, TOKEN)
    others = await everything(walk, OTHER_TOKEN)
    declared = {
        value for method in METHODS for _, param in places(method.params) for value in param.enum
    } | texts([sample(method.params) for method in METHODS])
    secret = texts(before) - texts(others) - declared
    by_name: defaultdict[str, list[int]] = defaultdict(list)
    by_text: defaultdict[str, str] = defaultdict(str)
    common = {value for _, value in values(others)}
    for name, value in values(before):
        is_id = name == "id" or name.endswith(("_id", "_ids"))
        if is_id and isinstance(value, int) and not isinstance(value, bool) and value not in common:
            by_name[name].append(value)
        elif isinstance(value, str) and value in secret:
            by_text[name] = value
    ids = sorted({value for found in by_name.values() for value in sorted(set(found))[-PER_NAME:]})
    assert {"id", "employee_id", "call_session_id", "communication_id", "scenario_id"} <= by_name.keys(), (
        by_name
    )
    assert len(secret) >= 100

    found = Findings(walk, secret)
    for method in METHODS:
        if method.name in SESSIONS:
            continue
        for path, param in places(method.params):
            if is_reference(param):
                as_sent = (lambda one: [one]) if param.type is ParamType.ARRAY else (lambda one: one)
                nobodys = await found.ask(method, with_value(method.params, path, as_sent(NOWHERE)))
                for value in ids:
                    sent = with_value(method.params, path, as_sent(value))
                    found.compare(method, ".".join(path), value, await found.ask(method, sent), nobodys)
            elif param.type is ParamType.STRING and param.name in by_text:
                await found.ask(method, with_value(method.params, path, by_text[param.name]))
        if "filter" in names(method):
            for name in sorted(by_name):
                for value in by_name[name][-1:]:
                    condition = {"field": name, "operator": "=", "value": value}
                    await found.ask(method, {**sample(method.params), "filter": condition})
    assert found.wrong == [], "\n".join(found.wrong[:30])
    assert found.asked > 2000

    # Nothing of the first company is changed, and nothing of it is in the lists of the other one.
    after = await everything(walk, TOKEN)
    assert {name: after[name] for name in before} == before
    written = set(by_text.values())  # by the other company itself, into rows of its own
    assert texts(await everything(walk, OTHER_TOKEN)) & secret <= written


@pytest.mark.parametrize("method", REQUESTS)
async def test_a_call_of_another_company_is_no_call(method: str) -> None:
    """Every method of the Call API, with the call, leg, number, employee and scenario of the first company."""
    node = Node()
    parts = ("employees", "lines", "trunks", "numbers", "scenarios", "schedules", "groups", "media", "tags")
    nothing: dict[str, Any] = {part: {} for part in (*parts, "contacts_by_phone")}
    accounts = {**node.directory.accounts, OTHER: c.company(account_id=OTHER, **nothing)}
    node.directory = Directory(accounts)
    node.arrive(c.TO_ANNA)
    node.at(5).engine.answer(ring(node))
    node.flow()
    [session] = node.switch.sessions.values()
    name, params = COMMANDS[method]
    known = {
        "call_session_id": session.call_session_id,
        "leg_id": session.living[-1].leg_id,
        "virtual_phone_number": c.number_of(c.TO_ANNA),
        "scenario_id": c.TO_ANNA,
        "employee": {"id": c.ANNA},
    }
    sent = {**params, **{key: value for key, value in known.items() if key in params}}
    before = (
        [leg.ended_at for leg in session.legs.values()],
        len(node.reported.events[session.call_session_id]),
    )
    if name.startswith("list_"):
        shown = await node.switch.command(OTHER, name, sent)
        text = orjson.dumps(shown)
        assert str(session.call_session_id).encode() not in text
        assert c.CUSTOMER.encode() not in text
    else:
        with pytest.raises(TrunklineError):
            await node.switch.command(OTHER, name, sent)
    assert list(node.switch.sessions) == [session.call_session_id]
    assert (
        [leg.ended_at for leg in session.legs.values()],
        len(node.reported.events[session.call_session_id]),
    ) == before
