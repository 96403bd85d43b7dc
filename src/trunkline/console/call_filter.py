"""Filters of calls as people think of them: from the address of a page, as the filter of a report, and back. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import urlencode

from trunkline.console.formats import searched_digits
from trunkline.console.languages import translatable
from trunkline.core.errors import InvalidInput
from trunkline.core.id_text import id_in_text
from trunkline.reports.period import THREE_MONTHS, add_months

_ = translatable

PATH = "/console/calls"

_TEXT_MAX = 60


class When(StrEnum):
    """Named periods."""

    TODAY = "today"
    YESTERDAY = "yesterday"
    THIS_WEEK = "this_week"
    LAST_WEEK = "last_week"
    THIS_MONTH = "this_month"
    PERIOD = "period"


class Outcome(StrEnum):
    """How a call ended for its contact."""

    ANY = ""
    TALKED = "talked"
    LOST = "lost"
    NOT_CALLED_BACK = "not_called_back"


class Part(StrEnum):
    """What the chosen employee did in the call."""

    ANY = ""
    ANSWERED = "answered"
    MISSED = "missed"


@dataclass(frozen=True, slots=True)
class CallFilter:
    """:ivar first, last: days, both included; used with :attr:`When.PERIOD`.
    :ivar hour: of the day; None: all.
    :ivar until: time of day at which each day ends; None: midnight.
    :ivar number: a part of the contact's number, or of the number that was called; digits.
    :ivar words: a part of the contact's name.
    :ivar longer: seconds of talk, at least.
    :ivar internal: None: also calls between employees; False: without them.
    """

    when: When = When.TODAY
    first: date | None = None
    last: date | None = None
    hour: int | None = None
    until: time | None = None
    direction: str = ""
    outcome: Outcome = Outcome.ANY
    employee_id: int | None = None
    part: Part = Part.ANY
    number: str = ""
    words: str = ""
    longer: int | None = None
    tag_id: int | None = None
    queue_id: int | None = None
    reason: str = ""
    internal: bool | None = None

    def days(self, today: date) -> tuple[date, date]:
        """First and last day.

        :raises InvalidInput: it ends before it starts, or is longer than reports may be.
        """
        monday = today - timedelta(days=today.weekday())
        match self.when:
            case When.YESTERDAY:
                return today - timedelta(days=1), today - timedelta(days=1)
            case When.THIS_WEEK:
                return monday, today
            case When.LAST_WEEK:
                return monday - timedelta(days=7), monday - timedelta(days=1)
            case When.THIS_MONTH:
                return today.replace(day=1), today
            case When.PERIOD:
                first = self.first or self.last or today
                last = self.last or max(first, today)
                if last < first:
                    raise InvalidInput(_("The period ends before it starts."), field="last")
                begin = datetime.combine(first, time.min)
                if datetime.combine(last, time.min) > add_months(begin, THREE_MONTHS.months):
                    raise InvalidInput(_("Choose a period of at most three months."), field="last")
                return first, last
            case _:
                return today, today

    def moments(self, today: date) -> tuple[str, str]:
        """First and last second of the period, as reports take them."""
        first, last = self.days(today)
        begin, end = time.min, time(23, 59, 59)
        if self.hour is not None and first == last:
            begin, end = time(self.hour), time(self.hour, 59, 59)
        if self.until is not None and first == last:
            end = min(end, self.until)
        return f"{first} {begin}", f"{last} {end}"

    def report_filter(self) -> dict[str, Any]:
        """In the form of the reports of the Data API."""
        found: list[dict[str, Any]] = []

        def add(field: str, operator: str, value: Any) -> None:
            found.append({"field": field, "operator": operator, "value": value})

        if self.direction:
            add("direction", "=", self.direction)
        if self.outcome is Outcome.TALKED:
            add("is_lost", "=", False)
        elif self.outcome is not Outcome.ANY:
            add("is_lost", "=", True)
        if self.outcome is Outcome.NOT_CALLED_BACK:
            found.append({"field": "lost_call_processing_duration", "operator": "=null"})
        if self.employee_id is not None and self.part is Part.ANY:
            add("employee_id", "=", self.employee_id)
        elif self.employee_id is not None:
            answered = "true" if self.part is Part.ANSWERED else "false"
            add("employees", "jsquery", f"#(employee_id = {self.employee_id} AND is_answered = {answered})")
        if self.longer is not None:
            add("talk_duration", ">=", self.longer)
        if self.tag_id is not None:
            add("tags", "=", self.tag_id)
        if self.queue_id is not None:
            add("queues", "=", self.queue_id)
        if self.reason:
            add("finish_reason", "=", self.reason)
        if self.internal is not None:
            add("is_internal", "=", self.internal)
        if self.words:
            add("contact_full_name", "regexp", f"(?i){re.escape(self.words)}")
        if self.number:
            fields = ("contact_phone_number", "virtual_phone_number", "operator_phone_number")
            likes = [{"field": one, "operator": "like", "value": f"%{self.number}%"} for one in fields]
            found.append({"filters": likes, "condition": "or"})
        return {"filters": found, "condition": "and"}

    @property
    def query(self) -> dict[str, str]:
        """As the parameters of the page's address; what is as usual is left out."""
        values = {
            "when": "" if self.when is When.TODAY else self.when.value,
            "first": self.first.isoformat() if self.first and self.when is When.PERIOD else "",
            "last": self.last.isoformat() if self.last and self.when is When.PERIOD else "",
            "hour": "" if self.hour is None else str(self.hour),
            "until": "" if self.until is None else self.until.strftime("%H:%M:%S"),
            "direction": self.direction,
            "outcome": self.outcome.value,
            "employee": "" if self.employee_id is None else str(self.employee_id),
            "part": self.part.value,
            "number": self.number,
            "words": self.words,
            "longer": "" if self.longer is None else str(self.longer),
            "tag": "" if self.tag_id is None else str(self.tag_id),
            "queue": "" if self.queue_id is None else str(self.queue_id),
            "reason": self.reason,
            "internal": "" if self.internal is None else str(int(self.internal)),
        }
        return {name: value for name, value in values.items() if value}

    @property
    def is_narrowed(self) -> bool:
        """Whether more is chosen than a named period."""
        return bool(self.query.keys() - {"when"}) or self.when is When.PERIOD

    def path(self, **changes: Any) -> str:
        """The address of the page with this filter, and changes of it."""
        query = replace(self, **changes).query
        return f"{PATH}?{urlencode(query)}" if query else PATH


