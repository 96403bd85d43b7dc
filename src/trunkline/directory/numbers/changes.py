"""Take numbers from the inventory and give them back; switch the rules of a number on and off.

A number that an account gives back can be taken by the next at once. Whatever still names it (a campaign, the
caller id of a line) keeps it where it is; its own rules go with it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import errors, sql

from trunkline.core.errors import InvalidInput, NotFound, PermissionDenied
from trunkline.core.phone import normalise
from trunkline.db.pool import Connection, Database, Row
from trunkline.db.rows import lock_row, transaction, update
from trunkline.directory.numbers.listing import MAY_BE_ENABLED

PURPOSES = ("va", "call_tracking")
"""What a number is used for: a component that the account must have."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Numbers as a request names them: by ``phone_number``, else by ``ids``."""

    phone_number: str | None = None
    ids: Sequence[int] = ()

    @classmethod
    def of(cls, phone_number: str | None, ids: Sequence[int] | None) -> Chosen:
        """The numbers of a request, which names them in one of two ways.

        :raises InvalidInput: ``invalid_parameters_combination``: in both; ``required_parameter_missed``: in none.
        """
        if phone_number is not None and ids is not None:
            raise InvalidInput(
                "send virtual_phone_number or number_capacity_ids, not both",
                mnemonic="invalid_parameters_combination",
                field="number_capacity_ids",
            )
        if phone_number is None and not ids:
            raise InvalidInput(
                "send virtual_phone_number or number_capacity_ids",
                mnemonic="required_parameter_missed",
                field="virtual_phone_number",
            )
        return cls(phone_number, tuple(ids or ()))

    @property
    def digits(self) -> str | None:
        """The number in normalised form; an unparsable text is returned unchanged and will not be found."""
        if self.phone_number is None:
            return None
        return normalise(self.phone_number) or self.phone_number

    def missing(self, found: Collection[int]) -> NotFound:
        """The error of the first one that is not among those found."""
        gone: Any = next((each for each in self.ids if each not in found), None)
        field = "number_capacity_ids"
        if self.phone_number is not None:
            gone, field = self.phone_number, "virtual_phone_number"
        return NotFound(
            f"the number {gone} is not there: see get.virtual_numbers and get.available_virtual_numbers",
            mnemonic="virtual_phone_number_not_found",
            field=field,
            value=gone,
            params={"virtual_phone_number": gone},
        )


def purpose_for(chosen: Chosen, components: Collection[str], asked: str | None, field: str) -> str:
    """What numbers will be used for: as asked, else the first of :data:`PURPOSES` that the account has.

    :raises InvalidInput: ``required_parameter_missed``: numbers that are named by ids need a purpose.
    :raises PermissionDenied: ``tariff_restrictions``: the account does not have that component.
    """
    if chosen.ids and asked is None:
        raise InvalidInput(
            "send the purpose of the numbers", mnemonic="required_parameter_missed", field=field
        )
    purpose = asked or next((each for each in PURPOSES if each in components), None)
    if purpose is None or purpose not in components:
        raise PermissionDenied(
            "the account has no component that uses numbers this way; see `trunkline account component`",
            mnemonic="tariff_restrictions",
            field=field if asked else None,
            value=asked,
        )
    return purpose


_CHOSEN = f"{MAY_BE_ENABLED} and (i.phone_number = %(phone)s or i.number_capacity_id = any(%(ids)s))"
_VERIFY = f"""
    update virtual_numbers v set is_verified = true, category = i.category, type = %(purpose)s,
        carrier_trunk_id = i.trunk_id
    from number_inventory i
    where v.account_id = %(account_id)s and v.phone_number = i.phone_number and {_CHOSEN}
    returning v.virtual_number_id, i.number_capacity_id
"""  # noqa: S608 - consists of constants
_ENABLE = f"""
    insert into virtual_numbers
        (account_id, virtual_number_id, phone_number, category, type, carrier_trunk_id, is_verified)
    select %(account_id)s, i.number_capacity_id, i.phone_number, i.category, %(purpose)s, i.trunk_id, true
    from number_inventory i where {_CHOSEN}
    returning virtual_number_id, virtual_number_id as number_capacity_id
"""  # noqa: S608 - consists of constants


