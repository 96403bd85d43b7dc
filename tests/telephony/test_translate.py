from __future__ import annotations

from dataclasses import replace

import pytest

from trunkline.core.clock import Instant
from trunkline.telephony.ari_events import (
    AriEvent,
    ChannelDestroyed,
    ChannelEnteredBridge,
    ChannelHangupRequest,
    ChannelSnapshot,
    ChannelTransfer,
    Dialled,
    StasisStart,
    parse_event,
)
from trunkline.telephony.port import (
    Answered,
    Channel,
    ControlTaken,
    Detection,
    Ended,
    Refused,
    Ringing,
    Signal,
    TargetStarted,
    TransferAsked,
)
from trunkline.telephony.translate import Translator

NOW = Instant(100.0)
CHANNEL = Channel("x")


def channel(name: str, identifier: str) -> ChannelSnapshot:
    return ChannelSnapshot(identifier, name, "Up", "", "", "", "tl-in", "s", "", NOW, {})


FIRST = channel("PJSIP/1001-00000001", "x~1")
SECOND = channel("PJSIP/web-1001-00000002", "x~2")
ALONE = channel("PJSIP/1001-00000003", "y")


def fed(translator: Translator, *events: AriEvent) -> list[Signal]:
    return [signal for event in events for signal in translator.signals(event)]


@pytest.fixture
def group() -> Translator:
    translator = Translator()
    translator.add_group(CHANNEL, ["x~1", "x~2"])
    return translator


def test_devices_of_one_line_are_one_channel(group: Translator) -> None:
    signals = fed(
        group,
        Dialled(NOW, "RINGING", "", None, FIRST),
        Dialled(NOW, "RINGING", "", None, SECOND),
        StasisStart(NOW, SECOND, ("originated",), None),
    )
    assert signals == [Ringing(CHANNEL, NOW), Answered(CHANNEL, NOW)]
    assert group.to_hang_up == ["x~1"]
    assert group.members(CHANNEL) == ["x~2"]
    assert fed(group, ChannelDestroyed(NOW, FIRST, 26)) == []
    assert fed(group, ChannelDestroyed(NOW, SECOND, 16)) == [Ended(CHANNEL, NOW, 16, False)]


@pytest.mark.parametrize(
    ("status", "cause", "found"),
    [
        ("HUMAN", "HUMAN-800-800", Detection(is_machine=False, cause="HUMAN-800-800", silence_seconds=0.8)),
        ("MACHINE", "LONGGREETING-1500-1500", Detection(is_machine=True, cause="LONGGREETING-1500-1500")),
        ("MACHINE", "MAXWORDS-5-4", Detection(is_machine=True, cause="MAXWORDS-5-4")),
        # Who says nothing may be a person, and is never hung up on.
        (
            "MACHINE",
            "INITIALSILENCE-2500-2500",
            Detection(is_machine=False, cause="INITIALSILENCE-2500-2500"),
        ),
        ("NOTSURE", "TOOLONG-5000", Detection(is_machine=False, cause="TOOLONG-5000")),
        ("", "", None),
    ],
)
def test_what_the_engine_finds_out_about_who_has_answered(
    status: str, cause: str, found: Detection | None
) -> None:
    entered = StasisStart(NOW, ALONE, ("originated", status, cause), None)
    assert fed(Translator(), entered) == [Answered(Channel(ALONE.id), NOW, None, found)]


@pytest.mark.durability
def test_a_party_answered_when_it_picked_up_and_not_when_it_came_under_control() -> None:
    picked_up = Instant(NOW - 9)
    one = Translator()
    signals = fed(
        one, Dialled(picked_up, "ANSWER", "", None, ALONE), StasisStart(NOW, ALONE, ("originated",), None)
    )
    assert signals == [Answered(Channel(ALONE.id), NOW, picked_up)]
    assert fed(one, ChannelDestroyed(NOW, ALONE, 16)) == [Ended(Channel(ALONE.id), NOW, 16, False)]


