"""One object for each key, whichever way the requests before have ended; searches for a second one end by themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from tests.hubspot.rig import Rig
from trunkline.events.retention import remove_calls
from trunkline.hubspot import sync
from trunkline.hubspot.api import ObjectKind
from trunkline.hubspot.calls import prune
from trunkline.hubspot.comparison import Defect, Finding
from trunkline.hubspot.objects import HubSpotObjects
from trunkline.hubspot.repair import Repair
from trunkline.hubspot.responses import HubSpotError, OutcomeUnknown, RequestRefused, TryLater
from trunkline.hubspot.sync import PER_ACCOUNT, Sync

DELAY = 10.0
REFUSALS: dict[str, Callable[[], HubSpotError]] = {
    "429": lambda: TryLater("HTTP 429", 1, is_of_portal=True),
    "400": lambda: RequestRefused("HTTP 400"),
}


class PortalObjects:
    """What a portal has of one key."""

    def __init__(self, rig: Rig, account_id: int) -> None:
        self.rig = rig
        self.account_id = account_id
        self.hubspot_objects = HubSpotObjects(rig.db, DELAY, 0.0)
        self.ids: list[str] = []
        self.searches = 0

    async def find(self) -> Sequence[str]:
        self.searches += 1
        return list(self.ids)

    async def make(self, error: HubSpotError | None = None) -> str | None:
        """One attempt, whose request is carried out unless there is an error."""

        async def create() -> str:
            if error is not None:
                raise error
            self.ids.append(str(100 + len(self.ids)))
            return self.ids[-1]

        try:
            found = await self.hubspot_objects.find_or_create(
                self.account_id, ObjectKind.CALL, "5", self.find, create
            )
        except HubSpotError:
            return None
        return found.object_id

    async def passes(self, seconds: float = DELAY + 1) -> None:
        await self.rig.db.execute(
            "update hubspot_objects set asked_at = asked_at - %s * interval '1 second'", (seconds,)
        )

    async def row(self) -> dict[str, Any]:
        row = await self.rig.db.fetch_one("select * from hubspot_objects where kind = 'call' and key = '5'")
        assert row is not None
        return row


@pytest.fixture
async def objects(rig: Rig) -> PortalObjects:
    account_id, _ = await rig.connected()
    return PortalObjects(rig, account_id)


@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize("is_late", [False, True], ids=["before the search", "after it"])
async def test_a_refusal_does_not_settle_an_earlier_unknown_outcome(
    objects: PortalObjects, refusal: str, is_late: bool
) -> None:
    await objects.make(OutcomeUnknown("no response"))
    await objects.passes()
    await objects.make(REFUSALS[refusal]())
    assert objects.searches == 1
    if not is_late:
        objects.ids.append("77")  # the first request is carried out
    await objects.passes()
    made = await objects.make()
    assert objects.searches == 2
    assert made == objects.ids[0]
    assert len(objects.ids) == 1
    assert (await objects.row())["verify_at"] is not None


async def test_a_refused_first_request_needs_no_search(objects: PortalObjects) -> None:
    await objects.make(REFUSALS["429"]())
    assert await objects.make() == "100"
    assert objects.searches == 0
    assert (await objects.row())["verify_at"] is None


async def test_an_object_that_was_found_is_verified(objects: PortalObjects) -> None:
    await objects.make(OutcomeUnknown("no response"))
    await objects.passes()
    await objects.make(OutcomeUnknown("no response"))
    objects.ids.append("77")  # one of the two requests is carried out
    await objects.passes()
    assert await objects.make() == "77"
    assert (await objects.row())["verify_at"] > datetime.now(UTC)


async def test_a_deleted_object_is_searched_for_while_a_second_one_may_come(objects: PortalObjects) -> None:
    await objects.make(OutcomeUnknown("no response"))
    await objects.passes()
    made = await objects.make()
    assert made is not None
    await objects.hubspot_objects.forget(objects.account_id, ObjectKind.CALL, "5", made)
    objects.ids[:] = ["77"]
    await objects.passes()
    assert await objects.make() == "77"


async def test_a_repair_keeps_the_unknown_outcome(objects: PortalObjects) -> None:
    repair = Repair(
        objects.rig.db,
        None,  # type: ignore[arg-type]
        objects.rig.connections,
        objects.account_id,
        lambda *_: "",
    )
    await objects.make(OutcomeUnknown("no response"))
    await repair.fix([Finding(5, Defect.MISSING)])
    await objects.passes()
    objects.ids.append("77")
    assert await objects.make() == "77"
    assert objects.searches == 1


async def test_an_engagement_that_a_repair_adopts_is_verified(objects: PortalObjects) -> None:
    repair = Repair(
        objects.rig.db,
        None,  # type: ignore[arg-type]
        objects.rig.connections,
        objects.account_id,
        lambda *_: "",
    )
    await objects.make(OutcomeUnknown("no response"))
    await repair.fix([Finding(5, Defect.EMPTY, name="hs_call_title", object_id="77")])
    row = await objects.row()
    assert row["hubspot_id"] == "77"
    assert row["verify_at"] is not None


# --- the search for a second object


class Refusing:
    """In place of a Pusher."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    async def verify(self, connection: Any, row: Any) -> None:
        if self.error is not None:
            raise self.error


