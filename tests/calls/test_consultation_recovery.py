"""A switch that was killed while it controlled a call: the next one finds the same state and continues."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.calls import company as c
from tests.calls.restarted_node import DirectExecutor, Node, once
from tests.calls.test_any_command import MESSAGE, coached
from trunkline.calls.effects import Effect
from trunkline.calls.session import Leg, Phase, Session
from trunkline.calls.switch.executor import EffectOutcome
from trunkline.core.errors import InvalidState
from trunkline.events.catalogue import EventType
from trunkline.telephony.port import Channel, Registered

DORA = "104"


class TalkNode(Node):
    """A node where Anna and the customer talk, and Anna sends commands."""

    def __init__(self) -> None:
        super().__init__(coached())
        self._register()
        self.customer = self.arrive(c.TO_ANNA)
        self.anna = self.ringing(c.ANNA_LINE)
        self.at(5).engine.answer(self.anna)
        self.flow()

    def _register(self) -> None:
        for login in (c.ANNA_LINE, c.BORIS_LINE, c.DORA_LINE):
            self.switch.presence.register(
                Registered(
                    self.engine.at(),
                    login,
                    f"sip:{login}@192.0.2.9",
                    "192.0.2.9",
                    5060,
                    "udp",
                    "",
                    None,
                    None,
                    True,
                )
            )

    def do(self, name: str, **params: object) -> TalkNode:
        self.switch.commands.carry_out(self.session, name, params)
        self.flow()
        return self

    @property
    def session(self) -> Session:
        (session,) = self.switch.sessions.values()
        return session

    def ringing(self, name: str) -> Channel:
        return next(one.channel for one in self.engine.channels.values() if one.endpoint.name == name)

    def answer(self) -> TalkNode:
        self.engine.answer(self.ringing(c.DORA_LINE))
        self.flow()
        return self

    def again(self) -> TalkNode:
        self.kill().restart()
        self._register()
        return self


def hold(node: TalkNode) -> None:
    node.do("hold_call")


def dialing(node: TalkNode) -> None:
    node.do("hold_call").do("make_call", to=DORA)


def consult(node: TalkNode) -> None:
    dialing(node)
    node.answer()


def talk(node: TalkNode) -> None:
    node.do("hold_call").do("unhold_call")


def barge(node: TalkNode) -> None:
    node.do("add_coach", phone_number=DORA, mode="barge").answer()


def reported(node: TalkNode) -> None:
    node.do("hold_call").do("make_call", to=DORA, to_message=MESSAGE).answer()


def leaving(node: TalkNode) -> None:
    dialing(node)
    node.do("transfer_talk")


STATES: list[tuple[Callable[[TalkNode], None], Phase]] = [
    (hold, Phase.HOLD),
    (dialing, Phase.DIALING),
    (reported, Phase.DIALING),
    (leaving, Phase.DIALING),
    (consult, Phase.OPERATOR_TALK),
    (talk, Phase.TALK),
    (barge, Phase.TALK),
]


@pytest.fixture
def node() -> TalkNode:
    return TalkNode()


@pytest.mark.parametrize(("state", "phase"), STATES)
def test_after_a_restart_phase_events_and_audio_are_unchanged(
    node: TalkNode, state: Callable[[TalkNode], None], phase: Phase
) -> None:
    state(node)
    before = {channel: node.engine.hearing(channel) for channel in node.engine.channels}
    events = node.session.seq
    node.again()
    assert node.session.phase is phase
    assert node.session.seq == events, "nothing happened, no event is written"
    after = {channel: node.engine.hearing(channel) for channel in node.engine.channels}
    assert {key: heard - {"message"} for key, heard in after.items()} == {
        key: heard - {"message"} for key, heard in before.items()
    }
    node.engine.hang_up(node.customer)
    node.flow()
    assert node.end["finish_reason"] == "caller_disconnects"


@pytest.mark.parametrize(("state", "phase"), STATES)
def test_after_a_restart_commands_work(
    node: TalkNode, state: Callable[[TalkNode], None], phase: Phase
) -> None:
    state(node)
    node.again()
    if state is hold:
        node.do("unhold_call")
    elif state is reported:
        dora = node.ringing(c.DORA_LINE)
        node.engine.played(dora)
        assert node.flow() is node
        assert node.session.phase is Phase.OPERATOR_TALK
        node.do("restore_talk")
    elif state is leaving:
        node.answer()
    elif phase is Phase.TALK:
        node.do("hold_call").do("unhold_call")
    else:
        node.do("restore_talk")
    assert _phase(node) is Phase.TALK
    other = node.ringing(c.DORA_LINE) if state is leaving else node.anna
    assert node.engine.channels[node.customer].bridge == node.engine.channels[other].bridge
    node.engine.hang_up(node.customer)
    node.flow()
    node.simulation()


def _phase(node: TalkNode) -> Phase:
    return node.session.phase


GONE = [
    *((one, "customer") for one, _ in STATES),
    *((one, "operator") for one, _ in STATES if one is not leaving),
    *((one, "third") for one in (dialing, reported, leaving, consult)),
]


@pytest.mark.parametrize(("state", "who"), GONE)
def test_who_left_meanwhile(node: TalkNode, state: Callable[[TalkNode], None], who: str) -> None:
    state(node)
    gone = {"customer": node.customer, "operator": node.anna}.get(who) or node.ringing(c.DORA_LINE)
    node.kill()
    node.engine.hang_up(gone)
    node.flow()
    node.again()
    if who == "third" and state is not leaving:
        assert node.session.phase is Phase.HOLD
        node.do("unhold_call")
        node.engine.hang_up(node.customer)
        node.flow()
    assert node.end["finish_reason"]


def test_the_third_party_rings_out_while_no_switch_is_there(node: TalkNode) -> None:
    """The call is on hold from then on, as if a switch had been there: nobody is left to be sent away."""
    dialing(node)
    node.kill()
    node.engine.ring_out(node.ringing(c.DORA_LINE))
    node.flow()
    node.again()
    assert node.session.phase is Phase.HOLD
    assert node.engine.hearing(node.customer) == {"music"}
    with pytest.raises(InvalidState):
        node.do("restore_talk")
    node.do("unhold_call")
    assert _phase(node) is Phase.TALK
    node.engine.hang_up(node.customer)
    node.flow()
    once(node.simulation(), EventType.CONSULT_ENDED, EventType.LEG_ENDED)


class Lame(DirectExecutor):
    """Of a switch that is killed before it does what it decided."""

    def perform(
        self,
        call_session_id: int,
        effects: Sequence[Effect],
        outcome: EffectOutcome | None = None,
        stored: Any = None,
    ) -> None:
        """Nothing."""


class Halting(DirectExecutor):
    """Of a switch that is killed in the midst of what it decided."""

    left = 0

    def perform(
        self,
        call_session_id: int,
        effects: Sequence[Effect],
        outcome: EffectOutcome | None = None,
        stored: Any = None,
    ) -> None:
        """The first ones, and no more."""
        now = effects[: self.left]
        Halting.left -= len(now)
        super().perform(call_session_id, now)


@pytest.mark.parametrize("done", range(4))
def test_killed_while_a_coach_barges_in(node: TalkNode, done: int) -> None:
    """However much of it the engine heard of, in the end all three talk with each other."""
    node.do("add_coach", phone_number=DORA, mode="barge")
    before = len(node.engine.done)
    node.hands.__class__ = Halting
    Halting.left = done
    node.answer()
    assert len(node.engine.done) - before == done
    assert Halting.left == 0
    node.again()
    channels = node.engine.channels
    three = {channels[one].bridge for one in (node.customer, node.anna, node.ringing(c.DORA_LINE))}
    assert len(three) == 1
    assert None not in three
    assert node.session.phase is Phase.TALK
    node.engine.hang_up(node.customer)
    node.flow()
    assert node.end["finish_reason"] == "caller_disconnects"


@pytest.mark.parametrize("state", [hold, talk, consult])
def test_decided_and_not_done(node: TalkNode, state: Callable[[TalkNode], None]) -> None:
    """The last command was written, and the switch was killed before the engine heard of it."""
    if state is hold:
        node.hands.__class__ = Lame
    elif state is talk:
        hold(node)
        node.hands.__class__ = Lame
        node.do("unhold_call")
    else:
        dialing(node)
        node.hands.__class__ = Lame
        node.answer()
    if state is hold:
        node.do("hold_call")
    node.again()
    channels = node.engine.channels
    legs: list[Leg] = node.session.living
    assert {leg.channel for leg in legs} == set(channels)
    if state is hold:
        assert node.engine.hearing(node.customer) == {"music"}
        assert channels[node.customer].controlled
        assert channels[node.anna].bridge is None
    elif state is talk:
        assert node.session.phase is Phase.TALK
        assert channels[node.customer].bridge == channels[node.anna].bridge is not None
    else:
        assert node.session.phase is Phase.OPERATOR_TALK
        assert channels[node.anna].bridge == channels[node.ringing(c.DORA_LINE)].bridge is not None


def test_a_scenario_took_over(node: TalkNode) -> None:
    node.do("run_scenario", scenario_id=c.TO_DORA).again()
    node.answer()
    assert node.session.phase is Phase.TALK
    node.engine.hang_up(node.customer)
    node.flow()
    assert node.end["finish_reason"] == "caller_disconnects"
