"""Plans of statements that run during calls: an index leads to the few rows that are needed, however many there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from trunkline.calls.switch.queue_store import _JOINED
from trunkline.db.pool import Database
from trunkline.dialer.lead_store import _DUE_LEADS, _NEXT_LEADS

ROWS = 20_000
LIMIT = 10

Node = dict[str, Any]

_FILL = """
insert into accounts (account_id, name) values (1, 'Palm');
insert into queues (account_id, queue_id, key, name) values (1, 1, 'sales', 'Sales');
insert into dial_campaigns (account_id, campaign_id, name, state, queue_id)
    values (1, 1, 'Spring', 'running', 1), (1, 2, 'Autumn', 'running', 1);
insert into dial_leads (account_id, campaign_id, phone, zones, priority, attempts, next_at)
    select 1, 1 + n % 2, (971500000000 + n)::text, '{Asia/Dubai}', n % 3, n % 4, now() - n % 977 * interval '1 minute'
    from generate_series(1, ROWS) n;
insert into stream_events (account_id, stream, seq, type, occurred_at, data)
    select 1, 'queue:' || n % 7, n, case n % 5 when 0 then 'caller_joined' else 'offer_made' end, now(),
        jsonb_build_object('call_session_id', n::text)
    from generate_series(1, ROWS) n;
analyze dial_campaigns; analyze dial_leads; analyze stream_events
"""


async def test_the_next_leads_and_the_waiting_calls_are_read_without_the_others(database: str) -> None:
    async with await Database.open(database) as db:
        for statement in _FILL.replace("ROWS", str(ROWS)).split(";\n"):
            await db.execute(statement.encode())
        leads = {"account_id": 1, "limit": LIMIT, "until": "2027-01-01"}
        for table, statement, params in (
            ("dial_leads", _NEXT_LEADS, {**leads, "queue_ids": [1]}),
            ("dial_leads", _DUE_LEADS, {**leads, "campaign_id": 1, "closed_zones": ["Asia/Tokyo"]}),
            ("stream_events", _JOINED, (1, [str(n) for n in range(5, 5 * LIMIT + 1, 5)])),
        ):
            row = await db.fetch_one(f"explain (analyze, format json) {statement}".encode(), params)
            assert row is not None
            read = [rows_of(node) for node in scans(row["QUERY PLAN"][0]["Plan"], table)]
            assert 0 < sum(read) <= 2 * LIMIT, (statement, read)


def scans(node: Node, table: str) -> Iterator[Node]:
    if node.get("Relation Name") == table:
        yield node
    for inner in node.get("Plans", ()):
        yield from scans(inner, table)


def rows_of(node: Node) -> float:
    """Rows that a scan has read."""
    removed = sum(node.get(f"Rows Removed by {how}", 0) for how in ("Filter", "Index Recheck"))
    return float((node["Actual Rows"] + removed) * node["Actual Loops"])
