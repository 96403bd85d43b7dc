"""Effects of the rules: data that the executor performs on the engine, in order.

Each effect has a :class:`Policy`: whether a command that needs it fails with it, and what is done instead when the engine
does not carry it out. No failure of an optional effect ends a talk.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from trunkline.core.errors import EffectTimedOut, EngineError
from trunkline.core.hangup_causes import NORMAL_CLEARING
from trunkline.telephony.port import Bridge, Channel, Connect, Originate, Supervision


class Compensation(StrEnum):
    """What is done instead of an effect that failed: see :class:`Policy`."""

    NOTHING = "nothing"
    """The call goes on without it."""
    AS_PLAYED = "as_played"
    """The call goes on as if the sound had been played to its end."""
    NO_MESSAGE = "no_message"
    """The call goes on as if the contact had left an empty voice mail."""
    NOT_RECORDED = "not_recorded"
    """The leg counts as not recorded from now on."""
    NOT_CONNECTED = "not_connected"
    """The call goes on as if none of the dial targets could be reached."""
    NOT_REACHED = "not_reached"
    """The leg ends as one that could not be reached; its channel, should it exist, is hung up."""
    COACH_LEAVES = "coach_leaves"
    """The coach is hung up; the talk goes on."""
    CONTROL_LATE = "control_late"
    """The talk goes on, connected by the engine; a coach is hung up. Channels that come under control later are joined
    again (``CALL_TAKEN`` with ``late``). A call that nobody commands any more, because its operator leaves, is ended."""
    RESTORE = "restore"
    """The call returns to its state before: a coach or a third party is hung up, a held contact stays on hold. Without such
    a state the call is ended."""
    END_CALL = "end_call"
    """The call is ended."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What a failure of an effect means. A channel that is gone needs no compensation: its end follows as a signal.

    :ivar required: a command fails when this effect of it fails.
    :ivar refused: what is done instead when the engine refused the effect, or is unavailable.
    :ivar timed_out: what is done instead when the engine did not confirm the effect in time, and may carry it out yet. None:
        the same as ``refused``.
    :ivar resumed: the recovery after a reconnect does it again, so it needs no compensation while the engine is unavailable.
    :ivar stops_decision: later effects of the same decision, except hang-ups, depend on it and are skipped when it fails.
    """

    required: bool
    refused: Compensation
    timed_out: Compensation | None = None
    resumed: bool = False
    stops_decision: bool = False

    def compensation(self, error: EngineError) -> Compensation:
        """What is done instead after this error."""
        is_late = isinstance(error, EffectTimedOut)
        return self.timed_out if is_late and self.timed_out is not None else self.refused


@dataclass(frozen=True, slots=True)
class Answer:
    policy: ClassVar = Policy(required=True, refused=Compensation.END_CALL, resumed=True)
    channel: Channel


@dataclass(frozen=True, slots=True)
class PlayFiles:
    policy: ClassVar = Policy(required=False, refused=Compensation.AS_PLAYED, resumed=True)
    channel: Channel
    play_id: str
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RecordMessage:
    policy: ClassVar = Policy(required=False, refused=Compensation.NO_MESSAGE, resumed=True)
    channel: Channel
    record_id: str
    path: str
    """Relative to the spool folder."""
    max_seconds: int
    silence_seconds: int
    note: str = ""
    """What a later switch needs when the events of the call are lost."""


@dataclass(frozen=True, slots=True)
class StopMessage:
    """End a voice mail recording that goes on; what was recorded is kept."""

    policy: ClassVar = Policy(required=False, refused=Compensation.NOTHING)
    channel: Channel
    record_id: str


@dataclass(frozen=True, slots=True)
class ConnectTargets:
    policy: ClassVar = Policy(
        required=True, refused=Compensation.NOT_CONNECTED, timed_out=Compensation.END_CALL, resumed=True
    )
    """After a time-out its targets may ring yet: only the end of the call stops them."""
    channel: Channel
    connect: Connect


@dataclass(frozen=True, slots=True)
class OriginateLeg:
    policy: ClassVar = Policy(required=True, refused=Compensation.NOT_REACHED)
    originate: Originate

    @property
    def channel(self) -> Channel:
        return self.originate.channel


@dataclass(frozen=True, slots=True)
class PickUp:
    """Put the phone of this channel in the place of one that rings for another call."""

    policy: ClassVar = Policy(required=True, refused=Compensation.END_CALL)
    channel: Channel
    ringing: Channel


@dataclass(frozen=True, slots=True)
class Hangup:
    policy: ClassVar = Policy(required=True, refused=Compensation.NOTHING, resumed=True)
    channel: Channel
    cause: int = NORMAL_CLEARING


@dataclass(frozen=True, slots=True)
class TakeControl:
    """Take control of channels that the engine connected.

    :ivar leaving: the one of them that the call can do without: it may have hung up.
    """

    policy: ClassVar = Policy(required=True, refused=Compensation.CONTROL_LATE, stops_decision=True)
    channels: tuple[Channel, ...]
    leaving: Channel | None = None

    @property
    def channel(self) -> Channel:
        return self.channels[0]


@dataclass(frozen=True, slots=True)
class StopPlay:
    policy: ClassVar = Policy(required=False, refused=Compensation.NOTHING)
    channel: Channel
    play_id: str


@dataclass(frozen=True, slots=True)
class Music:
    """Start music to a channel; ``file`` None = the hold music."""

    policy: ClassVar = Policy(required=False, refused=Compensation.NOTHING)
    channel: Channel
    file: str | None = None


@dataclass(frozen=True, slots=True)
class StopMusic:
    policy: ClassVar = Policy(required=False, refused=Compensation.NOTHING)
    channel: Channel


@dataclass(frozen=True, slots=True)
class Join:
    """Put a channel into a bridge of the switch, which is created if it does not exist.

    :ivar ends_with: the other party, with whose hang-up Asterisk ends this one when no switch runs then.
    """

    policy: ClassVar = Policy(required=True, refused=Compensation.RESTORE, resumed=True)
    channel: Channel
    bridge: Bridge
    ends_with: Channel | None = None


@dataclass(frozen=True, slots=True)
class Leave:
    policy: ClassVar = Policy(required=False, refused=Compensation.NOTHING, resumed=True)
    channel: Channel
    bridge: Bridge


@dataclass(frozen=True, slots=True)
class SendKeys:
    policy: ClassVar = Policy(required=False, refused=Compensation.NOTHING)
    channel: Channel
    keys: str


@dataclass(frozen=True, slots=True)
class RecordVoice:
    """Begin or end recording a party's own voice."""

    policy: ClassVar = Policy(required=False, refused=Compensation.NOT_RECORDED)
    channel: Channel
    on: bool
    part: int = 1
    """Which file of the party it goes to."""