@pytest.mark.durability
def test_a_party_that_picked_up_and_left_before_it_came_under_control_has_answered() -> None:
    picked_up = Instant(NOW - 9)
    signals = fed(
        Translator(), Dialled(picked_up, "ANSWER", "", None, ALONE), ChannelDestroyed(NOW, ALONE, 16)
    )
    assert signals == [Ended(Channel(ALONE.id), NOW, 16, False, picked_up)]


def test_the_loser_that_answers_too_late_is_dropped(group: Translator) -> None:
    fed(group, StasisStart(NOW, SECOND, ("originated",), None))
    group.to_hang_up.clear()
    assert fed(group, StasisStart(NOW, FIRST, ("originated",), None)) == []
    assert group.to_hang_up == ["x~1"]


def test_a_group_ends_with_its_last_device(group: Translator) -> None:
    assert fed(group, ChannelDestroyed(NOW, FIRST, 17)) == []
    assert fed(group, ChannelDestroyed(NOW, SECOND, 19)) == [Ended(CHANNEL, NOW, 19, False)]


def test_a_device_that_could_not_be_called_does_not_keep_the_group_alive(group: Translator) -> None:
    group.drop_member("x~1")
    assert fed(group, ChannelDestroyed(NOW, SECOND, 19)) == [Ended(CHANNEL, NOW, 19, False)]


@pytest.mark.parametrize("soft", [True, False])
def test_who_hung_up(soft: bool) -> None:
    party = channel("PJSIP/1001-00000001", "1.1")
    translator = Translator()
    assert fed(translator, ChannelHangupRequest(NOW, party, 16, soft)) == []
    assert translator.is_hanging_up(Channel("1.1")) is not soft
    assert fed(translator, ChannelDestroyed(NOW, party, 16)) == [Ended(Channel("1.1"), NOW, 16, not soft)]
    assert not translator.is_hanging_up(Channel("1.1"))
    assert not translator.by_party


@pytest.mark.parametrize("is_early", [True, False])
def test_a_carrier_that_refuses_before_the_dial_is_announced_has_refused_it(*, is_early: bool) -> None:
    """Asterisk announces a dial after the INVITE is under way, and another of its threads handles the response."""
    carrier = channel("PJSIP/trunk-7-00000004", "z")
    dialled = Dialled(NOW, "", "971500000077@trunk-7", FIRST, carrier)
    refused = ChannelHangupRequest(NOW, carrier, 21, False, 403)
    events: list[AriEvent] = [refused, dialled] if is_early else [dialled, refused]
    signals = fed(Translator(), *events)
    kinds = [type(one) for one in signals if getattr(one, "channel", None) == Channel("z")]
    assert kinds[-2:] == [TargetStarted, Refused]
    assert isinstance(signals[-1], Refused)
    assert signals[-1].sip_code == 403


def test_helpers_are_no_participants() -> None:
    helper = channel("Snoop/1.1-00000001", "supervised-1.2")
    events: list[AriEvent] = [StasisStart(NOW, helper, ("helper",), None), ChannelDestroyed(NOW, helper, 16)]
    assert fed(Translator(), *events) == []


def test_an_adopted_channel_keeps_the_id_of_the_pbx() -> None:
    translator = Translator()
    translator.adopt_group(CHANNEL, ["x~2"], "x~2")
    assert fed(translator, StasisStart(NOW, SECOND, ("taken",), None)) == [ControlTaken(CHANNEL, NOW)]
    translator.keep_only(set())
    assert translator.members(CHANNEL) == ["x"]


@pytest.mark.parametrize(
    ("statistics", "received"),
    [
        ("ssrc=1;themssrc=0;lp=0;rxjitter=0.000000;rxcount=0;txcount=200", 0),
        ("ssrc=1;rxcount=196;txcount=198", 196),
        ("", None),
        ("rxcount=many", None),
        (7, None),
    ],
)
def test_the_end_of_a_channel_has_the_packets_that_arrived(statistics: object, received: int | None) -> None:
    channel = replace(ALONE, variables={"RTPAUDIOQOS": statistics})  # type: ignore[dict-item]
    [ended] = fed(Translator(), ChannelDestroyed(NOW, channel, 16))
    assert isinstance(ended, Ended)
    assert ended.received == received


