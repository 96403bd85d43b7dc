"""Private numbers: numbers of a provider with which the account has its own contract.

Such a number brings a trunk along that registers at the provider. Numbers with the same login at the same server
share it. The password is kept encrypted, since the engine must log in with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from trunkline.core.errors import Duplicate, InvalidInput, NotFound
from trunkline.core.phone import in_full
from trunkline.db.pool import Connection, Database, whole_installation
from trunkline.db.rows import insert, transaction, update
from trunkline.directory.model import TrunkMode
from trunkline.directory.model.cipher import Cipher
from trunkline.directory.numbers.changes import Chosen, drop_idle_private_trunks, take
from trunkline.directory.trunks.addresses import Address
from trunkline.directory.trunks.checks import problems_of_trunk
from trunkline.directory.trunks.form import TrunkForm
from trunkline.directory.trunks.resolution import Resolved, resolve

_PARAMS = {
    "host": "server_address",
    "port": "port",
    "username": "login",
    "password": "password",
    "addresses": "resolved_server_address",
}
"""Name of a trunk's field to that of the request."""


@dataclass(frozen=True, slots=True)
class Provider:
    """The provider of a private number; ``address``: source of the server's calls, if its name resolves to another."""

    login: str
    password: str = field(repr=False)
    server: str
    port: str
    address: str | None = None

    def trunk(self) -> TrunkForm:
        """As a trunk that registers.

        :raises InvalidInput: a value that cannot be used, by its name in the request.
        """
        try:
            return TrunkForm.model_validate(
                {
                    "name": f"{self.login}@{self.server}",
                    "mode": TrunkMode.REGISTER,
                    "host": self.server,
                    "port": self.port,
                    "username": self.login,
                    "password": self.password,
                    "addresses": [self.address] if self.address else [],
                }
            )
        except ValidationError as error:
            # The name is made of two of the others.
            first = min(error.errors(), key=lambda one: one["loc"][0] == "name")
            raise InvalidInput(first["msg"], field=_PARAMS.get(str(first["loc"][0]))) from error


async def enable_private(
    database: Database,
    cipher: Cipher,
    account_id: int,
    chosen: Chosen,
    provider: Provider,
    purpose: str,
    *,
    own: frozenset[Address] = frozenset(),
) -> None:
    """Let numbers of an account register at a provider: new ones, or ones that it has or may take by id.

    Sent again for the same numbers it changes their provider. A number that is not in the inventory is not verified: the
    account receives calls to it only over its registration, and it is never a caller id.

    :param own: addresses of the installation, in addition to this machine's, which no trunk may have.
    :raises InvalidInput: a value that cannot be used; ``already_in_use``: another account has the number, or it is
        offered to others.
    :raises NotFound: ``virtual_phone_number_not_found`` for an id that is neither the account's nor offered.
    """
    trunk = provider.trunk()
    resolved = await resolve([trunk.host], account_id)
    try:
        async with transaction(database) as connection:
            await _check_addresses(connection, account_id, trunk, resolved, own)
            numbers = await _numbers(connection, account_id, chosen, purpose)
            trunk_id = await _put_trunk(connection, cipher, account_id, trunk)
            for number_id in numbers:
                values = {"trunk_id": trunk_id, "type": purpose}
                await update(
                    connection, "virtual_numbers", "virtual_number_id", account_id, number_id, values
                )
            await drop_idle_private_trunks(connection, account_id)
    except Duplicate as error:
        raise _in_use(chosen) from error


async def _check_addresses(
    connection: Connection, account_id: int, trunk: TrunkForm, resolved: Resolved, own: frozenset[Address]
) -> None:
    for problem in await problems_of_trunk(connection, account_id, trunk, resolved, own):
        raise InvalidInput(problem.message, field=_PARAMS[problem.field], value=problem.address)


