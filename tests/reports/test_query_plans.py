"""The plans of the usual reports: an index leads to the rows, and months that were not asked for stay closed.

Guards what a change of a condition, an index, or a policy takes away without any wrong row: a report that reads the whole
history of an account.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg import sql
from psycopg.adapt import PyFormat, Transformer

from tests.apis.data_api.client import open_client
from tests.reports.company import ACCOUNT
from trunkline.bench import synthetic
from trunkline.bench.questions import EMPLOYEE, Question, questions
from trunkline.db.one_trip import numbered
from trunkline.db.pool import Connection, Database
from trunkline.db.query import Page, fetch_page
from trunkline.db.query.compiler import CompiledQuery
from trunkline.db.row_security import TENANT
from trunkline.reports import reader

SESSIONS = 12_000
ALL = (ACCOUNT, 901, 902, 903, 904)
DAY = timedelta(days=1)
_MONTH = re.compile(r"^(?:call_sessions|call_legs|leg_charges)_(\d{4}_\d{2})$")

Node = dict[str, Any]


@pytest.mark.timeout(300)
async def test_usual_reports_read_only_the_months_that_are_asked_for_by_an_index(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[CompiledQuery] = []

    async def noted(db: Database, query: CompiledQuery) -> Page:
        asked.append(query)
        return await fetch_page(db, query)

    monkeypatch.setattr(reader, "fetch_page", noted)
    now = datetime(2026, 6, 17, 12, tzinfo=UTC)
    async with await Database.open(database) as db:
        client = await open_client(db)
        await synthetic.fill(database, ALL, SESSIONS, now)
        for question in (*questions(ACCOUNT, SESSIONS, now), *flat_questions(now)):
            asked.clear()
            answer = await client.answer(question.method, **question.params)
            assert "result" in answer, (question.name, answer)
            [query] = asked
            first, last = (
                datetime.fromisoformat(question.params[name]) for name in ("date_from", "date_till")
            )
            # Times are those of the account's zone, and ids may lie a day beside their times.
            days = range(-2, (last - first).days + 3)
            months = {f"{first + DAY * number:%Y_%m}" for number in days}
            statements = [(query.rows, False), (query.count, False)]
            if query.is_short:
                statements.append((query.rows, True))
            for statement, any_values in statements:
                plan = await explained(db.for_account(ACCOUNT), statement, query, any_values=any_values)
                for node in scans(plan):
                    if node["Actual Loops"] == 0:
                        continue  # a month that the values excluded when the plan ran
                    reported = (question.name, any_values, node)
                    month = _MONTH.match(node["Relation Name"])
                    assert month, reported
                    assert month[1] in months, reported
                    assert node["Node Type"] in ("Index Scan", "Index Only Scan", "Bitmap Index Scan"), (
                        reported
                    )
                    if node["Node Type"] == "Bitmap Index Scan":
                        continue  # of an index over tags or employees: few rows whatever the period
                    assert "account_id =" in node["Index Cond"], reported
                    assert "start_time" in node["Index Cond"] or "call_session_id" in node["Index Cond"], (
                        reported
                    )


def flat_questions(now: datetime) -> list[Question]:
    """The reports as a person reads them, over a day, a month and a year, and those of all kinds of communications."""
    day, month, year = (
        {"date_from": f"{now - DAY * days:%Y-%m-%d} 00:00:00", "date_till": f"{now - DAY:%Y-%m-%d} 23:59:59"}
        for days in (1, 30, 365)
    )
    flat = {"report_id": 1}
    by_time = {"sort": [{"field": "call_start_date_time", "order": "desc"}], "limit": 100}
    employee = {"filter": {"field": "employees", "operator": "=", "value": EMPLOYEE}}
    return [
        Question(name, method, params, "", "")
        for name, method, params in (
            ("calls of a day", "get.calls", {**day, **flat}),
            ("calls of an employee in a month", "get.calls", {**month, **flat, **employee, "limit": 100}),
            ("newest calls of a year", "get.calls", {**year, **flat, **by_time}),
            ("calls of a day with their ratings", "get.mgf_calls", {**day, **flat}),
            ("legs of a day", "get.call_legs_report", day),
            ("calls of a day with all fields", "get.calls_report", day),
        )
    ]


async def explained(
    db: Database, statement: sql.Composed, query: CompiledQuery, *, any_values: bool = False
) -> Node:
    """The plan of a statement, run where a table as small as this one is not simply read from end to end.

    :param db: restricted to the rows of the account, as for a request: the policies are part of the plan.
    :param any_values: the plan that is kept for all values.
    """
    async with db.connection() as connection:
        role = await (await connection.execute("select current_user::text as name")).fetchone()
        assert role == {"name": TENANT}
        await connection.execute("set local enable_seqscan = off")
        explain = sql.SQL("explain (analyze, format json, timing off) ")
        if any_values:
            asked = await prepared(connection, statement, query)
            cursor = await connection.execute(explain + asked)
        else:
            cursor = await connection.execute(explain + statement, query.params)
        row = await cursor.fetchone()
        if any_values:
            # Not "deallocate all": the driver, too, has prepared statements on this connection of the pool.
            await connection.execute("deallocate guarded")
    assert row is not None
    found = row["QUERY PLAN"]
    plan: Node = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    return plan


async def prepared(connection: Connection, statement: sql.Composed, query: CompiledQuery) -> sql.Composed:
    """The statement that runs this one with the plan for all values."""
    text, names = numbered(statement.as_bytes())
    values = [query.params[name] for name in names]
    transformer = Transformer(connection)
    transformer.dump_sequence(values, [PyFormat.AUTO] * len(values))
    known = connection.adapters.types
    types = ", ".join(known[oid].regtype if oid else "unknown" for oid in transformer.types or ())
    await connection.execute("set local plan_cache_mode = force_generic_plan")
    await connection.execute(f"prepare guarded ({types}) as ".encode() + text)
    literals = sql.SQL(", ").join(map(sql.Literal, values))
    return sql.SQL("execute guarded ({})").format(literals)


def scans(node: Node) -> Iterator[Node]:
    """Nodes that read a table of calls; for a bitmap, those that read the indexes."""
    bitmap = node["Node Type"] == "Bitmap Heap Scan"
    if not bitmap and _MONTH.match(node.get("Relation Name", "")):
        yield node
    for inner in node.get("Plans", ()):
        if bitmap and inner["Node Type"] == "Bitmap Index Scan":
            inner = {**inner, "Relation Name": node["Relation Name"]}
        yield from scans(inner)
