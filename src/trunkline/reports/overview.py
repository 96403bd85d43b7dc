"""A period in figures: calls in, out and lost, by hour, by employee and by reason, in one statement.

Calls between employees are not counted, and neither are calls that still live. A lost call is one of a contact that nobody
talked to; it is called back when a later call with the contact was not lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from trunkline.core.errors import TrunklineError
from trunkline.db.pool import Database
from trunkline.reports.calls import PROCESSING_DURATION
from trunkline.reports.period import Period, condition

SERVICE_SECONDS = 20
"""A call in that is answered within this time counts for the service level."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of a period.

    :ivar answer_seconds: mean waiting time of the answered calls in; None: there was none.
    :ivar in_time: answered calls in that waited no longer than :data:`SERVICE_SECONDS`.
    """

    incoming: int
    outgoing: int
    reached: int
    lost: int
    not_called_back: int
    answer_seconds: float | None
    in_time: int
    talk_seconds: int

    @property
    def service_level(self) -> float | None:
        """Share of the calls in that were answered in time; None: there was no call in."""
        return self.in_time / self.incoming if self.incoming else None


@dataclass(frozen=True, slots=True)
class Hour:
    """Calls that started in an hour of the day (0 to 23, by the zone)."""

    hour: int
    incoming: int
    lost: int
    outgoing: int


@dataclass(frozen=True, slots=True)
class PersonFigures:
    """Of an employee.

    :ivar missed: calls in that rang at the employee and were not answered there.
    :ivar talk_seconds: of the employee's own talks with contacts; of an uploaded call, and of one that ended before each
        employee's talks were stored, the whole talk if it was the last to talk.
    """

    employee_id: int
    name: str
    answered: int
    missed: int
    outgoing: int
    talk_seconds: int


@dataclass(frozen=True, slots=True)
class ReasonFigures:
    """Lost calls of one finish reason."""

    reason: str
    calls: int


@dataclass(frozen=True, slots=True)
class Overview:
    """A period in figures."""

    figures: Figures
    hours: tuple[Hour, ...]
    people: tuple[PersonFigures, ...]
    reasons: tuple[ReasonFigures, ...]


_OVERVIEW = f"""
with calls as materialized (
    select s.account_id, s.call_session_id, s.start_time, s.finish_time, s.direction, s.is_internal,
        s.direction = 'in' and coalesce(s.is_lost, false) as is_lost, s.finish_reason, s.wait_duration, s.talk_duration,
        s.employees, s.employee_talks, s.last_talked_employee_id, s.contact_phone_number, s.lost_call_processing_duration,
        coalesce(s.is_lost, false) as is_unreached
    from call_sessions s
    where s.account_id = %(account_id)s and {condition("s")} and s.finish_time is not null and not s.is_internal
        and (%(employee_id)s::bigint is null or s.employees @> %(employee)s::jsonb)
)
select
    (select jsonb_build_object(
        'incoming', count(*) filter (where s.direction = 'in'),
        'outgoing', count(*) filter (where s.direction = 'out'),
        'reached', count(*) filter (where s.direction = 'out' and not s.is_unreached),
        'lost', count(*) filter (where s.is_lost),
        'not_called_back', count(*) filter (where s.is_lost and {PROCESSING_DURATION} is null),
        'answer_seconds', avg(s.wait_duration) filter (where s.direction = 'in' and not s.is_lost),
        'in_time', count(*) filter (
            where s.direction = 'in' and not s.is_lost and s.wait_duration <= %(service_seconds)s),
        'talk_seconds', coalesce(sum(s.talk_duration), 0)) from calls s where s.account_id = %(account_id)s) as figures,
    (select jsonb_agg(to_jsonb(h) order by h.hour) from (
        select extract(hour from s.start_time at time zone %(zone)s)::int as hour,
            count(*) filter (where s.direction = 'in') as incoming, count(*) filter (where s.is_lost) as lost,
            count(*) filter (where s.direction = 'out') as outgoing
        from calls s where s.account_id = %(account_id)s group by 1) h) as hours,
    (select jsonb_agg(to_jsonb(p) order by p.answered + p.outgoing desc, p.name) from (
        select (e ->> 'employee_id')::bigint as employee_id, max(e ->> 'employee_full_name') as name,
            count(*) filter (where s.direction = 'in' and (e ->> 'is_answered')::boolean) as answered,
            count(*) filter (where s.direction = 'in' and not (e ->> 'is_answered')::boolean) as missed,
            count(*) filter (where s.direction = 'out') as outgoing,
            coalesce(sum(case
                when s.employee_talks is not null then (s.employee_talks ->> (e ->> 'employee_id'))::int
                when (e ->> 'employee_id')::bigint = s.last_talked_employee_id then s.talk_duration
            end), 0) as talk_seconds
        from calls s cross join jsonb_array_elements(s.employees) e
        where s.account_id = %(account_id)s and e ->> 'employee_id' is not null
            and (%(employee_id)s::bigint is null or (e ->> 'employee_id')::bigint = %(employee_id)s)
        group by 1) p) as people,
    (select jsonb_agg(to_jsonb(r) order by r.calls desc, r.reason) from (
        select coalesce(s.finish_reason, '') as reason, count(*) as calls
        from calls s where s.account_id = %(account_id)s and s.is_lost group by 1) r) as reasons
"""


async def read_overview(
    db: Database,
    account_id: int,
    start: datetime,
    end: datetime,
    zone: str,
    employee_id: int | None = None,
) -> Overview:
    """The figures of a period.

    :param zone: by which hours are counted (IANA name).
    :param employee_id: only calls in which this employee took part; None: all.
    """
    row = await db.fetch_one(
        _OVERVIEW,
        {
            **Period(start, end).params,
            "account_id": account_id,
            "zone": zone,
            "employee_id": employee_id,
            "employee": f'[{{"employee_id": {employee_id or 0}}}]',
            "service_seconds": SERVICE_SECONDS,
        },
    )
    if row is None:
        raise TrunklineError("the overview has no row")
    return Overview(
        Figures(**row["figures"]),
        _many(Hour, row["hours"]),
        _many(PersonFigures, row["people"]),
        _many(ReasonFigures, row["reasons"]),
    )


def _many(kind: type[Any], rows: list[dict[str, Any]] | None) -> tuple[Any, ...]:
    return tuple(kind(**one) for one in rows or ())
