"""Campaigns of automatic calls as configuration: their names, times and the list of numbers to call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trunkline.contract.columns import field, listed
from trunkline.core.errors import NotFound, PermissionDenied
from trunkline.core.phone import normalise
from trunkline.db.pool import Database
from trunkline.db.query import Column, ColumnType, Listing
from trunkline.db.query.columns import array
from trunkline.db.rows import lock_row, transaction

STATUSES = ("draft", "planned", "in_process", "paused", "completed", "cancelled")
NUMBER_STATUSES = (
    "successfully_processed",
    "unsuccessfully_processed",
    "not_processed",
    "processed_outside_campaign",
    "deleted",
)
FINAL_STATUSES = ("successfully_processed", "processed_outside_campaign", "deleted")
"""What happened to these numbers cannot be undone: they stay in the list."""

_NUMBERS = (
    "(select jsonb_agg(jsonb_build_object('phone_number', n.phone_number, 'status', n.status)"
    " order by n.position, n.phone_number) from auto_call_campaign_numbers n"
    " where n.account_id = c.account_id and n.auto_call_campaign_id = c.auto_call_campaign_id)"
)

AUTO_CALL_CAMPAIGNS = Listing(
    name="auto_call_campaigns",
    table="auto_call_campaigns c",
    where="c.account_id = %(account_id)s",
    order="c.auto_call_campaign_id",
    columns=listed(
        "get.auto_call_campaigns",
        field("id", "c.auto_call_campaign_id"),
        field("name", "c.name"),
        field("add_time", "c.added_at"),
        field("begin_date", "c.begins_at"),
        field("end_date", "c.ends_at"),
        field("status", "c.status"),
        field(
            "phone_numbers",
            _NUMBERS,
            nested=(
                Column(
                    "phone_number",
                    ColumnType.STRING,
                    filterable=True,
                    filter_as=array("phone_numbers", _NUMBERS, match_name="phone_number"),
                ),
                Column(
                    "status",
                    ColumnType.ENUM,
                    enum=NUMBER_STATUSES,
                    filterable=True,
                    filter_as=array("phone_numbers", _NUMBERS, match_name="status"),
                ),
            ),
        ),
    ),
)


async def delete_numbers(
    database: Database, account_id: int, campaign_id: int, phone_numbers: Sequence[str]
) -> None:
    """Take numbers out of a campaign, all or none: they will not be called, and are shown as deleted.

    :raises NotFound: no such campaign in this account, or a number that is not in it.
    :raises PermissionDenied: a number with one of :data:`FINAL_STATUSES`.
    """
    asked = {normalise(sent) or sent: sent for sent in phone_numbers}
    async with transaction(database) as connection:
        await lock_row(
            connection,
            "auto_call_campaigns",
            "auto_call_campaign_id",
            account_id,
            campaign_id,
            field="campaign_id",
        )
        params: dict[str, Any] = {
            "account_id": account_id,
            "campaign": campaign_id,
            "numbers": list(asked),
        }
        cursor = await connection.execute(
            "select phone_number, status from auto_call_campaign_numbers where account_id = %(account_id)s"
            " and auto_call_campaign_id = %(campaign)s and phone_number = any(%(numbers)s) for update",
            params,
        )
        present = {row["phone_number"]: row["status"] for row in await cursor.fetchall()}
        for digits, sent in asked.items():
            _check(present.get(digits), sent)
        await connection.execute(
            "update auto_call_campaign_numbers set status = 'deleted', changed_at = now()"
            " where account_id = %(account_id)s and auto_call_campaign_id = %(campaign)s"
            " and phone_number = any(%(numbers)s)",
            params,
        )


def _check(status: str | None, sent: str) -> None:
    if status is None:
        raise NotFound(f"{sent} is not in this campaign", field="phone_numbers", value=sent)
    if status in FINAL_STATUSES:
        raise PermissionDenied(
            f"{sent} is {status}: that is final", field="phone_numbers", value=sent, mnemonic="forbidden"
        )
