"""Numbers that the Data API changes, as the switch and directory files see them."""

from __future__ import annotations

import pytest

from tests.directory.conftest import Administrator, new_account, until
from trunkline.directory.live.snapshot import DirectorySnapshot
from trunkline.directory.model import VirtualNumber
from trunkline.directory.numbers import changes, private
from trunkline.directory.numbers.changes import Chosen

OFFERED, PRIVATE = "12025550110", "442079460150"
PROVIDER = private.Provider("harbour", "s3cret", "192.0.2.15", "5070")


def number_in(snapshot: DirectorySnapshot, phone: str) -> VirtualNumber | None:
    found = snapshot.current.number(phone)
    return found[1] if found else None


async def test_a_number_of_the_inventory_is_live_at_once(
    admin: Administrator, snapshot: DirectorySnapshot
) -> None:
    """Its calls come by the carrier's trunk, which belongs to another account."""
    carrier = await new_account(admin.db, "Carrier")
    row = await admin.db.fetch_one(
        "insert into trunks (account_id, key, name, mode, host, password_encrypted)"
        " values (%s, 'world', 'World', 'address', '192.0.2.7', 'x') returning trunk_id",
        (carrier,),
    )
    assert row is not None
    trunk_id = row["trunk_id"]
    await admin.db.execute(
        "insert into number_inventory (account_id, phone_number, trunk_id) values (0, %s, %s)",
        (OFFERED, trunk_id),
    )
    await changes.enable_numbers(admin.db, admin.account_id, Chosen(OFFERED), "va")
    await until(lambda: number_in(snapshot, OFFERED))
    account, number = snapshot.current.number(OFFERED) or pytest.fail("not there")
    assert account.account_id == admin.account_id
    assert (number.carrier_trunk_id, number.trunk_id) == (trunk_id, None)
    assert account.carriers[trunk_id].host == "192.0.2.7"
    assert account.carriers[trunk_id].password is None
    assert trunk_id not in account.trunks
    await admin.db.execute("update trunks set is_active = false where trunk_id = %s", (trunk_id,))
    await until(lambda: not snapshot.current.accounts[admin.account_id].carriers[trunk_id].is_active)
    await changes.disable_numbers(admin.db, admin.account_id, Chosen(OFFERED))
    await until(lambda: number_in(snapshot, OFFERED) is None)


async def test_a_private_number_is_live_at_once(admin: Administrator, snapshot: DirectorySnapshot) -> None:
    await private.enable_private(admin.db, admin.cipher, admin.account_id, Chosen(PRIVATE), PROVIDER, "va")
    await until(lambda: snapshot.current.accounts[admin.account_id].number_by_phone(PRIVATE))
    assert number_in(snapshot, PRIVATE) is None  # nobody verified that it is the account's
    number = snapshot.current.accounts[admin.account_id].number_by_phone(PRIVATE)
    assert number is not None
    assert number.trunk_id is not None
    _, trunk = snapshot.current.trunk(number.trunk_id) or pytest.fail("not there")
    assert (trunk.host, trunk.port, trunk.username, trunk.password) == (
        "192.0.2.15",
        5070,
        "harbour",
        "s3cret",
    )
    assert "s3cret" not in repr(PROVIDER)
    await changes.disable_numbers(admin.db, admin.account_id, Chosen(PRIVATE))
    await until(lambda: not snapshot.current.accounts[admin.account_id].trunks)


async def test_a_rule_is_switched_off_at_once(admin: Administrator, snapshot: DirectorySnapshot) -> None:
    await admin.apply(
        f"""
scenarios: {{main: {{operations: {{end: {{kind: hangup}}}}}}}}
virtual_numbers: {{{PRIVATE}: {{rules: [{{scenario: main}}]}}}}
"""
    )
    await until(lambda: number_in(snapshot, PRIVATE))
    number = number_in(snapshot, PRIVATE)
    assert number is not None
    rule_id = number.rules[0].call_processing_rule_id
    await changes.set_rule_active(admin.db, admin.account_id, rule_id, False)

    def is_off() -> bool:
        now = number_in(snapshot, PRIVATE)
        return now is not None and not now.rules[0].is_active

    await until(is_off)


async def test_directory_files_keep_what_the_api_made(admin: Administrator) -> None:
    """Exported and applied again nothing changes; the provider's password stays, the file does not have it."""
    await admin.db.execute(
        "insert into number_inventory (account_id, phone_number) values (0, %s)", (OFFERED,)
    )
    await changes.enable_numbers(admin.db, admin.account_id, Chosen(OFFERED), "call_tracking")
    await private.enable_private(admin.db, admin.cipher, admin.account_id, Chosen(PRIVATE), PROVIDER, "va")
    text = await admin.export()
    assert "private-1" in text
    assert "s3cret" not in text
    assert (await admin.plan(text)).is_empty
    assert not (await admin.apply(text.replace("harbour@192.0.2.15", "Harbour"))).plan.is_empty
    row = await admin.db.fetch_one(
        "select virtual_number_id from virtual_numbers where phone_number = %s", (PRIVATE,)
    )
    assert row is not None
    shown = await private.private_params(
        admin.db, admin.cipher, admin.account_id, row["virtual_number_id"], with_password=True
    )
    assert shown["password"] == "s3cret"
    kinds = await admin.db.fetch_all("select type from virtual_numbers order by phone_number")
    assert [kind["type"] for kind in kinds] == ["call_tracking", "va"]
