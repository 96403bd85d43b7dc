"""Compares the calls of a period with HubSpot, lists the defects, and has them corrected.

Comparing only reads. To correct, the rows of the calls are made due again, and the worker sends them as any call: so no
other process creates engagements, and what is right is not touched.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from trunkline.core.errors import InvalidInput
from trunkline.db.pool import Database
from trunkline.hubspot import api, calls, comparison, engagement
from trunkline.hubspot.api import ObjectKind
from trunkline.hubspot.calls import RecordingUrl
from trunkline.hubspot.client import Client
from trunkline.hubspot.comparison import Defect, Engagement, Finding
from trunkline.hubspot.connections import CHANNEL, Connection, Connections

_IDS_OF_SEARCH = 40
"""Our own ids in one search: its body has a limited length."""

_CALLS_AT_ONCE = 500

_KNOWN = """
select h.call_session_id, h.state, h.contact_id, o.hubspot_id from hubspot_calls h
left join hubspot_objects o on o.account_id = h.account_id and o.kind = 'call' and o.key = h.call_session_id::text
where h.account_id = %(account_id)s and h.call_session_id = any(%(calls)s)
"""

_FORGET = """
update hubspot_objects set hubspot_id = null, verify_at = null,
    asked_at = case when hubspot_id is null or verify_at is not null then asked_at end
where account_id = %(account_id)s and kind = 'call' and key = any(%(keys)s)
"""
"""``asked_at`` stays while a request may still be carried out: so the worker searches before it creates."""

_VERIFY = """
insert into hubspot_objects as o (account_id, kind, key, hubspot_id, verify_at)
select %(account_id)s, 'call', u.key, u.hubspot_id, now()
from unnest(%(keys)s::text[], %(ids)s::text[]) as u (key, hubspot_id)
on conflict (account_id, kind, key) do update set hubspot_id = excluded.hubspot_id, verify_at = now()
"""

_ADOPT = """
insert into hubspot_objects as o (account_id, kind, key, hubspot_id)
select %(account_id)s, 'call', u.key, u.hubspot_id
from unnest(%(keys)s::text[], %(ids)s::text[]) as u (key, hubspot_id)
on conflict (account_id, kind, key) do update set hubspot_id = excluded.hubspot_id, verify_at = coalesce(o.verify_at,
    case when o.hubspot_id is null and o.asked_at is not null then now() + interval '15 minutes' end)
"""

_AGAIN = """
insert into hubspot_calls as h (account_id, call_session_id)
select %(account_id)s, u.call_session_id from unnest(%(calls)s::bigint[]) as u (call_session_id)
on conflict (account_id, call_session_id) do update set state = 'pending', wanted = h.wanted + 1, due_at = now(),
    attempts = 0, failing_since = null, error = null