async def enable_numbers(database: Database, account_id: int, chosen: Chosen, purpose: str) -> None:
    """Give an account numbers of the inventory, all or none.

    :raises NotFound: ``virtual_phone_number_not_found``: not offered to this account, or in use.
    """
    try:
        async with database.connection() as connection:
            await take(connection, account_id, chosen, purpose)
    except errors.UniqueViolation as error:  # a concurrent request took it
        raise chosen.missing(()) from error


async def take(connection: Connection, account_id: int, chosen: Chosen, purpose: str) -> list[int]:
    """The same in the transaction of the connection; ids of the numbers.

    :raises NotFound: as above.
    """
    params = {
        "account_id": account_id,
        "purpose": purpose,
        "phone": chosen.digits,
        "ids": list(chosen.ids),
    }
    rows: list[Row] = []
    for statement in (_VERIFY, _ENABLE):  # what the account had without verification becomes its own
        cursor = await connection.execute(statement.encode(), params)
        rows += await cursor.fetchall()
    taken = {int(row["number_capacity_id"]): int(row["virtual_number_id"]) for row in rows}
    if not taken or not set(chosen.ids) <= taken.keys():
        raise chosen.missing(taken.keys())
    return list(taken.values())


async def disable_numbers(database: Database, account_id: int, chosen: Chosen) -> None:
    """Take numbers off an account, all or none, with their rules and trunks of their own.

    :raises NotFound: ``virtual_phone_number_not_found``.
    :raises InUse: a campaign, a line or something else still uses one.
    """
    async with transaction(database) as connection:
        cursor = await connection.execute(
            "delete from virtual_numbers where account_id = %(account_id)s"
            " and (phone_number = %(phone)s or virtual_number_id = any(%(ids)s)) returning virtual_number_id",
            {"account_id": account_id, "phone": chosen.digits, "ids": list(chosen.ids)},
        )
        gone = [int(row["virtual_number_id"]) for row in await cursor.fetchall()]
        if not gone or not set(chosen.ids) <= set(gone):
            raise chosen.missing(gone)
        await drop_idle_private_trunks(connection, account_id)


async def drop_idle_private_trunks(connection: Connection, account_id: int) -> None:
    """Remove trunks that were made for private numbers and have none left."""
    await connection.execute(
        "delete from trunks t where t.account_id = %s and t.is_private and not exists (select"
        " from virtual_numbers v where v.account_id = t.account_id and v.trunk_id = t.trunk_id)",
        (account_id,),
    )


async def call_processing_rules(database: Database, account_id: int, number_id: int) -> list[dict[str, Any]]:
    """The rules of a number in their order: ``scenario_id``, ``scenario_name``, ``call_processing_rule_id``,
    ``is_active``.

    :raises NotFound: no such number in this account.
    """
    async with database.connection() as connection:
        await lock_row(
            connection,
            "virtual_numbers",
            "virtual_number_id",
            account_id,
            number_id,
            field="number_capacity_id",
        )
        cursor = await connection.execute(
            sql.SQL(
                "select c.scenario_id, c.name as scenario_name, r.call_processing_rule_id, r.is_active"
                " from call_processing_rules r join scenarios c using (account_id, scenario_id)"
                " where r.account_id = %s and r.virtual_number_id = %s"
                " order by r.position, r.call_processing_rule_id"
            ),
            (account_id, number_id),
        )
        return list(await cursor.fetchall())


async def set_rule_active(database: Database, account_id: int, rule_id: int, is_active: bool) -> None:
    """Activate or deactivate a rule; it takes effect in the switch at once.

    :raises NotFound: no such rule in this account.
    """
    async with transaction(database) as connection:
        await update(
            connection,
            "call_processing_rules",
            "call_processing_rule_id",
            account_id,
            rule_id,
            {"is_active": is_active},
        )
