"""Changes of campaigns. An inactive campaign shows no numbers; the system's and integrated ones keep what they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.types.json import Jsonb

from trunkline.core.errors import InvalidInput, NotFound, PermissionDenied
from trunkline.db.pool import Connection, Database, Row
from trunkline.db.rows import delete, insert_keyed, lock_row, transaction, update
from trunkline.directory.campaigns.conditions import check_conditions
from trunkline.directory.campaigns.numbers import put_blocks

TABLE, ID = "campaigns", "campaign_id"

_DEFAULTS: Mapping[str, Any] = {"description": "", "cost_ratio": 1, "cost_ratio_operator": "wo_changes"}
_PLAIN = ("name", "description", "status", "cost_ratio", "cost_ratio_operator")
_OF_ALL = frozenset({"id", "user_id", "site_id", "site_blocks", "dynamic_call_tracking"})
"""What may be changed of campaigns that are not our client's own."""


async def create_campaign(db: Database, account_id: int, values: Mapping[str, Any]) -> int:
    """Add a campaign of a site; its id.

    :param values: ``name``, ``site_id``; ``description``, ``status``, ``campaign_conditions``, ``site_blocks``,
        ``dynamic_call_tracking`` as known.
    :raises NotFound: no such site, block or number.
    :raises Duplicate: the site has a campaign of that name.
    :raises InvalidInput: ``invalid_parameters_combination``: blocks of an inactive campaign; see also
        :func:`.numbers.put_blocks`, :func:`.conditions.check_conditions`.
    """
    row = {"site_id": values["site_id"], **_row(values)}
    blocks = values.get("site_blocks")
    _check_blocks(blocks, values.get("status") != "inactive")
    async with transaction(db) as connection:
        await lock_row(connection, "sites", "site_id", account_id, values["site_id"], field="site_id")
        campaign_id = await insert_keyed(connection, TABLE, ID, account_id, row)
        if blocks:
            await put_blocks(connection, account_id, campaign_id, values["site_id"], blocks)
        await _check_tracking(connection, account_id, campaign_id)
    return campaign_id


async def update_campaign(db: Database, account_id: int, campaign_id: int, values: Mapping[str, Any]) -> None:
    """Change the columns in ``values``; lists are replaced completely, None means the default.

    :param values: as :func:`create_campaign`, with ``cost_ratio`` and ``cost_ratio_operator``; ``site_id`` is the
        campaign's own; of the system's, it selects the site of the blocks.
    :raises PermissionDenied: what is not to be changed of the system's campaign or an integrated one.
    """
    async with transaction(db) as connection:
        present = await _locked(connection, account_id, campaign_id)
        site_id = await _site(connection, account_id, present, values)
        if present["type"] != "basic":
            _only_numbers(values)
        status = values.get("status") or present["status"]
        if "site_blocks" in values:
            _check_blocks(values["site_blocks"] or (), status == "active")
        await update(connection, TABLE, ID, account_id, campaign_id, _row(values))
        if status == "inactive":
            await _clear_blocks(connection, account_id, campaign_id)
        elif "site_blocks" in values:
            blocks = values["site_blocks"] or ()
            await put_blocks(connection, account_id, campaign_id, site_id, blocks)
        await _check_tracking(connection, account_id, campaign_id)


async def delete_campaign(db: Database, account_id: int, campaign_id: int) -> None:
    """Remove a campaign with its costs; calls keep its name.

    :raises NotFound: no such campaign.
    :raises PermissionDenied: the system's campaign, or an integrated one.
    """
    async with transaction(db) as connection:
        present = await _locked(connection, account_id, campaign_id)
        if present["type"] != "basic":
            raise PermissionDenied("This campaign is not yours to delete", field="id", value=campaign_id)
        await delete(connection, TABLE, ID, account_id, campaign_id)


def _row(values: Mapping[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {name: values[name] for name in _PLAIN if name in values}
    for name, default in _DEFAULTS.items():
        if name in row and row[name] is None:
            row[name] = default
    if "campaign_conditions" in values:
        groups = (values["campaign_conditions"] or {}).get("group_conditions", ())
        row["group_conditions"] = Jsonb(check_conditions(groups))
    if "dynamic_call_tracking" in values:
        tracking = values["dynamic_call_tracking"]
        row["dynamic_call_tracking"] = None if tracking is None else Jsonb(tracking)
    return row


def _check_blocks(blocks: Sequence[Mapping[str, Any]] | None, is_active: bool) -> None:
    if blocks is not None and not is_active:
        raise InvalidInput(
            "An inactive campaign shows no numbers: make it active first",
            mnemonic="invalid_parameters_combination",
            field="site_blocks",
        )


def _only_numbers(values: Mapping[str, Any]) -> None:
    for name in values:
        if name not in _OF_ALL:
            raise PermissionDenied(
                "Of this campaign only site_blocks and dynamic_call_tracking can be changed",
                field=name,
                value=values[name],
            )


async def _locked(connection: Connection, account_id: int, campaign_id: int) -> Row:
    cursor = await connection.execute(
        """select type, status, site_id from campaigns where account_id = %s and campaign_id = %s
           for no key update""",
        (account_id, campaign_id),
    )
    row = await cursor.fetchone()
    if row is None:
        raise NotFound(
            "There is no such campaign: look it up with get.campaigns", field="id", value=campaign_id
        )
    return row


async def _site(connection: Connection, account_id: int, present: Row, values: Mapping[str, Any]) -> int:
    """The site whose blocks are meant."""
    site_id = values.get("site_id", present["site_id"])
    if site_id is None:
        raise InvalidInput(
            "Say on which site the system's campaign shows numbers",
            mnemonic="required_parameter_missed",
            field="site_id",
        )
    await lock_row(connection, "sites", "site_id", account_id, site_id, field="site_id")
    if present["site_id"] not in (None, site_id):
        raise InvalidInput("A campaign stays with its site", field="site_id", value=site_id)
    return int(site_id)


async def _clear_blocks(connection: Connection, account_id: int, campaign_id: int) -> None:
    await connection.execute(
        "delete from campaign_blocks where account_id = %s and campaign_id = %s", (account_id, campaign_id)
    )


async def _check_tracking(connection: Connection, account_id: int, campaign_id: int) -> None:
    """Blocks with dynamic call tracking need its settings, after a change of either."""
    cursor = await connection.execute(
        """select from campaigns c join campaign_blocks b using (account_id, campaign_id)
           where account_id = %s and campaign_id = %s and c.dynamic_call_tracking is null
             and b.dynamic_call_tracking_enabled""",
        (account_id, campaign_id),
    )
    if await cursor.fetchone() is not None:
        raise InvalidInput(
            "Dynamic call tracking needs its settings",
            mnemonic="required_parameter_missed",
            field="dynamic_call_tracking",
        )
