"""Each field of a report: shown, filtered and sorted."""

from __future__ import annotations

from typing import Any

from tests.apis.data_api.client import DataApiClient
from tests.apis.data_api.conversations import PERIOD, SITE
from trunkline.apis.jsonrpc import Field, FieldType, Method

_ALWAYS: dict[str, Any] = {
    "site_id": SITE,
    "report_id": 1,
    "report_type": "calls",
    "is_realtime": False,
    "filters": [],
    **PERIOD,
}


def asked_of(method: Method, **params: Any) -> dict[str, Any]:
    """What the method must be sent, with these."""
    names = {param.name for param in method.params}
    return {**{name: value for name, value in _ALWAYS.items() if name in names}, **params}


async def rows_of(client: DataApiClient, method: Method, **params: Any) -> list[dict[str, Any]]:
    """Rows of a report, in whatever envelope."""
    answer = await client.answer(method.name, **asked_of(method, **params))
    assert "result" in answer, (answer, params)
    result = answer["result"]
    rows: list[dict[str, Any]] = result if isinstance(result, list) else result["data"]
    return rows


async def check_every_field(client: DataApiClient, method: Method, **params: Any) -> None:
    """Every field of a report over rows that are there."""
    whole = await rows_of(client, method, fields=[field.name for field in method.result], **params)
    assert whole, method.name
    default = [field.name for field in method.result if field.default]
    assert [list(row) for row in await rows_of(client, method, **params)] == [default] * len(whole)
    key = next(field.name for field in method.result if field.name in _KEYS)
    for field in method.result:
        if field.filterable:
            await _check_filter(client, method, field, key, whole, params)
        if field.sortable:
            await _check_sort(client, method, field, params)


_KEYS = (
    "id",
    "date",
    "communication_id",
    "visitor_session_id",
    "notification_id",
    "api_request_id",
    "tagging_date_time",
)


async def _check_sort(client: DataApiClient, method: Method, field: Field, params: dict[str, Any]) -> None:
    place = (method.name, field.name)
    for order in ("asc", "desc"):
        sort = [{"field": field.name, "order": order}]
        shown = await rows_of(client, method, fields=[field.name], sort=sort, **params)
        values = [row[field.name] for row in shown if row[field.name] is not None]
        if not any(isinstance(value, list | dict) for value in values):
            assert values == sorted(values, key=_collated, reverse=order == "desc"), place


def _collated(value: Any) -> Any:
    """Ids as the numbers they are, texts as the database orders them here."""
    return int(value) if isinstance(value, str) and value.isdigit() else value


async def _check_filter(
    client: DataApiClient,
    method: Method,
    field: Field,
    key: str,
    whole: list[dict[str, Any]],
    params: dict[str, Any],
) -> None:
    """By null, and by the value of the first row that has one."""
    name = field.name
    place = (method.name, name)

    async def found(operator: str, value: Any = None) -> list[Any]:
        condition = {"field": name, "operator": operator} | ({} if value is None else {"value": value})
        rows = await rows_of(client, method, fields=[key], filter=condition, **params)
        return [row[key] for row in rows]

    def shown(test: Any) -> list[Any]:
        return [row[key] for row in whole if test(row[name])]

    assert await found("=null") == shown(lambda value: value in (None, [], {})), place
    value = next((row[name] for row in whole if row[name] not in (None, [], {})), None)
    if isinstance(value, dict) and "value_id" in value:
        for operator, same in (("=", True), ("!=", False)):
            hits = await found(operator, value["value_id"])
            assert hits == shown(lambda one, same=same: (one.get("value_id") == value["value_id"]) is same), (
                name
            )
        assert set(await found("jsquery", f'value = "{value["value"]}"')) >= set(
            shown(lambda one: one.get("value") == value["value"])
        )
    elif value is not None and not isinstance(value, list | dict):
        for operator, same in (("=", True), ("!=", False)):
            assert await found(operator, value) == shown(lambda one, same=same: (one == value) is same), place
    elif field.type in (FieldType.ARRAY, FieldType.OBJECT):
        assert len(await found("jsquery", "NOT $ IS STRING")) <= len(whole)