"""

_SENT = """
update hubspot_calls h set sent = case when u.names = '*' then '{}' else h.sent - string_to_array(u.names, ',') end
from unnest(%(calls)s::bigint[], %(names)s::text[]) as u (call_session_id, names)
where h.account_id = %(account_id)s and h.call_session_id = u.call_session_id
"""
"""What was sent wrongly counts as not sent; the rest is not sent again."""

_OPEN = """
select count(*) as calls from hubspot_calls
where account_id = %(account_id)s and call_session_id = any(%(calls)s) and state = 'pending'
"""

_UNVERIFIED = """
select count(*) as objects from hubspot_objects
where account_id = %(account_id)s and kind = 'call' and key = any(%(keys)s) and verify_at <= now()
"""


class Repair:
    """For one account.

    :param recording_url: where a recording can be fetched.
    """

    def __init__(
        self,
        db: Database,
        client: Client,
        connections: Connections,
        account_id: int,
        recording_url: RecordingUrl,
    ) -> None:
        self._db = db
        self._client = client
        self._connections = connections
        self._account_id = account_id
        self._recording_url = recording_url

    async def compare(self, start: datetime, end: datetime) -> list[Finding]:
        """The defects of the calls that began in a period. Calls that wait to be sent are left out.

        :raises InvalidInput: the period is empty.
        """
        if start >= end:
            raise InvalidInput("The end of the period is after its beginning.", field="till")
        connection = await self._connections.get(self._account_id)
        found: list[Finding] = []
        ids = await calls.of_period(self._db, self._account_id, start, end)
        for at in range(0, len(ids), _CALLS_AT_ONCE):
            found += await self._compare(connection, ids[at : at + _CALLS_AT_ONCE])
        return found

    async def _compare(self, connection: Connection, ids: Sequence[int]) -> list[Finding]:
        values = {"account_id": self._account_id, "calls": list(ids)}
        rows = {row["call_session_id"]: row for row in await self._db.fetch_all(_KNOWN, values)}
        settled = [one for one in ids if one not in rows or rows[one]["state"] != "pending"]
        records = await calls.read(self._db, self._account_id, settled, self._recording_url)
        owners = await calls.owners(self._db, self._account_id)
        there = await self._engagements(
            connection, settled, [row["hubspot_id"] for row in rows.values() if row["hubspot_id"]]
        )
        contacts = await self._client.contacts_of(
            connection, ObjectKind.CALL, [one.object_id for those in there.values() for one in those]
        )
        found: list[Finding] = []
        for call_id in settled:
            call, row = records.get(call_id), rows.get(call_id, {})
            if call is None:
                continue
            owner_id = engagement.owner_of(call, owners, connection.default_owner_id)
            wanted = engagement.properties(
                call, self._connections.installation, owner_id, recordings=connection.push_recordings
            )
            those = [
                Engagement(one.object_id, one.properties, contacts.get(one.object_id, frozenset()))
                for one in there[call_id]
            ]
            found += comparison.compare(
                call_id,
                wanted,
                those,
                known_id=row.get("hubspot_id"),
                contact_id=row.get("contact_id"),
            )
        return found

    async def _engagements(
        self, connection: Connection, ids: Sequence[int], known: Sequence[str]
    ) -> dict[int, list[Engagement]]:
        """Engagements by call: those that a search finds by our own id, and those that are known and it may not have yet."""
        names = [*engagement.ESSENTIAL, engagement.EXTERNAL_ID]
        by_id: dict[str, dict[str, Any]] = {}
        for at in range(0, len(ids), _IDS_OF_SEARCH):
            own = [
                engagement.external_id(self._connections.installation, self._account_id, one)
                for one in ids[at : at + _IDS_OF_SEARCH]
            ]
            condition = {"propertyName": engagement.EXTERNAL_ID, "operator": "IN", "values": own}
            body = {
                "filterGroups": [{"filters": [condition]}],
                "properties": names,
                "limit": api.SEARCH_PAGE,
            }
            for one in await self._client.search(connection, ObjectKind.CALL, body):
                by_id[str(one["id"])] = one
        # A search has deleted ones for some time, and not yet the new ones: what is read by id is decisive.
        wanted = sorted({*known, *by_id})
        read = await self._client.read(connection, ObjectKind.CALL, wanted, names)
        grouped: dict[int, list[Engagement]] = defaultdict(list)
        for one in read:
            call_id = comparison.call_of(one["properties"])
            if call_id is not None and not one.get("archived"):
                grouped[call_id].append(Engagement(str(one["id"]), one["properties"]))
        return grouped

    async def fix(self, findings: Sequence[Finding]) -> None:
        """Have the defects corrected; the worker does it. :meth:`wait` returns when it has."""
        missing = [one.call_session_id for one in findings if one.defect is Defect.MISSING]
        doubled = {one.call_session_id: one.object_id for one in findings if one.defect is Defect.DUPLICATE}
        wrong: dict[int, set[str]] = defaultdict(set)
        stays: dict[int, str | None] = {}
        for one in findings:
            if one.defect is Defect.MISSING:
                wrong[one.call_session_id].add("*")
            elif one.defect is not Defect.DUPLICATE:
                # Without our own id among what was sent, the contact is associated again.
                wrong[one.call_session_id].add(one.name or engagement.EXTERNAL_ID)
                stays[one.call_session_id] = one.object_id
        async with self._db.connection() as conn:
            values: dict[str, Any] = {"account_id": self._account_id}
            await conn.execute(_FORGET, {**values, "keys": [str(one) for one in missing]})
            for statement, chosen in ((_ADOPT, stays), (_VERIFY, doubled)):
                keys, ids = [str(one) for one in chosen], list(chosen.values())
                await conn.execute(statement, {**values, "keys": keys, "ids": ids})
            await conn.execute(_AGAIN, {**values, "calls": list(wrong)})
            names = [",".join(sorted(one)) for one in wrong.values()]
            await conn.execute(_SENT, {**values, "calls": list(wrong), "names": names})
            await conn.execute("select pg_notify(%s, '')", (CHANNEL,))

    async def wait(self, findings: Sequence[Finding], seconds: float) -> int:
        """Wait until the worker has sent the calls of these findings; how many still wait then.

        :param seconds: at most.
        """
        ids = sorted({one.call_session_id for one in findings})
        values = {"account_id": self._account_id, "calls": ids, "keys": [str(one) for one in ids]}
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while True:
            row = await self._db.fetch_one(_OPEN, values)
            unverified = await self._db.fetch_one(_UNVERIFIED, values)
            assert row is not None
            assert unverified is not None
            left: int = row["calls"] + unverified["objects"]
            if not left or loop.time() > end:
                return left
            await asyncio.sleep(0.25)
