"""Effects of the rules of queues: data that the switch carries out on calls, in order.

What the switch answers comes back as inputs (:mod:`trunkline.queues.inputs`). An effect whose caller or offer has ended
meanwhile is not carried out: the input that reports the end is on its way.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StartOffer:
    """Call an agent for a caller. Comes back as OfferRinging, then OfferAnswered or OfferFailed.

    :ivar ring_seconds: the rules end the offer then; the leg's own limit may be longer, it applies without the rules.
    """

    offer_id: int
    queue_id: int
    caller_id: int
    call_session_id: int
    agent_id: int
    ring_seconds: int
    auto_answer: bool


@dataclass(frozen=True, slots=True)
class CancelOffer:
    """Hang up the agent's leg, ringing or answered. Nothing comes back.

    :ivar is_answered_elsewhere: phones then show no missed call.
    """

    offer_id: int
    agent_id: int | None
    is_answered_elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Connect:
    """Connect the caller and the agent who answered. Comes back as OfferConnected, CallerHungUp or OfferFailed.

    :ivar pre_bridge_announce: media file to play before.
    """

    offer_id: int
    caller_id: int
    call_session_id: int
    agent_id: int
    pre_bridge_announce: int | None


@dataclass(frozen=True, slots=True)
class LeaveQueue:
    """The call goes on outside the queue (9.6, 10.4).

    :ivar reason: after ``break_out`` by CallerTaken or RequestCallback the command decides what follows.
    :ivar destination: of the settings; None: there is none for this reason.
    :ivar key: the exit key that the caller pressed; None: another reason.
    """

    caller_id: int
    call_session_id: int
    reason: str
    destination: str | None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class PlayMusic:
    """Play hold music to a waiting caller from now on; comes back as MusicFailed if it cannot be played.

    :ivar moh_id: media file; None: the account's hold music.
    """

    caller_id: int
    call_session_id: int
    moh_id: int | None


@dataclass(frozen=True, slots=True)
class PlaceInQueue:
    """What a caller hears of the place in the queue; None: nothing.

    :ivar position: 1 is served first.
    :ivar minutes: the expected wait, rounded up.
    """

    position: int | None = None
    minutes: int | None = None


NOTHING_TO_SAY = PlaceInQueue()


@dataclass(frozen=True, slots=True)
class PlayJoinAnnouncement:
    """Play a file once to a caller who has joined, then say the place in the queue.

    :ivar media_id: None: the place only.
    """

    caller_id: int
    call_session_id: int
    media_id: int | None
    place: PlaceInQueue = NOTHING_TO_SAY


@dataclass(frozen=True, slots=True)
class PlayAnnouncement:
    """Play the periodic announcement over the music, then say the place in the queue. Comes back as AnnouncementEnded or
    AnnouncementFailed.

    :ivar media_id: None: the place only.
    :ivar is_restart: it is still playing: begin anew, do not play it twice (10.2).
    """

    caller_id: int
    call_session_id: int
    media_id: int | None
    is_restart: bool
    place: PlaceInQueue = NOTHING_TO_SAY


@dataclass(frozen=True, slots=True)
class DialCallback:
    """Call the customer of a callback. Comes back as CallbackConfirmed (the customer answered) or CallbackFailed.

    :ivar seconds: within which the customer must have confirmed.
    """

    caller_id: int
    queue_id: int
    number: str
    agent_id: int
    seconds: int


@dataclass(frozen=True, slots=True)
class CancelDial:
    """Hang up the call to the customer of a callback. Nothing comes back."""

    caller_id: int


Effect = (
    StartOffer
    | CancelOffer
    | Connect
    | LeaveQueue
    | PlayMusic
    | PlayJoinAnnouncement
    | PlayAnnouncement
    | DialCallback
    | CancelDial
)
