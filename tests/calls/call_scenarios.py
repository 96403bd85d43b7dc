"""Call scenarios: sequences of actions of parties and APIs, each settled before the next begins.

:func:`call_scenarios` is their hypothesis strategy: it draws from the possible actions at each moment and applies the pure
rules. A scenario has the actions and the state of every party after each. So a sequence that hypothesis tried on the rules
can be run with real parties: :func:`sample` draws from the same strategy, for ``tests/engine``, which is too slow for all
that :mod:`tests.calls.test_any_command` does.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

import hypothesis
from hypothesis import HealthCheck
from hypothesis import strategies as st

from tests.calls import company as c
from tests.calls.simulation import CallSimulation, walk
from tests.calls.test_any_command import settled
from trunkline.calls.live_view import live_call
from trunkline.calls.session import Leg, LegState, Phase, Role
from trunkline.core.errors import TrunklineError
from trunkline.directory.model import Account

CONTACT, ANNA, BORIS, CLARA = "contact", "Anna", "Boris", "Clara"
_THIRD = {BORIS: "102", CLARA: "104"}
"""Who may be consulted, by extension; the pure company's Dora is called Clara here."""
COACHES = {"coach_whisper": "whisper", "coach_barge": "barge"}
"""Commands that call a coach, with the mode."""
_NAMES = {"Dora": CLARA}
_DONE = "done"
"""How a feature begins that is an action or command, in whatever state: a sample has each of them."""
_STEPS = 9
_TRIED = 400


class Beginning(StrEnum):
    """How the call comes about."""

    IN = "in"
    EMPLOYEE = "employee"
    CONTACT = "contact"


class Action(StrEnum):
    ANSWER = "answer"
    REFUSE = "refuse"
    HANG_UP = "hang_up"
    RING_OUT = "ring_out"
    """Nobody picks up until the time is over."""
    COMMAND = "command"


@dataclass(frozen=True)
class Step:
    """One action: of a party, or a command of an API with its party."""

    action: Action
    who: str = ""
    command: str = ""


@dataclass(frozen=True)
class StepResult:
    """A step and what is true after it.

    :ivar states: of all living parties, as ``list.calls`` shows them; none once the call is over.
    :ivar refusal: mnemonic, when a command was refused.
    """

    step: Step
    states: dict[str, str]
    refusal: str | None


@dataclass
class CallScenario:
    """A whole call.

    :ivar finish_reason: of the session; ``legs``: name and finish reason of each, sorted.
    """

    beginning: Beginning
    first: dict[str, str]
    steps: list[StepResult] = field(default_factory=list)
    finish_reason: str = ""
    legs: list[tuple[str, str]] = field(default_factory=list)


@st.composite
def call_scenarios(draw: st.DrawFn) -> CallScenario:
    """Call scenarios by the rules; every state is a valid state of a call, and every call ends."""
    beginning = draw(st.sampled_from([Beginning.IN, Beginning.IN, Beginning.EMPLOYEE, Beginning.CONTACT]))
    builder = _Builder(beginning)
    call_scenario = CallScenario(beginning, builder.states())
    while builder.lives:
        if len(call_scenario.steps) < _STEPS:
            step = draw(st.sampled_from(builder.possible()))
        else:
            step = Step(Action.COMMAND, command="release_call")
        refusal = builder.take(step)
        call_scenario.steps.append(StepResult(step, builder.states(), refusal))
    simulation = builder.simulation
    walk(simulation.events)
    call_scenario.finish_reason = str(simulation.end["finish_reason"])
    call_scenario.legs = sorted(
        (builder.name(leg), str(leg.finish_reason)) for leg in simulation.session.legs.values()
    )
    return call_scenario


