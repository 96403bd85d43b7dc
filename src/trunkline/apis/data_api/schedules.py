"""Schedules: ``get``, ``create``, ``update``, ``delete.schedules``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

from trunkline.apis.data_api.change_methods import ID, create_method, delete_method, update_method
from trunkline.apis.data_api.lists import list_method
from trunkline.apis.jsonrpc import Params, ParamType, RequestContext
from trunkline.apis.jsonrpc.derive import override
from trunkline.core.errors import InvalidInput
from trunkline.db.query import is_moment
from trunkline.directory.model.hours import DayKind, clock, minutes
from trunkline.directory.schedules import changes as schedules
from trunkline.directory.schedules.rules import MAX_DAYS, MAX_RULES, check_dates, check_days, check_times

_STRING, _ARRAY = ParamType.STRING, ParamType.ARRAY
_NAME = override("name", maximum=255)
_COMBINATION = "invalid_parameters_combination"
_RULES = override(
    "schedules",
    maximum=MAX_RULES,
    params=(
        override(
            "activity_days",
            params=(override("days", items=ParamType.NUMBER, maximum=MAX_DAYS),),
        ),
        override(
            "activity_time",
            maximum=MAX_RULES,
            params=(
                override("time_from", description="HH:MM."),
                override("time_till", description="HH:MM, later; 24:00 is midnight."),
            ),
        ),
        override("activity_date_from", description="YYYY-MM-DD, the first day."),
        override("activity_date_till", description="YYYY-MM-DD, the last day."),
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
    with _refusing("activity_days.days", days):
        check_days(kind, days)
    first, last = _date(values, "activity_date_from"), _date(values, "activity_date_till")
    with _refusing("activity_date_till", values.get("activity_date_till"), _COMBINATION):
        check_dates(first, last)
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
    with _refusing("activity_time.time_till", values["time_till"], _COMBINATION):
        check_times(since, till)
    return {"from": clock(since), "till": clock(till)}


@contextmanager
def _refusing(field: str, value: Any, mnemonic: str | None = None) -> Iterator[None]:
    """What a rule of schedules refuses is the error of this parameter."""
    try:
        yield
    except ValueError as error:
        raise InvalidInput(str(error), mnemonic=mnemonic, field=f"schedules.{field}", value=value) from error


def _time(values: Mapping[str, str], name: str) -> int:
    with _refusing(f"activity_time.{name}", values[name], "invalid_date_time"):
        return minutes(values[name])


def _date(values: Mapping[str, Any], name: str) -> date | None:
    text = values.get(name)
    if text is None:
        return None
    with _refusing(name, text, "invalid_date_time"):
        try:
            if len(text) != len("YYYY-MM-DD") and not is_moment(text):
                raise ValueError(text)
            return date.fromisoformat(text[: len("YYYY-MM-DD")])
        except ValueError:
            raise ValueError(
                f"{text!r} is not a date; write YYYY-MM-DD, or an ISO 8601 time, whose date counts"
            ) from None


METHODS = (
    list_method("get.schedules", "Schedules and the rules by which they are open.", schedules.SCHEDULES),
    create_method("create.schedules", "Adds a schedule.", _create, params=(_NAME, _RULES)),
    update_method("update.schedules", "Renames a schedule.", _update, params=(ID, _NAME)),
    delete_method("delete.schedules", "Removes a schedule that nothing goes by.", _delete),
)
