"""Call sessions of a long past, with their legs and what these cost: lifelike, skewed, made by PostgreSQL itself.

One account has the rows that are asked for, four smaller ones share a tenth more. Months are filled side by side: each is
loaded as a separate table, indexed as the partitioned table is, and then attached. Phone numbers begin with 999, a
unassigned country code.

Who and what is skewed: few employees, contacts, tags and scenarios have most of the calls; office hours have most of
them; one in six incoming calls is lost, one in sixteen is handed over, three in ten have one or two tags.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate, pairwise

import psycopg
from psycopg import sql

from trunkline.core.ids import EPOCH_MS, first_id_at

MONTHS = 24
RECORDED_MONTHS = 3
"""The last ones, whose answered calls have a recording; older ones were deleted."""
EMPLOYEES = 60
TAGS = 20
SCENARIOS = 12
FIRST_EMPLOYEE, FIRST_TAG, FIRST_SCENARIO = 4001, 12001, 5001
SMALL_SHARES = (0.06, 0.025, 0.01, 0.005)
"""What the other accounts have, of the big one's rows."""
SOME_NAMES = (
    "Stone Mira",
    "Okafor Ben",
    "Lindqvist Ida",
    "Haddad Lena",
    "Novak Petr",
    "Silva Ana",
    "Kato Jun",
    "Diallo Awa",
)
"""Of employees, each with a number behind it."""

_TABLES = ("call_sessions", "call_legs", "leg_charges")
_HANDS = 2
"""Months filled concurrently: PostgreSQL uses a core for each."""


@dataclass(frozen=True)
class Month:
    """A calendar month in UTC, up to ``end``."""

    start: datetime
    end: datetime

    @property
    def name(self) -> str:
        return f"{self.start.year:04}_{self.start.month:02}"

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()


