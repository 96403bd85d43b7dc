"""Repair finds each planted defect and nothing else, corrects it, and has nothing to do the second time."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.hubspot.rig import BEN, CONTACT, Rig
from tests.hubspot.server import Object, Portal
from trunkline.core.errors import InvalidInput
from trunkline.hubspot.comparison import Defect
from trunkline.hubspot.repair import Repair
from trunkline.recordings.links import LinkMaker

START = datetime.fromtimestamp(time.time(), UTC) - timedelta(days=1)
END = START + timedelta(days=2)


async def repair_of(rig: Rig, account_id: int) -> Repair:
    setup = await rig.setup(account_id)
    links = LinkMaker("https://pbx.example")
    return Repair(rig.db, setup.client, rig.connections, account_id, lambda *one: links.of(*one).playable)


def engagement_of(portal: Portal, call_id: int) -> Object:
    (found,) = [
        one for one in portal.calls if one.properties.get("hs_call_external_id", "").endswith(f"-{call_id}")
    ]
    return found


async def test_each_fault_is_found_and_corrected_and_nothing_else(rig: Rig) -> None:
    account_id, portal = await rig.connected()
    contact = portal.add("contact", phone=f"+{CONTACT}", lastname="Lee")
    foreign = portal.add("call", hs_timestamp="1790000000000", hs_call_title="Of another integration")
    repair = await repair_of(rig, account_id)
    async with rig.worker():
        calls = [await rig.call(account_id) for _ in range(9)]
        for call_id in calls:
            await rig.recorded(account_id, call_id)
        await rig.settled()
        assert await repair.compare(START, END) == []

        deleted, empty, owner, lonely, doubled, other_value, edited, sound, _ = calls
        never_sent = await rig.call(account_id, publish=False)
        engagement_of(portal, deleted).is_archived = True
        for name in ("hs_call_duration", "hs_call_from_number", "hs_call_recording_url"):
            del engagement_of(portal, empty).properties[name]
        engagement_of(portal, owner).properties["hubspot_owner_id"] = "5012"
        engagement_of(portal, lonely).contacts.clear()
        second = portal.add("call", **engagement_of(portal, doubled).properties)
        engagement_of(portal, other_value).properties["hs_call_duration"] = "1000"
        engagement_of(portal, edited).properties |= {"hs_call_title": "Mine", "hs_call_body": "Notes"}
        engagement_of(portal, edited).contacts.add(portal.add("contact", lastname="Colleague").object_id)
        engagement_of(portal, sound).properties["hs_timestamp"] = (
            datetime.fromtimestamp(int(engagement_of(portal, sound).properties["hs_timestamp"]) / 1000, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z")
        )
        engagement_of(portal, empty).properties["hs_call_title"] = "Also mine"

        found = await repair.compare(START, END)
        assert {(one.call_session_id, one.defect, one.name) for one in found} == {
            (deleted, Defect.MISSING, None),
            (never_sent, Defect.MISSING, None),
            (empty, Defect.EMPTY, "hs_call_duration"),
            (empty, Defect.EMPTY, "hs_call_from_number"),
            (empty, Defect.EMPTY, "hs_call_recording_url"),
            (owner, Defect.WRONG_OWNER, "hubspot_owner_id"),
            (lonely, Defect.NO_CONTACT, None),
            (doubled, Defect.DUPLICATE, None),
            (other_value, Defect.DIFFERENT, "hs_call_duration"),
        }
        assert len(found) == 9
        before = {one.object_id: dict(one.properties) for one in portal.calls}
        await repair.fix(found)
        assert await repair.wait(found, 30) == 0
        assert await repair.compare(START, END) == []

        assert len(portal.calls) == 11  # ten calls, and the one of another integration
        assert second.is_archived
        assert foreign.properties["hs_call_title"] == "Of another integration"
        assert engagement_of(portal, edited).properties["hs_call_title"] == "Mine"
        assert engagement_of(portal, empty).properties["hs_call_title"] == "Also mine"
        assert engagement_of(portal, owner).properties["hubspot_owner_id"] == "5011"
        assert engagement_of(portal, lonely).contacts == {contact.object_id}
        for untouched in (edited, sound, calls[8]):
            one = engagement_of(portal, untouched)
            assert one.properties == before[one.object_id]

        written = len([one for one in rig.hubspot.requests if one.method != "GET" and not _reads(one.path)])
        again = await repair.compare(START, END)
        await repair.fix(again)
        assert await repair.wait(again, 1) == 0
        await rig.settled()
        assert written == len(
            [one for one in rig.hubspot.requests if one.method != "GET" and not _reads(one.path)]
        )


def _reads(path: str) -> bool:
    return path.endswith(("/search", "/read"))


async def test_a_corrected_mapping_corrects_former_calls(rig: Rig) -> None:
    account_id, portal = await rig.connected()
    repair = await repair_of(rig, account_id)
    await (await rig.setup(account_id)).set_owner(BEN, "")
    await rig.connections.set(account_id, default_owner_id="5011")
    async with rig.worker():
        call_id = await rig.call(account_id, last_talked_employee_id=BEN)
        await rig.settled()
        assert engagement_of(portal, call_id).properties["hubspot_owner_id"] == "5011"
        await (await rig.setup(account_id)).set_owner(BEN, "5012")
        [found] = await repair.compare(START, END)
        assert (found.defect, found.here, found.there) == (Defect.WRONG_OWNER, "5012", "5011")
        await repair.fix([found])
        assert await repair.wait([found], 20) == 0
    assert engagement_of(portal, call_id).properties["hubspot_owner_id"] == "5012"


async def test_engagements_of_a_lost_database_are_adopted(rig: Rig) -> None:
    account_id, portal = await rig.connected()
    repair = await repair_of(rig, account_id)
    async with rig.worker():
        call_id = await rig.call(account_id)
        await rig.settled()
        await rig.db.execute("delete from hubspot_calls")
        await rig.db.execute("delete from hubspot_objects")
        assert await repair.compare(START, END) == []
        del portal.calls[0].properties["hs_call_duration"]
        found = await repair.compare(START, END)
        await repair.fix(found)
        assert await repair.wait(found, 20) == 0
    assert len(portal.calls) == 1
    assert engagement_of(portal, call_id).properties["hs_call_duration"] == "20000"


async def test_calls_that_wait_are_no_faults_and_periods_are_not_empty(rig: Rig) -> None:
    account_id, _ = await rig.connected()
    repair = await repair_of(rig, account_id)
    call_id = await rig.call(account_id, publish=False)
    values = (account_id, call_id)
    await rig.db.execute("insert into hubspot_calls (account_id, call_session_id) values (%s, %s)", values)
    assert await repair.compare(START, END) == []
    assert [one.call_session_id for one in await repair.compare(START - timedelta(9), START)] == []
    with pytest.raises(InvalidInput):
        await repair.compare(END, START)
