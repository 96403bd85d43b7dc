"""Queues and the agents in them as lists."""

from __future__ import annotations

from trunkline.core.errors import NotFound
from trunkline.db.pool import Database, Row

_READ = """
select q.*, q.queue_id as id, array(select t.employee_id from queue_tiers t
    where t.account_id = q.account_id and t.queue_id = q.queue_id order by t.employee_id) as user_ids
from queues q where q.account_id = %(account_id)s
    and (%(id)s::bigint is null or q.queue_id = %(id)s) and q.queue_id > %(after)s
    and (%(words)s::text is null or strpos(lower(q.name), lower(%(words)s)) > 0)
    and (%(name)s::text is null or q.name = %(name)s)
    and (%(strategy)s::text is null or q.strategy = %(strategy)s)
order by q.queue_id limit %(limit)s offset %(offset)s
"""

_TIERS = """
select t.queue_id, t.employee_id, t.mode, t.position, t.level, t.schedule_id, q.name as queue_name,
    concat_ws(' ', nullif(e.first_name, ''), nullif(e.patronymic, ''), e.last_name) as user_name
from queue_tiers t
join queues q on q.account_id = t.account_id and q.queue_id = t.queue_id
join employees e on e.account_id = t.account_id and e.employee_id = t.employee_id
where t.account_id = %(account_id)s and (%(queue_id)s::bigint is null or t.queue_id = %(queue_id)s)
    and (%(employee_id)s::bigint is null or t.employee_id = %(employee_id)s)
order by t.level, t.position, t.employee_id, t.queue_id
"""


async def read_queues(
    db: Database,
    account_id: int,
    *,
    words: str | None = None,
    name: str | None = None,
    strategy: str | None = None,
    after: int = -1,
    limit: int | None = None,
    offset: int = 0,
) -> list[Row]:
    """Queues by id, each with ``user_ids``.

    :param words: part of the name; None: all.
    :param after: ids up to this one are left out.
    """
    params = {
        "account_id": account_id, "id": None, "words": words, "name": name, "strategy": strategy, "after": after,
        "limit": limit, "offset": offset,
    }  # fmt: skip
    return await db.fetch_all(_READ, params)


async def read_queue(db: Database, account_id: int, queue_id: int) -> Row:
    """One queue; see :func:`read_queues`.

    :raises NotFound: no such queue.
    """
    params = {
        "account_id": account_id, "id": queue_id, "words": None, "name": None, "strategy": None, "after": -1,
        "limit": 1, "offset": 0,
    }  # fmt: skip
    row = await db.fetch_one(_READ, params)
    if row is None:
        raise no_queue(queue_id)
    return row


async def read_tiers(
    db: Database, account_id: int, *, queue_id: int | None = None, employee_id: int | None = None
) -> list[Row]:
    """Places of agents in queues, with ``queue_name`` and ``user_name``; of one queue, or of one employee."""
    params = {"account_id": account_id, "queue_id": queue_id, "employee_id": employee_id}
    return await db.fetch_all(_TIERS, params)


def no_queue(queue_id: int) -> NotFound:
    """The error of a queue that the account does not have."""
    return NotFound(
        f"There is no queue {queue_id}: GET /api/cc_queue lists them.", field="id", value=queue_id
    )