def test_what_nobody_reads_is_no_event() -> None:
    assert parse_event({"type": "ChannelVarset"}) is None
    assert parse_event({"type": "SomethingNew"}) is None


# --- devices of a line after the connection, or the switch, was away


def test_after_a_reconnect_the_devices_that_ring_are_one_group_still(group: Translator) -> None:
    group.keep_only({"x~1", "x~2"})
    group.adopt_group(CHANNEL, ["x~1", "x~2"], rings=True)
    assert fed(group, StasisStart(NOW, SECOND, ("originated",), None)) == [Answered(CHANNEL, NOW)]
    assert group.to_hang_up == ["x~1"]
    assert fed(group, ChannelDestroyed(NOW, FIRST, 26)) == []


def test_after_a_restart_the_devices_that_ring_are_one_group_still() -> None:
    translator = Translator()
    translator.adopt_group(CHANNEL, ["x~1", "x~2"], rings=True)
    assert sorted(translator.members(CHANNEL)) == ["x~1", "x~2"]
    assert fed(translator, Dialled(NOW, "RINGING", "", None, FIRST)) == []
    assert fed(translator, StasisStart(NOW, SECOND, ("originated",), None)) == [Answered(CHANNEL, NOW)]
    assert translator.to_hang_up == ["x~1"]
    assert fed(translator, ChannelDestroyed(NOW, FIRST, 26)) == []
    assert fed(translator, ChannelDestroyed(NOW, SECOND, 16)) == [Ended(CHANNEL, NOW, 16, False)]


def test_who_answered_while_nobody_listened_wins_and_the_others_stop_ringing() -> None:
    translator = Translator()
    translator.adopt_group(CHANNEL, ["x~1", "x~2"], "x~1")
    assert translator.to_hang_up == ["x~2"]
    assert translator.members(CHANNEL) == ["x~1"]
    assert fed(translator, ChannelDestroyed(NOW, SECOND, 26)) == []


def test_a_device_that_comes_before_the_others_are_found_is_known_by_its_id() -> None:
    translator = Translator()
    assert fed(translator, StasisStart(NOW, SECOND, ("originated",), None)) == []
    assert translator.adopt_group(CHANNEL, ["x~1", "x~2"], "x~2") == [Answered(CHANNEL, NOW)]
    assert translator.to_hang_up == ["x~1"]
    assert translator.members(CHANNEL) == ["x~2"]


@pytest.fixture(params=["reconnected", "restarted"])
def away(request: pytest.FixtureRequest, group: Translator) -> Translator:
    """Both devices rang when the connection, or the switch, went away."""
    if request.param == "restarted":
        return Translator()
    group.unsettle()
    return group


def test_who_answered_first_has_the_call_also_when_another_device_enters_first(away: Translator) -> None:
    """Both wait in the dialplan for a switch, and each tries at its own moments."""
    entered = [
        StasisStart(NOW, SECOND, ("originated",), None),
        StasisStart(NOW, FIRST, ("originated",), None),
    ]
    assert fed(away, *entered) == []
    assert away.to_hang_up == []
    assert away.adopt_group(CHANNEL, ["x~1", "x~2"], "x~1") == [Answered(CHANNEL, NOW)]
    assert away.to_hang_up == ["x~2"]
    assert away.members(CHANNEL) == ["x~1"]
    assert fed(away, ChannelDestroyed(NOW, SECOND, 26)) == []
    assert fed(away, ChannelDestroyed(NOW, FIRST, 16)) == [Ended(CHANNEL, NOW, 16, False)]