@dataclass(frozen=True, slots=True)
class AnswerTransfer:
    """Report to a phone that asked for a transfer whether it is carried out."""

    policy: ClassVar = Policy(required=False, refused=Compensation.NOTHING)
    channel: Channel
    is_done: bool


@dataclass(frozen=True, slots=True)
class Supervise:
    policy: ClassVar = Policy(required=False, refused=Compensation.COACH_LEAVES)
    channel: Channel
    target: Channel
    mode: Supervision


@dataclass(frozen=True, slots=True)
class PlayIntoTalk:
    """Play a file to a party while it talks; the talk stays as it is."""

    policy: ClassVar = Policy(required=True, refused=Compensation.NOTHING)
    channel: Channel
    file: str


@dataclass(frozen=True, slots=True)
class StopPlayIntoTalk:
    policy: ClassVar = Policy(required=True, refused=Compensation.NOTHING)
    channel: Channel


Effect = (
    Answer
    | PlayFiles
    | StopPlay
    | RecordMessage
    | StopMessage
    | ConnectTargets
    | OriginateLeg
    | PickUp
    | Hangup
    | TakeControl
    | Music
    | StopMusic
    | Join
    | Leave
    | SendKeys
    | RecordVoice
    | AnswerTransfer
    | Supervise
    | PlayIntoTalk
    | StopPlayIntoTalk
)
