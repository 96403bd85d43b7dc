"""The administrator's list of addresses that trunks may have although the rules refuse them."""

from __future__ import annotations

from trunkline.core.errors import InvalidInput, NotFound
from trunkline.db.pool import Database, Row
from trunkline.directory.model import SYSTEM_ACCOUNT_ID
from trunkline.directory.trunks.addresses import Network, parse


async def allow(database: Database, account_id: int, address: str, comment: str = "") -> str:
    """Allow the trunks of an account an address or network; returns it as it is kept.

    :param account_id: :data:`SYSTEM_ACCOUNT_ID` for every account.
    :raises InvalidInput: it is no address.
    """
    network = str(_network(address))
    await database.execute(
        "insert into trunk_addresses (account_id, network, comment) values (%s, %s, %s)"
        " on conflict (account_id, network) do update set comment = excluded.comment",
        (account_id, network, comment),
    )
    return network


async def disallow(database: Database, account_id: int, address: str) -> None:
    """Remove an address from the list; the engine then no longer identifies trunks by it.

    :raises NotFound: it is not on the list.
    """
    network = str(_network(address))
    if not await database.execute(
        "delete from trunk_addresses where account_id = %s and network = %s", (account_id, network)
    ):
        raise NotFound(f"{network} is not on the list; see `trunkline trunk list`", value=address)


async def allowed(database: Database) -> list[Row]:
    """``account_id`` (0 = every account), ``network``, ``comment``, ``added_at``."""
    return await database.fetch_all(
        "select account_id, network::text as network, comment, added_at from trunk_addresses a"
        " where a.account_id >= %s order by a.account_id, a.network",
        (SYSTEM_ACCOUNT_ID,),
    )


def _network(address: str) -> Network:
    network = parse(address)
    if network is None:
        raise InvalidInput(
            "write an address or a network, for example 192.0.2.7 or 192.0.2.0/24", value=address
        )
    return network
