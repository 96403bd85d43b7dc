"""One call as a sequence of outside actions: a fake engine makes the signals, the rules decide, every step is checked."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Iterable
from typing import Any

import orjson

from tests.calls.company import ANNA_LINE, ANNA_SECOND, BORIS_LINE, CUSTOMER, company, number_of
from tests.calls.fake_engine import FakeEngine, a_line, a_trunk
from tests.events.documented_keys import DOCUMENTED_KEYS
from trunkline.calls import commands, rules
from trunkline.calls.decision import Decision
from trunkline.calls.effects import Answer, Effect, OriginateLeg, Supervise, TakeControl
from trunkline.calls.evolution import begin, evolve
from trunkline.calls.flows import inbound, outbound, start_requests
from trunkline.calls.session import LEG_STATES, PHASES, Leg, LegState, Phase, Role, Session
from trunkline.calls.switch.live_context import LiveContext
from trunkline.calls.switch.presence import Presence
from trunkline.calls.timers import Elapsed
from trunkline.core.clock import Instant
from trunkline.core.engine_values import CallTag
from trunkline.core.errors import EffectRefused
from trunkline.core.ids import IdGenerator
from trunkline.directory.model import Account
from trunkline.directory.trunks.call_owner import called_number
from trunkline.events.catalogue import Event, EventType
from trunkline.telephony.port import (
    Arrived,
    Channel,
    EndpointKind,
    KeyPressed,
    Originate,
    Registered,
    Signal,
    Supervision,
    Target,
)

T0 = 1_772_366_400.0
"""Noon of 2026-03-01 UTC, a Sunday; 16:00 in the company's zone."""

_EPHEMERAL = {
    "unresolved",
    "connect",
    "connect_finished_at",
    "record_wanted",
    "playing",
    "speaking_since",
    "message_played_to",
    "pressed",
    "pressed_at",
    "confirmed",
    "plays",
    "mailbox_pin",
    "mailbox_new_pin",
    "mailbox",
    "mailbox_at",
    "taking_control",
    "leaving",
    "held_back",
    "bridge",
    "is_redirected",
    "is_without_switch",
    "has_early_media",
    "sip_code",
    "connecting_offer",
}


