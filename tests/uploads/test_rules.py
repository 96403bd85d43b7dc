"""Pure rules: ids in time, durations and legs of uploaded calls, names, channels of visits, the guard."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.ids import EPOCH_MS, UPLOAD_NODE, first_id_at, node_of, unix_ms_of, uploaded_id
from trunkline.outbound import Allowed, ForbiddenAddress, GuardedResolver
from trunkline.uploads import rules
from trunkline.uploads.model import UploadedCall
from trunkline.uploads.sessions import channel

START = datetime(2026, 3, 3, 12, tzinfo=UTC)
NOW_MS = 1_800_000_000_000


def uploaded(
    *,
    total: int = 30,
    wait: int | None = None,
    talk: int | None = None,
    lost: bool = False,
    handed_on: bool = False,
) -> UploadedCall:
    return UploadedCall(
        account_id=1001,
        uploaded_call_id=1,
        session_id=uploaded_id(int(START.timestamp() * 1000), 1),
        ext_id="one",
        direction="in",
        calling_phone_number="12025550110",
        called_phone_number="971500000010",
        start_time=START,
        finish_time=START + timedelta(seconds=total),
        is_lost=lost,
        is_transfer=handed_on,
        wait_duration=wait,
        talk_duration=talk,
        visitor_session_id=None,
        campaign_id=None,
        source_id=None,
        site_id=None,
        comment=None,
        tags=[],
        record_type=None,
        records=[],
    )


seconds = st.integers(0, 5000)
calls = st.builds(
    uploaded,
    total=seconds,
    wait=st.none() | seconds,
    talk=st.none() | seconds,
    lost=st.booleans(),
    handed_on=st.booleans(),
)


@given(st.integers(EPOCH_MS, NOW_MS), st.integers(0, 2**40))
def test_an_id_lies_in_the_second_of_its_call(started: int, number: int) -> None:
    made = uploaded_id(started, number)
    second = started - started % 1000
    assert first_id_at(second) <= made < first_id_at(second + 1000)
    assert node_of(made) == UPLOAD_NODE
    assert made < 2**53


@given(st.integers(0, EPOCH_MS - 1), st.integers(0, 2**40))
def test_ids_of_calls_before_the_epoch_lie_in_its_first_day(started: int, number: int) -> None:
    made = uploaded_id(started, number)
    assert EPOCH_MS <= unix_ms_of(made) < EPOCH_MS + 86_400_000
    assert made > 10**10


@given(st.integers(0, NOW_MS), st.integers(0, 2**30), st.integers(1, 127_999))
def test_calls_of_one_second_have_ids_of_their_own(started: int, number: int, apart: int) -> None:
    assert uploaded_id(started, number) != uploaded_id(started, number + apart)


@given(calls)
def test_what_was_sent_counts(call: UploadedCall) -> None:
    reported = rules.durations(call)
    assert reported.total == (call.finish_time - call.start_time).total_seconds()
    if call.wait_duration is not None:
        assert reported.wait == call.wait_duration
    if call.is_lost:
        assert reported.talk == 0
    elif call.talk_duration is not None:
        assert reported.talk == call.talk_duration
    elif call.wait_duration is None or call.wait_duration <= reported.total:
        assert reported.wait + reported.talk == reported.total
    assert min(reported.wait, reported.talk, reported.total) >= 0


@given(calls, st.lists(st.floats(0, 5000), max_size=6))
def test_talks_of_legs_add_up(call: UploadedCall, spoken: list[float]) -> None:
    legs = rules.legs(call, spoken)
    own = [leg for leg in legs if not leg.is_contact]
    assert [leg.is_contact for leg in legs].count(True) == 1
    if call.is_lost:
        assert [leg.record for leg in own] == list(range(len(spoken)))
        assert not any(leg.answer for leg in legs)
        return
    assert len(own) == max(len(spoken), 1)
    assert sum(leg.duration or 0 for leg in own) == rules.durations(call).talk == legs[0].duration
    for leg in legs:
        assert leg.answer is not None
        assert leg.start <= leg.answer <= leg.finish
    for before, after in itertools.pairwise(own):
        assert before.finish == after.start
    assert not own[0].is_transfered


@given(st.lists(st.text("abcé'-", min_size=1, max_size=8), min_size=1, max_size=4))
def test_a_name_put_together_again_is_the_name(words: list[str]) -> None:
    last, first = rules.name_parts("  " + "  ".join(words) + " ")
    assert last
    assert f"{last} {first}".strip() == " ".join(words)


@pytest.mark.parametrize(
    ("visit", "expected"),
    [
        ({}, "direct"),
        ({"gclid": "x", "search_engine": "google.com"}, "paid"),
        ({"adv_system": 2}, "paid"),
        ({"utm_medium": "CPC"}, "paid"),
        ({"utm_medium": "email", "referrer": "https://mail.example"}, "email"),
        ({"search_engine": "google.com", "referrer": "https://google.com"}, "organic"),
        ({"referrer": "https://blog.example/"}, "referral"),
    ],
)
def test_channels(visit: dict[str, object], expected: str) -> None:
    assert channel(visit) == expected


def test_where_requests_may_go() -> None:
    some = Allowed(["192.168.5.0/24", "fd00::/8"], "uploads.allowed_private_networks")
    assert some.permits("192.168.5.7")
    assert some.permits("::ffff:192.168.5.7")
    assert some.permits("fd00::1")
    assert some.permits("1.1.1.1")
    for address in (
        "192.168.6.7",
        "127.0.0.1",
        "0.0.0.0",
        "169.254.169.254",
        "100.64.0.1",
        "::1",
        "::",
        "fe80::1%eth0",
        "64:ff9b::10.0.0.1",
        "2002:7f00:1::",
        "224.0.0.1",
    ):
        assert not some.permits(address), address
        with pytest.raises(ForbiddenAddress):
            some.check_host(address)
    some.check_host("records.example")
    some.check_host(None)


async def test_names_are_looked_at_after_they_were_resolved() -> None:
    for networks, refused in (([], True), (["127.0.0.0/8", "::1/128"], False)):
        resolver = GuardedResolver(Allowed(networks, "x"))
        try:
            if refused:
                with pytest.raises(ForbiddenAddress):
                    await resolver.resolve("localhost", 443)
            else:
                assert await resolver.resolve("localhost", 443)
        finally:
            await resolver.close()
