"""Tells the uploader's callback URL what became of a call: at least once, in order, for a day.

A telling is a job, ordered in the transaction of the change that it tells of. The tellings of one call have one lock, so
the second waits until the first was heard or given up.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from typing import Any

import aiohttp
import orjson
from yarl import URL

from trunkline.core.log import get_logger
from trunkline.core.settings import UploadSettings
from trunkline.db.jobs import Jobs, RunAgain
from trunkline.db.pool import Connection
from trunkline.notifications.backoff import is_over
from trunkline.notifications.gate import Gate
from trunkline.uploads.download import allowed_by, open_session
from trunkline.uploads.model import UploadStatus

_log = get_logger("uploads")

QUEUE = "upload_callbacks"
TELL = "tell_upload_status"

_AT_A_TIME = 4
"""Requests under way to one host for one account."""

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 600.0
"""Seconds between two tries; the longer it has not been heard, the rarer."""


async def order(
    connection: Connection,
    jobs: Jobs,
    account_id: int,
    row: Mapping[str, Any],
    status: UploadStatus,
    more: Mapping[str, Any],
) -> None:
    """Order the telling of a change of an uploaded call, if its uploader wants to know.

    :param row: of ``uploaded_calls``.
    :param more: what is told beside: ``call_session_id`` or ``error_code`` and ``error_message``.
    """
    callback = row["callback"]
    if status not in callback.get("events", ()):
        return
    body = {"ext_id": row["ext_id"], "status": status.value, "timestamp": int(time.time()), **more}
    await jobs.order(
        connection,
        TELL,
        {"account_id": account_id, "url": callback["url"], "body": body},
        queue=QUEUE,
        lock=f"upload-callback:{account_id}:{row['uploaded_call_id']}",
    )


class Teller:
    """Does the jobs. Close it at the end."""

    def __init__(self, settings: UploadSettings) -> None:
        self._settings = settings
        self._allowed = allowed_by(settings)
        self._gate = Gate(_AT_A_TIME)
        self._session: aiohttp.ClientSession | None = None

    async def tell(self, account_id: int, url: str, body: Mapping[str, Any]) -> None:
        """One attempt; another is asked for when it fails."""
        address = URL(url, encoded=url.isascii())
        async with self._gate.enter((account_id, address.host, address.port)) as entered:
            if not entered:
                raise RunAgain(random.uniform(0.5, 2.0))
            error = await self._attempt(address, body)
        if error is None:
            return
        age = time.time() - body["timestamp"]
        told = {"account_id": account_id, "ext_id": body["ext_id"], "status": body["status"], "error": error}
        if is_over(body["timestamp"], time.time(), self._settings.callback_give_up_after):
            _log.error("upload_callback_given_up", **told)
            return
        _log.info("upload_callback_failed", **told)
        raise RunAgain(min(max(_FIRST_PAUSE, age), _LONGEST_PAUSE) * random.uniform(0.8, 1.2))

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _attempt(self, address: URL, body: Mapping[str, Any]) -> str | None:
        """What went wrong; None when it was heard."""
        if self._session is None:
            self._session = open_session(self._settings, self._allowed)
        try:
            async with asyncio.timeout(self._settings.callback_timeout):
                self._allowed.check_host(address.host)
                async with self._session.post(
                    address,
                    data=orjson.dumps(body),
                    headers={"Content-Type": "application/json"},
                    allow_redirects=False,
                ) as response:
                    return None if 200 <= response.status < 300 else f"HTTP {response.status}"
        except TimeoutError:
            return f"no answer within {self._settings.callback_timeout:g} s"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return f"{type(error).__name__}: {error}"[:300]
