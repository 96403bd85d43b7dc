"""Campaigns, and the numbers that are not called, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from trunkline.core.errors import Duplicate, InvalidInput, InvalidState, NotFound, QuotaReached
from trunkline.core.phone import in_full
from trunkline.db.pool import Connection, Database, Row
from trunkline.db.rows import delete, insert, one_at_a_time, transaction, update
from trunkline.dialer.campaigns import Action, CampaignState, state_after
from trunkline.dialer.settings import CampaignSettings

CHANNEL = "trunkline_dialer"
"""NOTIFY channel: the id of an account whose campaigns changed."""

MAX_CAMPAIGNS, MAX_RUNNING = 1000, 20
"""Of one account."""

_TABLE, _ID = "dial_campaigns", "campaign_id"


@dataclass(frozen=True, slots=True)
class Campaign:
    """One campaign.

    :ivar virtual_phone_number: shown to leads; None: the default number of the account.
    :ivar abandoned_scenario_id: what an abandoned person hears.
    """

    account_id: int
    campaign_id: int
    name: str
    state: CampaignState
    queue_id: int
    virtual_phone_number: str | None
    abandoned_scenario_id: int | None
    settings: CampaignSettings
    time_zone: str


# --- campaigns

_CAMPAIGNS = """
select c.account_id, c.campaign_id, c.name, c.state, c.queue_id, c.virtual_phone_number, c.abandoned_scenario_id, c.settings,
    a.time_zone