def test_the_end_of_the_first_before_it_is_known_as_such_ends_the_call(away: Translator) -> None:
    entered = [
        StasisStart(NOW, SECOND, ("originated",), None),
        StasisStart(NOW, FIRST, ("originated",), None),
    ]
    assert fed(away, *entered, ChannelDestroyed(NOW, FIRST, 16)) == []
    assert away.adopt_group(CHANNEL, ["x~1", "x~2"], "x~1") == [
        Answered(CHANNEL, NOW),
        Ended(CHANNEL, NOW, 16, False),
    ]
    assert away.to_hang_up == ["x~2"]
    assert fed(away, ChannelDestroyed(NOW, SECOND, 26)) == []


def test_devices_that_all_ended_before_the_listing_end_the_call_once(away: Translator) -> None:
    entered = [
        StasisStart(NOW, SECOND, ("originated",), None),
        StasisStart(NOW, FIRST, ("originated",), None),
    ]
    ended = [ChannelDestroyed(NOW, SECOND, 17), ChannelDestroyed(NOW, FIRST, 16)]
    assert fed(away, *entered, *ended) == []
    away.keep_only(set())
    assert away.settle_ended({CHANNEL: "x~1"}) == [Answered(CHANNEL, NOW), Ended(CHANNEL, NOW, 16, False)]
    assert away.settle_ended({}) == []


def test_devices_that_only_rang_and_all_ended_before_the_listing_end_the_call(group: Translator) -> None:
    group.unsettle()
    assert fed(group, ChannelDestroyed(NOW, FIRST, 17), ChannelDestroyed(NOW, SECOND, 19)) == []
    assert group.settle_ended({}) == [Ended(CHANNEL, NOW, 19, False)]


def test_who_has_the_call_keeps_it_over_a_reconnect(group: Translator) -> None:
    fed(group, StasisStart(NOW, SECOND, ("originated",), None))
    group.unsettle()
    group.to_hang_up.clear()
    assert fed(group, StasisStart(NOW, FIRST, ("originated",), None)) == []
    assert group.to_hang_up == ["x~1"]
    assert fed(group, ChannelDestroyed(NOW, SECOND, 16)) == [Ended(CHANNEL, NOW, 16, False)]


def test_a_device_that_went_unheard_does_not_keep_the_group_alive(group: Translator) -> None:
    group.keep_only({"x~2"})
    group.adopt_group(CHANNEL, ["x~2"])
    assert fed(group, ChannelDestroyed(NOW, SECOND, 19)) == [Ended(CHANNEL, NOW, 19, False)]


def test_who_answered_and_ended_meanwhile_leaves_nobody_ringing() -> None:
    translator = Translator()
    translator.adopt_group(CHANNEL, ["x~2"], "x~1")
    assert translator.to_hang_up == ["x~2"]
    assert fed(translator, ChannelDestroyed(NOW, SECOND, 26)) == []


def test_the_other_call_of_a_transfer_is_found_by_its_call_id() -> None:
    """The corrected module of transfers does not name its channel."""
    translator = Translator()
    talk = channel("PJSIP/1001-00000001", "talk")
    consultation = replace(channel("PJSIP/1001-00000002", "consultation"), call_id="abc@phone")

    def asked(call_id: str) -> Channel | None:
        translator.keep_only({"talk", "consultation"})
        [signal] = fed(translator, ChannelTransfer(Instant(NOW + len(call_id)), talk, "202", call_id))
        assert isinstance(signal, TransferAsked)
        assert signal.to is None
        return signal.other

    assert asked("abc@phone") is None
    fed(translator, ChannelEnteredBridge(NOW, talk, "1"), ChannelEnteredBridge(NOW, consultation, "2"))
    assert asked("abc@phone") == Channel("consultation")
    assert asked("other") is None
    fed(translator, ChannelEnteredBridge(NOW, replace(talk, id="same", call_id="abc@phone"), "3"))
    assert asked("abc@phone") == Channel("consultation"), "channels that ended are forgotten"
    fed(translator, ChannelDestroyed(NOW, consultation, 16))
    assert asked("abc@phone") is None
    [blind] = fed(translator, ChannelTransfer(NOW, talk, "202", None))
    assert isinstance(blind, TransferAsked)
    assert (blind.to, blind.other) == ("202", None)
