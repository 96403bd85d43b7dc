"""Tales: calls in which people and doors do one thing after another, each settled before the next begins.

A tale is drawn by a die from what is possible at each moment, told by the pure rules, and written down: what was done,
and how every party stood afterwards. So it can be told again where there are real parties (``tests/engine``), which is
too slow and too coarse for all that :mod:`tests.calls.test_any_command` does.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tests.calls import company as c
from tests.calls.story import Story, walk
from tests.calls.test_any_command import settled
from trunkline.calls.session import Leg, LegState, Phase
from trunkline.calls.view import live_call
from trunkline.core.errors import TrunklineError

CONTACT, ANNA, BORIS, CLARA = "contact", "Anna", "Boris", "Clara"
_THIRD = {BORIS: "102", CLARA: "104"}
"""Who may be consulted, by extension; the pure company's Dora is called Clara here."""
_NAMES = {"Dora": CLARA}
_STEPS = 9


class Beginning(StrEnum):
    """How the call comes about."""

    IN = "in"
    EMPLOYEE = "employee"
    CONTACT = "contact"


class Deed(StrEnum):
    ANSWER = "answer"
    REFUSE = "refuse"
    HANG_UP = "hang_up"
    RING_OUT = "ring_out"
    """Nobody picks up until the time is over."""
    COMMAND = "command"


@dataclass(frozen=True)
class Step:
    """One thing that is done: by a party, or a command of a door with whom it is about."""

    deed: Deed
    who: str = ""
    command: str = ""


@dataclass(frozen=True)
class Told:
    """A step and what is true after it.

    :ivar states: of all living parties, as ``list.calls`` shows them; nobody once the call is over.
    :ivar refusal: mnemonic, when a command was refused.
    """

    step: Step
    states: dict[str, str]
    refusal: str | None


@dataclass
class Tale:
    """A whole call.

    :ivar finish_reason: of the session; ``legs``: name and finish reason of each, sorted.
    """

    beginning: Beginning
    first: dict[str, str]
    steps: list[Told] = field(default_factory=list)
    finish_reason: str = ""
    legs: list[tuple[str, str]] = field(default_factory=list)


def tell(seed: int) -> Tale:
    """A tale by a die, told by the rules; every state on the way is one in which a call may stand."""
    die = random.Random(seed)
    beginning = die.choice([Beginning.IN, Beginning.IN, Beginning.EMPLOYEE, Beginning.CONTACT])
    teller = _Teller(beginning)
    tale = Tale(beginning, teller.states())
    while teller.lives:
        if len(tale.steps) < _STEPS:
            weights, steps = zip(*teller.possible(), strict=True)
            (step,) = die.choices(steps, weights)
        else:
            step = Step(Deed.COMMAND, command="release_call")
        refusal = teller.take(step)
        tale.steps.append(Told(step, teller.states(), refusal))
    story = teller.story
    walk(story.events)
    tale.finish_reason = str(story.end["finish_reason"])
    tale.legs = sorted((teller.name(leg), str(leg.finish_reason)) for leg in story.session.legs.values())
    return tale


class _Teller:
    def __init__(self, beginning: Beginning) -> None:
        self._beginning = beginning
        self.story = Story(c.company(), online=(c.ANNA_LINE, c.BORIS_LINE, c.DORA_LINE))
        if beginning is Beginning.IN:
            self.story.arrive(c.TO_ANNA)
        else:
            self.story.start(
                "start_employee_call",
                virtual_phone_number=c.number_of(1),
                contact=c.CUSTOMER,
                first_call=beginning.value,
                employee={"id": c.ANNA},
            )

    @property
    def lives(self) -> bool:
        return self.story.session.phase is not Phase.ENDED

    def name(self, leg: Leg) -> str:
        if leg.employee_full_name is None:
            return CONTACT
        given = leg.employee_full_name.split()[-1]
        return _NAMES.get(given, given)

    def states(self) -> dict[str, str]:
        if not self.lives:
            return {}
        by_id = {leg["leg_id"]: leg["state"] for leg in live_call(self.story.session)["legs"]}
        return {self.name(leg): by_id[leg.leg_id] for leg in self.story.session.living}

    def possible(self) -> list[tuple[float, Step]]:
        """What anybody may do now, with weights: what goes on comes more often than what ends."""
        found: list[tuple[float, Step]] = []
        session = self.story.session
        caller = session.initiator
        for leg in session.living:
            who = self.name(leg)
            if leg.state is LegState.DIAL and not (leg is caller and self._beginning is Beginning.IN):
                found += [(12, Step(Deed.ANSWER, who)), (1, Step(Deed.REFUSE, who))]
            found.append((1, Step(Deed.HANG_UP, who)))
        if self._rings_for_a_caller():
            found.append((1, Step(Deed.RING_OUT, ANNA)))
        commands = _FITTING.get(session.phase, ())
        found += [(5, step) for step in commands]
        # Most of them are refused.
        found += [(0.3, step) for step in _ANY]
        return [
            (weight, step) for weight, step in found if step.command != "make_call" or not self._in(step.who)
        ]

    def _rings_for_a_caller(self) -> bool:
        states = self.states()
        return self._beginning is Beginning.IN and states.get(ANNA) == "Dial" and not self.story.session.talks

    def _in(self, who: str) -> bool:
        return any(self.name(leg) == who for leg in self.story.session.living)

    def take(self, step: Step) -> str | None:
        """Do it, and let all that follows happen; the mnemonic of a refusal."""
        self.story.clock += 0.5
        if step.deed is Deed.COMMAND:
            return self._command(step)
        leg = next(one for one in self.story.session.living if self.name(one) == step.who)
        engine = self.story.engine
        match step.deed:
            case Deed.ANSWER:
                engine.answer(leg.channel)
            case Deed.REFUSE:
                engine.refuse(leg.channel, 17, by_party=True)
            case Deed.HANG_UP:
                engine.hang_up(leg.channel)
            case Deed.RING_OUT:
                engine.ring_out(self.story.channel)
        self._settle()
        return None

    def _command(self, step: Step) -> str | None:
        params: dict[str, Any] = {"to": _THIRD[step.who]} if step.command == "make_call" else {}
        try:
            self.story.command(step.command, flow=False, **params)
        except TrunklineError as refused:
            return refused.mnemonic
        finally:
            self._settle()
        return None

    def _settle(self) -> None:
        self.story.flow()
        settled(self.story)


def _command(name: str, who: str = "") -> Step:
    return Step(Deed.COMMAND, who, name)


_CONSULT = (_command("make_call", BORIS), _command("make_call", CLARA))
_FITTING = {
    Phase.TALK: (_command("hold_call"), _command("hold_call")),
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
    _command("release_call"),
)
