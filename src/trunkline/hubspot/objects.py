"""Creates each object in HubSpot once, although its API has no key by which a repeated request is recognised.

The request is written to the object's row before it is sent. While its outcome is unknown (no response, a killed worker),
the object is searched for by our own unique value, and only after the time in which searches find new objects; if it is
not there, it is created again. A refusal of a later request says nothing about the earlier one, whose outcome stays
unknown. After each such case a later search deletes a second object, because a request may be carried out late.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from trunkline.core.log import get_logger
from trunkline.db.pool import Database
from trunkline.hubspot.api import ObjectKind
from trunkline.hubspot.responses import HubSpotError, OutcomeUnknown, TryLater

VERIFY_AFTER = 10
"""Times the delay of searches after which a second object is looked for."""

Find = Callable[[], Awaitable[Sequence[str]]]
"""The ids of the objects with our unique value, the first created first."""

Create = Callable[[], Awaitable[str]]
"""Sends the request that creates the object; its id."""

_log = get_logger("hubspot")


@dataclass(frozen=True, slots=True)
class HubSpotObject:
    """An object that is in HubSpot.

    :ivar is_new: created just now, with the properties of the request.
    """

    object_id: str
    is_new: bool = False


_READ = """
select hubspot_id, asked_at, extract(epoch from now() - asked_at)::float8 as asked_ago from hubspot_objects
where account_id = %(account_id)s and kind = %(kind)s and key = %(key)s
"""

_ASKED = """
insert into hubspot_objects as o (account_id, kind, key, asked_at) values (%(account_id)s, %(kind)s, %(key)s, now())
on conflict (account_id, kind, key) do update set asked_at = excluded.asked_at where o.hubspot_id is null
"""

_REFUSED = """
update hubspot_objects set asked_at = %(asked_at)s
where account_id = %(account_id)s and kind = %(kind)s and key = %(key)s and hubspot_id is null
"""

_CREATED = """
update hubspot_objects set hubspot_id = %(hubspot_id)s, verify_at = now() + %(seconds)s * interval '1 second'
where account_id = %(account_id)s and kind = %(kind)s and key = %(key)s
"""

_FORGET = """
update hubspot_objects set hubspot_id = null, verify_at = null, asked_at = case when verify_at is not null then asked_at end
where account_id = %(account_id)s and kind = %(kind)s and key = %(key)s and hubspot_id = %(hubspot_id)s
"""

_VERIFY = """
select due.account_id, due.kind, due.key, due.hubspot_id
from hubspot_connections c cross join lateral (
    select o.account_id, o.kind, o.key, o.hubspot_id, o.verify_at from hubspot_objects o
    where o.account_id = c.account_id and o.verify_at <= now() and not exists (
        select from unnest(%(accounts)s::bigint[], %(kinds)s::text[], %(keys)s::text[]) as w (account_id, kind, key)
        where w.account_id = o.account_id and w.kind = o.kind and w.key = o.key)
    order by o.verify_at limit %(most)s
) due
where c.is_active and (c.paused_until is null or c.paused_until <= now())
order by due.verify_at
"""

_VERIFIED = """
update hubspot_objects set verify_at = null
where account_id = %(account_id)s and kind = %(kind)s and key = %(key)s
"""

_VERIFY_LATER = """
update hubspot_objects set verify_at = now() + %(seconds)s * interval '1 second'
where account_id = %(account_id)s and kind = %(kind)s and key = %(key)s
"""


class HubSpotObjects:
    """The objects of all accounts.

    :param search_delay: seconds after which a search finds a new object.
    :param timeout: seconds of a request: it may be carried out at their end.
    """

    def __init__(self, db: Database, search_delay: float, timeout: float) -> None:
        self._db = db
        self._search_delay = search_delay + timeout
        self._verify_after = self._search_delay * VERIFY_AFTER

    async def find_or_create(
        self, account_id: int, kind: ObjectKind, key: str, find: Find, create: Create
    ) -> HubSpotObject:
        """The object of a key, created if there is none. One caller at a time for a key.

        :raises TryLater: the outcome of an earlier request is not known yet.
        :raises HubSpotError: as ``find`` and ``create``.
        """
        values: dict[str, Any] = {"account_id": account_id, "kind": kind.value, "key": key}
        row = await self._db.fetch_one(_READ, values) or {
            "hubspot_id": None,
            "asked_at": None,
            "asked_ago": None,
        }
        if row["hubspot_id"] is not None:
            return HubSpotObject(row["hubspot_id"])
        is_unknown = row["asked_ago"] is not None
        if is_unknown:
            wait = self._search_delay - row["asked_ago"]
            if wait > 0:
                raise TryLater("the outcome of the request before is looked for when searches have it", wait)
            found = await find()
            if found:
                _log.info("hubspot_object_found", **values, hubspot_id=found[0], count=len(found))
                seconds = 0.0 if len(found) > 1 else self._verify_after
                await self._db.execute(_CREATED, {**values, "hubspot_id": found[0], "seconds": seconds})
                return HubSpotObject(found[0])
        await self._db.execute(_ASKED, values)
        try:
            object_id = await create()
        except OutcomeUnknown as error:
            raise TryLater(error.message, self._search_delay) from error
        except HubSpotError:
            # This request was refused or not sent. That settles nothing about an earlier one whose outcome is unknown.
            await self._db.execute(_REFUSED, {**values, "asked_at": row["asked_at"]})
            raise
        verify_after = self._verify_after if is_unknown else None
        await self._db.execute(_CREATED, {**values, "hubspot_id": object_id, "seconds": verify_after})
        return HubSpotObject(object_id, is_new=True)

    async def id_of(self, account_id: int, kind: ObjectKind, key: str) -> str | None:
        """The id of the object of a key; None: it was not created, as far as is known."""
        values = {"account_id": account_id, "kind": kind.value, "key": key}
        row = await self._db.fetch_one(_READ, values)
        return None if row is None else row["hubspot_id"]

    async def forget(self, account_id: int, kind: ObjectKind, key: str, object_id: str) -> None:
        """The object was deleted in HubSpot: the next :meth:`find_or_create` creates another one."""
        await self._db.execute(
            _FORGET, {"account_id": account_id, "kind": kind.value, "key": key, "hubspot_id": object_id}
        )

    async def to_verify(
        self, most: int, without: Collection[tuple[int, str, str]] = ()
    ) -> list[dict[str, Any]]:
        """Objects of which a second one is to be looked for: ``account_id``, ``kind``, ``key``, ``hubspot_id``.

        :param most: of an account.
        :param without: account, kind and key of objects that are left out.
        """
        left_out = list(without)
        values = {
            "most": most,
            "accounts": [one[0] for one in left_out],
            "kinds": [one[1] for one in left_out],
            "keys": [one[2] for one in left_out],
        }
        return await self._db.fetch_all(_VERIFY, values)

    async def verified(self, row: dict[str, Any], again_after: float | None = None) -> None:
        """It was looked for.

        :param again_after: seconds after which it is looked for again, because the search was not completed.
        """
        if again_after is None:
            await self._db.execute(_VERIFIED, row)
        else:
            await self._db.execute(_VERIFY_LATER, {**row, "seconds": again_after})