from dial_campaigns c join accounts a on a.account_id = c.account_id
where c.account_id = %(account_id)s and (%(campaign_id)s::bigint is null or c.campaign_id = %(campaign_id)s)
order by c.campaign_id
"""


async def campaigns(db: Database, account_id: int) -> list[Campaign]:
    """All campaigns of an account, by id."""
    rows = await db.fetch_all(_CAMPAIGNS, {"account_id": account_id, "campaign_id": None})
    return [_campaign(row) for row in rows]


async def campaign(db: Database, account_id: int, campaign_id: int) -> Campaign:
    """One campaign.

    :raises NotFound: no such campaign.
    """
    row = await db.fetch_one(_CAMPAIGNS, {"account_id": account_id, "campaign_id": campaign_id})
    if row is None:
        raise _no_campaign(campaign_id)
    return _campaign(row)


async def create_campaign(
    db: Database,
    account_id: int,
    *,
    name: str,
    queue_id: int,
    phone_list_ids: Sequence[int],
    settings: Mapping[str, Any] | None = None,
    virtual_phone_number: str | None = None,
    abandoned_scenario_id: int | None = None,
) -> int:
    """Add a campaign; its id. It calls nobody before it is started.

    :param settings: of :class:`~trunkline.dialer.settings.CampaignSettings`.
    :raises Duplicate: the account has a campaign of this name.
    :raises InvalidInput: no name, no list, or a setting that cannot be.
    :raises NotFound: a queue, phone list, number or scenario that is not there.
    """
    _check(name, phone_list_ids, settings)
    async with transaction(db) as connection:
        await one_at_a_time(connection, account_id)
        await _check_count(connection, account_id, None, MAX_CAMPAIGNS)
        columns = await _columns(
            connection,
            account_id,
            None,
            name,
            queue_id,
            settings,
            virtual_phone_number,
            abandoned_scenario_id,
        )
        campaign_id = await insert(connection, _TABLE, _ID, account_id, columns)
        await _add_lists(connection, account_id, campaign_id, phone_list_ids)
    return campaign_id


async def update_campaign(
    db: Database,
    account_id: int,
    campaign_id: int,
    *,
    name: str,
    queue_id: int,
    phone_list_ids: Sequence[int],
    settings: Mapping[str, Any] | None = None,
    virtual_phone_number: str | None = None,
    abandoned_scenario_id: int | None = None,
) -> None:
    """Replace what :func:`create_campaign` was given. Leads that no list has any more are closed when their turn comes;
    attempts and results stay.

    :raises InvalidState: it is running.
    :raises Duplicate: another campaign of the account has this name.
    :raises InvalidInput: no name, no list, or a setting that cannot be.
    :raises NotFound: no such campaign, or a queue, phone list, number or scenario that is not there.
    """
    _check(name, phone_list_ids, settings)
    params = {"account_id": account_id, "campaign_id": campaign_id}
    async with transaction(db) as connection:
        await one_at_a_time(connection, account_id)
        cursor = await connection.execute(
            "select state from dial_campaigns where account_id = %(account_id)s and campaign_id = %(campaign_id)s"
            " for update",
            params,
        )
        row = await cursor.fetchone()
        if row is None:
            raise _no_campaign(campaign_id)
        if row["state"] == CampaignState.RUNNING:
            raise InvalidState("A campaign that is running cannot be changed: stop it first", field="state")
        columns = await _columns(
            connection,
            account_id,
            campaign_id,
            name,
            queue_id,
            settings,
            virtual_phone_number,
            abandoned_scenario_id,
        )
        await update(connection, _TABLE, _ID, account_id, campaign_id, columns)
        await connection.execute(
            "delete from dial_campaign_lists where account_id = %(account_id)s and campaign_id = %(campaign_id)s",
            params,
        )
        await _add_lists(connection, account_id, campaign_id, phone_list_ids)
        await connection.execute(
            "update dial_campaigns set changed_at = now()"
            " where account_id = %(account_id)s and campaign_id = %(campaign_id)s",
            params,
        )


def _check(name: str, phone_list_ids: Sequence[int], settings: Mapping[str, Any] | None) -> None:
    CampaignSettings.of(settings or {})
    if not name.strip():
        raise InvalidInput("A campaign needs a name", field="name", value=name)
    if not phone_list_ids:
        raise InvalidInput("A campaign needs at least one phone list", field="phone_list_ids")


async def _columns(
    connection: Connection,
    account_id: int,
    campaign_id: int | None,
    name: str,
    queue_id: int,
    settings: Mapping[str, Any] | None,
    virtual_phone_number: str | None,
    abandoned_scenario_id: int | None,
) -> dict[str, Any]:
    """What is stored of a campaign.

    :param campaign_id: None: a new one.
    :raises Duplicate: another campaign has this name.
    :raises NotFound: the account has no such queue, number or scenario.
    """
    number = in_full(virtual_phone_number, "virtual_phone_number") if virtual_phone_number else None
    await _check_references(connection, account_id, queue_id, number, abandoned_scenario_id)
    cursor = await connection.execute(
        "select from dial_campaigns where account_id = %s and name = %s and campaign_id is distinct from %s",
        (account_id, name.strip(), campaign_id),
    )
    if await cursor.fetchone() is not None:
        raise Duplicate(
            f"The account has a campaign {name.strip()} already: choose another name.", field="name"
        )
    return {
        "name": name.strip(),
        "queue_id": queue_id,
        "virtual_phone_number": number,
        "abandoned_scenario_id": abandoned_scenario_id,
        "settings": Jsonb(dict(settings or {})),
    }


async def _add_lists(
    connection: Connection, account_id: int, campaign_id: int, phone_list_ids: Sequence[int]
) -> None:
    """:raises NotFound: the account has no such list."""
    for phone_list_id in dict.fromkeys(phone_list_ids):
        cursor = await connection.execute(
            "insert into dial_campaign_lists (account_id, campaign_id, phone_list_id)"
            " select %(account_id)s, %(campaign_id)s, p.phone_list_id from phone_lists p"
            " where p.account_id = %(account_id)s and p.phone_list_id = %(list_id)s",
            {"account_id": account_id, "campaign_id": campaign_id, "list_id": phone_list_id},
        )
        if cursor.rowcount == 0:
            raise NotFound(
                f"There is no phone list {phone_list_id}.", field="phone_list_ids", value=phone_list_id
            )


async def _check_references(
    connection: Connection, account_id: int, queue_id: int, number: str | None, scenario_id: int | None
) -> None:
    """
    :raises NotFound: the account has no such queue, number or scenario.
    """
    cursor = await connection.execute(
        "select (select count(*) from queues q where q.account_id = %(account_id)s and q.queue_id = %(queue_id)s) as queues,"
        " (select count(*) from virtual_numbers n where n.account_id = %(account_id)s and n.phone_number = %(number)s)"
        " as numbers,"
        " (select count(*) from scenarios s where s.account_id = %(account_id)s and s.scenario_id = %(scenario_id)s)"
        " as scenarios",
        {"account_id": account_id, "queue_id": queue_id, "number": number, "scenario_id": scenario_id},
    )
    found = await cursor.fetchone()
    assert found is not None  # a select without "from" has one row
    if not found["queues"]:
        raise NotFound(f"There is no queue {queue_id}.", field="queue_id", value=queue_id)
    if number is not None and not found["numbers"]:
        raise NotFound(f"The account has no number {number}.", field="virtual_phone_number", value=number)
    if scenario_id is not None and not found["scenarios"]:
        raise NotFound(
            f"There is no scenario {scenario_id}.", field="abandoned_scenario_id", value=scenario_id
        )


async def queue_by_name(db: Database, account_id: int, name: str) -> int:
    """Id of a queue.

    :raises NotFound: no such queue.
    """
    row = await db.fetch_one(
        "select queue_id from queues where account_id = %s and (name = %s or key = %s)",
        (account_id, name, name),
    )
    if row is None:
        raise NotFound(f"There is no queue {name}.", field="queue", value=name)
    return int(row["queue_id"])


async def change_state(db: Database, account_id: int, campaign_id: int, action: Action) -> CampaignState:
    """Start or stop a campaign; its new state.

    After a stop no further call begins: each looks at the state in the transaction in which it is recorded.

    :raises NotFound: no such campaign.
    :raises InvalidState: the action is not possible.
    :raises QuotaReached: too many campaigns of the account run.
    """
    async with transaction(db) as connection:
        await one_at_a_time(connection, account_id)
        cursor = await connection.execute(
            "select state from dial_campaigns where account_id = %s and campaign_id = %s for update",
            (account_id, campaign_id),
        )
        row = await cursor.fetchone()
        if row is None:
            raise _no_campaign(campaign_id)
        state = state_after(CampaignState(row["state"]), action)
        if state is CampaignState.RUNNING and row["state"] != CampaignState.RUNNING:
            await _check_count(connection, account_id, "running", MAX_RUNNING)
        columns: dict[str, Any] = {"state": state.value}
        await update(connection, _TABLE, _ID, account_id, campaign_id, columns)
        await connection.execute(
            "update dial_campaigns set changed_at = now(), started_at = case when state = 'running'"
            " then coalesce(started_at, now()) else started_at end where account_id = %s and campaign_id = %s",
            (account_id, campaign_id),
        )
    return state


async def _check_count(connection: Connection, account_id: int, state: str | None, limit: int) -> None:
    """So that one tenant cannot take the time of the switch from the others.

    :param state: only campaigns in it are counted; None: all.
    :raises QuotaReached: the account has that many campaigns already.
    """
    cursor = await connection.execute(
        "select count(*) as present from dial_campaigns where account_id = %(account_id)s"
        " and (%(state)s::text is null or state = %(state)s)",
        {"account_id": account_id, "state": state},
    )
    row = await cursor.fetchone()
    if row is not None and row["present"] >= limit:
        raise QuotaReached(
            f"An account may have {limit} {'running ' if state else ''}campaigns: stop or delete others first.",
            params={"limit": limit},
        )


async def delete_campaign(db: Database, account_id: int, campaign_id: int) -> None:
    """Delete a campaign with its results.

    :raises NotFound: no such campaign.
    :raises InvalidState: it is running.
    """
    async with transaction(db) as connection:
        cursor = await connection.execute(
            "select state from dial_campaigns where account_id = %s and campaign_id = %s for update",
            (account_id, campaign_id),
        )
        row = await cursor.fetchone()
        if row is None:
            raise _no_campaign(campaign_id)
        if row["state"] == CampaignState.RUNNING:
            raise InvalidState("A campaign that is running cannot be deleted: stop it first", field="state")
        await delete(connection, _TABLE, _ID, account_id, campaign_id)


# --- numbers that are not called


async def forbid_numbers(
    db: Database, account_id: int, phones: Sequence[str], reason: str | None = None
) -> int:
    """Add numbers that no campaign calls from now on; how many are new.

    :raises InvalidInput: a number that is none.
    """
    digits = sorted({in_full(one, "phone") for one in phones})
    return await db.execute(
        "insert into do_not_call (account_id, phone, reason)"
        " select %(account_id)s, phone, %(reason)s from unnest(%(phones)s::text[]) as given(phone)"
        " on conflict (account_id, phone) do nothing",
        {"account_id": account_id, "phones": digits, "reason": reason},
    )


async def allow_numbers(db: Database, account_id: int, phones: Sequence[str]) -> int:
    """Remove numbers from those that are not called; how many there were.

    :raises InvalidInput: a number that is none.
    """
    digits = sorted({in_full(one, "phone") for one in phones})
    return await db.execute(
        "delete from do_not_call where account_id = %s and phone = any(%s)", (account_id, digits)
    )


async def forbidden_numbers(db: Database, account_id: int) -> list[Row]:
    """``phone``, ``reason`` and ``added_at`` of all numbers that are not called, by number."""
    return await db.fetch_all(
        "select phone, reason, added_at from do_not_call where account_id = %s order by phone", (account_id,)
    )


# --- for the switch

_TAKE_OVER = """
update dial_campaigns c set node = %(node)s
where c.state = 'running' and c.node is distinct from %(node)s and (c.node is null or not exists (
    select from switch_leases l where l.node = c.node and l.expires_at > now() - interval '60 seconds'))
