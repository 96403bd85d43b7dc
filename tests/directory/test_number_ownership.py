"""A claim does not transfer a number: it blocks no owner, brings no calls and is not shown to others."""

from __future__ import annotations

import dataclasses

import pytest

from tests.directory.conftest import Administrator, new_account, until
from trunkline.core.errors import DirectoryFileError, InUse, InvalidInput, NotFound
from trunkline.directory.live.snapshot import DirectorySnapshot
from trunkline.directory.numbers import changes, inventory, ownership, private
from trunkline.directory.numbers.changes import Chosen
from trunkline.directory.trunks.identification import identification
from trunkline.engine_configuration import account_config

pytestmark = pytest.mark.attack

VICTIM = "442079460111"
PROVIDER = private.Provider("squatter", "s3cret", "203.0.113.66", "5060")
FILE = f"""
trunks: {{carrier: {{host: 203.0.113.7}}}}
sip_lines: {{"0160001": {{}}}}
scenarios: {{main: {{operations: {{end: {{kind: hangup}}}}}}}}
virtual_numbers: {{"{VICTIM}": {{trunk: carrier, default_line: "0160001", rules: [{{scenario: main}}]}}}}
"""


async def claim(admin: Administrator, account_id: int, phone: str = VICTIM) -> None:
    await private.enable_private(admin.db, admin.cipher, account_id, Chosen(phone), PROVIDER, "va")


def owner(snapshot: DirectorySnapshot) -> int | None:
    found = snapshot.current.number(VICTIM)
    return found[0].account_id if found else None


async def test_a_claim_does_not_keep_the_owner_out(admin: Administrator, snapshot: DirectorySnapshot) -> None:
    squatter = await new_account(admin.db, "Squatter")
    await claim(admin, squatter)
    await until(lambda: squatter in snapshot.current.accounts)
    await until(lambda: snapshot.current.accounts[squatter].number_by_phone(VICTIM))
    assert owner(snapshot) is None
    await admin.apply(FILE)
    await until(lambda: owner(snapshot) == admin.account_id)
    # and now that it is verified, nobody claims it
    with pytest.raises(InvalidInput) as refused:
        await claim(admin, await new_account(admin.db, "Third"))
    assert refused.value.mnemonic == "already_in_use"
    rows = await ownership.claims(admin.db)
    assert [(row["account_id"], row["owner"]) for row in rows] == [(squatter, admin.account_id)]


async def test_two_operators_files_cannot_have_one_number(
    admin: Administrator, snapshot: DirectorySnapshot
) -> None:
    await admin.apply(FILE)
    other = await new_account(admin.db, "Other")
    with pytest.raises(DirectoryFileError, match=f"assign {VICTIM} --account {other} --take"):
        await dataclasses.replace(admin, account_id=other).apply(f"virtual_numbers: {{'{VICTIM}': {{}}}}")
    with pytest.raises(InUse):
        await ownership.assign(admin.db, other, f"+{VICTIM}")
    await ownership.assign(admin.db, other, f"+{VICTIM}", take=True)
    await until(lambda: owner(snapshot) == other)
    mine = snapshot.current.accounts[admin.account_id].number_by_phone(VICTIM)
    assert mine is not None
    assert not mine.is_verified


async def test_a_number_of_the_inventory_is_verified_when_it_is_taken(
    admin: Administrator,
    snapshot: DirectorySnapshot,
) -> None:
    """A claim from before it was offered keeps nobody from it; who claimed it may take it, too."""
    squatter = await new_account(admin.db, "Squatter")
    await claim(admin, squatter)
    await claim(admin, admin.account_id)
    await inventory.offer_numbers(admin.db, {VICTIM: inventory.OfferForm()})
    await changes.enable_numbers(admin.db, admin.account_id, Chosen(VICTIM), "va")
    await until(lambda: owner(snapshot) == admin.account_id)
    with pytest.raises(NotFound):
        await changes.enable_numbers(admin.db, squatter, Chosen(VICTIM), "va")


async def test_the_engine_rings_no_line_of_a_claim(admin: Administrator, snapshot: DirectorySnapshot) -> None:
    """While no switch is connected calls ring the default line: of the owner."""
    squatter = await new_account(admin.db, "Squatter")
    await claim(admin, squatter)
    await dataclasses.replace(admin, account_id=squatter).apply("sip_lines: {'0160009': {}}")
    await admin.db.execute(
        "update virtual_numbers v set default_sip_line_id = l.sip_line_id from sip_lines l"
        " where v.account_id = %s and l.account_id = v.account_id",
        (squatter,),
    )
    await admin.apply(FILE)
    await until(lambda: owner(snapshot) == admin.account_id)
    await until(
        lambda: any(one.default_sip_line_id for one in snapshot.current.accounts[squatter].numbers.values())
    )
    identified = identification(snapshot.current, {})
    defaults = [
        one
        for account in snapshot.current.accounts.values()
        for one in account_config(account, identified).directory.defaults
    ]
    [trunk] = snapshot.current.accounts[admin.account_id].trunks
    [own] = snapshot.current.accounts[squatter].trunks
    assert {(one.line, tuple(one.endpoints)) for one in defaults if one.number == VICTIM} == {
        ("0160001", (f"trunk-{trunk}", f"trunk-{trunk}-ip")),
        ("0160009", (f"trunk-{own}",)),
    }