@functools.cache
def sample(count: int, tried: int = _TRIED) -> list[CallScenario]:
    """A fixed selection of so many scenarios: of those that are tried, the ones with the rarest features.

    In every second one nobody picks up, once, until the time is over, which takes a while with real parties.
    """
    found: list[CallScenario] = []

    @hypothesis.seed(1)
    @hypothesis.settings(
        max_examples=tried,
        database=None,
        phases=[hypothesis.Phase.generate],
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(call_scenarios())
    def collect(call_scenario: CallScenario) -> None:
        found.append(call_scenario)

    collect()
    often = Counter(one for call_scenario in found for one in happenings(call_scenario))
    chosen: list[CallScenario] = []
    seen: set[tuple[str, ...]] = set()

    def worth(call_scenario: CallScenario) -> float:
        new = happenings(call_scenario) - seen
        return sum(100 if one[0] == _DONE else math.pow(often[one], -0.4) for one in new)

    for number in range(count):
        fitting = [call_scenario for call_scenario in found if _ring_outs(call_scenario) == number % 2]
        best = max(fitting, key=worth)
        chosen.append(best)
        seen |= happenings(best)
    return chosen


def _ring_outs(call_scenario: CallScenario) -> int:
    return sum(reported.step.action is Action.RING_OUT for reported in call_scenario.steps)


def happenings(call_scenario: CallScenario) -> set[tuple[str, ...]]:
    """The features of a scenario: actions with the states of the parties, refusals, and finish reasons."""
    found: set[tuple[str, ...]] = {
        ("end", call_scenario.finish_reason),
        *(("leg", reason) for _, reason in call_scenario.legs),
    }
    states = call_scenario.first
    for reported in call_scenario.steps:
        step = reported.step
        if reported.refusal is None:
            found.add((_DONE, step.action, step.command))
            found.add((call_scenario.beginning, step.action, step.command, *sorted(states.values())))
        else:
            found.add(("refused", step.command))
        states = reported.states
    return found


def _company() -> Account:
    """As in the tests with real parties, everybody has one phone."""
    people = c.company().employees
    anna = dataclasses.replace(people[c.ANNA], phones=people[c.ANNA].phones[:1])
    return c.company(employees={**people, c.ANNA: anna})


class _Builder:
    def __init__(self, beginning: Beginning) -> None:
        self._beginning = beginning
        self.simulation = CallSimulation(_company(), online=(c.ANNA_LINE, c.BORIS_LINE, c.DORA_LINE))
        if beginning is Beginning.IN:
            self.simulation.arrive(c.TO_ANNA)
        else:
            self.simulation.start(
                "start_employee_call",
                virtual_phone_number=c.number_of(1),
                contact=c.CUSTOMER,
                first_call=beginning.value,
                employee={"id": c.ANNA},
            )

    @property
    def lives(self) -> bool:
        return self.simulation.session.phase is not Phase.ENDED

    def name(self, leg: Leg) -> str:
        if leg.employee_full_name is None:
            return CONTACT
        given = leg.employee_full_name.split()[-1]
        return _NAMES.get(given, given)

    def states(self) -> dict[str, str]:
        if not self.lives:
            return {}
        by_id = {
            leg["leg_id"]: leg["state"] for leg in live_call(self.simulation.session, ZoneInfo("UTC"))["legs"]
        }
        return {self.name(leg): by_id[leg.leg_id] for leg in self.simulation.session.living}

    def possible(self) -> list[Step]:
        """What anybody may do now; what goes on is there more often than what ends."""
        found: list[Step] = []
        session = self.simulation.session
        found += 15 * list(_FITTING.get(session.phase, ()))
        for leg in session.living:
            who = self.name(leg)
            if self._is_called(leg):
                found += 36 * [Step(Action.ANSWER, who)] + 3 * [Step(Action.REFUSE, who)]
                # A contact and a coach ring for longer than a test has.
                is_short = who != CONTACT and leg.role is not Role.COACH
                found += (3 if is_short else 0) * [Step(Action.RING_OUT, who)]
            found += 2 * [Step(Action.HANG_UP, who)] + [_command("disconnect_leg", who)]
        # Most of them are refused.
        found += _ANY
        called = ("make_call", *COACHES)
        return [step for step in found if step.command not in called or not self._in(step.who)]

    def _is_called(self, leg: Leg) -> bool:
        is_caller = leg is self.simulation.session.initiator and self._beginning is Beginning.IN
        return leg.state is LegState.DIAL and not is_caller

    def _in(self, who: str) -> bool:
        return any(self.name(leg) == who for leg in self.simulation.session.living)

    def _leg_of(self, who: str) -> Leg:
        return next(one for one in self.simulation.session.living if self.name(one) == who)

    def take(self, step: Step) -> str | None:
        """Do it, and let all that follows happen; the mnemonic of a refusal."""
        self.simulation.clock += 0.5
        if step.action is Action.COMMAND:
            return self._command(step)
        leg = self._leg_of(step.who)
        engine = self.simulation.engine
        match step.action:
            case Action.ANSWER:
                engine.answer(leg.channel)
            case Action.REFUSE:
                engine.refuse(leg.channel, 17, by_party=True)
            case Action.HANG_UP if self._is_called(leg):
                engine.refuse(leg.channel, 21, by_party=True)  # a phone that rings declines: SIP 603
            case Action.HANG_UP:
                engine.hang_up(leg.channel)
            case Action.RING_OUT:
                # Who dials gives up, be it the caller's channel or ourselves.
                engine.ring_out(engine.channels[leg.channel].dialler or leg.channel)
        self._settle()
        return None

    def _command(self, step: Step) -> str | None:
        command, params = step.command, dict[str, Any]()
        if command == "make_call":
            params = {"to": _THIRD[step.who]}
        elif command == "disconnect_leg":
            params = {"leg_id": self._leg_of(step.who).leg_id}
        elif command in COACHES:
            command, params = "add_coach", {"phone_number": _THIRD[step.who], "mode": COACHES[command]}
        try:
            self.simulation.command(command, flow=False, **params)
        except TrunklineError as refused:
            return refused.mnemonic
        finally:
            self._settle()
        return None

    def _settle(self) -> None:
        self.simulation.flow()
        settled(self.simulation)


def _command(name: str, who: str = "") -> Step:
    return Step(Action.COMMAND, who, name)


_CONSULT = (_command("make_call", BORIS), _command("make_call", CLARA))
_FITTING = {
    Phase.TALK: (
        *(4 * (_command("hold_call"),)),
        _command("coach_whisper", CLARA),
        _command("coach_barge", CLARA),
    ),
    Phase.HOLD: (*_CONSULT, _command("unhold_call")),
    Phase.DIALING: (_command("restore_talk"), _command("transfer_talk")),
    Phase.OPERATOR_TALK: (_command("restore_talk"), _command("transfer_talk")),
}
_ANY = (
    _command("hold_call"),
    _command("unhold_call"),
    _command("restore_talk"),
    _command("transfer_talk"),
    _command("make_call", BORIS),
    _command("coach_whisper", CLARA),
    _command("release_call"),
)
