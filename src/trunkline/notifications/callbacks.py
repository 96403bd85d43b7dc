"""Deliveries to an address that a request names, without a subscription: callbacks of uploaded calls.

They are rows of the table of deliveries and are sent like notifications: in order per stream, repeated, signed, logged.
The origin of the address (scheme, host, port) is the endpoint that is suspended when it fails repeatedly.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Mapping
from typing import Any

from psycopg.types.json import Jsonb
from yarl import URL

from trunkline.accounts.secrets import Cipher
from trunkline.core.clock import to_datetime
from trunkline.db.pool import Connection
from trunkline.notifications.deliveries import CHANNEL

ENDPOINTS_MAX = 64
"""Origins of an account with a separate endpoint each; further ones share these."""

_FIND = "select subscription_id from callback_endpoints where account_id = %s and origin = %s"

_ADD = """
insert into callback_endpoints (account_id, origin) select %(account_id)s, %(origin)s
where (select count(*) from callback_endpoints where account_id = %(account_id)s) < %(most)s
on conflict (account_id, origin) do nothing
"""

_SHARED = """
select subscription_id from callback_endpoints where account_id = %s order by subscription_id offset %s limit 1
"""

_MAKE = """
insert into deliveries (account_id, subscription_id, stream, seq, mnemonic, occurred_at, variables, url, next_attempt_at)
select %(account_id)s, %(subscription_id)s, %(stream)s, coalesce(max(seq), 0) + 1, %(mnemonic)s, %(occurred_at)s,
    %(body)s, %(url)s, now()
from deliveries
where account_id = %(account_id)s and subscription_id = %(subscription_id)s and stream = %(stream)s
"""


async def make_callback(
    conn: Connection, account_id: int, url: str, stream: str, mnemonic: str, body: Mapping[str, Any]
) -> None:
    """Make a delivery of a JSON object, due at once, in the connection's transaction.

    :param stream: deliveries of one stream arrive in the order in which they are made; the caller holds a lock that
        keeps others from adding to the stream before the transaction ends.
    """
    await conn.execute(
        _MAKE,
        {
            "account_id": account_id,
            "subscription_id": await _endpoint(conn, account_id, origin_of(url)),
            "stream": stream,
            "mnemonic": mnemonic,
            "occurred_at": to_datetime(time.time()),
            "body": Jsonb(dict(body)),
            "url": url,
        },
    )
    await conn.execute("select pg_notify(%s, '')", (CHANNEL,))


def origin_of(url: str) -> str:
    """``scheme://host[:port]`` of an address; text that is not an address is its own origin. Pure."""
    try:
        return str(URL(url).origin())
    except ValueError:
        return url[:200]


def callback_secret(cipher: Cipher, account_id: int) -> str:
    """The secret that signs an account's callbacks. Derived from the master key, so the same on every machine of the
    installation."""
    return cipher.derive(f"upload-callback:{account_id}")


async def _endpoint(conn: Connection, account_id: int, origin: str) -> int:
    row = await (await conn.execute(_FIND, (account_id, origin))).fetchone()
    if row is None:
        await conn.execute(_ADD, {"account_id": account_id, "origin": origin, "most": ENDPOINTS_MAX})
        row = await (await conn.execute(_FIND, (account_id, origin))).fetchone()
    if row is None:
        place = zlib.crc32(origin.encode()) % ENDPOINTS_MAX
        row = await (await conn.execute(_SHARED, (account_id, place))).fetchone()
    assert row is not None
    return int(row["subscription_id"])
