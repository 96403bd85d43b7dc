"""Changes of the tags and sales of communications, in the name of one user."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from trunkline.core.errors import Duplicate, InvalidInput, NotFound
from trunkline.core.ids import unix_ms_of
from trunkline.db.pool import Connection, Database
from trunkline.tagging import communications, marks, sales
from trunkline.tagging.communications import Communication, Kind

NEW_CALL_SECONDS = 30.0
"""Seconds since a call began."""
ROW_WAIT_SECONDS = 2.0
"""Seconds until the row of such a call is there, also when the database is slow."""

Change = Callable[[Connection], Awaitable[dict[str, Any]]]
Transaction = Callable[[Change], Awaitable[dict[str, Any]]]
"""Makes a change in one transaction; returns its answer."""


@dataclass(frozen=True, slots=True)
class Named:
    """How a client names a communication: by its id, or by the id that the client gave it."""

    kind: Kind
    communication_id: int | None = None
    ext_id: str | None = None


@dataclass(frozen=True, slots=True)
class Replaced:
    """A communication and all its tags after a change."""

    communication: Communication
    tags: Sequence[marks.Tag]


@dataclass(frozen=True, slots=True)
class TagChanges:
    """Changes by one user.

    :ivar switch: tags of a live call are its switch's to set.
    :ivar request_id: of the request, for the switch's log.
    """

    db: Database
    switch: marks.Switch
    account_id: int
    user_id: int
    login: str
    employee_id: int | None
    request_id: str = ""

    async def set_tag(self, named: Named, tag_id: int) -> None:
        """Give a communication a tag.

        :raises NotFound: no such communication or tag.
        :raises PermissionDenied: a tag of the system.
        :raises Duplicate: it has the tag already.
        """
        found = await self._find(named)
        [tag] = (await self._tags([tag_id], "tag_id")).values()
        marks.require_user_tag([tag], field="tag_id")
        changed = await (await self._marker()).mark(found.kind, found.communication_id, [tag])
        if not changed.added:
            raise Duplicate("The communication already has this tag", field="tag_id", value=tag.tag_id)

    async def take(self, named: Named, tag_id: int) -> None:
        """Take a tag from a communication; with the tag of a sale, the sale.

        :raises NotFound: no such communication, or it does not have the tag.
        """
        found = await self._find(named)
        marker, changed = await self._marker(), marks.Changed()
        if found.is_live:
            changed = await marker.mark(found.kind, found.communication_id, (), [tag_id])
        async with self.db.connection() as connection:
            if not found.is_live:
                changed = await marker.mark_within(
                    connection, found.kind, found.communication_id, (), [tag_id]
                )
            if not changed.removed:
                raise NotFound("The communication does not have this tag", field="tag_id", value=tag_id)
            if tag_id == (await sales.sale_tag(connection, self.account_id)).tag_id:
                await sales.forget(connection, self.account_id, found.kind, found.communication_id)

    async def set_tags(
        self, wanted: Sequence[tuple[Named, Sequence[int]]], transaction: Transaction
    ) -> dict[str, Any]:
        """Give several communications tags, all or none; live calls are marked by their switch before the others.

        :returns: ``success``, and ``items``: each communication and tag.
        :raises NotFound: no such communication or tag.
        :raises PermissionDenied: a tag of the system.
        """
        tags = await self._tags([tag_id for _, ids in wanted for tag_id in ids], "tag_ids")
        marks.require_user_tag(tags.values(), field="tag_ids")
        found = [(await self._find(named), ids) for named, ids in wanted]
        marker = await self._marker()
        for communication, ids in found:
            if communication.is_live:  # done again under a key, it changes nothing
                given = [tags[one] for one in ids]
                await marker.mark(communication.kind, communication.communication_id, given)

        async def mark_ended(connection: Connection) -> dict[str, Any]:
            # In one order in all requests, so that two of them do not wait for each other.
            for each, ids in sorted(found, key=lambda pair: (pair[0].kind, pair[0].communication_id)):
                if not each.is_live:
                    given = [tags[one] for one in ids]
                    await marker.mark_within(connection, each.kind, each.communication_id, given)
            return {
                "success": "true",
                "items": [
                    {
                        "id": one,
                        "communication_id": each.communication_id,
                        "communication_type": each.kind.value,
                    }
                    for each, ids in found
                    for one in dict.fromkeys(ids)
                ],
            }

        return await transaction(mark_ended)

    async def replace(self, named: Named, tag_ids: Sequence[int]) -> Replaced:
        """Replace the communication's tags with these. Tags of the system are kept: they record facts.

        :raises NotFound: no such communication or tag.
        :raises PermissionDenied: a tag of the system that it does not have.
        """
        found = await self._find(named)
        tags = await self._tags(tag_ids, "tag_ids")
        new = (tag for tag in tags.values() if tag.tag_id not in found.tag_ids)
        marks.require_user_tag(new, field="tag_ids")
        async with self.db.connection() as connection:
            sale = await sales.sale_tag(connection, self.account_id)
        gone = found.tag_ids - tags.keys() - {sale.tag_id}
        await (await self._marker()).mark(found.kind, found.communication_id, list(tags.values()), gone)
        present = list(tags.values())
        if sale.tag_id in found.tag_ids and sale.tag_id not in tags:
            present.append(sale)
        return Replaced(found, present)

    async def record_sale(self, named: Named, sale: sales.Sale, transaction: Transaction) -> int:
        """Record a sale that came of a communication, and give that the tag of sales.

        :returns: the id of the sale.
        :raises NotFound: no such communication.
        :raises Refused: see :func:`trunkline.tagging.sales.check`.
        """
        found = await self._find(named)
        marker = await self._marker()
        async with self.db.connection() as connection:
            await sales.check(connection, self.account_id, found, sale)
            tag = await sales.sale_tag(connection, self.account_id)
        if found.is_live:
            # Before the sale: when the sale cannot be stored, the client sends it again, and setting the tag again changes
            # nothing. In the other order the repeated request would store the sale twice.
            await marker.mark(found.kind, found.communication_id, [tag])

        async def record(connection: Connection) -> dict[str, Any]:
            if not found.is_live:
                await marker.mark_within(connection, found.kind, found.communication_id, [tag])
            sale_id = await sales.record(
                connection, self.account_id, self.user_id, found.kind, found.communication_id, sale
            )
            return {"id": sale_id}

        made: int = (await transaction(record))["id"]
        return made

    async def _marker(self) -> marks.Marker:
        async with self.db.connection() as connection:
            author = await marks.author_of(
                connection, self.account_id, self.user_id, self.login, self.employee_id
            )
        return marks.Marker(self.db, self.switch, author, request_id=self.request_id)

    async def _tags(self, tag_ids: Sequence[int], field: str) -> dict[int, marks.Tag]:
        async with self.db.connection() as connection:
            return await marks.find_tags(connection, self.account_id, tag_ids, field=field)

    async def _find(self, named: Named) -> Communication:
        """The communication; a call that began lately may be written later than its switch published it."""
        if named.communication_id is None and named.ext_id is None:
            raise InvalidInput(
                "Name the communication by its id",
                mnemonic="required_parameter_missed",
                field="communication_id",
            )
        deadline = time.monotonic() + ROW_WAIT_SECONDS
        while True:
            try:
                async with self.db.connection() as connection:
                    return await communications.find(
                        connection, self.account_id, named.kind, named.communication_id, named.ext_id
                    )
            except NotFound:
                is_new = named.kind is Kind.CALL and _began_lately(named.communication_id)
                if not is_new or time.monotonic() > deadline:
                    raise
            await asyncio.sleep(0.05)


def _began_lately(number: int | None) -> bool:
    """Whether this may be a call that the switch has published but not yet written."""
    # The time in an id is exact to the second.
    return number is not None and -1.0 <= time.time() - unix_ms_of(number) / 1000 < NEW_CALL_SECONDS