class CallSimulation:
    """A call from its first signal to its last.

    ``at(seconds)`` sets the clock, actions of ``engine`` make signals, ``flow()`` delivers them.
    """

    def __init__(self, account: Account | None = None, *, online: Iterable[str] | None = None) -> None:
        self.account = account or company()
        self.clock = T0
        self.engine = FakeEngine(lambda: self.clock)
        self.presence = Presence()
        self.presence.registrations_known = True
        self.ids = IdGenerator(1, lambda: int(self.clock * 1000))
        self.events: list[Event] = []
        self._session: Session | None = None
        self._error_body: Session | None = None
        """The session as a restarted switch would rebuild it."""
        self.channel = Channel("")
        self._gone: set[Channel] = set()
        """Channels of legs that had ended before the present decision."""
        self.walked: set[tuple[type, type]] = set()
        """Rows of the transition tables that were applied."""
        for login in (ANNA_LINE, ANNA_SECOND, BORIS_LINE) if online is None else online:
            self.register(login)

    # --- the beginning

    def arrive(self, scenario: int | str, caller: str = CUSTOMER, *, waited: float = 0.0) -> CallSimulation:
        """A customer calls a virtual number."""
        called = number_of(scenario) if isinstance(scenario, int) else scenario
        self.channel = self.engine.arrive(a_trunk(), called, caller, waited=waited)
        return self.flow()

    def dial(self, login: str, dialled: str) -> CallSimulation:
        """Somebody dials on a line."""
        self.channel = self.engine.arrive(a_line(login), dialled, login)
        return self.flow()

    def start(self, name: str, **params: Any) -> CallSimulation:
        """An API request that starts a call."""
        request = start_requests.STARTS[name](self.account, params)
        self.take(rules.start(request, self.context(), self.ids.next()))
        return self.flow()

    def command(self, name: str, *, flow: bool = True, **params: Any) -> CallSimulation:
        """An API command; as in the switch, effects before a refusal are kept."""
        decision = Decision(self.session, self.context(), Instant(self.clock))
        try:
            self.answer_of_command = commands.COMMANDS[name](decision, params)
            rules.finish_when_empty(decision)
        finally:
            self.take(decision)
        return self.flow() if flow else self

    def fail(self, channel: Channel) -> CallSimulation:
        """The engine refuses an effect on a channel; an originated one that has not answered was never made."""
        chan = self.engine.channels[channel]
        if chan.originated and not chan.answered:
            del self.engine.channels[channel]
            self.engine.pending = [
                one for one in self.engine.pending if getattr(one, "channel", None) != channel
            ]
        leg = self.session.leg_of(channel)
        effect: Effect = Answer(channel)
        if chan.originated and not chan.answered:
            effect = OriginateLeg(Originate(channel, Target(chan.endpoint), 60, CallTag("")))
        elif leg is not None and leg.role is Role.COACH:
            effect = Supervise(channel, self.channel, Supervision.WHISPER)
        self.take(rules.effect_failed(self.session, effect, EffectRefused("no"), self.context()))
        return self

    # --- going on

    def at(self, seconds: float) -> CallSimulation:
        self.clock = T0 + seconds
        return self

    def flow(self) -> CallSimulation:
        """Deliver all signals in the order they were made, and what follows from them."""
        while self.engine.pending or self.elapse():
            while self.engine.pending:
                self.handle(self.engine.pending.pop(0))
        return self

    def elapse(self) -> bool:
        """Deliver the first timer whose deadline has passed; whether there was one."""
        open_timers = self._session.timers if self._session is not None else {}
        key = min((key for key, due in open_timers.items() if due <= self.clock), default=None)
        if key is not None:
            self.take(rules.signal(self.session, Elapsed(key, Instant(self.clock)), self.context()))
        return key is not None

    def handle(self, signal: Signal) -> None:
        if isinstance(signal, Arrived):
            if self._session is None:
                self.take(self._opened(signal))
            return
        if self._session is not None and not isinstance(signal, Registered):
            self.take(rules.signal(self.session, signal, self.context()))  # type: ignore[arg-type]

    def _opened(self, arrived: Arrived) -> Decision:
        session_id = self.ids.next()
        if arrived.endpoint.kind is EndpointKind.LINE:
            line = self.account.line_by_login(arrived.endpoint.name)
            assert line is not None
            return outbound.open_call(arrived, line, self.context(), session_id)
        number = called_number(self.account, arrived.called)
        return inbound.open_call(arrived, number, 1, self.context(), session_id)

    def take(self, decision: Decision) -> None:
        """What the switch does with a turn, and what must be true after each."""
        self._session = decision.session
        for state, given in decision.applied:
            self.walked.add((state, given))
        self._follows_table(decision)
        assert decision.failure is None, repr(decision.failure)
        self.events += decision.events
        for event in decision.events:
            unknown = event.data.keys() - DOCUMENTED_KEYS[event.type]
            assert not unknown, f"events/catalogue.py does not document {event.type}: {sorted(unknown)}"
        for effect in decision.effects:
            channels = effect.channels if isinstance(effect, TakeControl) else (_channel_of(effect),)
            for channel in channels:
                leg = decision.session.leg_of(channel)
                assert leg is not None, f"{effect} is for no leg"
                assert channel not in self._gone, f"{effect} is for a leg that is gone"
        self._gone |= {leg.channel for leg in decision.session.legs.values() if not leg.is_alive}
        self.presence.apply(decision)
        if decision.events:
            self._error_body = evolved(self._error_body, decision.events)
        assert self._error_body is not None
        check(decision.session, self.events, self._error_body)
        self.engine.perform(decision.effects)

    def _follows_table(self, decision: Decision) -> None:
        """After a rule the call is in a state that its row names. Several rows: a command of several steps."""
        if len(decision.applied) == 1 and decision.session.phase is not Phase.ENDED:
            following = rules.TABLE.rows[decision.applied[0]].following
            after = type(decision.session.state)
            assert after in following, f"{decision.applied[0]}: {after.__name__}"

    def context(self) -> LiveContext:
        return LiveContext(self.account, self.presence, self.ids, Instant(self.clock), self._session)

    def register(self, login: str) -> None:
        at = Instant(self.clock)
        self.presence.register(
            Registered(
                at, login, f"sip:{login}@192.0.2.9", "192.0.2.9", 5060, "udp", "", None, None, reachable=True
            )
        )

    # --- parties

    def ringing(self, login: str | None = None) -> Channel:
        """The channel of the (only) phone that rings."""
        found = [
            one.channel
            for one in self.engine.channels.values()
            if not one.answered
            and (one.dialler is not None or one.originated)
            and login in (None, one.endpoint.name, one.number)
        ]
        assert len(found) == 1, f"{len(found)} phones ring"
        return found[0]

    def answer(self, login: str | None = None) -> Channel:
        channel = self.ringing(login)
        self.engine.answer(channel)
        self.flow()
        return channel

    def refuse(self, cause: int, login: str | None = None, *, by_party: bool = False) -> CallSimulation:
        self.engine.refuse(self.ringing(login), cause, by_party=by_party)
        return self.flow()

    def ring_out(self) -> CallSimulation:
        self.engine.ring_out(self.channel if self.channel in self.engine.channels else self.ringing())
        return self.flow()

    def press(self, channel: Channel, key: str) -> CallSimulation:
        self.engine.pending.append(KeyPressed(channel, self.engine.at(), key))
        return self.flow()

    def hang_up(self, channel: Channel | None = None) -> CallSimulation:
        self.engine.hang_up(channel or self.channel)
        return self.flow()

    # --- what came of it

    @property
    def session(self) -> Session:
        assert self._session is not None, "no call has begun"
        return self._session

    @property
    def types(self) -> list[EventType]:
        return [event.type for event in self.events]

    @property
    def end(self) -> dict[str, Any]:
        """Data of SESSION_FINISHED; the call must be over."""
        assert self.events[-1].type is EventType.SESSION_FINISHED, self.types
        assert not self.engine.channels, "channels are left"
        return dict(self.events[-1].data)

    @property
    def reasons(self) -> list[tuple[str | None, str | None]]:
        """Number called and reason of each leg, the first leg first."""
        return [(leg.called_phone_number, leg.finish_reason) for leg in self.session.legs.values()]

    def leg(self, index: int) -> Leg:
        return list(self.session.legs.values())[index]

    @property
    def durations(self) -> tuple[int, ...]:
        """Wait, total wait, talk, clean talk, total, post-processing."""
        names = ("wait", "total_wait", "talk", "clean_talk", "total", "postprocess")
        return tuple(self.end[f"{name}_duration"] for name in names)


