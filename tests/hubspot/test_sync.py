"""Finished calls become engagements: each exactly one, with all fields, whatever HubSpot and the network do."""

from __future__ import annotations

from tests.hubspot.rig import BEN, CONTACT, VIRTUAL, Rig
from trunkline.hubspot import calls
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
        made: dict[int, set[int]] = {first: set(), second: set()}
        for account_id in (first, second, first):
            made[account_id].add(await rig.call(account_id, last_talked_employee_id=BEN))
        await rig.settled()
    for account_id, portal in ((first, one), (second, two)):
        ids = {call.properties["hs_call_external_id"].rsplit("-", 1)[1] for call in portal.calls}
        assert ids == {str(call_id) for call_id in made[account_id]}
        assert {call.properties["hubspot_owner_id"] for call in portal.calls} == {f"{portal.portal_id}2"}
        (contact,) = portal.of("contact")
        assert all(call.contacts == {contact.object_id} for call in portal.calls)


async def test_rows_of_removed_calls_are_pruned(rig: Rig) -> None:
    account_id, portal = await rig.connected()
    await rig.connections.set(account_id, create_contacts=True)
    async with rig.worker():
        removed, kept = await rig.call(account_id), await rig.call(account_id)
        await rig.settled()
    await rig.db.execute("delete from call_sessions where call_session_id = %s", (removed,))
    await calls.prune(rig.db)
    assert len(await rig.rows(account_id)) == 2  # of today: the end of a call may not be written yet
    await rig.db.execute("update hubspot_calls set noted_at = now() - interval '2 days'")
    await rig.db.execute("update hubspot_objects set asked_at = now() - interval '2 days'")
    await calls.prune(rig.db)
    assert set(await rig.rows(account_id)) == {kept}
    keys = "select kind, key from hubspot_objects order by kind, key"
    assert [tuple(row.values()) for row in await rig.db.fetch_all(keys)] == [
        ("call", str(kept)),
        ("contact", CONTACT),
    ]
    await rig.db.execute("update hubspot_objects set asked_at = now() - interval '31 days'")
    await calls.prune(rig.db)
    assert [tuple(row.values()) for row in await rig.db.fetch_all(keys)] == [("call", str(kept))]
    assert len(portal.calls) == 2


async def test_a_comment_and_a_transcript_are_added_later(rig: Rig) -> None:
    account_id, portal = await rig.connected()
    async with rig.worker():
        call_id = await rig.call(account_id)
        recording_id = await rig.recorded(account_id, call_id)
        await rig.settled()
        await rig.db.execute(
            """insert into communication_comments (account_id, communication_type, communication_id, comment)
               values (%s, 'call', %s, 'Send <the> offer')""",
            (account_id, call_id),
        )
        await calls.note_added(rig.db)
        await rig.settled(wake=True)
        assert "Send &lt;the&gt; offer" in portal.calls[0].properties["hs_call_body"]
        key = (account_id, recording_id, call_id)
        await rig.db.execute(
            """insert into call_analyses (account_id, recording_id, call_session_id, status, transcript_status, ready_at)
               values (%s, %s, %s, 'ready', 'ready', now())""",
            key,
        )
        await rig.db.execute(
            """insert into speech_phrases (account_id, recording_id, call_session_id, is_operator, start_ms, end_ms, phrase)
               values (%s, %s, %s, true, 0, 900, 'Good morning')""",
            key,
        )
        await calls.note_added(rig.db)
        await rig.settled(wake=True)
        assert portal.calls[0].properties["hs_call_body"].endswith("<br>Employee: Good morning")
        assert await calls.note_added(rig.db) == 0

        portal.calls[0].properties["hs_call_body"] += "<br>My own note"
        await rig.db.execute(
            """insert into communication_comments (account_id, communication_type, communication_id, comment)
               values (%s, 'call', %s, 'Another comment')""",
            (account_id, call_id),
        )
        await calls.note_added(rig.db)
        await rig.settled(wake=True)
        assert portal.calls[0].properties["hs_call_body"].endswith("Good morning<br>My own note")
