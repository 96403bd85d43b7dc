"""Which number a campaign shows in which block: what is allowed, and how it is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trunkline.core.errors import InvalidInput, NotFound
from trunkline.db.pool import Connection

_FIELD = "site_blocks"


async def put_blocks(
    connection: Connection,
    account_id: int,
    campaign_id: int,
    site_id: int,
    blocks: Sequence[Mapping[str, Any]],
) -> None:
    """Replace the numbers that a campaign shows on a site.

    :param blocks: ``site_block_id``, ``phone_number_id``; ``redirection_phone_number_id`` and
        ``dynamic_call_tracking_enabled`` as known.
    :raises NotFound: no such block on this site; no such number is available.
    :raises InvalidInput: a block twice; ``already_in_use``: another campaign has the call tracking number;
        ``required_parameter_missed``, ``invalid_parameters_combination``: its redirection; a redirection to what is
        no number of the PBX.
    """
    await _lock_numbers(connection, account_id, blocks)
    await _check_blocks(connection, account_id, site_id, blocks)
    for block in blocks:
        await _check_number(connection, account_id, campaign_id, block)
    await connection.execute(
        """delete from campaign_blocks b using site_blocks s
           where b.account_id = %(account_id)s and b.campaign_id = %(campaign_id)s
             and s.account_id = b.account_id and s.site_block_id = b.site_block_id and s.site_id = %(site_id)s""",
        {"account_id": account_id, "campaign_id": campaign_id, "site_id": site_id},
    )
    for position, block in enumerate(blocks):
        await connection.execute(
            """insert into campaign_blocks (account_id, campaign_id, site_block_id, virtual_number_id,
                   redirection_virtual_number_id, dynamic_call_tracking_enabled, position)
               values (%s, %s, %s, %s, %s, %s, %s)""",
            (
                account_id,
                campaign_id,
                block["site_block_id"],
                block["phone_number_id"],
                block.get("redirection_phone_number_id"),
                bool(block.get("dynamic_call_tracking_enabled")),
                position,
            ),
        )


async def _lock_numbers(connection: Connection, account_id: int, blocks: Sequence[Mapping[str, Any]]) -> None:
    """Serialises concurrent campaigns that use the same number."""
    await connection.execute(
        """select from virtual_numbers where account_id = %s and virtual_number_id = any(%s)
           order by virtual_number_id for no key update""",
        (account_id, [block["phone_number_id"] for block in blocks]),
    )


async def _check_blocks(
    connection: Connection, account_id: int, site_id: int, blocks: Sequence[Mapping[str, Any]]
) -> None:
    cursor = await connection.execute(
        "select site_block_id from site_blocks where account_id = %s and site_id = %s", (account_id, site_id)
    )
    there = {row["site_block_id"] for row in await cursor.fetchall()}
    seen: set[int] = set()
    for block in blocks:
        block_id = block["site_block_id"]
        if block_id not in there:
            raise NotFound(
                "The site has no such block: look it up with get.site_blocks",
                field=f"{_FIELD}.site_block_id",
                value=block_id,
            )
        if block_id in seen:
            raise InvalidInput(
                "A block shows one number of a campaign",
                mnemonic="invalid_parameters_combination",
                field=f"{_FIELD}.site_block_id",
                value=block_id,
            )
        seen.add(block_id)


async def _check_number(
    connection: Connection, account_id: int, campaign_id: int, block: Mapping[str, Any]
) -> None:
    number_id, redirection = block["phone_number_id"], block.get("redirection_phone_number_id")
    cursor = await connection.execute(
        """select v.type, exists (select from campaign_blocks b where b.account_id = v.account_id
               and b.virtual_number_id = v.virtual_number_id and b.campaign_id <> %s) as taken
           from virtual_numbers v where v.account_id = %s and v.virtual_number_id = %s
             and v.status = 'active' and v.type in ('va', 'call_tracking')""",
        (campaign_id, account_id, number_id),
    )
    number = await cursor.fetchone()
    if number is None:
        raise NotFound(
            "There is no such number for campaigns: look it up with get.campaign_available_phone_numbers",
            field=f"{_FIELD}.phone_number_id",
            value=number_id,
        )
    field = f"{_FIELD}.redirection_phone_number_id"
    if number["type"] == "va":
        if redirection is not None:
            raise InvalidInput(
                "A number of the PBX is not redirected: its own rules apply",
                mnemonic="invalid_parameters_combination",
                field=field,
                value=redirection,
            )
        return
    if number["taken"]:
        raise InvalidInput(
            "Another campaign has this call tracking number",
            mnemonic="already_in_use",
            field=f"{_FIELD}.phone_number_id",
            value=number_id,
        )
    if redirection is None:
        raise InvalidInput(
            "Say to which number calls on a call tracking number go",
            mnemonic="required_parameter_missed",
            field=field,
        )
    await _check_redirection(connection, account_id, redirection, field)


async def _check_redirection(connection: Connection, account_id: int, redirection: int, field: str) -> None:
    cursor = await connection.execute(
        """select from virtual_numbers where account_id = %s and virtual_number_id = %s
           and status = 'active' and type = 'va' for key share""",
        (account_id, redirection),
    )
    if await cursor.fetchone() is None:
        raise InvalidInput(
            "Choose a number of get.campaign_available_redirection_phone_numbers",
            field=field,
            value=redirection,
        )
