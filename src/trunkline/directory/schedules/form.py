"""A schedule in a directory file."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Self

from psycopg.types.json import Jsonb
from pydantic import Field, field_serializer, model_validator

from trunkline.db.pool import Row
from trunkline.directory.exclusive import SCHEDULE_NAME
from trunkline.directory.forms.entity import Elsewhere, Entity, Json, ReadContext
from trunkline.directory.forms.fields import DAYS, Days, Item, TimeOfDay
from trunkline.directory.model.hours import DayKind, minutes
from trunkline.directory.schedules.rules import (
    MAX_DAYS,
    MAX_EXCEPTIONS,
    MAX_INTERVALS,
    MAX_RULES,
    MAX_TIMES,
    check_dates,
    check_days,
    check_times,
)

if TYPE_CHECKING:
    from trunkline.directory.forms.write_context import WriteContext


class IntervalForm(Item):
    """Open on these days from ``from`` until ``till``; an end at or before the start is on the next day."""

    days: Days
    from_: TimeOfDay = Field(alias="from")
    till: TimeOfDay

    @field_serializer("days")
    def _names(self, days: tuple[int, ...]) -> list[str]:
        return [DAYS[day - 1] for day in days]


class ExceptionForm(Item):
    """A date with other hours, or closed."""

    date: date
    closed: bool = False
    from_: TimeOfDay | None = Field(default=None, alias="from")
    till: TimeOfDay | None = None

    @model_validator(mode="after")
    def _either(self) -> Self:
        if self.closed != (self.from_ is None) or (self.from_ is None) != (self.till is None):
            raise ValueError("write either closed: true, or both from and till")
        return self


class TimesForm(Item):
    """From one time of a day until a later one."""

    from_: TimeOfDay = Field(alias="from")
    till: TimeOfDay

    @model_validator(mode="after")
    def _forward(self) -> Self:
        check_times(minutes(self.from_), minutes(self.till))
        return self


class DayRuleForm(Item):
    """Open at these times (none: all day) of the days chosen by ``type``, see :class:`.hours.DayKind`."""

    type: DayKind
    days: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1, max_length=MAX_DAYS)]
    times: Annotated[tuple[TimesForm, ...], Field(max_length=MAX_TIMES)] = ()
    first: date | None = None
    last: date | None = None
    anchor: date | None = None
    """First working day of a cycle."""

    @model_validator(mode="after")
    def _days(self) -> Self:
        check_days(self.type, self.days)
        check_dates(self.first, self.last)
        return self


class ScheduleForm(Item):
    name: Annotated[str, SCHEDULE_NAME] = ""
    open: Annotated[tuple[IntervalForm, ...], Field(max_length=MAX_INTERVALS), Elsewhere()] = ()
    exceptions: Annotated[tuple[ExceptionForm, ...], Field(max_length=MAX_EXCEPTIONS), Elsewhere()] = ()
    rules: Annotated[tuple[DayRuleForm, ...], Field(max_length=MAX_RULES), Json()] = ()


def _read(_context: ReadContext, row: Row) -> Mapping[str, Any]:
    return {"open": row["intervals"], "exceptions": row["exceptions"]}


def _values(context: WriteContext, key: str) -> Mapping[str, Any]:
    item: ScheduleForm = context.item("schedules", key)
    intervals = [{"days": list(each.days), "from": each.from_, "till": each.till} for each in item.open]
    exceptions = [
        {"date": each.date.isoformat(), "closed": True}
        if each.closed
        else {"date": each.date.isoformat(), "from": each.from_, "till": each.till}
        for each in item.exceptions
    ]
    return {"intervals": Jsonb(intervals), "exceptions": Jsonb(exceptions)}


ENTITIES = (Entity("schedules", ScheduleForm, "schedules", "schedule_id", read=_read, values=_values),)
