"""An office that uploads, a customer's server, and the uploads' part of a worker in this process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from tests.apis.data_api.client import DataApiClient
from trunkline.accounts.secrets import Cipher
from trunkline.core.settings import Settings, UploadSettings
from trunkline.db.jobs import Jobs
from trunkline.notifications.worker import delivering
from trunkline.uploads.process import WhenReady
from trunkline.uploads.worker import CONCURRENCY, uploading

MASTER_KEY = Fernet.generate_key()
ALL_EVENTS = ["processed", "in_process", "error"]


def settings_for(folder: Path, certificate: Path | None = None, **more: Any) -> Settings:
    """Loopback is reached at 127.0.0.1 alone; limits are short."""
    limits = {
        "download_timeout": 1.5,
        "file_max": 4_000_000,
        "decode_timeout": 20.0,
        "decode_cpu": 10,
        "callback_timeout": 2.0,
        **more,
    }
    uploads = UploadSettings(
        allowed_private_networks=["127.0.0.1/32"], trusted_certificates=certificate, **limits
    )
    return Settings(data_dir=folder, uploads=uploads)


@contextlib.asynccontextmanager
async def working(
    client: DataApiClient, settings: Settings, when_ready: Sequence[WhenReady] = ()
) -> AsyncIterator[None]:
    """A worker's part, in this process."""
    jobs = Jobs(client.db.dsn)
    async with (
        uploading(client.db, jobs, settings, when_ready),
        delivering(client.db, settings.notifications, Cipher(MASTER_KEY), settings.uploads),
    ):
        task = asyncio.create_task(jobs.run(CONCURRENCY))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def call(ext_id: str, **more: Any) -> dict[str, Any]:
    """A call that came in, was answered after 10 s and talked for 20."""
    return {
        "ext_id": ext_id,
        "calling_phone_number": "12025550110",
        "called_phone_number": "971500000010",
        "start_time": "2026-03-03 12:00:00",
        "finish_time": "2026-03-03 12:00:30",
        "is_lost": False,
        "wait_duration": 10,
        "talk_duration": 20,
        **more,
    }


async def settled(client: DataApiClient, count: int, seconds: float = 40) -> dict[str, dict[str, Any]]:
    """Rows of ``uploaded_calls`` by ext_id, once so many are processed or failed."""
    async with asyncio.timeout(seconds):
        while True:
            rows = await client.db.fetch_all("select * from uploaded_calls order by uploaded_call_id")
            done = {row["ext_id"]: row for row in rows if row["status"] in ("processed", "error")}
            if len(done) >= count:
                return done
            await asyncio.sleep(0.05)


def open_files() -> int:
    """Files, pipes and TCP sockets that this process holds; connections to the database, which come and go, are not
    among them."""
    tcp = {
        line.split()[9]
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/self/net/{table}").read_text().splitlines()[1:]
    }
    count = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            target = str(descriptor.readlink())
            inode = target.removeprefix("socket:[").removesuffix("]")
            count += inode in tcp if target.startswith("socket:") else True
    return count


def children() -> list[int]:
    """Processes that this one started and that are still there."""
    found: list[int] = []
    for thread in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):
            found += map(int, (thread / "children").read_text().split())
    return found
