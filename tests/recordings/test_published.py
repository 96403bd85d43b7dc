"""The complete sequence after a call: finished and published; recorded and published with working links."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from tests.notifications.receiver import Receiver
from tests.notifications.rig import LOOPBACK, Rig, links_of, new_session_id, open_rig
from tests.recordings.test_assembly import tone
from tests.recordings.test_service import call, spool
from trunkline.accounts.service import Accounts
from trunkline.apis.address import address_reader
from trunkline.apis.media import routes
from trunkline.apis.request_share import request_share
from trunkline.apis.service.check_limit import CheckLimit
from trunkline.core.settings import NotificationSettings, Settings, WebSettings
from trunkline.core.spool import mark_spool
from trunkline.db.jobs import Jobs
from trunkline.directory.media.listing import MediaFiles
from trunkline.events.relay import Relay
from trunkline.notifications import worker as notifications
from trunkline.notifications.listener import NotificationListener
from trunkline.recordings import worker as recordings
from trunkline.recordings.library import Library
from trunkline.recordings.listener import RecordingListener


@pytest.fixture
async def rig(database: str) -> AsyncIterator[Rig]:
    async with open_rig(database) as rig:
        yield rig


async def test_finished_then_recorded_then_heard(rig: Rig, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    mark_spool(settings)
    session = new_session_id()
    spool(settings, session, contact=tone(440, 2), employee=tone(1000, 2))
    jobs = Jobs(rig.dsn)
    relay = Relay(rig.db, [RecordingListener(jobs), NotificationListener(links_of)])
    async with (
        Receiver() as receiver,
        recordings.recording(rig.db, jobs, settings),
        notifications.delivering(rig.db, NotificationSettings(allowed_private_networks=LOOPBACK), rig.cipher),
    ):
        await rig.subscribe(receiver.url, events=["call_finish", "call_record_completed"])
        tasks = [
            asyncio.create_task(relay.run()),
            asyncio.create_task(jobs.run(recordings.concurrency(settings))),
        ]
        try:
            await rig.happened(*call(rig.account_id, session))
            finished, recorded = await receiver.wait_for(2)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    assert finished.json["notification_mnemonic"] == "call_finish"
    assert finished.json["file_link"] is None
    reported = recorded.json
    assert reported["notification_mnemonic"] == "call_record_completed"
    assert reported["file_duration"] == 2
    assert reported["talk_time_duration"] == 3
    address_of = address_reader(settings)
    app = web.Application(middlewares=[request_share(CheckLimit(WebSettings()), address_of)])
    app.add_routes(
        routes(
            Library(rig.db, settings.recordings_dir),
            MediaFiles(rig.db, settings.media_dir),
            Accounts(rig.db),
            address_of,
        )
    )
    async with TestClient(TestServer(app)) as client:
        async with client.get(urlsplit(reported["full_record_file_link"]).path) as response:
            assert response.status == 200
            assert len(await response.read()) > 1000
        async with client.get(urlsplit(reported["file_link"]).path) as response:
            assert response.status == 200
