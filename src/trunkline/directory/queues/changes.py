"""Queues made, changed and removed, and the agents in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from psycopg.types.json import Jsonb

from trunkline.core.errors import InvalidInput, NotFound
from trunkline.db.pool import Connection, Database
from trunkline.db.rows import delete, insert_keyed, lock_row, one_at_a_time, transaction, update
from trunkline.directory.exclusive import QUEUE_NAME, Holder, check_exclusive
from trunkline.directory.queues import exits
from trunkline.directory.queues.rules import DEFAULTS, MEDIA, Tier
from trunkline.directory.uses import refuse_if_used

_TABLE, _ID = "queues", "queue_id"

_JSON = ("exits", "audio_playback")


async def create_queue(
    db: Database, account_id: int, values: Mapping[str, Any], tiers: Sequence[Tier] = ()
) -> int:
    """Add a queue; its id.

    :param values: settings by column; None: the default.
    :param tiers: its agents; ``queue_id`` is not looked at.
    :raises Duplicate: the account has a queue of this name.
    :raises NotFound: a media file, employee or schedule that is not there.
    """
    async with transaction(db) as connection:
        await one_at_a_time(connection, account_id)
        columns = await _columns(connection, account_id, None, values)
        queue_id = await insert_keyed(connection, _TABLE, _ID, account_id, columns)
        await put_tiers(connection, account_id, [_of_queue(queue_id, tier) for tier in tiers])
        return queue_id


async def update_queue(
    db: Database, account_id: int, queue_id: int, values: Mapping[str, Any], tiers: Sequence[Tier] | None
) -> None:
    """Change a queue; what is left out stays.

    :param tiers: all its agents; None: they stay.
    :raises NotFound, Duplicate: see :func:`create_queue`.
    """
    async with transaction(db) as connection:
        await one_at_a_time(connection, account_id)
        await lock_row(connection, _TABLE, _ID, account_id, queue_id)
        columns = await _columns(connection, account_id, queue_id, values)
        await update(connection, _TABLE, _ID, account_id, queue_id, columns)
        if tiers is not None:
            await connection.execute(
                "delete from queue_tiers where account_id = %s and queue_id = %s", (account_id, queue_id)
            )
            await put_tiers(connection, account_id, [_of_queue(queue_id, tier) for tier in tiers])


async def delete_queue(db: Database, account_id: int, queue_id: int) -> None:
    """Remove a queue; its agents stay employees.

    :raises NotFound: no such queue.
    :raises InUse: a scenario, or an exit of another queue, refers to the queue.
    """
    async with transaction(db) as connection:
        await one_at_a_time(connection, account_id)
        await lock_row(connection, _TABLE, _ID, account_id, queue_id)
        await refuse_if_used(connection, account_id, "queue_id", queue_id)
        await delete(connection, _TABLE, _ID, account_id, queue_id)


async def add_tiers(db: Database, account_id: int, tiers: Sequence[Tier]) -> None:
    """Add agents to queues, or give them another place.

    :raises NotFound: a queue, employee or schedule that is not there.
    """
    async with transaction(db) as connection:
        await one_at_a_time(connection, account_id)
        await put_tiers(connection, account_id, tiers)


async def remove_tiers(
    db: Database, account_id: int, *, queue_ids: Sequence[int], employee_ids: Sequence[int]
) -> None:
    """Take these agents out of these queues; who is in none of them is ignored."""
    async with transaction(db) as connection:
        await connection.execute(
            "delete from queue_tiers where account_id = %s and queue_id = any(%s) and employee_id = any(%s)",
            (account_id, list(queue_ids), list(employee_ids)),
        )


async def replace_queues_of(db: Database, account_id: int, employee_id: int, tiers: Sequence[Tier]) -> None:
    """As :func:`replace_tiers_of`, in a transaction of its own."""
    async with transaction(db) as connection:
        await one_at_a_time(connection, account_id)
        await replace_tiers_of(connection, account_id, employee_id, tiers)


async def replace_tiers_of(
    connection: Connection, account_id: int, employee_id: int, tiers: Sequence[Tier]
) -> None:
    """Give an employee exactly these places, in the transaction of the connection.

    :raises NotFound: a queue or schedule that is not there.
    """
    await connection.execute(
        "delete from queue_tiers where account_id = %s and employee_id = %s and queue_id <> all(%s)",
        (account_id, employee_id, [tier.queue_id for tier in tiers]),
    )
    await put_tiers(connection, account_id, tiers)


async def join_exactly(db: Database, account_id: int, employee_id: int, queue_ids: Sequence[int]) -> None:
    """The employee is in exactly these queues; places that there are stay, new ones are the usual.

    :raises NotFound: a queue or employee that is not there.
    """
    async with transaction(db) as connection:
        await one_at_a_time(connection, account_id)
        await lock_row(connection, "employees", "employee_id", account_id, employee_id, field="user_id")
        cursor = await connection.execute(
            "select queue_id from queue_tiers where account_id = %s and employee_id = %s",
            (account_id, employee_id),
        )
        known = {row["queue_id"] for row in await cursor.fetchall()}
        await connection.execute(
            "delete from queue_tiers where account_id = %s and employee_id = %s and queue_id <> all(%s)",
            (account_id, employee_id, list(queue_ids)),
        )
        new = [Tier(queue_id, employee_id) for queue_id in queue_ids if queue_id not in known]
        await put_tiers(connection, account_id, new)


async def put_tiers(connection: Connection, account_id: int, tiers: Sequence[Tier]) -> None:
    """Write these places in the transaction of the connection; of two of one agent in a queue the later counts.

    :raises NotFound: a queue, employee or schedule that is not there.
    """
    last = {(tier.queue_id, tier.employee_id): tier for tier in tiers}
    for table, id_column, field, wanted in (
        ("queues", "queue_id", "queue", {tier.queue_id for tier in last.values()}),
        ("employees", "employee_id", "user", {tier.employee_id for tier in last.values()}),
        (
            "schedules",
            "schedule_id",
            "timegroup",
            {tier.schedule_id for tier in last.values() if tier.schedule_id is not None},
        ),
    ):
        await _require(connection, account_id, table, id_column, field, sorted(wanted))
    await connection.execute(
        """
        insert into queue_tiers as q (account_id, queue_id, employee_id, mode, position, level, schedule_id)
        select %(account_id)s, s.queue_id, s.employee_id, s.mode, s.position, s.level, s.schedule_id
        from jsonb_to_recordset(%(tiers)s) as s (
            queue_id bigint, employee_id bigint, mode int, position int, level int, schedule_id bigint)
        on conflict (account_id, queue_id, employee_id) do update set mode = excluded.mode,
            position = excluded.position, level = excluded.level, schedule_id = excluded.schedule_id""",
        {"account_id": account_id, "tiers": Jsonb([asdict(tier) for tier in last.values()])},
    )


_EXISTING = {
    "queues": "select queue_id as id from queues where account_id = %s and queue_id = any(%s) for key share",
    "employees": "select employee_id as id from employees where account_id = %s and employee_id = any(%s) for key share",
    "schedules": "select schedule_id as id from schedules where account_id = %s and schedule_id = any(%s) for key share",
}


async def _require(
    connection: Connection, account_id: int, table: str, id_column: str, word: str, wanted: Sequence[int]
) -> None:
    if not wanted:
        return
    rows = await (await connection.execute(_EXISTING[table].encode(), (account_id, list(wanted)))).fetchall()
    missing = sorted(set(wanted) - {row["id"] for row in rows})
    if missing:
        raise NotFound(f"There is no {word} {missing[0]} in this account.", field=id_column, value=missing[0])


async def _columns(
    connection: Connection, account_id: int, queue_id: int | None, values: Mapping[str, Any]
) -> dict[str, Any]:
    columns = {name: DEFAULTS.get(name) if value is None else value for name, value in values.items()}
    if columns.get("exits") is not None:
        await _check_exits(connection, account_id, queue_id, columns["exits"])
    columns |= {name: Jsonb(columns[name]) for name in _JSON if columns.get(name) is not None}
    if "name" in columns:
        name = str(columns["name"])
        holder = Holder("queues", queue_id)
        await check_exclusive(connection, account_id, QUEUE_NAME, {name: name}, holder, field="name")
    wanted: set[int] = {media for name in MEDIA if (media := columns.get(name)) is not None}
    if wanted:
        cursor = await connection.execute(
            "select media_file_id from media_files where account_id in (0, %s) and media_file_id = any(%s)",
            (account_id, list(wanted)),
        )
        missing = sorted(wanted - {row["media_file_id"] for row in await cursor.fetchall()})
        if missing:
            raise NotFound(
                f"There is no media file {missing[0]} in this account: get.media_files of the Data API lists them.",
                value=missing[0],
            )
    return columns


_TARGETS = {
    "scenario": "select from scenarios where account_id = %s and scenario_id = %s for key share",
    "queue": "select from queues where account_id = %s and queue_id = %s for key share",
    "employee": "select from employees where account_id = %s and employee_id = %s for key share",
    "group": "select from employee_groups where account_id = %s and group_id = %s for key share",
    "voicemail": "select from employees where account_id = %s and employee_id = %s for key share",
}


async def _check_exits(connection: Connection, account_id: int, queue_id: int | None, wanted: object) -> None:
    """
    :raises InvalidInput: a name or a destination that there is not, or an item that is not there.
    """
    if not isinstance(wanted, Mapping):
        raise InvalidInput(
            'exits: send an object, for example {"1": "queue:12"}', field="exits", value=wanted
        )
    for name, destination in wanted.items():
        text = destination if isinstance(destination, str) else ""
        problem = exits.name_problem(str(name)) or exits.problem_of(text)
        named = exits.target(text)
        if problem is None and named is not None:
            kind, what = named
            is_there = what.isdecimal() and len(what) < 19
            if is_there and not (kind == "queue" and int(what) == queue_id):
                cursor = await connection.execute(_TARGETS[kind].encode(), (account_id, int(what)))
                is_there = await cursor.fetchone() is not None
            if not is_there:
                problem = f"there is no {exits.SECTIONS[kind].removesuffix('s')} {what} in this account"
        if problem is not None:
            raise InvalidInput(f"exits: {name}: {problem}.", field="exits", value=destination)


def _of_queue(queue_id: int, tier: Tier) -> Tier:
    return Tier(queue_id, tier.employee_id, tier.mode, tier.position, tier.level, tier.schedule_id)