async def private_params(
    database: Database, cipher: Cipher, account_id: int, number_id: int, *, with_password: bool
) -> dict[str, Any]:
    """How a number registers: ``login``, ``password`` (None unless asked for), ``port``, ``server_address``,
    ``resolved_server_address``.

    :raises NotFound: no such number in this account, or one that does not register anywhere.
    """
    row = await database.fetch_one(
        "select t.username, t.password_encrypted, t.port, t.host, host(t.addresses[1]::inet) as address"
        " from virtual_numbers v join trunks t using (account_id, trunk_id)"
        " where v.account_id = %s and v.virtual_number_id = %s and t.mode = 'register'",
        (account_id, number_id),
    )
    if row is None:
        raise NotFound(
            "this is not a number of a third-party provider: see get.virtual_numbers",
            field="phone_id",
            value=number_id,
        )
    encrypted = row["password_encrypted"] if with_password else None
    return {
        "login": row["username"],
        "password": None if encrypted is None else cipher.decrypt(bytes(encrypted)),
        "port": str(row["port"]),
        "server_address": row["host"],
        "resolved_server_address": row["address"],
    }


async def _numbers(connection: Connection, account_id: int, chosen: Chosen, purpose: str) -> list[int]:
    """The account's numbers that are meant; those it does not have yet are made or taken."""
    cursor = await connection.execute(
        "select virtual_number_id from virtual_numbers where account_id = %s"
        " and (phone_number = %s or virtual_number_id = any(%s)) for update",
        (account_id, chosen.digits, list(chosen.ids)),
    )
    own = [int(row["virtual_number_id"]) for row in await cursor.fetchall()]
    if chosen.phone_number is None:
        others = [each for each in chosen.ids if each not in own]
        return own + (await take(connection, account_id, Chosen(ids=others), purpose) if others else [])
    if own:
        return own
    digits = in_full(chosen.phone_number, "virtual_phone_number")
    async with whole_installation(connection):
        cursor = await connection.execute(
            "select exists (select from number_inventory where phone_number = %(phone)s) as offered,"
            " exists (select from virtual_numbers v where v.account_id <> %(account)s and v.phone_number = %(phone)s"
            " and v.is_verified) as held",
            {"phone": digits, "account": account_id},
        )
        elsewhere = await cursor.fetchone()
    assert elsewhere is not None  # a select without a table has one row
    if elsewhere["offered"]:  # a number that is offered to others cannot be claimed
        try:
            return await take(connection, account_id, chosen, purpose)
        except NotFound as error:
            raise _in_use(chosen) from error
    if elsewhere["held"]:
        raise _in_use(chosen)
    # The number is not verified yet: see trunkline.directory.numbers.ownership.
    values = {"phone_number": digits, "type": purpose, "is_verified": False}
    return [await insert(connection, "virtual_numbers", "virtual_number_id", account_id, values)]


def _in_use(chosen: Chosen) -> InvalidInput:
    return InvalidInput(
        "the number is in use already",
        mnemonic="already_in_use",
        field="virtual_phone_number",
        value=chosen.phone_number,
    )


async def _put_trunk(connection: Connection, cipher: Cipher, account_id: int, trunk: TrunkForm) -> int:
    """The trunk of that login at that server, with the password of now."""
    assert trunk.password is not None
    values: dict[str, Any] = {
        "name": trunk.name,
        "password_encrypted": cipher.encrypt(trunk.password.get_secret_value()),
        "addresses": list(trunk.addresses),
    }
    cursor = await connection.execute(
        "select trunk_id from trunks where account_id = %s and is_private and host = %s and port = %s"
        " and username = %s for update",
        (account_id, trunk.host, trunk.port, trunk.username),
    )
    present = await cursor.fetchone()
    if present is not None:
        trunk_id = int(present["trunk_id"])
        await update(connection, "trunks", "trunk_id", account_id, trunk_id, values)
        return trunk_id
    new = {
        **values,
        "mode": trunk.mode.value,
        "host": trunk.host,
        "port": trunk.port,
        "username": trunk.username,
        "is_private": True,
        "key": await _free_key(connection, account_id),
    }
    return await insert(connection, "trunks", "trunk_id", account_id, new)


async def _free_key(connection: Connection, account_id: int) -> str:
    """A name for directory files: ``private-1``, ``private-2``, ... One transaction of the account at a time chooses one."""
    await connection.execute("select from accounts where account_id = %s for no key update", (account_id,))
    cursor = await connection.execute(
        "select coalesce(max(substring(key from 9)::bigint), 0) + 1 as next from trunks"
        " where account_id = %s and key ~ '^private-[0-9]{1,9}$'",
        (account_id,),
    )
    row = await cursor.fetchone()
    assert row is not None
    return f"private-{row['next']}"