def _time_of_day(text: str) -> time:
    """:raises ValueError: it is none, or one of another time zone."""
    found = time.fromisoformat(text)
    if found.tzinfo is not None:
        raise ValueError(f"{text} has a time zone")
    return found.replace(microsecond=0)


def parse(query: Mapping[str, str]) -> CallFilter:
    """The filter of a page's address.

    :raises InvalidInput: a value that a form cannot have.
    """
    direction = query.get("direction", "")
    if direction not in ("", "in", "out"):
        raise _wrong("direction")
    reason = query.get("reason", "")
    if reason and not (reason.isascii() and reason.isidentifier() and len(reason) <= _TEXT_MAX):
        raise _wrong("reason")
    hour = _number(query, "hour")
    if hour is not None and hour > 23:
        raise _wrong("hour")
    first, last = _day(query, "first"), _day(query, "last")
    try:
        when = When(query.get("when") or (When.PERIOD if first or last else When.TODAY))
        outcome, part = Outcome(query.get("outcome", "")), Part(query.get("part", ""))
        until = _time_of_day(query["until"]) if query.get("until") else None
    except ValueError as error:
        raise _wrong("when") from error
    internal = query.get("internal", "")
    return CallFilter(
        when=when,
        first=first,
        last=last,
        hour=hour,
        until=until,
        direction=direction,
        outcome=outcome,
        employee_id=_number(query, "employee"),
        part=part,
        number=searched_digits(query.get("number", ""))[:20],
        words=query.get("words", "").strip().replace("\0", "")[:_TEXT_MAX],
        longer=_number(query, "longer"),
        tag_id=_number(query, "tag"),
        queue_id=_number(query, "queue"),
        reason=reason,
        internal=None if internal == "" else internal == "1",
    )


def _number(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name, "").strip()
    if not text:
        return None
    number = id_in_text(text)
    if number is None:
        raise _wrong(name)
    return number


def _day(query: Mapping[str, str], name: str) -> date | None:
    text = query.get(name, "").strip()
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise _wrong(name) from error
    if not 2000 <= day.year <= 2100:
        raise _wrong(name)
    return day


def _wrong(name: str) -> InvalidInput:
    return InvalidInput(
        _("The address of the page has a value that cannot be used: choose again."), field=name
    )
