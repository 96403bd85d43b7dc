"""Repeated requests under one ``Idempotency-Key``: the first dials, all others get its answer.

Kept in the database for a day, so that it holds over all web processes and over their deaths. A claim goes
through states: ``claimed`` (nothing dialled yet), ``dialling`` (the switch was asked), ``done`` (the answer is
known). A refusal releases the key: nothing was dialled. For an interrupted attempt:

- while ``claimed``: after :data:`CLAIM_SECONDS` the next request takes its place;
- while ``dialling``: its session is looked up by the number of the first request; when there is none, it is unknown
  whether a phone rang, and every further request gets that error. It is never dialled again.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from trunkline.apis.service.repeated_changes import KEPT_HOURS, check_key, of_another_request
from trunkline.core.errors import SwitchInterrupted
from trunkline.db.pool import Database, Row

CLAIM_SECONDS = 35
"""Seconds after which an attempt that has not dialled may be replaced; if it still runs, ``dialling`` fails."""
DIALLING_SECONDS = 20
"""Seconds after which an attempt that dials is considered failed: the request to the switch times out earlier."""

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 0.5

_CLAIM = f"""
insert into idempotency_keys as k (account_id, method, key, request_hash, api_request_id)
values (%(account_id)s, %(method)s, %(key)s, %(request_hash)s, %(api_request_id)s)
on conflict (account_id, method, key) do update set
    request_hash = excluded.request_hash, api_request_id = excluded.api_request_id,
    state = 'claimed', answer = null, claimed_at = now(), changed_at = now()
where k.claimed_at < now() - interval '{KEPT_HOURS} hours'
   or (k.state = 'claimed' and k.request_hash = excluded.request_hash
       and k.changed_at < now() - interval '{CLAIM_SECONDS} seconds')
returning 1 as claimed
"""  # noqa: S608 - our own constants

_READ = f"""
select request_hash, api_request_id, state, answer, claimed_at,
    state = 'dialling' and changed_at < now() - interval '{DIALLING_SECONDS} seconds' as is_dead
from idempotency_keys
where account_id = %(account_id)s and method = %(method)s and key = %(key)s
"""  # noqa: S608 - our own constants

_MOVE = """
update idempotency_keys set state = %(state)s, answer = %(answer)s, changed_at = now()
where account_id = %(account_id)s and method = %(method)s and key = %(key)s and api_request_id = %(api_request_id)s
"""

_FREE = """
delete from idempotency_keys
where account_id = %(account_id)s and method = %(method)s and key = %(key)s and api_request_id = %(api_request_id)s
"""

_FIND_SESSION = """
select call_session_id from call_sessions
where account_id = %s and api_request_id = %s
  and start_time between %s::timestamptz - interval '5 minutes' and %s::timestamptz + interval '10 minutes'
limit 1
"""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request under a key. ``answer`` is the first one's, when there is one: then nothing is to be done."""

    account_id: int
    method: str
    key: str
    request_hash: bytes
    api_request_id: int
    answer: dict[str, Any] | None = None

    @property
    def row(self) -> dict[str, Any]:
        return {
            "account_id": self.account_id,
            "method": self.method,
            "key": self.key,
            "request_hash": self.request_hash,
            "api_request_id": self.api_request_id,
        }


class IdempotencyKeys:
    """The keys of all accounts."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def claim(self, attempt: Attempt) -> Attempt:
        """Take the key, or wait for who has it and bring the answer.

        :raises InvalidInput: the key is not a key, or was used for other parameters.
        :raises SwitchInterrupted: whether the first request dialled is not known.
        """
        check_key(attempt.key)
        pause = _FIRST_PAUSE
        while True:
            if await self._db.fetch_one(_CLAIM, attempt.row) is not None:
                return attempt
            row = await self._db.fetch_one(_READ, attempt.row)
            if row is not None:
                answer = await self._answer_of(attempt, row)
                if answer is not None:
                    return dataclasses.replace(attempt, answer=answer)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def dialling(self, attempt: Attempt) -> None:
        """From now on the switch may have been asked.

        :raises SwitchInterrupted: the claim was lost, as the texts took too long; nothing was dialled by it.
        """
        if not await self._db.execute(_MOVE, {**attempt.row, "state": "dialling", "answer": None}):
            raise SwitchInterrupted(
                "The request took too long and another one took its place; send it again."
            )

    async def keep(self, attempt: Attempt, answer: Mapping[str, Any]) -> None:
        """The call was started: this is the answer from now on."""
        kept = orjson.dumps(answer).decode()
        await self._db.execute(_MOVE, {**attempt.row, "state": "done", "answer": kept})

    async def give_up(self, attempt: Attempt) -> None:
        """Nothing was dialled: the key is free."""
        await self._db.execute(_FREE, attempt.row)

    async def _answer_of(self, attempt: Attempt, row: Row) -> dict[str, Any] | None:
        """The answer of the attempt before; None while it is under way."""
        if row["request_hash"] != attempt.request_hash:
            raise of_another_request(attempt.key)
        if row["state"] == "done":
            answer: dict[str, Any] = row["answer"]
            return answer
        if row["state"] != "dialling":
            return None
        first = dataclasses.replace(attempt, api_request_id=row["api_request_id"])
        found = await self._db.fetch_one(
            _FIND_SESSION, (first.account_id, first.api_request_id, row["claimed_at"], row["claimed_at"])
        )
        if found is not None:
            await self.keep(first, found)
            return dict(found)
        if row["is_dead"]:
            raise SwitchInterrupted(
                "A request with this key was interrupted, and whether its call was dialled is not known; it will not"
                " be dialled again. Look at list.calls, then send the request with a new key."
            )
        return None


async def prune(db: Database) -> None:
    """Delete expired keys; the worker does so about once an hour."""
    for row in await db.fetch_all("select account_id from accounts"):
        await db.execute(
            "delete from idempotency_keys where account_id = %s and claimed_at < now() - make_interval(hours => %s)",
            (row["account_id"], KEPT_HOURS),
        )
