"""What the rules want done: data for the shell to perform, in order, on the engine."""

from __future__ import annotations

from dataclasses import dataclass

from trunkline.telephony.port import Bridge, Channel, Connect, Originate, Supervision


@dataclass(frozen=True, slots=True)
class Answer:
    channel: Channel


@dataclass(frozen=True, slots=True)
class PlayFiles:
    channel: Channel
    play_id: str
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RecordMessage:
    channel: Channel
    record_id: str
    path: str
    """Relative to the spool folder."""
    max_seconds: int
    silence_seconds: int


@dataclass(frozen=True, slots=True)
class Dial:
    channel: Channel
    connect: Connect


@dataclass(frozen=True, slots=True)
class Call:
    originate: Originate


@dataclass(frozen=True, slots=True)
class Hangup:
    channel: Channel
    cause: int = 16


@dataclass(frozen=True, slots=True)
class Take:
    """Pull what the engine connected into our hands."""

    channels: tuple[Channel, ...]

    @property
    def channel(self) -> Channel:
        return self.channels[0]


@dataclass(frozen=True, slots=True)
class StopPlay:
    channel: Channel
    play_id: str


@dataclass(frozen=True, slots=True)
class Music:
    """Start music to a channel; ``file`` None = the hold music."""

    channel: Channel
    file: str | None = None


@dataclass(frozen=True, slots=True)
class Join:
    """Put a channel into a bridge of ours, which is made when it is not there."""

    channel: Channel
    bridge: Bridge


@dataclass(frozen=True, slots=True)
class Leave:
    channel: Channel
    bridge: Bridge


@dataclass(frozen=True, slots=True)
class Keys:
    channel: Channel
    keys: str


@dataclass(frozen=True, slots=True)
class RecordVoice:
    """Begin or end recording a party's own voice."""

    channel: Channel
    on: bool
    part: int = 1
    """Which file of the party it goes to."""


@dataclass(frozen=True, slots=True)
class Supervise:
    channel: Channel
    target: Channel
    mode: Supervision


Effect = (
    Answer
    | PlayFiles
    | StopPlay
    | RecordMessage
    | Dial
    | Call
    | Hangup
    | Take
    | Music
    | Join
    | Leave
    | Keys
    | RecordVoice
    | Supervise
)
