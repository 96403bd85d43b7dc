"""Real calls become engagements in a local HubSpot: a talk with its recording, and a missed call with its task."""

from __future__ import annotations

import asyncio
import json
import time

import aiohttp
import pytest

from tests.engine.setup import Setup
from tests.hubspot.server import Object, Portal
from tests.patience import PATIENCE
from trunkline.accounts.secrets import Cipher
from trunkline.db.pool import Database
from trunkline.demo.outside import Answer, Call
from trunkline.hubspot.connections import ConnectionKind
from trunkline.hubspot.setup import Setup as HubSpotSetup
from trunkline.hubspot.worker import client_of
from trunkline.recordings.links import LinkMaker
from trunkline.runtime import postgres, secrets

pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("third setup"),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),
    # Begins early: the repair sends the calls that the product had before, some each second.
    pytest.mark.long(400),
]

ANNA = "97140000200"
TOKEN = "pat-901"


async def engagement(portal: Portal, kind: str, call: Call) -> Object:
    """The only one with the contact of this call. Calls of former tests may end after the connection, and have theirs."""
    while True:
        phones = {one.object_id: one.properties["phone"] for one in portal.of("contact")}
        found = [
            one
            for one in portal.of(kind)
            if [phones.get(contact) for contact in one.contacts] == [f"+{call.party}"]
        ]
        if found:
            [one] = found
            return one
        await asyncio.sleep(0.1)


async def test_a_talk_and_a_missed_call_are_engagements_with_all_fields(setup: Setup) -> None:
    account_id = setup.account.account_id
    account = ("--account", str(account_id))
    settings = setup.installation.settings
    portal = setup.hubspot.portal(901, TOKEN)
    portal.owners = [{"id": "9011", "email": "anna@example.com", "firstName": "Anna", "lastName": "Berg"}]
    async with await Database.open(postgres.dsn(settings)) as db:
        cipher = Cipher(secrets.master_key(settings))
        async with client_of(db, settings.hubspot, cipher) as (client, connections):
            await HubSpotSetup(db, client, connections, account_id).with_token(
                ConnectionKind.SERVICE_KEY, TOKEN
            )
    run = setup.installation.run
    try:
        await run("hubspot", "map", "--accept", *account)
        for name in ("create_contacts", "missed_call_tasks"):
            await run("hubspot", "set", name, "on", *account)

        before = await setup.last_id()
        customer = await setup.customer()
        setup.anna.on_call(Answer(after=0.5))
        call = await customer.dial(ANNA)
        phone = await setup.anna.next_call()
        await phone.answered()
        await asyncio.sleep(2)
        await call.hangup()
        await asyncio.gather(call.ended(), phone.ended())
        row = await setup.row(before, recorded=True)

        stranger = await setup.customer()
        missed = await stranger.dial(ANNA)
        await missed.ringing()
        await missed.hangup()
        await missed.ended()

        async with asyncio.timeout(PATIENCE):
            talk, lost = await asyncio.gather(
                engagement(portal, "call", call), engagement(portal, "call", missed)
            )
            await engagement(portal, "task", missed)
        assert talk.properties["hs_call_status"] == "COMPLETED"
        assert talk.properties["hs_call_direction"] == "INBOUND"
        assert talk.properties["hs_call_duration"] == str(row["talk_duration"] * 1000)
        assert talk.properties["hs_call_from_number"] == f"+{call.party}"
        assert talk.properties["hs_call_to_number"] == f"+{ANNA}"
        assert talk.properties["hs_call_external_id"].endswith(f"-{account_id}-{row['id']}")
        assert int(talk.properties["hs_timestamp"]) / 1000 == pytest.approx(time.time(), abs=PATIENCE)
        assert "Employees: Berg Anna" in talk.properties["hs_call_body"]
        assert talk.properties["hubspot_owner_id"] == lost.properties["hubspot_owner_id"] == "9011"
        assert (lost.properties["hs_call_status"], lost.properties["hs_call_duration"]) == ("NO_ANSWER", "0")
        assert portal.exceeded == 0

        # The address that engagements have (with https) answers ranges, as the player of HubSpot requests them.
        [recording_id] = row["wav_call_records"]
        url = LinkMaker(setup.installation.url).of(row["communication_id"], recording_id, "talk").playable
        async with (
            aiohttp.ClientSession() as session,
            session.get(url, headers={"Range": "bytes=10-19"}) as part,
        ):
            assert (part.status, part.content_type) == (206, "audio/mpeg")
            assert len(await part.read()) == 10

        async with asyncio.timeout(PATIENCE):
            while "pending" in json.loads(await run("hubspot", "status", "--json", *account))["calls"]:
                await asyncio.sleep(0.5)
        # Calls of other tests of this day are found, too: they were made before the connection.
        ours = {row["id"], int(lost.properties["hs_call_external_id"].rpartition("-")[2])}
        del talk.properties["hs_call_duration"]
        found = json.loads(await run("hubspot", "repair", "--fix", "--json", *account))
        assert [one["name"] for one in found["defects"] if one["call_session_id"] in ours] == [
            "hs_call_duration"
        ]
        assert found["waiting"] == 0
        assert talk.properties["hs_call_duration"] == str(row["talk_duration"] * 1000)
    finally:
        await run("hubspot", "disconnect", *account)
