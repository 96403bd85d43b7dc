"""What is kept of contacts during calls: the number they were called with, and the contact itself."""

from __future__ import annotations

import asyncio

import pytest

from tests.directory.conftest import Desk, new_account
from trunkline.core.errors import NotFound
from trunkline.directory.contacts.saving import save_contact
from trunkline.directory.numbers.memory import remember, remembered

NUMBERS = "virtual_numbers: {442079460100: {}, 442079460101: {}}"
CONTACT = "12025550110"


async def numbers_of(desk: Desk) -> list[int]:
    rows = await desk.db.fetch_all(
        "select virtual_number_id from virtual_numbers where account_id = %s order by 1", (desk.account_id,)
    )
    return [row["virtual_number_id"] for row in rows]


async def test_the_last_number_is_remembered(desk: Desk) -> None:
    await desk.apply(NUMBERS)
    one, two = await numbers_of(desk)
    assert await remembered(desk.db, desk.account_id, CONTACT) is None
    await remember(desk.db, desk.account_id, CONTACT, one)
    await remember(desk.db, desk.account_id, CONTACT, two)
    assert await remembered(desk.db, desk.account_id, CONTACT) == two
    await remember(desk.db, desk.account_id, CONTACT, one)
    assert await remembered(desk.db, desk.account_id, CONTACT) == one
    assert await remembered(desk.db, desk.account_id, CONTACT, [two]) == two
    assert await remembered(desk.db, desk.account_id, CONTACT, []) is None
    assert await remembered(desk.db, desk.account_id, "12025550111") is None


async def test_memories_are_the_accounts_own_and_go_with_the_number(desk: Desk) -> None:
    await desk.apply(NUMBERS)
    one, _ = await numbers_of(desk)
    other = await new_account(desk.db, "Other")
    await remember(desk.db, other, CONTACT, one)
    assert await remembered(desk.db, other, CONTACT) is None
    await remember(desk.db, desk.account_id, CONTACT, one)
    assert await remembered(desk.db, other, CONTACT) is None
    await desk.apply("virtual_numbers: {442079460101: {}}", delete=True)
    assert await remembered(desk.db, desk.account_id, CONTACT) is None
    await remember(desk.db, desk.account_id, CONTACT, one)  # gone meanwhile: nothing happens
    assert await remembered(desk.db, desk.account_id, CONTACT) is None


async def group_id(desk: Desk) -> int:
    row = await desk.db.fetch_one(
        "select contact_group_id from contact_groups where account_id = %s and not is_system",
        (desk.account_id,),
    )
    assert row is not None
    return int(row["contact_group_id"])


async def test_a_contact_is_saved_once_and_put_into_its_group(desk: Desk) -> None:
    text = "{contacts: {known: {last_name: Known, phones: [12025550111]}}, contact_groups: {vip: VIP}}"
    await desk.apply(text)
    vip = await group_id(desk)
    saved = await asyncio.gather(
        *(save_contact(desk.db, desk.account_id, CONTACT, group) for group in (vip, None, vip))
    )
    assert len(set(saved)) == 1
    known = await save_contact(desk.db, desk.account_id, "12025550111", vip)
    assert known not in saved
    form = await desk.files.export(desk.account_id)
    assert form.section("contact_groups")["vip"].members == ("known", f"phone-{CONTACT}")
    assert form.section("contacts")[f"phone-{CONTACT}"].phones == (CONTACT,)
    # a file that says nothing of the members leaves them there
    assert (await desk.plan(text)).is_empty
    assert (await desk.plan(await desk.export(), delete=True)).is_empty


async def test_another_accounts_group_is_none(desk: Desk) -> None:
    await desk.apply("contact_groups: {vip: VIP}")
    other = await new_account(desk.db, "Other")
    with pytest.raises(NotFound):
        await save_contact(desk.db, other, CONTACT, await group_id(desk))
    rows = await desk.db.fetch_all("select from contacts where account_id = %s", (other,))
    assert rows == []
