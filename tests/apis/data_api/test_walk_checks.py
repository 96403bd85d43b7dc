"""Every method that is declared: what is checked before it does anything, and that another account's rows are not
there for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.apis.data_api.walk import (
    CHANGES,
    METHODS,
    NOWHERE,
    Walk,
    names,
    places,
    sample,
    with_value,
    wrong_type,
)
from tests.apis.support import mnemonic
from tests.reports.company import filled_database
from trunkline.apis.catalogue import DATA_API
from trunkline.apis.jsonrpc import Method, Param, ParamType
from trunkline.db.pool import Database
from trunkline.runtime.postgres import EmbeddedPostgres


def _id(method: Method) -> str:
    return method.name


@pytest.fixture(scope="module")
def company(postgres_server: EmbeddedPostgres, migrated_template: str) -> Iterator[str]:
    with filled_database(postgres_server, migrated_template, "walked_changes") as dsn:
        yield dsn


@pytest.fixture
async def walk(company: str) -> AsyncIterator[Walk]:
    async with await Database.open(company) as db:
        yield Walk(db)


@pytest.mark.parametrize("method", METHODS, ids=_id)
async def test_who_may_ask(method: Method) -> None:
    walk = Walk()
    least = sample(method.params)
    assert await walk.fault(method, {**least, "access_token": "stolen"}) == ("access_token_invalid", None)
    nameless = {name: value for name, value in least.items() if name != "access_token"}
    assert await walk.fault(method, nameless) == ("required_parameter_missed", "access_token")
    assert (await walk.fault(method, least, address="203.0.113.9"))[0] == "ip_not_whitelisted"
    if method.permissions:
        walk.as_member()
        assert (await walk.fault(method, least))[0] == "forbidden"
    if method.components:
        walk.allow(components=frozenset())
        assert (await walk.fault(method, least))[0] == "method_component_disabled"
    walk.allow(data_api_enabled=False)
    assert (await walk.fault(method, least))[0] == "forbidden"


@pytest.mark.parametrize("method", METHODS, ids=_id)
async def test_points(method: Method) -> None:
    """A method whose points are used up, and a failure that costs none."""
    walk = Walk()
    least = sample(method.params)
    if method.weight:
        walk.accounts.minute_limit = method.weight - 1
        assert (await walk.fault(method, least))[0] == "limit_exceeded"
        walk.accounts.minute_limit = method.weight
    assert await walk.fault(method, {**least, "wings": 2}) == ("unexpected_parameters", "wings")
    assert walk.accounts.used == 0


@pytest.mark.parametrize("method", METHODS, ids=_id)
async def test_each_parameter(walk: Walk, method: Method) -> None:
    """Missing, of the wrong type, a value that is none of its choices; the rest is right."""
    for path, param in places(method.params):
        if param.name in ("access_token", "user_id", "filter", "fields", "sort", "limit", "offset"):
            continue  # of all lists: tried with them
        dotted = ".".join(path)
        for sent, expected in _wrong(method.params, path, param):
            if method.form_of(sent) is None:
                assert await walk.fault(method, sent) == (expected, dotted), sent


def _wrong(
    params: tuple[Param, ...], path: tuple[str, ...], param: Param
) -> Iterator[tuple[dict[str, Any], str]]:
    yield with_value(params, path, wrong_type(param)), "data_type_error"
    if param.required and not param.unless:
        yield with_value(params, path, None, leave_out=True), "required_parameter_missed"
        if not param.nullable:
            yield with_value(params, path, None), "required_parameter_missed"
    if param.type in (ParamType.STRING, ParamType.ENUM) and param.enum:
        yield with_value(params, path, "no such choice"), "invalid_parameter_value"
    if param.type is ParamType.ISO8601:
        yield with_value(params, path, "soon"), "invalid_parameter_value"
    if param.type is ParamType.NUMBER and param.maximum is not None:
        yield with_value(params, path, param.maximum + 1), "invalid_parameter_value"
    if param.type is ParamType.STRING and param.maximum is not None and not param.enum:
        yield with_value(params, path, "9" * (param.maximum + 1)), "invalid_parameter_value"


BY_ID = [method for method in CHANGES if "id" in names(method)]


@pytest.mark.parametrize("method", BY_ID, ids=_id)
async def test_what_is_anothers_is_not_there(walk: Walk, method: Method) -> None:
    """The id of another company's row is answered like one that no row has; that row stays as it is."""
    reading = _reading(method)
    if reading is None:
        return
    theirs = await _rows_of_the_other(walk, reading)
    for row in theirs[:2]:
        answers = [
            await walk.ask(method, {**sample(method.params), "id": number}) for number in (row["id"], NOWHERE)
        ]
        reported = [(mnemonic(one), one.get("error", {}).get("code")) for one in answers]
        assert reported[0] == reported[1] != ("ok", None), answers
    assert await _rows_of_the_other(walk, reading) == theirs


def _reading(method: Method) -> Method | None:
    """The list of what the method changes: ``get.tags`` for ``update.tags``."""
    found = DATA_API.find(f"get.{method.name.partition('.')[2]}")
    return found if found and "filter" in names(found) else None


async def _rows_of_the_other(walk: Walk, reading: Method) -> list[dict[str, Any]]:
    """Rows that only the other company has."""
    rows = []
    for token in ("stranger", "good-token"):
        answer = await walk.ask(reading, {**sample(reading.params), "access_token": token})
        if mnemonic(answer) == "forbidden":  # for agents only, and neither of the two is one
            return []
        assert "result" in answer, answer
        rows.append(answer["result"]["data"])
    theirs, ours = rows
    own = {row["id"] for row in ours}
    return [row for row in theirs if row["id"] not in own]
