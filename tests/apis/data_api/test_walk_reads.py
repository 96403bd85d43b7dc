"""Every get method that is declared: each field selected, filtered with each operator, sorted; each error."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import Any

import pytest
import pytest_asyncio

from tests.apis.data_api.walk import (
    LISTS,
    METHODS,
    OWN,
    READS,
    Walk,
    filters_of,
    names,
    operators_of,
    values_for,
    wire_fields,
)
from tests.apis.support import mnemonic
from tests.reports.company import filled_database
from trunkline.apis.jsonrpc import Envelope, Field, FieldType, Method
from trunkline.contract import load_facts
from trunkline.db.pool import Database
from trunkline.runtime.postgres import EmbeddedPostgres

UNKNOWN = "wings"
MANY = 1000
"""Rows of a list that are compared; every list of the sample company is shorter."""
WHOLE = 200
"""Rows of a list that are looked at."""


of_the_module = pytest.mark.asyncio(loop_scope="module")
"""Runs in the event loop of the fixture ``db``."""


def _id(method: Method) -> str:
    return method.name


@pytest.fixture(scope="module")
def company(postgres_server: EmbeddedPostgres, migrated_template: str) -> Iterator[str]:
    with filled_database(postgres_server, migrated_template, "walked") as dsn:
        yield dsn


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def db(company: str) -> AsyncIterator[Database]:
    """The tests only read: a connection keeps what it learnt of the schema for all of them."""
    async with await Database.open(company) as opened:
        yield opened


@pytest.fixture
def walk(db: Database) -> Walk:
    return Walk(db)


def test_the_walk_meets_what_the_reference_lists() -> None:
    served = {page["method"] for page in load_facts() if page["api"] == "data_api"}
    walked = {method.name for method in METHODS}
    assert walked - OWN <= served
    assert walked - served >= OWN
    assert {method.name for method in LISTS} >= {"get.employees", "get.calls_report"}


@of_the_module
@pytest.mark.parametrize("method", READS, ids=_id)
async def test_each_read_method_responds_to_its_required_parameters(walk: Walk, method: Method) -> None:
    answer = await walk.ask(method, await walk.least(method))
    reported = mnemonic(answer)
    if set(await walk.least(method)) <= {"access_token", "date_from", "date_till"}:
        assert reported == "ok", answer
    assert reported not in ("required_parameter_missed", "unexpected_parameters", "data_type_error"), answer
    if reported == "ok":
        envelope = {Envelope.DATA_ARRAY: list, Envelope.DATA_OBJECT: dict}.get(method.envelope)
        assert envelope is None or isinstance(answer["result"]["data"], envelope)
        assert not set(_empty_texts(answer["result"]))


@of_the_module
@pytest.mark.parametrize("method", LISTS, ids=_id)
async def test_each_field(walk: Walk, method: Method) -> None:
    """Selected alone, sorted, and under a filter of all its operators, which =null and !=null make true."""
    least = await walk.least(method)
    whole = await _list(walk, method, {**least, "limit": WHOLE} | _all_fields(method))
    if whole is None:
        return
    rows, total = whole
    assert not set(_empty_texts(rows))
    for field in method.result:
        seen = next((row[field.name] for row in rows if row.get(field.name) not in (None, [], {})), None)
        asked: dict[str, Any] = {**least, "limit": WHOLE}
        if "fields" in names(method):
            asked["fields"] = [field.name]
        if field.sortable:
            asked["sort"] = [{"field": field.name, "order": "desc"}]
        found = await _list_always(walk, method, asked, field.name, field, seen)
        assert found is not None, field.name
        shown, matching = found
        assert matching == total, f"{field.name}: a filter that is always true left rows out"
        for row in shown:
            assert "fields" not in asked or set(row) == {field.name}
            _check_type(field, row[field.name])
        if field.sortable:
            _check_order(field, [row[field.name] for row in shown])
        await _check_equality(walk, method, field, seen, total)
    for name, field in wire_fields(method.result):
        if "." in name and field.filterable:
            found = await _list_always(walk, method, least, name, field, None)
            assert found is not None, name
            assert found[1] == total, name
        if "." in name and field.sortable:
            assert await _list(walk, method, {**least, "sort": [{"field": name}]}), name


BY_ANY_EMPLOYEE = {("get.calls_report", "employee_id"), ("get.calls_report", "employee_full_name")}
"""Filters on these find a call by any of its employees, not only by the one that is shown."""


@of_the_module
@pytest.mark.parametrize("method", LISTS, ids=_id)
async def test_each_filter_returns_the_rows_that_python_would(walk: Walk, method: Method) -> None:
    """Each field with each operator, over the values that are shown: also those inside arrays and objects."""
    least = {**await walk.least(method), "limit": MANY} | _all_fields(method)
    whole = await _list(walk, method, least)
    if whole is None or not whole[0]:
        return
    rows, total = whole
    if len(rows) < total:
        assert (
            method.name == "get.geolocations"
        )  # a list without a method of the reference, longer than a page
        return
    for field in method.result:
        if (method.name, field.name) in BY_ANY_EMPLOYEE:
            continue
        if not field.filterable or not any(field.name in row for row in rows):
            continue
        for operator, value, holds in filters_of(field, [row.get(field.name) for row in rows]):
            condition = {"field": field.name, "operator": operator, "value": value}
            kept = {method.result[0].name, field.name} if "fields" in least else set(rows[0])
            asked = {**least, "filter": condition} | ({"fields": sorted(kept)} if "fields" in least else {})
            found = await _list(walk, method, asked)
            assert found is not None, condition
            expected = [{name: row[name] for name in kept} for row in rows if holds(row.get(field.name))]
            assert found[0] == expected, condition


def _empty_texts(shown: Any, place: str = "") -> Iterator[str]:
    """Where a text is empty: the conventions have null there."""
    if shown == "":
        yield place
    elif isinstance(shown, dict):
        for name, value in shown.items():
            yield from _empty_texts(value, f"{place}.{name}")
    elif isinstance(shown, list):
        for value in shown:
            yield from _empty_texts(value, place)


async def _check_equality(walk: Walk, method: Method, field: Field, seen: Any, total: int) -> None:
    """A value that is there is found by ``=``, and ``!=`` finds all the rest."""
    if not field.filterable or seen is None or isinstance(seen, list | dict):
        return
    counts = {}
    for operator in ("=", "!="):
        condition = {"field": field.name, "operator": operator, "value": seen}
        found = await _list(walk, method, {**await walk.least(method), "limit": WHOLE, "filter": condition})
        assert found is not None, (field.name, condition)
        counts[operator] = found[1]
    assert counts["="] >= 1, f"{field.name}: its own value {seen!r} is not found"
    assert counts["="] + counts["!="] == total, field.name


def _all_fields(method: Method) -> dict[str, Any]:
    return {"fields": [field.name for field in method.result]} if "fields" in names(method) else {}


async def _list_always(
    walk: Walk, method: Method, asked: dict[str, Any], name: str, field: Field, seen: Any
) -> tuple[list[Any], int] | None:
    """The list under a filter with every operator of the field, which is always true."""
    if not field.filterable:
        return await _list(walk, method, asked)
    for value in values_for(field, seen):
        tests = [{"field": name, **test} for test in operators_of(field.type, value)]
        filtered = {**asked, "filter": {"condition": "or", "filters": tests}}
        reported, place = await walk.fault(method, filtered)
        if reported not in ("data_type_error", "invalid_parameter_value") or not str(place).endswith("value"):
            break
    return await _list(walk, method, filtered)


async def _list(walk: Walk, method: Method, asked: dict[str, Any]) -> tuple[list[Any], int] | None:
    """Rows and total; None where the sample's ids lead nowhere (``entity_not_found`` and the like)."""
    answer = await walk.ask(method, {name: value for name, value in asked.items() if name in names(method)})
    if "error" in answer:
        data = answer["error"]["data"]
        is_of_the_list = str(data["field"]).split(".")[0] in (
            "filter",
            "sort",
            "fields",
            "limit",
            "offset",
            "None",
        )
        assert not is_of_the_list, (method.name, asked, answer["error"])
        return None
    if method.envelope is Envelope.ARRAY:
        return answer["result"], len(answer["result"])
    return answer["result"]["data"], answer["result"]["metadata"]["total_items"]


