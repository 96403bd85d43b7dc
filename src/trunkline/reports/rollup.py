"""Counts of calls by the hour (table ``call_counts``), which totals of long periods are summed from.

PostgreSQL keeps them: each statement that changes calls adds a line with the difference. :func:`compact` makes few lines of
many; sums are the same before, meanwhile and afterwards.
"""

from __future__ import annotations

from trunkline.db.pool import Database
from trunkline.db.query.columns import Rollup

ROLLUP = Rollup(
    table="call_counts s",
    hour="s.hour",
    rows="s.sessions",
    where="s.account_id = %(account_id)s and (%(include_ongoing)s or s.is_finished)",
    columns=frozenset({"s.is_lost", "s.direction"}),
)

_CROWDED = 16
"""Lines of an hour from which on they are compacted."""

_COMPACT = """
with crowded as (
    select account_id, hour from call_counts group by account_id, hour having count(*) > %(lines)s
), gone as (
    delete from call_counts c using crowded
    where c.account_id = crowded.account_id and c.hour = crowded.hour returning c.*
)
insert into call_counts
select account_id, hour, direction, is_lost, is_finished, sum(sessions) from gone
group by account_id, hour, direction, is_lost, is_finished having sum(sessions) <> 0
"""


async def compact(db: Database) -> None:
    """Compact the lines of each crowded hour, of all accounts. Workers do so about once an hour; any number may run it."""
    await db.execute(_COMPACT, {"lines": _CROWDED})
