"""Whether a trunk may have the addresses that a client or a directory file gives it, before it is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trunkline.core.errors import InvalidInput
from trunkline.db.pool import Connection, Row, whole_installation
from trunkline.directory.model import SYSTEM_ACCOUNT_ID, TrunkMode
from trunkline.directory.trunks.addresses import (
    Address,
    AddressProblem,
    Network,
    own_addresses,
    parse,
    problem_of,
    within,
    written,
)
from trunkline.directory.trunks.form import TrunkForm
from trunkline.directory.trunks.resolution import Resolved

REMEDY = "; the administrator of the installation can allow it: `trunkline trunk allow {address}{option}`"


@dataclass(frozen=True, slots=True)
class TrunkProblem:
    """``field``: ``host`` or ``addresses`` of the trunk."""

    field: str
    address: str
    problem: AddressProblem
    account_id: int = 0

    @property
    def message(self) -> str:
        option = f" --account {self.account_id}" if self.account_id else ""
        return f"{self.address} {self.problem.value}{REMEDY.format(address=self.address, option=option)}"


def check_own_trunk(mode: str, addresses: Sequence[str], *, is_only_account: bool) -> None:
    """Whether an account may add such a trunk by itself. An address that identifies a trunk takes the calls that come from
    it, so where there are several accounts the administrator of the installation adds these trunks.

    :raises InvalidInput: it may not.
    """
    if is_only_account or (mode == TrunkMode.REGISTER and not addresses):
        return
    raise InvalidInput(
        "The administrator of the installation adds trunks that are identified by address: `trunkline apply`.",
        field="addresses" if mode == TrunkMode.REGISTER else "mode",
    )


async def problems_of_trunk(
    connection: Connection,
    account_id: int,
    trunk: TrunkForm,
    resolved: Resolved,
    own: frozenset[Address] = frozenset(),
) -> list[TrunkProblem]:
    """Addresses of the trunk's server, and those its calls come from, that it may not have.

    :param resolved: the addresses of the trunk's host, resolved before the transaction of the connection began.
    :param own: further addresses of the installation, in addition to this machine's.
    """
    own = own_addresses() | own
    allowed = await _allowed(connection, account_id)
    server = resolved.get(trunk.host, ())
    listed = [network for text in trunk.addresses if (network := parse(text)) is not None]
    found: list[TrunkProblem] = []
    for field, networks in (("host", server), ("addresses", listed)):
        identifies = field == "addresses" or trunk.mode is TrunkMode.ADDRESS
        for network in networks:
            problem = problem_of(network, allowed, own)
            if problem is None and not within(network, allowed):
                problem = await _used(connection, account_id, network, identifies=identifies)
            if problem is not None:
                found.append(TrunkProblem(field, written(network), problem, account_id))
    return found


async def _allowed(connection: Connection, account_id: int) -> list[Network]:
    cursor = await connection.execute(
        "select network::text as network from trunk_addresses where account_id in (%s, %s)",
        (SYSTEM_ACCOUNT_ID, account_id),
    )
    rows = await cursor.fetchall()
    return [network for row in rows if (network := parse(row["network"])) is not None]


async def _used(
    connection: Connection, account_id: int, network: Network, *, identifies: bool
) -> AddressProblem | None:
    """Whether a phone, or a trunk of another account that an address identifies, has this address."""
    async with whole_installation(connection):
        row = await _elsewhere(connection, account_id, network)
    if row["phone"]:
        return AddressProblem.PHONE
    return AddressProblem.OTHER_TRUNK if row["trunk"] and identifies else None


async def _elsewhere(connection: Connection, account_id: int, network: Network) -> Row:
    cursor = await connection.execute(
        "select exists (select from registrations r where r.account_id >= 0 and r.ip <<= %(network)s::cidr) as phone,"
        # a private number is identified by its registration, so it does not block the address of its provider
        " exists (select from trunks t where t.account_id <> %(account_id)s and t.is_active and not t.is_private"
        " and (exists (select from unnest(t.addresses) a where a && %(network)s::cidr)"
        " or (t.mode = 'address' and t.host = %(address)s))) as trunk",
        {"network": str(network), "account_id": account_id, "address": str(network.network_address)},
    )
    row = await cursor.fetchone()
    assert row is not None
    return row
