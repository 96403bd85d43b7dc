"""Agents found by what other systems call them."""

from __future__ import annotations

from trunkline.db.pool import Database


async def agents_by_external_id(db: Database, account_id: int, ext_user_id: str) -> set[int]:
    """Ids of the employees with this id in another system: one, or none."""
    rows = await db.fetch_all(
        "select employee_id from agents where account_id = %s and ext_user_id = %s", (account_id, ext_user_id)
    )
    return {row["employee_id"] for row in rows}
