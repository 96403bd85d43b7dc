"""What a call is doing: one state object. Pure data.

The class of :attr:`Session.state <trunkline.calls.session.Session>` determines which flow decides about the call,
and what it waits for. Events make states (:func:`trunkline.calls.evolution.evolve`), so a restarted switch has the
same state. The tables of the flows (:mod:`trunkline.calls.flows.table`) have the rule of each input in each state.

===================  ========================================================================================
flow                 states
===================  ========================================================================================
inbound scenario     Incoming, BetweenOperations, Greeting, InMenu, AwaitingDecision, Forwarding, LeavingMessage
queue                InQueue
parking              Parked, DialledParking
outbound             Dialling
voice mailbox        MailboxLogin, MailboxOpen, MailboxNewPin, MailboxGreeting
settings by codes    ChangingSetting
click-to-call        CallingFirst, FirstAnswered, CallingSecond, BothAnswered
connected by engine  EngineTalk, EngineTalkEnded
consultation         Joining, Connecting, Talking, ControlledLate, TalkInterrupted, OnHold, Calling, Announcing, Releasing,
                     Consulting, TransferCalling, TransferAnnouncing, TransferReleasing
all                  Finishing, Finished
===================  ========================================================================================

A coach is called and joins beside all that: :class:`NoCoach`, :class:`CoachCalled`, :class:`Coaching`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


@dataclass(frozen=True, slots=True)
class State:
    """Base of all states."""


# --- a call to a virtual number, through its scenario


@dataclass(frozen=True, slots=True)
class InScenario(State):
    """Base: a scenario decides what happens with the contact."""


@dataclass(frozen=True, slots=True)
class Incoming(InScenario):
    """The call came in; it has entered no scenario yet."""


@dataclass(frozen=True, slots=True)
class BetweenOperations(InScenario):
    """In a scenario, at no operation that waits for something."""


@dataclass(frozen=True, slots=True)
class Greeting(InScenario):
    """The contact hears a greeting."""


@dataclass(frozen=True, slots=True)
class InMenu(InScenario):
    """The contact hears the prompt of a menu, and presses keys.

    :ivar digits: pressed since the prompt began.
    :ivar round: how often the prompt was begun.
    """

    digits: str = ""
    round: int = 1


@dataclass(frozen=True, slots=True)
class AwaitingDecision(InScenario):
    """The contact enters a code, or another system is asked what happens to the call.

    :ivar digits: pressed since the prompt began.
    :ivar question: key of the question to the other system; empty: it was not asked yet.
    """

    digits: str = ""
    question: str = ""


@dataclass(frozen=True, slots=True)
class Forwarding(InScenario):
    """An employee, a group or an outside number is being called for the contact."""


@dataclass(frozen=True, slots=True)
class LeavingMessage(InScenario):
    """The contact hears the prompt of a voice mail, then speaks."""


@dataclass(frozen=True, slots=True)
class InQueue(InScenario):
    """The contact waits in a queue: it hears music while agents are called for it (:mod:`trunkline.queues` decides whom).

    :ivar queue_id: of the queue.
    """

    queue_id: int


# --- a call that a phone starts


@dataclass(frozen=True, slots=True)
class Dialling(State):
    """A line has dialled; the other party has not answered."""


@dataclass(frozen=True, slots=True)
class InMailbox(State):
    """Base: an employee has called their own mailbox, or that of a group.

    :ivar group_id: None: their own.
    """

    employee_id: int
    group_id: int | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class MailboxLogin(InMailbox):
    """The PIN is asked.

    :ivar tries: how many PINs were asked, this one included.
    """

    tries: int = 1


@dataclass(frozen=True, slots=True)
class MailboxOpen(InMailbox):
    """The employee hears the messages."""


@dataclass(frozen=True, slots=True)
class MailboxNewPin(InMailbox):
    """The employee enters a new PIN.

    :ivar is_repeat: for the second time.
    """

    is_repeat: bool = False


@dataclass(frozen=True, slots=True)
class MailboxGreeting(InMailbox):
    """The employee records the greeting of the mailbox.

    :ivar path: of the recording, relative to the spool folder.
    """

    path: str = ""


@dataclass(frozen=True, slots=True)
class ChangingSetting(State):
    """An employee has dialled the code of a setting: it is being changed, then a confirmation is played.

    :ivar employee_id: None: of a line without an employee, at which an agent checks in.
    :ivar value: what is written: the extension or number to forward to, empty for none; ``on`` or ``off``; the digits of a
        check-in.
    """

    employee_id: int | None
    setting: str
    value: str


@dataclass(frozen=True, slots=True)
class DialledParking(State):
    """A line has dialled the code that parks a contact, or a slot.

    :ivar slot: None: the contact whom this line has on hold is to be parked.
    """

    slot: int | None


# --- a contact whom an employee has parked


@dataclass(frozen=True, slots=True)
class Parked(State):
    """The contact hears music until a phone takes it.

    :ivar slot: where it is taken.
    :ivar by_leg_id: who parked it; its phone rings when nobody takes it.
    :ivar since: Unix seconds.
    """

    slot: int
    by_leg_id: int
    since: float


# --- a call that the Call API starts


@dataclass(frozen=True, slots=True)
class ClickToCall(State):
    """Base: the request of the API decides.

    :ivar plan: what was asked for, see :mod:`trunkline.calls.flows.click_to_call`.
    """

    plan: dict[str, Any] = field(hash=False)


@dataclass(frozen=True, slots=True)
class CallingFirst(ClickToCall):
    """Nobody has answered yet."""


@dataclass(frozen=True, slots=True)
class FirstAnswered(ClickToCall):
    """The first party hears its message, or the engine calls the second and will connect it."""

    first_leg_id: int


@dataclass(frozen=True, slots=True)
class CallingSecond(ClickToCall):
    """The switch calls the second party."""

    first_leg_id: int


@dataclass(frozen=True, slots=True)
class BothAnswered(ClickToCall):
    """One of the two hears its message still."""

    first_leg_id: int
    second_leg_id: int


# --- a talk in a bridge that the engine made


@dataclass(frozen=True, slots=True)
class EngineTalk(State):
    """The engine has connected the parties.

    :ivar anchor_leg_id: whose channel the engine was given; the call ends with it.
    """

    anchor_leg_id: int


@dataclass(frozen=True, slots=True)
class EngineTalkEnded(State):
    """They talked; the engine has not reported yet how the connect ended."""

    anchor_leg_id: int


# --- a call whose parties are in bridges of the switch


@dataclass(frozen=True, slots=True)
class Controlled(State):
    """Base: the switch connects the parties itself.

    :ivar operator_leg_id: who serves the contact and commands the call; None: unknown.
    """

    operator_leg_id: int | None


@dataclass(frozen=True, slots=True)
class Joining(Controlled):
    """Both parties of a click-to-call are being joined for the first time."""


@dataclass(frozen=True, slots=True)
class Connecting(Controlled):
    """Contact and operator are being joined again; that they hear each other is not reported yet."""


@dataclass(frozen=True, slots=True)
class Talking(Controlled):
    """Contact and operator talk."""


@dataclass(frozen=True, slots=True)
class ControlledLate(Controlled):
    """As Talking, but the redirect of the parties was late: each that comes under control is joined."""


@dataclass(frozen=True, slots=True)
class TalkInterrupted(Controlled):
    """They talked; one of them has left the bridge."""


@dataclass(frozen=True, slots=True)
class OnHold(Controlled):
    """The contact hears a message or music."""


@dataclass(frozen=True, slots=True)
class WithThird(Controlled):
    """Base: the contact is on hold, and there is a third party."""

    third_leg_id: int


@dataclass(frozen=True, slots=True)
class Calling(WithThird):
    """The third party rings.

    :ivar message: files that it hears before anybody talks to it.
    """

    message: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Announcing(WithThird):
    """The third party has answered and hears its message."""

    message: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Releasing(WithThird):
    """The third party's ring time has elapsed; it is being hung up."""