"""

_RUNNING = """
select c.account_id, c.campaign_id, c.name, c.state, c.queue_id, c.virtual_phone_number, c.abandoned_scenario_id, c.settings,
    a.time_zone
from dial_campaigns c join accounts a on a.account_id = c.account_id
where c.state = 'running' and c.node = %(node)s order by c.account_id, c.campaign_id
"""


async def running_campaigns(
    db: Database, node: int, failed: Callable[[Row, Exception], None]
) -> list[Campaign]:
    """The campaigns that this node dials. Those without a node, or whose node had no lease for a minute, become its own.

    :param failed: gets each one that cannot be read, with the error: its settings may be of another version.
    """
    await db.execute(_TAKE_OVER, {"node": node})
    found = []
    for row in await db.fetch_all(_RUNNING, {"node": node}):
        try:
            found.append(_campaign(row))
        except (InvalidInput, TypeError, ValueError, AttributeError, LookupError) as error:
            failed(row, error)
    return found


def _campaign(row: Row) -> Campaign:
    return Campaign(
        row["account_id"],
        row["campaign_id"],
        row["name"],
        CampaignState(row["state"]),
        row["queue_id"],
        row["virtual_phone_number"],
        row["abandoned_scenario_id"],
        CampaignSettings.of(row["settings"]),
        row["time_zone"],
    )


def _no_campaign(campaign_id: int) -> NotFound:
    return NotFound(
        f"There is no campaign {campaign_id}: `trunkline campaign list` lists them.",
        field="campaign_id",
        value=campaign_id,
    )
