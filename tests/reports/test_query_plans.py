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

from tests.apis.data_api.client import open_client
from tests.reports.company import ACCOUNT
from trunkline.bench import synthetic
from trunkline.bench.questions import questions
from trunkline.db.pool import Database
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
        for question in questions(ACCOUNT, SESSIONS, now):
            asked.clear()
            answer = await client.answer(question.method, **question.params)
            assert "result" in answer, (question.name, answer)
            [query] = asked
            first, last = (
                datetime.fromisoformat(question.params[name]) for name in ("date_from", "date_till")
            )
            # Times are those of the account's zone, and ids may lie a day beside their times.
            months = {
                f"{day:%Y_%m}"
                for day in (first - DAY * 2, first + DAY * 20, first + DAY * 50, last + DAY * 2)
            }
            for statement in (query.rows, query.count):
                for node in scans(await explained(db.for_account(ACCOUNT), statement, query)):
                    reported = (question.name, node)
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


async def explained(db: Database, statement: sql.Composed, query: CompiledQuery) -> Node:
    """The plan of a statement, run where a table as small as this one is not simply read from end to end.

    :param db: restricted to the rows of the account, as for a request: the policies are part of the plan.
    """
    async with db.connection() as connection:
        role = await (await connection.execute("select current_user::text as name")).fetchone()
        assert role == {"name": TENANT}
        await connection.execute("set local enable_seqscan = off")
        cursor = await connection.execute(
            sql.SQL("explain (analyze, format json, timing off) ") + statement, query.params
        )
        row = await cursor.fetchone()
    assert row is not None
    found = row["QUERY PLAN"]
    plan: Node = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    return plan


def scans(node: Node) -> Iterator[Node]:
    """Nodes that read a table of calls; for a bitmap, those that read the indexes."""
    bitmap = node["Node Type"] == "Bitmap Heap Scan"
    if not bitmap and _MONTH.match(node.get("Relation Name", "")):
        yield node
    for inner in node.get("Plans", ()):
        if bitmap and inner["Node Type"] == "Bitmap Index Scan":
            inner = {**inner, "Relation Name": node["Relation Name"]}
        yield from scans(inner)
