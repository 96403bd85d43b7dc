"""Schedules: ``get``, ``create``, ``update``, ``delete.schedules``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from trunkline.apis.data_api.change_methods import ID, create_method, delete_method, update_method
from trunkline.apis.data_api.lists import list_method
from trunkline.apis.jsonrpc import Params, ParamType, RequestContext
from trunkline.apis.jsonrpc.derive import given
from trunkline.core.errors import InvalidInput
from trunkline.db.query import is_moment
from trunkline.directory.model.hours import DayKind, are_days, clock, minutes
from trunkline.directory.schedules import changes as schedules

_STRING, _ARRAY = ParamType.STRING, ParamType.ARRAY
_NAME = given("name", maximum=255)
_MAX_RULES = 100
_RULES = given(
    "schedules",
    maximum=_MAX_RULES,
    params=(
        given(
            "activity_days",
            params=(given("days", items=ParamType.NUMBER, maximum=31),),
        ),
        given(
            "activity_time",
            maximum=_MAX_RULES,
            params=(
                given("time_from", description="HH:MM."),
                given("time_till", description="HH:MM, later; 24:00 is midnight."),
            ),
        ),
        given("activity_date_from", description="YYYY-MM-DD, the first day."),
        given("activity_date_till", description="YYYY-MM-DD, the last day."),
    ),
    description="Open when one of these rules says so.",
)


async def _create(request: RequestContext, params: Params) -> int:
    today = datetime.now(request.caller.time_zone).date()
    values = params["schedules"]
    if not values:
        raise InvalidInput(
            "give one rule at least: a schedule without any is never open", field="schedules", value=[]
        )
    rules = [_rule(rule, today) for rule in values]
    return await schedules.create_schedule(request.services.db, request.account_id, params["name"], rules)


async def _update(request: RequestContext, params: Params) -> None:
    await schedules.rename_schedule(request.services.db, request.account_id, params["id"], params["name"])


async def _delete(request: RequestContext, params: Params) -> None:
    await schedules.delete_schedule(request.services.db, request.account_id, params["id"])


def _rule(values: Mapping[str, Any], today: date) -> dict[str, Any]:
    """As the table keeps it. A cycle begins with its first day, else with the day it was made."""
    kind, days = DayKind(values["activity_days"]["type"]), values["activity_days"]["days"]
    if not are_days(kind, days):
        raise InvalidInput(
            f"these are no days of the type {kind.value}", field="schedules.activity_days.days", value=days
        )
    first, last = _date(values, "activity_date_from"), _date(values, "activity_date_till")
    if first and last and last < first:
        raise InvalidInput(
            "activity_date_till is before activity_date_from",
            mnemonic="invalid_parameters_combination",
            field="schedules.activity_date_till",
            value=values["activity_date_till"],
        )
    return {
        "type": kind.value,
        "days": days,
        "times": [_time_range(times) for times in values.get("activity_time", ())],
        "first": first and first.isoformat(),
        "last": last and last.isoformat(),
        "anchor": (first or today).isoformat() if kind is DayKind.CYCLE else None,
    }


def _time_range(values: Mapping[str, str]) -> dict[str, str]:
    since, till = _time(values, "time_from"), _time(values, "time_till")
    if till <= since:
        raise InvalidInput(
            "time_till must be later than time_from; write a night as two ranges",
            mnemonic="invalid_parameters_combination",
            field="schedules.activity_time.time_till",
            value=values["time_till"],
        )
    return {"from": clock(since), "till": clock(till)}


def _time(values: Mapping[str, str], name: str) -> int:
    try:
        return minutes(values[name])
    except ValueError as error:
        field = f"schedules.activity_time.{name}"
        raise InvalidInput(
            str(error), mnemonic="invalid_date_time", field=field, value=values[name]
        ) from error


def _date(values: Mapping[str, Any], name: str) -> date | None:
    text = values.get(name)
    if text is None:
        return None
    try:
        if len(text) != len("YYYY-MM-DD") and not is_moment(text):
            raise ValueError(text)
        return date.fromisoformat(text[: len("YYYY-MM-DD")])
    except ValueError as error:
        raise InvalidInput(
            f"{text!r} is not a date; write YYYY-MM-DD, or an ISO 8601 time, whose date counts",
            mnemonic="invalid_date_time",
            field=f"schedules.{name}",
            value=text,
        ) from error


METHODS = (
    list_method("get.schedules", "Schedules and the rules by which they are open.", schedules.SCHEDULES),
    create_method("create.schedules", "Adds a schedule.", _create, params=(_NAME, _RULES)),
    update_method("update.schedules", "Renames a schedule.", _update, params=(ID, _NAME)),
    delete_method("delete.schedules", "Removes a schedule that nothing goes by.", _delete),
)
