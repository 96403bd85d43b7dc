"""When the switch plays the hold music in one of its bridges."""

from __future__ import annotations

from trunkline.core.clock import Instant
from trunkline.telephony.ari_events import (
    AriEvent,
    ChannelEnteredBridge,
    ChannelHold,
    ChannelLeftBridge,
    ChannelSnapshot,
    ChannelUnhold,
)
from trunkline.telephony.hold_music import HoldMusic

AT = Instant(1.0)


def channel(id_: str, name: str = "PJSIP/1001-00000001") -> ChannelSnapshot:
    return ChannelSnapshot(id_, name, "Up", "", "", "", "", "", "", AT, {})


def after(music: HoldMusic, *events: AriEvent) -> list[bool]:
    """What is started (True) and stopped (False)."""
    done = []
    for event in events:
        bridge = music.note(event)
        if bridge is not None and (plays := music.change(bridge)) is not None:
            music.changed(bridge, plays=plays)
            done.append(plays)
    return done


def enters(id_: str, *, is_ours: bool = True, name: str = "PJSIP/1001-00000001") -> AriEvent:
    return ChannelEnteredBridge(AT, channel(id_, name), "b", is_ours)


def test_two_parties_one_of_which_holds() -> None:
    music = HoldMusic()
    assert after(music, enters("a"), enters("b")) == []
    assert after(music, ChannelHold(AT, channel("a")), ChannelUnhold(AT, channel("a"))) == [True, False]


def test_a_channel_that_plays_is_no_party() -> None:
    music = HoldMusic()
    after(music, enters("a"), enters("b"))
    assert after(music, ChannelHold(AT, channel("a")), enters("m", name="Announcer/ARI_MOH-1")) == [True]


def test_three_parties_get_no_music() -> None:
    music = HoldMusic()
    after(music, enters("a"), enters("b"), enters("c"))
    assert after(music, ChannelHold(AT, channel("a"))) == []
    assert after(music, ChannelLeftBridge(AT, channel("c"), "b")) == [True]
    assert after(music, enters("c")) == [False]


def test_bridges_of_dial_are_left_to_asterisk() -> None:
    music = HoldMusic()
    after(music, enters("a", is_ours=False), enters("b", is_ours=False))
    assert after(music, ChannelHold(AT, channel("a"))) == []
    assert after(music, enters("a"), enters("b")) == [True], "it held before the switch took control"


def test_music_that_began_before_a_restart_is_stopped() -> None:
    music = HoldMusic()
    music.adopt({"b": ["a", "b"]})
    assert after(music, ChannelUnhold(AT, channel("a"))) == [False]
