"""What is kept of contacts during calls: the number they were called with, and the contact itself."""

from __future__ import annotations

import asyncio

import pytest

from tests.directory.conftest import Administrator, new_account
from trunkline.core.errors import NotFound
from trunkline.directory.contacts.saving import save_contact
from trunkline.directory.numbers.memory import remember, remembered

NUMBERS = "virtual_numbers: {442079460100: {}, 442079460101: {}}"
CONTACT = "12025550110"


async def numbers_of(admin: Administrator) -> list[int]:
    rows = await admin.db.fetch_all(
        "select virtual_number_id from virtual_numbers where account_id = %s order by 1", (admin.account_id,)
    )
    return [row["virtual_number_id"] for row in rows]


async def test_the_last_number_is_remembered(admin: Administrator) -> None:
    await admin.apply(NUMBERS)
    one, two = await numbers_of(admin)
    assert await remembered(admin.db, admin.account_id, CONTACT) is None
    await remember(admin.db, admin.account_id, CONTACT, one)
    await remember(admin.db, admin.account_id, CONTACT, two)
    assert await remembered(admin.db, admin.account_id, CONTACT) == two
    await remember(admin.db, admin.account_id, CONTACT, one)
    assert await remembered(admin.db, admin.account_id, CONTACT) == one
    assert await remembered(admin.db, admin.account_id, CONTACT, [two]) == two
    assert await remembered(admin.db, admin.account_id, CONTACT, []) is None
    assert await remembered(admin.db, admin.account_id, "12025550111") is None


async def test_memories_are_the_accounts_own_and_go_with_the_number(admin: Administrator) -> None:
    await admin.apply(NUMBERS)
    one, _ = await numbers_of(admin)
    other = await new_account(admin.db, "Other")
    await remember(admin.db, other, CONTACT, one)
    assert await remembered(admin.db, other, CONTACT) is None
    await remember(admin.db, admin.account_id, CONTACT, one)
    assert await remembered(admin.db, other, CONTACT) is None
    await admin.apply("virtual_numbers: {442079460101: {}}", delete=True)
    assert await remembered(admin.db, admin.account_id, CONTACT) is None
    await remember(admin.db, admin.account_id, CONTACT, one)  # gone meanwhile: nothing happens
    assert await remembered(admin.db, admin.account_id, CONTACT) is None


async def group_id(admin: Administrator) -> int:
    row = await admin.db.fetch_one(
        "select contact_group_id from contact_groups where account_id = %s and not is_system",
        (admin.account_id,),
    )
    assert row is not None
    return int(row["contact_group_id"])


async def test_a_contact_is_saved_once_and_put_into_its_group(admin: Administrator) -> None:
    text = "{contacts: {known: {last_name: Known, phones: [12025550111]}}, contact_groups: {vip: VIP}}"
    await admin.apply(text)
    vip = await group_id(admin)
    saved = await asyncio.gather(
        *(save_contact(admin.db, admin.account_id, CONTACT, group) for group in (vip, None, vip))
    )
    assert len(set(saved)) == 1
    known = await save_contact(admin.db, admin.account_id, "12025550111", vip)
    assert known not in saved
    form = await admin.files.export(admin.account_id)
    assert form.section("contact_groups")["vip"].members == ("known", f"phone-{CONTACT}")
    assert form.section("contacts")[f"phone-{CONTACT}"].phones == (CONTACT,)
    # a file that says nothing of the members leaves them there
    assert (await admin.plan(text)).is_empty
    assert (await admin.plan(await admin.export(), delete=True)).is_empty


async def test_another_accounts_group_is_none(admin: Administrator) -> None:
    await admin.apply("contact_groups: {vip: VIP}")
    other = await new_account(admin.db, "Other")
    with pytest.raises(NotFound):
        await save_contact(admin.db, other, CONTACT, await group_id(admin))
    rows = await admin.db.fetch_all("select from contacts where account_id = %s", (other,))
    assert rows == []