def _channel_of(effect: Effect) -> Channel:
    return effect.originate.channel if isinstance(effect, OriginateLeg) else effect.channel


def check(session: Session, events: list[Event], reported: Session) -> None:
    """What must be true of a session at all times."""
    assert events[-1].seq == len(events) == session.seq
    assert persistent(session) == persistent(reported)
    finished = [event for event in events if event.type is EventType.SESSION_FINISHED]
    if session.phase is Phase.ENDED:
        assert persistent(session) == persistent(evolved(None, events))
        assert len(finished) == 1
        assert events[-1] is finished[0]
        assert not session.living
        assert all(talk.ended_at is not None for talk in session.talks)
        data = finished[0].data
        assert 0 <= data["clean_talk_duration"] <= data["talk_duration"] <= data["total_duration"]
        assert 0 <= data["wait_duration"] <= data["total_duration"]
        assert data["postprocess_duration"] >= 0
        assert data["finish_reason"] is not None
    else:
        assert not finished
    for leg in session.legs.values():
        assert (leg.state is LegState.ENDED) == (leg.ended_at is not None) == (leg.finish_reason is not None)
    for talk in session.talks:
        assert talk.ended_at is None or talk.ended_at >= talk.started_at


def walk(events: list[Event]) -> None:
    """Fold the events one by one: every change of phase and of a leg's state is one the tables allow."""
    phase, states = Phase.SESSION, dict[int, LegState]()
    session: Session | None = None
    for event in events:
        session = evolved(session, [event])
        assert session.phase is phase or session.phase in PHASES[phase] or _two_steps(phase, session.phase)
        phase = session.phase
        for leg in session.legs.values():
            before = states.get(leg.leg_id, LegState.DIAL)
            assert leg.state is before or leg.state in LEG_STATES[before]
            states[leg.leg_id] = leg.state


def _two_steps(before: Phase, after: Phase) -> bool:
    """The end of a talk of a call that is being hung up passes POST_TALK on its way to FINISHING."""
    return any(after in PHASES[between] for between in PHASES[before])


def evolved(session: Session | None, events: Iterable[Event]) -> Session:
    """The session rebuilt from the event log as read from the database."""
    for event in events:
        kept = dataclasses.replace(event, data=orjson.loads(orjson.dumps(event.data)))
        if session is None:
            session = begin(kept)
        else:
            evolve(session, kept)
    assert session is not None
    return session


def persistent(session: Session) -> bytes:
    """The fields of a session that follow from its events, as JSON."""
    facts = _persistent(session)
    facts["state"] = [type(session.state).__name__, session.state]
    facts["coach"] = [type(session.coach).__name__, session.coach]
    facts["legs"] = {leg_id: _persistent(leg) for leg_id, leg in session.legs.items()}
    return orjson.dumps(facts, option=orjson.OPT_NON_STR_KEYS)


def _persistent(one: Session | Leg) -> dict[str, Any]:
    names, values_of = _FIELDS[type(one)]
    return dict(zip(names, values_of(one), strict=True))


_NAMES = {
    kind: [field.name for field in dataclasses.fields(kind) if field.name not in _EPHEMERAL]
    for kind in (Session, Leg)
}
_FIELDS = {kind: (names, operator.attrgetter(*names)) for kind, names in _NAMES.items()}
"""Names of the fields that follow from events, and what reads them all: it is done after each step of each call."""