def _check_type(field: Field, value: Any) -> None:
    if value is None:
        assert field.type not in (FieldType.ARRAY, FieldType.OBJECT), field.name
        return
    match field.type:
        case FieldType.DURATION:
            assert isinstance(value, int | float | str), field.name  # seconds, or hh:mm:ss
        case FieldType.NUMBER:
            assert isinstance(value, int | float), field.name
            assert not isinstance(value, bool), field.name
        case FieldType.BOOLEAN:
            assert isinstance(value, bool), field.name
        case FieldType.ARRAY:
            assert isinstance(value, list), field.name
        case FieldType.OBJECT:
            assert isinstance(value, dict), field.name
        case FieldType.ISO8601:
            datetime.fromisoformat(value)
        case _:
            assert isinstance(value, str), field.name
            assert field.type is not FieldType.ENUM or not field.enum or value in field.enum, field.name


def _check_order(field: Field, values: list[Any]) -> None:
    """Nulls first, as the largest, then falling."""
    kept = [value for value in values if value is not None]
    assert values[: len(values) - len(kept)] == [None] * (len(values) - len(kept)), field.name
    if field.type in (FieldType.NUMBER, FieldType.DURATION, FieldType.ISO8601, FieldType.BOOLEAN):
        assert kept == sorted(kept, reverse=True), field.name
    elif field.type not in (FieldType.ARRAY, FieldType.OBJECT):
        assert len(kept) < 2 or kept[0] >= kept[-1], field.name


