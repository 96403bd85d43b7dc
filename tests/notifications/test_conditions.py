"""Conditions of subscriptions: which calls meet them, and that only those are delivered."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.notifications.receiver import Receiver
from tests.notifications.rig import Rig, call_events, open_rig, worker
from trunkline.core.clock import Instant
from trunkline.core.errors import InvalidInput
from trunkline.directory.model.limits import MAX_CONDITION_VALUES, MAX_TALK_SECONDS
from trunkline.directory.subscriptions.form import ConditionsForm
from trunkline.events import store
from trunkline.events.catalogue import Event, EventType, call_stream, line_stream
from trunkline.notifications.conditions import NO_CONDITIONS, Conditions, are_met, parse
from trunkline.notifications.facts import CallFacts, aggregate

numbers = st.sampled_from(["971500000010", "971500000011", "12025550110"])
ids = st.lists(st.integers(1, 5), max_size=3)
wanted: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "direction": st.sampled_from(["in", "out"]),
        "virtual_phone_numbers": st.lists(numbers, max_size=3),
        "contact_phone_numbers": st.lists(numbers, max_size=3),
        "employee_ids": ids,
        "tag_ids": ids,
        "queue_ids": ids,
        "talk_seconds_min": st.integers(0, 5),
        "talk_seconds_max": st.integers(5, 9),
    },
)


@st.composite
def calls(draw: st.DrawFn) -> CallFacts:
    """The facts of an ended call."""
    facts = CallFacts()
    facts.session = {
        "direction": draw(st.sampled_from(["in", "out"])),
        "virtual_phone_number": draw(numbers),
        "contact_phone_number": draw(numbers),
    }
    facts.tags = dict.fromkeys(draw(ids), "")
    facts.queue_ids = set(draw(ids))
    return facts


@given(wanted, calls(), st.none() | st.integers(0, 9))
def test_each_condition_alone_decides_as_all_together(
    given_: dict[str, Any], facts: CallFacts, talk: int | None
) -> None:
    each = [are_met(parse({name: value}), facts, talk) for name, value in given_.items()]
    assert are_met(parse(given_), facts, talk) == all(each)


@given(wanted)
def test_conditions_are_read_as_they_were_written(given_: dict[str, Any]) -> None:
    conditions = parse(given_)
    assert parse(conditions.as_json()) == conditions


@pytest.fixture
async def rig(database: str) -> AsyncIterator[Rig]:
    async with open_rig(database) as made:
        yield made


@pytest.mark.parametrize(
    ("given_", "is_met"),
    [
        ({}, True),
        ({"direction": "in"}, True),
        ({"direction": "out"}, False),
        ({"virtual_phone_numbers": ["+971 50 000 0010"]}, True),
        ({"virtual_phone_numbers": ["971500000011"]}, False),
        ({"contact_phone_numbers": ["12025550110", "12025550111"]}, True),
        ({"contact_phone_numbers": ["12025550111"]}, False),
        ({"employee_ids": [7, 4001]}, True),
        ({"employee_ids": [7]}, False),
        ({"tag_ids": [31]}, True),
        ({"tag_ids": [32]}, False),
        ({"queue_ids": [41]}, True),
        ({"queue_ids": [42]}, False),
        ({"talk_seconds_min": 3, "talk_seconds_max": 3}, True),
        ({"talk_seconds_min": 4}, False),
        ({"talk_seconds_max": 2}, False),
    ],
)
def test_an_ended_call(given_: dict[str, Any], is_met: bool) -> None:
    events = call_events(1, start=1_700_000_000.0)
    session = events[0].call_session_id
    assert session is not None

    def event(seq: int, type_: EventType, **data: Any) -> Event:
        return Event(1, call_stream(session), seq, type_, Instant(1_700_000_000.0 + seq), data)

    events.append(event(11, EventType.TAG_SET, tag_id=31, tag_name="sale"))
    events.append(event(12, EventType.QUEUE_ENTERED, queue_id=41))
    events.append(event(13, EventType.QUEUE_LEFT, queue_id=41))
    assert are_met(parse(given_), aggregate(events), 3) is is_met


def test_without_an_ended_talk_no_condition_on_its_length_is_met() -> None:
    facts = aggregate(call_events(1)[:3])
    assert not are_met(Conditions(talk_seconds_max=60), facts, None)
    assert are_met(NO_CONDITIONS, facts, None)


async def test_a_subscription_that_cannot_be_read_does_not_stop_the_others(rig: Rig) -> None:
    async with Receiver() as got:
        bad = await rig.subscribe(got.url + "/bad", events=["call_finish"], key="bad")
        await rig.subscribe(got.url + "/good", events=["call_finish"], key="good")
        async with rig.db.connection() as connection:
            await connection.execute(
                "update subscriptions set conditions = '{\"colour\": 1}' where account_id = %s and subscription_id = %s",
                (rig.account_id, bad),
            )
        async with worker(rig):
            await rig.happened(*call_events(rig.account_id))
            await rig.until_settled()
        assert [one.path for one in got.received] == ["/hook/good"]


def test_a_directory_file_has_the_same_bounds() -> None:
    ConditionsForm(talk_seconds_max=MAX_TALK_SECONDS)
    many = [f"12025{n:06}" for n in range(550000, 550000 + MAX_CONDITION_VALUES + 1)]
    for given_ in ({"talk_seconds_max": MAX_TALK_SECONDS + 1}, {"tags": [f"t{n}" for n in range(101)]}):
        with pytest.raises(ValidationError):
            ConditionsForm.model_validate(given_)
    with pytest.raises(ValidationError, match="at most 100"):
        ConditionsForm.model_validate({"contacts": many})


@pytest.mark.parametrize(
    "given_",
    [
        {"colour": "red"},
        {"direction": "up"},
        {"employee_ids": [0]},
        {"employee_ids": [True]},
        {"employee_ids": ["1"]},
        {"tag_ids": [2**63]},
        {"queue_ids": list(range(1, 102))},
        {"virtual_phone_numbers": ["none"]},
        {"virtual_phone_numbers": [True]},
        {"talk_seconds_min": -1},
        {"talk_seconds_min": 10, "talk_seconds_max": 9},
    ],
)
def test_conditions_that_cannot_be_met_are_refused(given_: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(given_)
    assert caught.value.field == "conditions"


async def test_only_calls_of_interest_are_delivered(rig: Rig) -> None:
    async with Receiver() as got:
        names = ["call_start", "talk_finished", "call_finish", "line_lost"]
        await rig.subscribe(got.url + "/all", events=names, key="all")
        await rig.subscribe(
            got.url + "/long", events=names, key="long", conditions=Conditions(talk_seconds_min=60)
        )
        await rig.subscribe(
            got.url + "/ana", events=names, key="ana", conditions=Conditions(employee_ids=(4001,))
        )
        await rig.subscribe(got.url + "/out", events=names, key="out", conditions=Conditions(direction="out"))
        line = {"sip_line_id": 1, "phone_number": "0160001", "devices": 0}
        lost = Event(rig.account_id, line_stream(1), 1, EventType.LINE_LOST, Instant(time.time()), line)
        async with worker(rig):
            await rig.happened(*call_events(rig.account_id))
            async with rig.db.connection() as connection:
                await store.append_to_stream(connection, [lost])
            made = await rig.until_settled()
        keys = {one.subscription_id: one.key for one in await rig.subscriptions.all(rig.account_id)}
        sent = sorted((keys[row["subscription_id"]], row["mnemonic"]) for row in made)
    assert sent == sorted(
        [("all", name) for name in names]
        + [("ana", "talk_finished"), ("ana", "call_finish")]
        + [(key, "line_lost") for key in ("ana", "long", "out")]
    )