@dataclass(frozen=True, slots=True)
class Consulting(WithThird):
    """Operator and third party talk; the contact does not hear them."""


@dataclass(frozen=True, slots=True)
class Transferring(WithThird):
    """Base: the operator has left the call to the third party, which has not taken it over yet."""


@dataclass(frozen=True, slots=True)
class TransferCalling(Transferring):
    """As Calling."""

    message: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TransferAnnouncing(Transferring):
    """As Announcing."""

    message: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TransferReleasing(Transferring):
    """As Releasing; the call ends with the third party."""


# --- the end


@dataclass(frozen=True, slots=True)
class Finishing(State):
    """Why the call ends is decided; its parties are being hung up."""


@dataclass(frozen=True, slots=True)
class Finished(State):
    """The call is over."""


AFTER_OPERATION: tuple[type[State], ...] = (
    BetweenOperations, Greeting, InMenu, AwaitingDecision, Forwarding, LeavingMessage, InQueue, Finishing,
)  # fmt: skip
"""What a call in a scenario can do when an operation is over: go on in the scenario, or end."""

STATES: tuple[type[State], ...] = (
    Incoming, BetweenOperations, Greeting, InMenu, AwaitingDecision, Forwarding, LeavingMessage, InQueue, Dialling,
    MailboxLogin, MailboxOpen, MailboxNewPin, MailboxGreeting, ChangingSetting, DialledParking, Parked,
    CallingFirst, FirstAnswered, CallingSecond,
    BothAnswered, EngineTalk, EngineTalkEnded, Joining, Connecting, Talking, ControlledLate, TalkInterrupted, OnHold,
    Calling, Announcing, Releasing, Consulting, TransferCalling, TransferAnnouncing, TransferReleasing, Finishing, Finished,
)  # fmt: skip
"""Every state that a call can be in."""


# --- a coach, beside the call


@dataclass(frozen=True, slots=True)
class NoCoach:
    """Nobody coaches."""


@dataclass(frozen=True, slots=True)
class CoachCalled:
    """The coach rings."""

    leg_id: int


@dataclass(frozen=True, slots=True)
class Coaching:
    """The coach hears the talk."""

    leg_id: int


CoachState = NoCoach | CoachCalled | Coaching


class Departure(StrEnum):
    """Why a leg is being hung up while the call goes on."""

    HANDED_OVER = "handed_over"
    """The operator has left the call to somebody else, or to a scenario."""
    SENT_AWAY = "sent_away"
    """The operator has sent the third party away."""
    CONTACT_LEFT = "contact_left"
    """The contact pressed a key to leave the queue for which the agent was called."""
    QUEUE_ENDED = "queue_ended"
    """The contact's time in the queue for which the agent was called is over."""
