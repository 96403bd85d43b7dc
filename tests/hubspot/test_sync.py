"""Finished calls become engagements: each exactly one, with all fields, whatever HubSpot and the network do."""

from __future__ import annotations

from tests.hubspot.rig import ANNA, BEN, CONTACT, VIRTUAL, Rig
from trunkline.hubspot.api import CONNECTED, NO_ANSWER


async def test_a_call_becomes_an_engagement_with_all_fields(rig: Rig) -> None:
    account_id, portal = await rig.connected()
    contact = portal.add("contact", phone="+1 (202) 555-0110", lastname="Lee")
    async with rig.worker():
        call_id = await rig.call(account_id, start=1_790_000_000.25)
        recording = await rig.recorded(account_id, call_id)
        await rig.settled()
    [call] = portal.calls
    assert call.contacts == {contact.object_id}
    body = call.properties.pop("hs_call_body")
    assert "Employees: Ruiz" in body
    assert "Scenario: Main" in body
    del call.properties["createdate"]
    external_id = f"trunkline-{rig.connections.installation}-{account_id}-{call_id}"
    assert call.properties == {
        "hs_timestamp": "1790000000250",
        "hs_call_title": f"Call from +{CONTACT}",
        "hs_call_direction": "INBOUND",
        "hs_call_status": "COMPLETED",
        "hs_call_disposition": CONNECTED,
        "hs_call_duration": "20000",
        "hs_call_from_number": f"+{CONTACT}",
        "hs_call_to_number": f"+{VIRTUAL}",
        "hs_call_recording_url": f"https://pbx.example/system/media/talk/{call_id}/{recording}.mp3",
        "hs_call_external_id": external_id,
        "hubspot_owner_id": "5011",
    }
    row = (await rig.rows(account_id))[call_id]
    assert (row["state"], row["contact_id"]) == ("done", contact.object_id)
    assert row["contact_choice"] == "the only contact with the number"


async def test_a_lost_call_is_a_task_for_who_was_called(rig: Rig) -> None:
    account_id, portal = await rig.connected()
    await rig.connections.set(account_id, missed_call_tasks=True, create_contacts=True)
    async with rig.worker():
        await rig.lost(account_id, contact_full_name="Sam <Lee>")
        await rig.call(account_id)
        await rig.settled()
    [contact] = portal.of("contact")
    assert contact.properties["phone"] == f"+{CONTACT}"
    [task] = portal.of("task")
    assert task.contacts == {contact.object_id}
    assert task.properties["hubspot_owner_id"] == "5011"
    missed, taken = sorted(portal.calls, key=lambda one: one.properties["hs_call_duration"])
    assert missed.properties["hs_call_status"] == "NO_ANSWER"
    assert missed.properties["hs_call_disposition"] == NO_ANSWER
    assert missed.properties["hs_call_duration"] == "0"
    assert missed.properties["hs_call_title"] == "Missed call from Sam <Lee>"
    assert missed.contacts == taken.contacts == {contact.object_id}


async def test_internal_calls_and_other_accounts_are_not_sent(rig: Rig) -> None:
    account_id, portal = await rig.connected()
    other = await rig.account("Not connected")
    async with rig.worker():
        inner = await rig.call(account_id, is_internal=True)
        await rig.call(other)
        await rig.settled()
    assert (await rig.rows(account_id))[inner]["state"] == "skipped"
    assert await rig.rows(other) == {}
    assert portal.calls == []


async def test_two_accounts_with_two_portals_do_not_meet(rig: Rig) -> None:
    first, one = await rig.connected(501, "First")
    second, two = await rig.connected(502, "Second")
    for portal in (one, two):
        portal.add("contact", phone=f"+{CONTACT}", lastname="Lee")
    async with rig.worker():
        calls: dict[int, set[int]] = {first: set(), second: set()}
        for account_id in (first, second, first):
            calls[account_id].add(await rig.call(account_id, last_talked_employee_id=BEN))
        await rig.settled()
    for account_id, portal in ((first, one), (second, two)):
        ids = {call.properties["hs_call_external_id"].rsplit("-", 2)[1:][1] for call in portal.calls}
        assert ids == {str(call_id) for call_id in calls[account_id]}
        assert {call.properties["hubspot_owner_id"] for call in portal.calls} == {f"{portal.portal_id}2"}
        (contact,) = portal.of("contact")
        assert all(call.contacts == {contact.object_id} for call in portal.calls)
    assert ANNA != BEN