def _condition(field: Any, operator: str = "=null", **value: Any) -> dict[str, Any]:
    return {"filter": {"field": field, "operator": operator, **value}}


@of_the_module
@pytest.mark.parametrize("method", LISTS, ids=_id)
async def test_what_a_list_cannot_be_asked(walk: Walk, method: Method) -> None:
    least = await walk.least(method)
    anything = method.result[0].name
    wrong: list[tuple[dict[str, Any], str, str]] = [
        ({"fields": [UNKNOWN]}, "unexpected_parameters", "fields"),
        ({"fields": anything}, "data_type_error", "fields"),
        ({"sort": [{"field": UNKNOWN}]}, "unexpected_parameters", "sort.0.field"),
        ({"sort": "id"}, "data_type_error", "sort"),
        ({"limit": 10**6}, "invalid_parameter_value", "limit"),
        ({"limit": "many"}, "data_type_error", "limit"),
        ({"offset": 10**9}, "invalid_parameter_value", "offset"),
        ({"offset": "far"}, "data_type_error", "offset"),
        (_condition(UNKNOWN), "unexpected_parameters", "filter.field"),
        (_condition(7), "data_type_error", "filter.field"),
        ({"filter": "id = 1"}, "data_type_error", "filter"),
        ({"filter": {"filters": "x"}}, "data_type_error", "filter.filters"),
        ({"filter": {"field": anything}}, "required_parameter_missed", "filter.operator"),
    ]
    for name, field in wire_fields(method.result):
        wrong += _faults_of(name, field)
    for params, expected, place in wrong:
        if set(params) <= names(method):
            reported, where = await walk.fault(method, {**least, **params})
            # A method that takes filters in two forms joins them: the place is one level deeper then.
            assert (reported, str(where).replace("filter.filters.0.", "filter.")) == (expected, place), params


def _faults_of(name: str, field: Field) -> list[tuple[dict[str, Any], str, str]]:
    """What this field cannot be asked."""
    wrong: list[tuple[dict[str, Any], str, str]] = []
    if "." not in name and not field.sortable:
        wrong.append(({"sort": [{"field": name}]}, "sort_prohibited", "sort.0.field"))
    elif field.sortable:
        wrong.append(({"sort": [{"field": name, "order": "up"}]}, "invalid_parameter_value", "sort.0.order"))
    if "." not in name and not field.filterable:
        wrong.append((_condition(name), "filter_prohibited", "filter.field"))
    elif field.filterable:
        wrong.append((_condition(name, "~", value=1), "invalid_parameter_value", "filter.operator"))
        stranger = (
            "<" if field.type not in (FieldType.NUMBER, FieldType.DURATION, FieldType.ISO8601) else "like"
        )
        wrong.append((_condition(name, stranger, value="1"), "invalid_parameter_value", "filter.operator"))
        wrong.append((_condition(name, value=[["x"]], operator="="), "data_type_error", "filter.value"))
    return wrong


PERIODS = [method for method in READS if {"date_from", "date_till"} <= names(method)]


@of_the_module
@pytest.mark.parametrize("method", PERIODS, ids=_id)
async def test_periods(walk: Walk, method: Method) -> None:
    least = await walk.least(method)
    wrong: list[tuple[dict[str, Any], str, str]] = [
        ({"date_from": "soon"}, "invalid_parameter_value", "date_from"),
        ({"date_till": 7}, "data_type_error", "date_till"),
        ({"date_till": "2026-02-28 00:00:00"}, "invalid_parameters_combination", "date_till"),
        ({"date_till": "2029-06-08 00:00:00"}, "date_interval_limit_reached", "date_till"),
    ]
    for params, expected, place in wrong:
        period = {"date_from": "2026-03-02 00:00:00", "date_till": "2026-03-03 00:00:00", **params}
        assert await walk.fault(method, {**least, **period}) == (expected, place), params
