"""The period of a report: ``date_from`` and ``date_till`` in the account's zone, both seconds included.

A period is at most three calendar months, unless a report's page has another limit. A report of calls reads monthly
partitions by id, so a period also gives the range of its call session ids.
"""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from trunkline.core.clock import to_datetime
from trunkline.core.errors import InvalidInput
from trunkline.core.ids import EPOCH_MS, first_id_at
from trunkline.db.query import FORMATS, Moment, parse_moment


@dataclass(frozen=True, slots=True)
class Span:
    """How long a period may be, by the account's calendar."""

    months: int = 0
    days: int = 0

    def __str__(self) -> str:
        return f"{self.months} months" if self.months else f"{self.days} days"


THREE_MONTHS = Span(months=3)
_MARGIN = timedelta(days=1)
"""Difference between the time inside a session's id and the times of its rows: a leg may start long after its
session, and the clocks of nodes differ."""

_FIRST_DAY = to_datetime(EPOCH_MS / 1000)
"""Uploaded calls from before it have ids of that day."""


@dataclass(frozen=True, slots=True)
class Period:
    """Half-open: from ``start`` (aware, UTC) up to ``end``."""

    start: datetime
    end: datetime

    @property
    def params(self) -> dict[str, Any]:
        """What :func:`condition` refers to by name."""
        return {
            "period_start": self.start,
            "period_end": self.end,
            "first_id": _id_at(self.start - _MARGIN),
            "end_id": _id_at(max(self.end, _FIRST_DAY) + _MARGIN),
        }


def condition(table: str) -> str:
    """SQL: the row of ``table`` (call sessions or legs) started in the period."""
    return (
        f"{table}.start_time >= %(period_start)s and {table}.start_time < %(period_end)s"
        f" and {table}.call_session_id >= %(first_id)s and {table}.call_session_id < %(end_id)s"
    )


def date_condition(table: str) -> str:
    """SQL: the row of ``table`` (what is not kept by call session) has its ``date_time`` in the period."""
    return f"{table}.date_time >= %(period_start)s and {table}.date_time < %(period_end)s"


def parse_period(params: Mapping[str, Any], zone: ZoneInfo, longest: Span = THREE_MONTHS) -> Period:
    """The period that ``date_from`` and ``date_till`` (``YYYY-MM-DD hh:mm:ss``, required) name.

    :raises InvalidInput: ``required_parameter_missed``, ``data_type_error``, ``invalid_parameter_value``
        (not a time), ``invalid_parameters_combination`` (it ends before it starts),
        ``date_interval_limit_reached``.
    """
    first = _moment(params, "date_from", zone)
    last = _moment(params, "date_till", zone)
    if first.earliest > last.earliest:
        raise InvalidInput(
            "date_till is before date_from",
            mnemonic="invalid_parameters_combination",
            field="date_till",
            value=params["date_till"],
        )
    local = first.earliest.astimezone(zone).replace(tzinfo=None)
    latest = add_months(local, longest.months) + timedelta(days=longest.days)
    if last.earliest.astimezone(zone).replace(tzinfo=None) > latest:
        raise InvalidInput(
            f"ask for at most {longest} at once",
            mnemonic="date_interval_limit_reached",
            field="date_till",
            value=params["date_till"],
        )
    return Period(first.earliest, last.end)


def add_months(local: datetime, months: int) -> datetime:
    """The same wall-clock time ``months`` later, on the month's last day when that day does not exist."""
    count = local.year * 12 + local.month - 1 + months
    year, month = divmod(count, 12)
    day = min(local.day, calendar.monthrange(year, month + 1)[1])
    return local.replace(year=year, month=month + 1, day=day)


def _moment(params: Mapping[str, Any], name: str, zone: ZoneInfo) -> Moment:
    text = params.get(name)
    if text is None:
        raise InvalidInput(f"send {name}: {FORMATS}", mnemonic="required_parameter_missed", field=name)
    if not isinstance(text, str):
        raise InvalidInput(
            f"{name} is a string: {FORMATS}", mnemonic="data_type_error", field=name, value=text
        )
    try:
        return parse_moment(text, zone)
    except ValueError as error:
        raise InvalidInput(f"{name}: {error}", field=name, value=text) from error


def _id_at(moment: datetime) -> int:
    return first_id_at(int(moment.timestamp() * 1000))
