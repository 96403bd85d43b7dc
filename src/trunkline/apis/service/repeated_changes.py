"""Changes under an ``Idempotency-Key``: the key, the change and its answer are committed together, so a repeated request
gets the first one's answer, and a refused one leaves its key free. A concurrent request waits for the first."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson

from trunkline.apis.service.request_context import RequestContext
from trunkline.core.errors import InvalidInput
from trunkline.db.pool import Connection

HEADER = "Idempotency-Key"
KEPT_HOURS = 24
KEY_MAX = 255

_TAKE = f"""
insert into idempotency_keys as k (account_id, method, key, request_hash, api_request_id, state)
values (%(account_id)s, %(method)s, %(key)s, %(request_hash)s, %(api_request_id)s, 'done')
on conflict (account_id, method, key) do update set request_hash = excluded.request_hash,
    api_request_id = excluded.api_request_id, answer = null, claimed_at = now(), changed_at = now()
where k.claimed_at < now() - interval '{KEPT_HOURS} hours'
returning 1 as taken
"""  # noqa: S608 - our own constants

_READ = """
select request_hash, answer from idempotency_keys
where account_id = %(account_id)s and method = %(method)s and key = %(key)s
"""

_KEEP = """
update idempotency_keys set answer = %(answer)s, changed_at = now()
where account_id = %(account_id)s and method = %(method)s and key = %(key)s
"""


def request_hash(params: Mapping[str, Any]) -> bytes:
    """Distinguishes requests with other parameters; of checked parameters, so that ``+971 50...`` is ``97150...``."""
    return hashlib.sha256(orjson.dumps(params, option=orjson.OPT_SORT_KEYS)).digest()


def check_key(key: str) -> None:
    """:raises InvalidInput: it is not a key."""
    if not (0 < len(key) <= KEY_MAX and key.isascii() and key.isprintable()):
        raise refused(key, f"a key has 1 to {KEY_MAX} printable ASCII characters")


def refused(key: str, why: str) -> InvalidInput:
    """The error of a key that cannot be used."""
    return InvalidInput(why, field=HEADER, value=key)


def of_another_request(key: str) -> InvalidInput:
    """The error of a key that has other parameters."""
    return refused(key, "this key was used for a request with other parameters; take a new key")


async def in_one_transaction(
    request: RequestContext,
    params: Mapping[str, Any],
    change: Callable[[Connection], Awaitable[dict[str, Any]]],
) -> dict[str, Any]:
    """Make a change in one transaction; its answer, or that of the first request with the key.

    :param params: checked ones, which the key stands for.
    :raises InvalidInput: the key is not a key, or was used for other parameters.
    """
    key = request.idempotency_key
    if key is None:
        async with request.services.db.connection() as connection:
            return await change(connection)
    check_key(key)
    row = {
        "account_id": request.account_id,
        "method": request.method,
        "key": key,
        "request_hash": request_hash(params),
        "api_request_id": request.api_request_id,
    }
    async with request.services.db.connection() as connection:
        if await (await connection.execute(_TAKE, row)).fetchone() is None:
            first = await (await connection.execute(_READ, row)).fetchone()
            assert first is not None  # the conflict was with a committed row
            if bytes(first["request_hash"]) != row["request_hash"]:
                raise of_another_request(key)
            answer: dict[str, Any] = first["answer"]
            return answer
        made = await change(connection)
        await connection.execute(_KEEP, {**row, "answer": orjson.dumps(made).decode()})
        return made
