"""Whose call an arrival is: the account, and the line or the virtual number. Pure, from the directory in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trunkline.calls.decision import Decision
from trunkline.calls.flows import inbound, outbound
from trunkline.calls.switch.live_context import LiveContext
from trunkline.directory.model import Account, Directory, SipLine
from trunkline.directory.trunks.call_owner import CallOwner, owner_of_call
from trunkline.routing.emergency import emergency_number
from trunkline.telephony.port import Arrived, Endpoint, EndpointKind


@dataclass(frozen=True, slots=True)
class FromLine:
    """A call from one of the account's lines."""

    account: Account
    line: SipLine


Origin = FromLine | CallOwner


def origin_of(directory: Directory, arrived: Arrived, sharing: Mapping[int, frozenset[int]]) -> Origin | None:
    """Whose call this is. None: no account.

    :param sharing: for each trunk, the trunks that have the same address.
    """
    if arrived.endpoint.kind is EndpointKind.LINE:
        found = directory.line(arrived.endpoint.name)
        return FromLine(*found) if found is not None else None
    trunk_id, by_address = trunk_of(arrived.endpoint)
    same_address = sharing.get(trunk_id, frozenset({trunk_id})) if by_address else None
    return owner_of_call(directory, trunk_id, arrived.called, same_address)


def open_call(origin: Origin, arrived: Arrived, context: LiveContext, call_session_id: int) -> Decision:
    """Begin the call and decide what happens with it."""
    match origin:
        case FromLine(_, line):
            return outbound.open_call(arrived, line, context, call_session_id)
        case CallOwner(_, number, trunk_id):
            return inbound.open_call(arrived, number, trunk_id, context, call_session_id)


def adopt(origin: Origin, arrived: Arrived, context: LiveContext, call_session_id: int) -> Decision:
    """Begin the session of a call that continues without the switch."""
    match origin:
        case FromLine(_, line):
            return outbound.adopt(arrived, line, context, call_session_id)
        case CallOwner(_, number, trunk_id):
            return inbound.adopt(arrived, number, trunk_id, context, call_session_id)


def is_emergency(origin: Origin | None, arrived: Arrived) -> bool:
    """Whether a line of an account calls an emergency number."""
    return (
        isinstance(origin, FromLine) and emergency_number(arrived.called, origin.account.country) is not None
    )


def trunk_of(endpoint: Endpoint) -> tuple[int, bool]:
    """Id of the trunk of an endpoint (0 when the name is not one of a trunk), and whether only an address identified it."""
    name = endpoint.name.removeprefix("trunk-")
    digits = name.removesuffix("-ip")
    return (int(digits) if digits.isascii() and digits.isdigit() else 0), digits != name
