"""The account of a call that comes in over a trunk. Pure."""

from __future__ import annotations

from typing import NamedTuple

from trunkline.core.phone import normalise
from trunkline.directory.model import Account, Directory, VirtualNumber


class CallOwner(NamedTuple):
    """The account of a call that came in over a trunk; ``number`` None: the call is for no number of that account."""

    account: Account
    number: VirtualNumber | None
    trunk_id: int


def owner_of_call(
    directory: Directory, trunk_id: int, called: str, sharing: frozenset[int] | None = None
) -> CallOwner | None:
    """The account of a call that came in over a trunk. None: no account, or there is no such trunk.

    A verified number decides, when its account has one of the trunks or took the number from the inventory that one of them
    serves. Otherwise the call belongs to the account of the trunk if that is unambiguous: the trunk registered, or no other
    account has a trunk with that address.

    :param sharing: the trunks that have the address the call came from, all that identifies it; None: the registration of
        the trunk identifies it.
    """
    trunks = {trunk_id} if sharing is None else sharing
    owners = {one: found[0] for one in sorted(trunks) if (found := directory.trunk(one)) is not None}
    if not owners:
        return None
    bare = called.lstrip("+")
    verified = directory.number(bare) or directory.number(normalise(called) or bare)
    if verified is not None:
        account, number = verified
        own = [one for one, owner in owners.items() if owner.account_id == account.account_id]
        if own:
            return CallOwner(account, number, number.trunk_id if number.trunk_id in own else own[0])
        if number.carrier_trunk_id in owners:
            return CallOwner(account, number, number.carrier_trunk_id or 0)
    accounts = {owner.account_id: owner for owner in owners.values()}
    if len(accounts) > 1:
        return None
    [account] = accounts.values()
    # An unverified number may belong to another account: only calls over the account's own registration are for it.
    number_here = called_number(account, called) if sharing is None else None
    return CallOwner(account, number_here, min(owners))


def called_number(account: Account, called: str) -> VirtualNumber | None:
    """The account's virtual number that a trunk's call is for: exact, or as E.164."""
    bare = called.lstrip("+")
    return account.number_by_phone(bare) or account.number_by_phone(normalise(called) or bare)
