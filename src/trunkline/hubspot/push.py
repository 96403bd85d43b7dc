"""Sends one call: its contact, its engagement, its task; and whatever was changed since it was sent before."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from trunkline.core.log import get_logger
from trunkline.db.pool import Database, Row
from trunkline.hubspot import api, calls, contacts, engagement
from trunkline.hubspot.api import ObjectKind
from trunkline.hubspot.calls import RecordingUrl
from trunkline.hubspot.client import Client
from trunkline.hubspot.connections import Connection
from trunkline.hubspot.contacts import Choice
from trunkline.hubspot.engagement import CallRecord
from trunkline.hubspot.numbers import is_dialable
from trunkline.hubspot.objects import HubSpotObjects
from trunkline.hubspot.responses import NotThere, RequestRefused, TryLater

_NOT_WRITTEN_PAUSE = 10.0
"""Seconds until a call is read again whose end is not written yet."""

_CONTACT_GONE_PAUSE = 5.0

_log = get_logger("hubspot")


class Pusher:
    """Sends calls.

    :param installation: marks the calls of this installation.
    """

    def __init__(
        self,
        db: Database,
        client: Client,
        objects: HubSpotObjects,
        installation: str,
        recording_url: RecordingUrl,
    ) -> None:
        self._db = db
        self._client = client
        self._objects = objects
        self._installation = installation
        self._recording_url = recording_url
        self._numbers: weakref.WeakValueDictionary[tuple[int, str], asyncio.Lock] = (
            weakref.WeakValueDictionary()
        )

    async def push(self, connection: Connection, row: Row) -> None:
        """Send a call that is due, and settle its row.

        :raises HubSpotError: it is to be tried again, or is refused.
        """
        account_id, call_id = row["account_id"], row["call_session_id"]
        found = await calls.read(self._db, account_id, [call_id], self._recording_url)
        if call_id not in found:
            raise TryLater("the end of the call is not written", _NOT_WRITTEN_PAUSE)
        call = found[call_id]
        if call is None:
            await calls.done(self._db, row, state="skipped")
            return
        owners = await calls.owners(self._db, account_id)
        owner_id = engagement.owner_of(call, owners, connection.default_owner_id)
        contact_id, choice = await self._contact(connection, row, call, owner_id)
        wanted = engagement.properties(
            call, self._installation, owner_id, recordings=connection.push_recordings
        )
        error = await self._engagement(connection, row, wanted, contact_id)
        if connection.missed_call_tasks and engagement.needs_task(call):
            await self._task(connection, call, owner_id, contact_id)
        await calls.done(
            self._db, row, sent=wanted, contact_id=contact_id, contact_choice=choice, error=error
        )

    async def find_call(self, connection: Connection, call_session_id: int) -> Sequence[str]:
        """Engagements of a call, by our own id."""
        external_id = engagement.external_id(self._installation, connection.account_id, call_session_id)
        return await self._find(connection, ObjectKind.CALL, engagement.EXTERNAL_ID, external_id)

    async def verify(self, connection: Connection, row: Mapping[str, Any]) -> None:
        """Delete further objects of a key."""
        if row["kind"] == ObjectKind.CONTACT:  # they may be those of people
            return
        kind = ObjectKind(row["kind"])
        name = engagement.EXTERNAL_ID if kind is ObjectKind.CALL else "hs_task_subject"
        known = await self._client.get(connection, kind, row["hubspot_id"], [name])
        value = (known.get("properties") or {}).get(name)
        if not value:
            return
        for object_id in await self._find(connection, kind, name, value):
            if object_id == row["hubspot_id"]:
                continue
            try:
                await self._client.archive(connection, kind, object_id)
            except NotThere:
                continue
            _log.warning(
                "hubspot_duplicate_deleted",
                account_id=connection.account_id,
                kind=kind.value,
                key=row["key"],
                hubspot_id=object_id,
                consequence="HubSpot carried a request out late that had no response; one object remains",
            )

    # --- the contact

    async def _contact(
        self, connection: Connection, row: Row, call: CallRecord, owner_id: str | None
    ) -> tuple[str | None, str]:
        """The contact of the call, and why; the one that an earlier attempt has chosen."""
        if row["contact_choice"] is not None and row["contact_id"] is not None:
            return row["contact_id"], row["contact_choice"]
        number = call.contact_number
        if number is None or not is_dialable(number):
            return None, "the call has no number of the telephone network"
        key = (connection.account_id, number)
        lock = self._numbers.get(key)
        if lock is None:
            lock = self._numbers[key] = asyncio.Lock()
        async with lock:  # of two calls of an unknown number the second finds the contact of the first
            choice = await self._choose(connection, number, call.contact_name, owner_id)
        if choice.others:
            _log.info(
                "hubspot_contact_chosen",
                account_id=connection.account_id,
                call_session_id=call.call_session_id,
                contact_id=choice.contact_id,
                others=list(choice.others),
                why=choice.why,
            )
        await calls.remember_contact(self._db, row, choice.contact_id, choice.why)
        return choice.contact_id, choice.why

    async def _choose(
        self, connection: Connection, number: str, name: str | None, owner_id: str | None
    ) -> Choice:
        found = contacts.choose(await self._contacts_with(connection, number), owner_id)
        if found.contact_id is not None:
            return found
        account_id = connection.account_id
        known = await self._objects.id_of(account_id, ObjectKind.CONTACT, number)
        if known is not None:
            try:
                await self._client.get(connection, ObjectKind.CONTACT, known, ["phone"])
                return Choice(known, "created for an earlier call")
            except NotThere:
                await self._objects.forget(account_id, ObjectKind.CONTACT, number, known)
        if not connection.create_contacts:
            return found
        properties = contacts.new_contact(number, name)

        async def find() -> Sequence[str]:
            choice = contacts.choose(await self._contacts_with(connection, number), owner_id)
            return () if choice.contact_id is None else (choice.contact_id,)

        async def create() -> str:
            try:
                return await self._client.create(connection, ObjectKind.CONTACT, properties, ())
            except RequestRefused as refused:
                if refused.existing_id is not None:
                    return refused.existing_id
                raise

        created = await self._objects.find_or_create(account_id, ObjectKind.CONTACT, number, find, create)
        return Choice(
            created.object_id, "created for this call" if created.is_new else "created for an earlier call"
        )

    async def _contacts_with(self, connection: Connection, number: str) -> list[Mapping[str, Any]]:
        found = await self._client.search(connection, ObjectKind.CONTACT, contacts.search_body(number))
        return contacts.with_number(number, connection.country, found)

    # --- the engagement and the task

    async def _engagement(
        self, connection: Connection, row: Row, wanted: Mapping[str, str], contact_id: str | None
    ) -> str | None:
        """Create or change the engagement. Returns why it has not these properties now; None: it has."""
        call_id = row["call_session_id"]
        associations = [] if contact_id is None else [api.association(contact_id, api.CALL_TO_CONTACT)]

        async def create(properties: Mapping[str, str]) -> str:
            return await self._client.create(connection, ObjectKind.CALL, properties, associations)

        try:
            call = await self._objects.find_or_create(
                connection.account_id,
                ObjectKind.CALL,
                str(call_id),
                lambda: self.find_call(connection, call_id),
                lambda: _without_refused(wanted, create),
            )
        except NotThere as error:
            raise await self._without_contact(row, error) from error
        if call.is_new:
            return None
        try:
            await self._change(connection, row, call.object_id, wanted)
        except NotThere:  # somebody deleted it: that is not undone
            return "the engagement was deleted in HubSpot; trunkline hubspot repair --fix creates it again"
        if engagement.EXTERNAL_ID not in row["sent"] and contact_id is not None:
            # Found, or to be repaired: its contact may be missing.
            try:
                await self._client.associate(connection, ObjectKind.CALL, call.object_id, contact_id)
            except NotThere as error:
                raise await self._without_contact(row, error) from error
        return None

    async def _change(
        self, connection: Connection, row: Row, object_id: str, wanted: Mapping[str, str]
    ) -> None:
        """Write what differs from what was sent, except texts that somebody has edited; all of an engagement that was
        found, which may be half written."""
        sent = row["sent"]
        changes = {name: value for name, value in wanted.items() if sent.get(name) != value}
        changes |= {name: "" for name in sent if name not in wanted}
        texts = [name for name in engagement.TEXTS if name in changes and sent.get(name)]
        if texts:
            there = (await self._client.get(connection, ObjectKind.CALL, object_id, texts)).get(
                "properties"
            ) or {}
            for name in texts:
                if engagement.is_edited(sent[name], there.get(name)):
                    del changes[name]
        if changes:
            await _without_refused(
                changes, lambda some: self._client.update(connection, ObjectKind.CALL, object_id, some)
            )

    async def _without_contact(self, row: Row, error: NotThere) -> TryLater:
        """The contact was deleted since it was chosen: another attempt chooses again."""
        await calls.remember_contact(self._db, row, None, None)
        return TryLater(f"the contact is not there any more: {error.message}", _CONTACT_GONE_PAUSE)

    async def _task(
        self, connection: Connection, call: CallRecord, owner_id: str | None, contact_id: str | None
    ) -> None:
        properties = engagement.task(call, self._installation, owner_id)
        associations = [] if contact_id is None else [api.association(contact_id, api.TASK_TO_CONTACT)]

        async def create(some: Mapping[str, str]) -> str:
            return await self._client.create(connection, ObjectKind.TASK, some, associations)

        await self._objects.find_or_create(
            connection.account_id,
            ObjectKind.TASK,
            str(call.call_session_id),
            lambda: self._find(connection, ObjectKind.TASK, "hs_task_subject", properties["hs_task_subject"]),
            lambda: _without_refused(properties, create),
        )

    async def _find(self, connection: Connection, kind: ObjectKind, name: str, value: str) -> Sequence[str]:
        """Ids of the objects with this value, the first created first."""
        body = {
            "filterGroups": [{"filters": [{"propertyName": name, "operator": "EQ", "value": value}]}],
            "properties": [name],
            "limit": api.SEARCH_PAGE,
        }
        found = await self._client.search(connection, kind, body)
        ids = {str(one["id"]) for one in found if not one.get("archived")}
        return sorted(ids, key=lambda one: (len(one), one))


async def _without_refused(
    properties: Mapping[str, str], send: Callable[[Mapping[str, str]], Awaitable[Any]]
) -> Any:
    """Send; if HubSpot refuses properties that are not necessary, send the others."""
    left = dict(properties)
    while True:
        try:
            return await send(left)
        except NotThere:
            raise
        except RequestRefused as refused:
            unnecessary = refused.names & left.keys() & engagement.OPTIONAL
            if not unnecessary:
                raise
            _log.warning(
                "hubspot_property_refused",
                names=sorted(unnecessary),
                error=refused.message,
                consequence="the engagement is written without these properties",
            )
            left = {name: value for name, value in left.items() if name not in unnecessary}
