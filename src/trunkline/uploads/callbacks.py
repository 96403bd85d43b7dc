"""Callbacks that inform the uploader of an uploaded call's status: deliveries, made in the transaction of the change.

They are sent like notifications (:mod:`trunkline.notifications.deliverer`): at least once, those of one call in order,
signed, with the log and the retries of deliveries; to the addresses that ``uploads.allowed_private_networks`` allows.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from trunkline.db.pool import Connection
from trunkline.notifications.callbacks import make_callback
from trunkline.uploads.model import UploadStatus


async def enqueue(
    connection: Connection,
    account_id: int,
    row: Mapping[str, Any],
    status: UploadStatus,
    more: Mapping[str, Any],
) -> None:
    """Make the callback of a change of an uploaded call if its uploader asked for this status.

    :param row: of ``uploaded_calls``; the transaction has changed it, so no other one adds to its stream.
    :param more: additional fields: ``call_session_id`` or ``error_code`` and ``error_message``.
    """
    callback = row["callback"]
    if status not in callback.get("events", ()):
        return
    body = {"ext_id": row["ext_id"], "status": status.value, "timestamp": int(time.time()), **more}
    await make_callback(
        connection,
        account_id,
        callback["url"],
        f"upload:{row['ext_id']}",
        f"uploaded_call_{status.value}",
        body,
    )
