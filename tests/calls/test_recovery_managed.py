"""A switch killed while it holds a call in its own hands: the next one finds it as it was, and goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from tests.calls import company as c
from tests.calls.test_any_command import MESSAGE, coached
from tests.calls.test_recovery import Hands, House, once
from trunkline.calls.effects import Effect
from trunkline.calls.session import Leg, Phase, Session
from trunkline.calls.switch.executor import Outcome
from trunkline.core.errors import InvalidState
from trunkline.events.catalogue import EventType
from trunkline.telephony.port import Channel, Registered

DORA = "104"


class Desk(House):
    """A house where Anna and the customer talk, and Anna commands."""

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

    def do(self, name: str, **params: object) -> Desk:
        self.switch._command(self.session, name, params)
        self.flow()
        return self

    @property
    def session(self) -> Session:
        (session,) = self.switch.sessions.values()
        return session

    def ringing(self, name: str) -> Channel:
        return next(one.channel for one in self.engine.channels.values() if one.endpoint.name == name)

    def answer(self) -> Desk:
        self.engine.answer(self.ringing(c.DORA_LINE))
        self.flow()
        return self

    def again(self) -> Desk:
        self.kill().restart()
        self._register()
        return self


def hold(desk: Desk) -> None:
    desk.do("hold_call")


def dialing(desk: Desk) -> None:
    desk.do("hold_call").do("make_call", to=DORA)


def consult(desk: Desk) -> None:
    dialing(desk)
    desk.answer()


def talk(desk: Desk) -> None:
    desk.do("hold_call").do("unhold_call")


def barge(desk: Desk) -> None:
    desk.do("add_coach", phone_number=DORA, mode="barge").answer()


def told(desk: Desk) -> None:
    desk.do("hold_call").do("make_call", to=DORA, to_message=MESSAGE).answer()


def leaving(desk: Desk) -> None:
    dialing(desk)
    desk.do("transfer_talk")


STATES: list[tuple[Callable[[Desk], None], Phase]] = [
    (hold, Phase.HOLD),
    (dialing, Phase.DIALING),
    (told, Phase.DIALING),
    (leaving, Phase.DIALING),
    (consult, Phase.OPERATOR_TALK),
    (talk, Phase.TALK),
    (barge, Phase.TALK),
]


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.parametrize(("state", "phase"), STATES)
def test_all_is_as_it_was(desk: Desk, state: Callable[[Desk], None], phase: Phase) -> None:
    state(desk)
    before = {channel: desk.engine.hearing(channel) for channel in desk.engine.channels}
    events = desk.session.seq
    desk.again()
    assert desk.session.phase is phase
    assert desk.session.seq == events, "nothing happened, nothing is told"
    after = {channel: desk.engine.hearing(channel) for channel in desk.engine.channels}
    assert {key: heard - {"message"} for key, heard in after.items()} == {
        key: heard - {"message"} for key, heard in before.items()
    }
    desk.engine.hang_up(desk.customer)
    desk.flow()
    assert desk.end["finish_reason"] == "caller_disconnects"


@pytest.mark.parametrize(("state", "phase"), STATES)
def test_commands_go_on(desk: Desk, state: Callable[[Desk], None], phase: Phase) -> None:
    state(desk)
    desk.again()
    if state is hold:
        desk.do("unhold_call")
    elif state is told:
        dora = desk.ringing(c.DORA_LINE)
        desk.engine.played(dora)
        assert desk.flow() is desk
        assert desk.session.phase is Phase.OPERATOR_TALK
        desk.do("restore_talk")
    elif state is leaving:
        desk.answer()
    elif phase is Phase.TALK:
        desk.do("hold_call").do("unhold_call")
    else:
        desk.do("restore_talk")
    assert _phase(desk) is Phase.TALK
    other = desk.ringing(c.DORA_LINE) if state is leaving else desk.anna
    assert desk.engine.channels[desk.customer].bridge == desk.engine.channels[other].bridge
    desk.engine.hang_up(desk.customer)
    desk.flow()
    desk.story()


def _phase(desk: Desk) -> Phase:
    return desk.session.phase


GONE = [
    *((one, "customer") for one, _ in STATES),
    *((one, "operator") for one, _ in STATES if one is not leaving),
    *((one, "third") for one in (dialing, told, leaving, consult)),
]


@pytest.mark.parametrize(("state", "who"), GONE)
def test_who_left_meanwhile(desk: Desk, state: Callable[[Desk], None], who: str) -> None:
    state(desk)
    gone = {"customer": desk.customer, "operator": desk.anna}.get(who) or desk.ringing(c.DORA_LINE)
    desk.kill()
    desk.engine.hang_up(gone)
    desk.flow()
    desk.again()
    if who == "third" and state is not leaving:
        assert desk.session.phase is Phase.HOLD
        desk.do("unhold_call")
        desk.engine.hang_up(desk.customer)
        desk.flow()
    assert desk.end["finish_reason"]


def test_the_third_party_rings_out_while_no_switch_is_there(desk: Desk) -> None:
    """The call is on hold from then on, as if a switch had been there: nobody is left to be sent away."""
    dialing(desk)
    desk.kill()
    desk.engine.ring_out(desk.ringing(c.DORA_LINE))
    desk.flow()
    desk.again()
    assert desk.session.phase is Phase.HOLD
    assert desk.engine.hearing(desk.customer) == {"music"}
    with pytest.raises(InvalidState):
        desk.do("restore_talk")
    desk.do("unhold_call")
    assert _phase(desk) is Phase.TALK
    desk.engine.hang_up(desk.customer)
    desk.flow()
    once(desk.story(), EventType.CONSULT_ENDED, EventType.LEG_ENDED)


class Lame(Hands):
    """Of a switch that is killed before it does what it decided."""

    def perform(
        self, call_session_id: int, effects: Sequence[Effect], outcome: Outcome | None = None
    ) -> None:
        """Nothing."""


class Halting(Hands):
    """Of a switch that is killed in the midst of what it decided."""

    left = 0

    def perform(
        self, call_session_id: int, effects: Sequence[Effect], outcome: Outcome | None = None
    ) -> None:
        """The first ones, and no more."""
        now = effects[: self.left]
        Halting.left -= len(now)
        super().perform(call_session_id, now)


@pytest.mark.parametrize("done", range(4))
def test_killed_while_a_coach_barges_in(desk: Desk, done: int) -> None:
    """However much of it the engine heard of, in the end all three talk with each other."""
    desk.do("add_coach", phone_number=DORA, mode="barge")
    before = len(desk.engine.done)
    desk.hands.__class__ = Halting
    Halting.left = done
    desk.answer()
    assert len(desk.engine.done) - before == done
    assert Halting.left == 0
    desk.again()
    channels = desk.engine.channels
    three = {channels[one].bridge for one in (desk.customer, desk.anna, desk.ringing(c.DORA_LINE))}
    assert len(three) == 1
    assert None not in three
    assert desk.session.phase is Phase.TALK
    desk.engine.hang_up(desk.customer)
    desk.flow()
    assert desk.end["finish_reason"] == "caller_disconnects"


@pytest.mark.parametrize("state", [hold, talk, consult])
def test_decided_and_not_done(desk: Desk, state: Callable[[Desk], None]) -> None:
    """The last command was written, and the switch was killed before the engine heard of it."""
    if state is hold:
        desk.hands.__class__ = Lame
    elif state is talk:
        hold(desk)
        desk.hands.__class__ = Lame
        desk.do("unhold_call")
    else:
        dialing(desk)
        desk.hands.__class__ = Lame
        desk.answer()
    if state is hold:
        desk.do("hold_call")
    desk.again()
    channels = desk.engine.channels
    legs: list[Leg] = desk.session.living
    assert {leg.channel for leg in legs} == set(channels)
    if state is hold:
        assert desk.engine.hearing(desk.customer) == {"music"}
        assert channels[desk.customer].controlled
        assert channels[desk.anna].bridge is None
    elif state is talk:
        assert desk.session.phase is Phase.TALK
        assert channels[desk.customer].bridge == channels[desk.anna].bridge is not None
    else:
        assert desk.session.phase is Phase.OPERATOR_TALK
        assert channels[desk.anna].bridge == channels[desk.ringing(c.DORA_LINE)].bridge is not None


def test_a_scenario_took_over(desk: Desk) -> None:
    desk.do("run_scenario", scenario_id=c.TO_DORA).again()
    desk.answer()
    assert desk.session.phase is Phase.TALK
    desk.engine.hang_up(desk.customer)
    desk.flow()
    assert desk.end["finish_reason"] == "caller_disconnects"