async def plant(rig: Rig, account_id: int, count: int) -> None:
    for number in range(count):
        await rig.db.execute(
            """insert into hubspot_objects (account_id, kind, key, hubspot_id, asked_at, verify_at)
               values (%s, 'call', %s, %s, now(), now() - interval '1 minute')""",
            (account_id, str(number), str(number)),
        )


async def due(rig: Rig, account_id: int) -> int:
    row = await rig.db.fetch_one(
        "select count(*) as n from hubspot_objects where account_id = %s and verify_at <= now()",
        (account_id,),
    )
    assert row is not None
    return int(row["n"])


def a_sync(rig: Rig, error: Exception | None) -> Sync:
    return Sync(rig.db, rig.settings, rig.connections, HubSpotObjects(rig.db, DELAY, 0.0), Refusing(error))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "error",
    [RequestRefused("HTTP 400"), OutcomeUnknown("no response"), KeyError("results")],
    ids=lambda one: type(one).__name__,
)
async def test_a_search_that_fails_is_repeated_after_a_growing_pause(rig: Rig, error: Exception) -> None:
    account_id, _ = await rig.connected()
    await plant(rig, account_id, 1)
    worker, pauses = a_sync(rig, error), []
    for _ in range(sync._VERIFY_REFUSALS):
        for row in await worker._objects.to_verify(1):
            await worker._verify(row, (row["account_id"], row["kind"], row["key"]))
        row_after = await rig.db.fetch_one(
            "select extract(epoch from verify_at - now())::float8 as seconds from hubspot_objects"
        )
        assert row_after is not None
        pauses.append(row_after["seconds"])
        await rig.db.execute("update hubspot_objects set verify_at = now() where verify_at is not null")
    assert 0 < pauses[0] < 10 < pauses[3] < pauses[6]
    assert (pauses[-1] is None) == (not isinstance(error, OutcomeUnknown))


async def test_a_lost_database_leaves_the_search_due(rig: Rig) -> None:
    account_id, _ = await rig.connected()
    await plant(rig, account_id, 1)
    worker = a_sync(rig, psycopg.OperationalError("the connection is lost"))
    (row,) = await worker._objects.to_verify(1)
    await worker._verify(row, (account_id, "call", "0"))
    assert await due(rig, account_id) == 1


async def test_searches_of_an_account_delay_no_other_account(rig: Rig) -> None:
    first, _ = await rig.connected()
    second, _ = await rig.connected(502, "Other Ltd")
    await plant(rig, first, PER_ACCOUNT * 3)
    await plant(rig, second, 1)
    hubspot_objects = HubSpotObjects(rig.db, DELAY, 0.0)
    rows = await hubspot_objects.to_verify(PER_ACCOUNT)
    assert [row["account_id"] for row in rows].count(first) == PER_ACCOUNT
    assert [row["account_id"] for row in rows].count(second) == 1
    keys = [(row["account_id"], row["kind"], row["key"]) for row in rows]
    others = await hubspot_objects.to_verify(PER_ACCOUNT, keys)
    assert len(others) == PER_ACCOUNT
    assert not {(row["account_id"], row["kind"], row["key"]) for row in others} & set(keys)


# --- retention


async def left(rig: Rig) -> list[tuple[str, str]]:
    rows = await rig.db.fetch_all(
        """select 'calls' as kind, call_session_id::text as key from hubspot_calls
           union all select kind, key from hubspot_objects order by 1, 2"""
    )
    return [(row["kind"], row["key"]) for row in rows]


@pytest.mark.parametrize("by_month", [False, True], ids=["rows", "month"])
async def test_removed_calls_leave_nothing(rig: Rig, by_month: bool) -> None:
    account_id, _ = await rig.connected()
    call_id = await rig.call(account_id, publish=False)
    await rig.db.execute(
        'insert into hubspot_calls (account_id, call_session_id, sent) values (%s, %s, \'{"hs_call_body": "x"}\')',
        (account_id, call_id),
    )
    for kind, key in (("call", str(call_id)), ("task", str(call_id)), ("contact", "12025550110")):
        await rig.db.execute(
            """insert into hubspot_objects (account_id, kind, key, hubspot_id, asked_at)
               values (%s, %s, %s, '1', now())""",
            (account_id, kind, key),
        )
    later = datetime.now(UTC) + timedelta(days=400 if by_month else 1)
    if not by_month:
        await rig.db.execute(
            "update call_sessions set finish_time = start_time where call_session_id = %s", (call_id,)
        )
    await remove_calls(rig.db, {account_id: later.timestamp()}, later)
    assert await left(rig) == [("contact", "12025550110")]


async def test_numbers_of_contacts_that_were_not_created_are_removed(rig: Rig) -> None:
    account_id, _ = await rig.connected()
    await rig.db.execute(
        "insert into hubspot_objects (account_id, kind, key) values (%s, 'contact', '12025550110')",
        (account_id,),
    )
    await prune(rig.db)
    assert await left(rig) == []