def months_until(now: datetime) -> list[Month]:
    """The last :data:`MONTHS` months, the current one up to ``now``."""
    count = now.year * 12 + now.month - 1
    starts = [datetime(n // 12, n % 12 + 1, 1, tzinfo=UTC) for n in range(count - MONTHS + 1, count + 2)]
    return [Month(one, min(two, now)) for one, two in pairwise(starts)]


def contacts(sessions: int) -> int:
    """How many numbers call an account with so many sessions, and are called."""
    return max(sessions // 8, 1000)


def split_by_weight(total: int, weights: Sequence[float]) -> list[int]:
    """Split a whole number by weight; the sum of the parts is ``total`` for all weights.

    Rounds the running sum instead of each part: parts that are rounded one by one may add up to more or less.
    """
    whole = sum(weights)
    bounds = [0, *(round(total * one / whole) for one in accumulate(weights))]
    bounds[-1] = total
    return [end - start for start, end in pairwise(bounds)]


async def fill(dsn: str, accounts: Sequence[int], sessions: int, now: datetime) -> None:
    """Replace all call sessions, legs and charges by ``sessions`` of the first account and a tenth more of the others.

    :param accounts: ids of accounts that are there: five.
    :param now: no call starts later.
    """
    months = months_until(now)
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute("truncate recordings, call_counts cascade")
        for month in months:
            for table in _TABLES:
                await connection.execute(f"drop table if exists {table}_{month.name}".encode())
        indexes = {table: await _indexes(connection, table) for table in _TABLES}
    weights = [month.seconds for month in months]
    shares = [split_by_weight(round(sessions * share), weights) for share in (1.0, *SMALL_SHARES)]
    waiting = list(enumerate(months))

    async def hand() -> None:
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            while waiting:
                number, month = waiting.pop()
                counts = [(account, share[number]) for account, share in zip(accounts, shares, strict=True)]
                await _fill_month(connection, number, month, counts, contacts(sessions), indexes)

    await asyncio.gather(*(hand() for _ in range(_HANDS)))
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute("vacuum (analyze) recordings, call_counts")


async def _indexes(connection: psycopg.AsyncConnection[tuple[str]], table: str) -> list[str]:
    """Statements that make the indexes of a partitioned table, with ``{}`` for the partition."""
    found = await connection.execute(
        "select indexdef from pg_indexes where schemaname = 'public' and tablename = %s", (table,)
    )
    return [re.sub(r"INDEX \S+ ON ONLY \S+", "INDEX ON {}", row[0]) async for row in found]


async def _fill_month(
    connection: psycopg.AsyncConnection[tuple[str]],
    number: int,
    month: Month,
    counts: Sequence[tuple[int, int]],
    contacts: int,
    indexes: dict[str, list[str]],
) -> None:
    await connection.execute(
        "set work_mem = '256MB'; set maintenance_work_mem = '512MB'; set synchronous_commit = off"
    )
    await connection.execute("select setseed(%s)", (number / 1000,))
    kind = "table" if number == MONTHS - 1 else "unlogged table"  # calls that come are as safe as ever
    for table in _TABLES:
        await connection.execute(
            f"create {kind} {table}_{month.name} (like {table} including defaults including constraints)".encode()
        )
    names = {
        "month": sql.Identifier(f"call_sessions_{month.name}"),
        "legs": sql.Identifier(f"call_legs_{month.name}"),
        "charges": sql.Identifier(f"leg_charges_{month.name}"),
        "epoch": sql.Literal(EPOCH_MS),
        "employee": sql.Literal(FIRST_EMPLOYEE),
        "tag": sql.Literal(FIRST_TAG),
        "scenario": sql.Literal(FIRST_SCENARIO),
    }
    for account, count in counts:
        values = {
            "account": account, "count": count, "start": month.start, "seconds": month.seconds,
            "names": list(SOME_NAMES), "employees": EMPLOYEES, "tags": TAGS, "scenarios": SCENARIOS,
            "contacts": contacts,
        }  # fmt: skip
        await connection.execute(_SESSIONS.format(**names), values)
    for statement in (_LEGS, _CHARGES):
        await connection.execute(statement.format(**names), {})
    await connection.execute(_COUNTS.format(**names), {})
    if number >= MONTHS - RECORDED_MONTHS:
        await connection.execute(_RECORDINGS.format(**names), {})
    for table in _TABLES:
        partition = f"{table}_{month.name}"
        for made in indexes[table]:
            await connection.execute(made.format(partition).encode())
        first, end = (first_id_at(int(moment.timestamp() * 1000)) for moment in (month.start, _after(month)))
        await connection.execute(
            f"alter table {table} attach partition {partition} for values from ({first}) to ({end})".encode()
        )
        await connection.execute(f"vacuum (analyze, freeze) {partition}".encode())


def _after(month: Month) -> datetime:
    """Start of the next month."""
    return month.start.replace(
        year=month.start.year + month.start.month // 12, month=month.start.month % 12 + 1
    )


_SESSIONS = sql.SQL("""
insert into {month} (
    account_id, call_session_id, node, start_time, finish_time, first_answer_time, talk_start_time, direction, source,
    finish_reason, is_lost, is_transfer, virtual_number_id, virtual_phone_number, contact_phone_number, contact_id,
    contact_full_name, operator_phone_number, scenario_id, scenario_name, scenario_operations, communication_number,
    wait_duration, total_wait_duration, talk_duration, clean_talk_duration, total_duration, postprocess_duration,
    lost_call_processing_duration, employees, first_answered_employee_id, first_answered_employee_full_name,
    last_answered_employee_id, last_answered_employee_full_name, first_talked_employee_id, first_talked_employee_full_name,
    last_talked_employee_id, last_talked_employee_full_name, tags, attributes, country_code, region_name, external_id,
    extra)
with moments as (
    select i, %(start)s::timestamptz + make_interval(secs => floor(least(
        floor(random() * (%(seconds)s / 86400)) * 86400
        + case when random() < 0.9 then 25200 + 39600 * (random() + random()) / 2 else 86399 * random() end,
        %(seconds)s - 1))) + make_interval(secs => (i %% 1000) / 1000.0) as start
    from generate_series(1, %(count)s::int) i
), dice as (
    select start, i / 128000 %% 64 as node,
        (((extract(epoch from start) * 1000)::bigint - {epoch}) << 13) | ((i / 128000 %% 64) << 7) | (i / 1000 %% 128) as id,
        case when random() < 0.75 then 'in' else 'out' end as direction,
        random() as luck, random() < 0.06 as handed_over,
        floor(%(employees)s * random() ^ 2.2)::int as one, floor(%(employees)s * random())::int as other,
        floor(%(contacts)s * random() ^ 3)::int as contact, floor(%(scenarios)s * random() ^ 2)::int as scenario,
        (3 + 40 * random() ^ 2)::int as wait, (5 + 900 * random() ^ 3)::int as talk,
        case when random() < 0.3 then floor(%(tags)s * random() ^ 2)::int end as tag,
        case when random() < 0.2 then floor(%(tags)s * random() ^ 2)::int end as second_tag, random() as visit
    from moments order by start
), calls as (
    select *, luck > 0.17 as answered, direction = 'in' and luck <= 0.17 as lost,
        (%(names)s::text[])[one %% 8 + 1] || ' ' || one as name, (%(names)s::text[])[other %% 8 + 1] || ' ' || other as name2
    from dice
)
select %(account)s, id, node, start,
    start + make_interval(secs => wait + case when answered then talk else 0 end),
    case when answered then start + make_interval(secs => wait) end,
    case when answered then start + make_interval(secs => wait) end,
    direction, case when direction = 'in' then 'va' else 'callapi' end,
    case when answered then case when luck < 0.6 then 'caller_disconnects' else 'numb_disconnects' end
        else 'operator_not_responsive' end,
    lost, handed_over and answered, 7001 + scenario, '9990000' || lpad(scenario::text, 5, '0'),
    '999' || lpad(contact::text, 9, '0'), case when contact %% 4 = 0 then 13001 + contact end,
    case when contact %% 4 = 0 then 'Contact ' || contact end, (100 + one)::text,
    case when direction = 'in' then {scenario} + scenario end, case when direction = 'in' then 'Scenario ' || scenario end,
    case when direction = 'in' then jsonb_build_array(jsonb_build_object('id', 6001 + scenario, 'name', 'Greeting'),
        jsonb_build_object('id', 6101 + scenario, 'name', 'Ring the desk')) else '[]' end,
    (1 + 8 * random() ^ 4)::int,
    wait, wait, case when answered then talk else 0 end, case when answered then talk else 0 end,
    wait + case when answered then talk else 0 end, 0, case when lost then (60 + 9000 * random())::int end,
    jsonb_build_array(jsonb_build_object('employee_id', {employee} + one, 'employee_full_name', name,
        'is_answered', answered, 'is_talked', answered))
        || case when handed_over and answered and other <> one then jsonb_build_array(jsonb_build_object(
            'employee_id', {employee} + other, 'employee_full_name', name2, 'is_answered', true, 'is_talked', true))
            else '[]' end,
    case when answered then {employee} + one end, case when answered then name end,
    case when answered then {employee} + case when handed_over then other else one end end,
    case when answered then case when handed_over then name2 else name end end,
    case when answered then {employee} + one end, case when answered then name end,
    case when answered then {employee} + case when handed_over then other else one end end,
    case when answered then case when handed_over then name2 else name end end,
    case when tag is null then '[]' else jsonb_build_array(jsonb_build_object('tag_id', {tag} + tag, 'tag_name',
        'Tag ' || tag, 'tag_type', 'manual', 'tag_change_time', to_char(start, 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
        'tag_user_id', 2001, 'tag_user_login', 'desk', 'tag_employee_id', {employee} + one, 'tag_employee_full_name', name))
        end || case when tag is null or second_tag is null or second_tag = tag then '[]' else jsonb_build_array(
        jsonb_build_object('tag_id', {tag} + second_tag, 'tag_name', 'Tag ' || second_tag, 'tag_type', 'auto',
        'tag_change_time', to_char(start, 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))) end,
    case when lost then array['lost'] when talk > 300 then array['target', 'quality'] else array[]::text[] end,
    'AE', case when contact %% 3 = 0 then 'Dubai' end, case when direction = 'out' then 'order-' || contact end,
    case when visit < 0.3 then jsonb_build_object('site_id', 1 + floor(visit * 20)::int,
        'campaign_id', 1 + floor(visit * 100)::int, 'utm_source', 'source-' || floor(visit * 30))
        else jsonb_build_object() end
from calls
""")

_LEGS = sql.SQL("""
insert into {legs} (
    account_id, call_session_id, leg_id, start_time, answer_time, finish_time, direction, calling_phone_number,
    called_phone_number, virtual_phone_number, is_operator, is_transfered, is_failed, is_talked, employee_id,
    employee_full_name, employee_phone_number, scenario_id, scenario_name, contact_id, contact_full_name,
    contact_phone_number, finish_reason, release_cause_code, duration, total_duration)
with parts as (
    select m.*, position, case position when 0 then 0 when 1 then 0 else wait_duration + talk_duration / 2 end as since,
        case when position = 1 and is_transfer and jsonb_array_length(employees) > 1 then wait_duration + talk_duration / 2
            else total_duration end as until
    from {month} m,
        generate_series(0, case when is_transfer and jsonb_array_length(employees) > 1 then 2 else 1 end) position
)
select account_id, call_session_id, call_session_id * 4 + position, start_time + make_interval(secs => since),
    greatest(first_answer_time, start_time + make_interval(secs => since)), start_time + make_interval(secs => until),
    case when position > 0 then 'out' else direction end,
    case when position = 0 and direction = 'out' then virtual_phone_number else contact_phone_number end,
    case when position > 0 then operator_phone_number when direction = 'in' then virtual_phone_number
        else contact_phone_number end,
    virtual_phone_number, position > 0, position > 1, first_answer_time is null and (position > 0 or direction = 'out'),
    first_answer_time is not null, (employees -> nullif(position, 0) - 1 ->> 'employee_id')::bigint,
    employees -> nullif(position, 0) - 1 ->> 'employee_full_name', case when position > 0 then operator_phone_number end,
    scenario_id, scenario_name, contact_id, contact_full_name, contact_phone_number, finish_reason,
    case when first_answer_time is null then 19 else 16 end,
    case when first_answer_time is not null then until - greatest(since, wait_duration) end, until - since
from parts
""")
"""The contact's leg, the employee's, and of calls that were handed over one more, which shares the talk."""

_CHARGES = sql.SQL("""
insert into {charges} (
    account_id, call_session_id, leg_id, start_time, direction, source, calling_phone_number, called_phone_number, duration,
    chargeable_duration, direction_type, cost_per_minute, connection_fee, total_charge, currency, prefix, rated_at)
with priced as (
    select l.*, m.source, coalesce(l.duration, 0) as talked, case when not l.is_operator then
        case l.direction when 'in' then 0.02 else 0.05 + right(l.contact_phone_number, 1)::int * 0.03 end end as price
    from {legs} l join {month} m using (account_id, call_session_id)
)
select account_id, call_session_id, leg_id, start_time, direction, source, calling_phone_number, called_phone_number, talked,
    case when price is null then 0 else ceil(talked / 60.0) * 60 end,
    case when price is null then 'local' else 'international' end,
    price, case when price > 0 and talked > 0 then 0.01 else 0 end,
    case when price > 0 and talked > 0 then ceil(talked / 60.0) * price + 0.01 else 0 end, 'AED',
    case when price is not null then '999' end, finish_time
from priced
""")
"""As a rater would have written them: every leg is charged, those to devices of the PBX with nothing."""

_COUNTS = sql.SQL("""
insert into call_counts
select account_id, date_trunc('hour', start_time, 'UTC'), direction, is_lost, finish_time is not null, count(*)
from {month} group by 1, 2, 3, 4, 5
""")
"""What the triggers of the partitioned table would have counted."""

_RECORDINGS = sql.SQL("""
insert into recordings (account_id, recording_id, call_session_id, kind, status, wav_path, mp3_path, created_at)
select account_id, md5(account_id || ':' || call_session_id), call_session_id, 'talk', 'ready', 'a.wav', 'a.mp3', finish_time
from {month} where first_answer_time is not null
""")
