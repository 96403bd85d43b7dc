"""Inputs of the flows: commands, and what the signals of the engine mean for a call. Data.

The dispatcher (:mod:`trunkline.calls.rules`) writes the facts of a signal (a leg answered, a leg ended) as events, then
gives the flow one of these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trunkline.calls.session import Leg
from trunkline.events.reasons import Reason
from trunkline.telephony.port import Bridge, ConnectFinished


@dataclass(frozen=True, slots=True)
class Command:
    """Base: in a state without a row for it, it is refused with ``invalid_state``."""


@dataclass(frozen=True, slots=True)
class Hold(Command):
    """``hold.call``: the contact hears the files of the message, then music."""

    message: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unhold(Command):
    """``unhold.call``"""


@dataclass(frozen=True, slots=True)
class MakeCall(Command):
    """``make.call``: call a third party, which hears the files of the message before anybody talks to it."""

    to: str
    message: tuple[str, ...] = ()
    sip_line_id: int | None = None
    """Of the phone that asks for it, when one does: its line's limits apply, too."""


@dataclass(frozen=True, slots=True)
class Restore(Command):
    """``restore.talk``: send the third party away."""


@dataclass(frozen=True, slots=True)
class Transfer(Command):
    """``transfer.talk``: the third party takes over, if it is still being called as soon as it answers."""


@dataclass(frozen=True, slots=True)
class RunScenario(Command):
    """A scenario takes the contact over; the operator leaves."""

    scenario_id: int


@dataclass(frozen=True, slots=True)
class Park(Command):
    """The contact waits in a slot; the operator leaves."""

    slot: int | None = None
    """None: the first free one."""
    is_transfer: bool = False
    """A phone asked for it by a transfer: it plays the slot, then it gets the result."""


@dataclass(frozen=True, slots=True)
class FlowSignal:
    """Base: in a state without a row for it, it changes nothing and is counted."""


@dataclass(frozen=True, slots=True)
class LegAnswered(FlowSignal):
    """A called party has answered; its ``leg_answered`` is written."""

    leg: Leg


@dataclass(frozen=True, slots=True)
class LegUnreached(FlowSignal):
    """A called party has not answered; its ``leg_ended`` is written."""

    leg: Leg
    reason: Reason


@dataclass(frozen=True, slots=True)
class LegGone(FlowSignal):
    """A party is gone; its ``leg_ended`` is written."""

    leg: Leg
    reason: Reason
    is_early: bool = False
    """The caller hung up before anything was done with the call."""


@dataclass(frozen=True, slots=True)
class RingElapsed(FlowSignal):
    """A called party has rung as long as it may."""

    leg: Leg


@dataclass(frozen=True, slots=True)
class InputElapsed(FlowSignal):
    """What the flow waits for did not come in time: the next key in a menu, a phone that takes a parked contact,
    an agent for a lead."""


@dataclass(frozen=True, slots=True)
class QuestionReply(FlowSignal):
    """A question of the flow was answered; ``value`` None: it failed."""

    key: str
    value: Any


@dataclass(frozen=True, slots=True)
class TalkOver(FlowSignal):
    """A connect of the engine is over after a talk; this leg's channel came back."""

    leg: Leg


@dataclass(frozen=True, slots=True)
class NotConnected(FlowSignal):
    """A connect of the engine is over without a talk; this leg's channel came back."""

    leg: Leg
    finished: ConnectFinished


@dataclass(frozen=True, slots=True)
class PartyTaken(FlowSignal):
    """A party came under control of the switch after the command that waited for it had failed."""

    leg: Leg


@dataclass(frozen=True, slots=True)
class ScenarioPlayed(FlowSignal):
    """What the scenario plays to the contact was played to its end."""


@dataclass(frozen=True, slots=True)
class MessagePlayed(FlowSignal):
    """A message to a party was played to its end."""

    leg: Leg


@dataclass(frozen=True, slots=True)
class MessageRecorded(FlowSignal):
    """The recording of a voice mail has ended."""

    seconds: float
    go_on: bool
    """False: the contact has hung up."""


@dataclass(frozen=True, slots=True)
class Key(FlowSignal):
    """A party pressed a key."""

    leg: Leg
    key: str


@dataclass(frozen=True, slots=True)
class JoinFailed(FlowSignal):
    """A party could not be put into a bridge of the switch."""

    leg: Leg
    bridge: Bridge


Input = Command | FlowSignal

COMMANDS: tuple[type[Command], ...] = (Hold, Unhold, MakeCall, Restore, Transfer, RunScenario, Park)

SIGNALS: tuple[type[FlowSignal], ...] = (
    LegAnswered, LegUnreached, LegGone, RingElapsed, TalkOver, NotConnected, PartyTaken, ScenarioPlayed, MessagePlayed,
    MessageRecorded, Key, JoinFailed, InputElapsed, QuestionReply,
)  # fmt: skip
