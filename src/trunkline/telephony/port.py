"""The commands to the engine and its signals, independent of Asterisk.

The engine carries channels: one for each participant. Ids of channels are the engine's own strings.
Signals come in order per channel, each with the engine's time; they may come twice (after a reconnect),
never out of order.

A channel that has *arrived* is controlled by the switch: it follows commands until :meth:`Engine.connect` gives
it to the engine, which then dials the targets, connects and watches by itself (a killed switch changes
nothing for it), and gives it back with :class:`ConnectFinished` when the attempt or the talk is over and
this channel is still live.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType, Protocol

from trunkline.core.clock import Instant
from trunkline.core.engine_values import (
    CallerNumber,
    CallTag,
    DialNumber,
    DisplayName,
    EndpointName,
    Keys,
    MediaPath,
    SipLogin,
)

Channel = NewType("Channel", str)
"""The engine's id of one participant's channel."""

Bridge = NewType("Bridge", str)


class EndpointKind(StrEnum):
    LINE = "line"
    TRUNK = "trunk"
    SITE = "site"
    """Browsers of the visitors of a website. They are never called."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A configured peer: a SIP line by its login (``0160001``), a trunk as ``trunk-<id>``, or a website as ``site-<id>``."""

    kind: EndpointKind
    name: EndpointName

    def __post_init__(self) -> None:
        checked_values(EndpointName, self.name)

    @classmethod
    def line(cls, login: str) -> Endpoint:
        """:raises BadEngineValue: no login of a line."""
        return cls(EndpointKind.LINE, EndpointName(login))

    @property
    def trunk_id(self) -> int:
        """Of a trunk; 0 for others."""
        digits = self.name.removeprefix("trunk-").removesuffix("-ip")
        return int(digits) if self.kind is EndpointKind.TRUNK and digits.isascii() and digits.isdigit() else 0

    @property
    def is_known_by_address(self) -> bool:
        """Whether only the source address identified the trunk."""
        return self.kind is EndpointKind.TRUNK and self.name.endswith("-ip")


def checked_values(kind: type, *values: object) -> None:
    """:raises TypeError: a text that was not checked: every value that reaches the engine is of a type that cannot hold a
    bad one."""
    for value in values:
        if not isinstance(value, kind):
            raise TypeError(f"{kind.__name__} expected, not {type(value).__name__}")


_NOT_DIALLED = re.compile(r"[^ -~]")
"""What is dialled may have separators and the characters of codes."""


# --- signals: engine -> switch -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Arrived:
    """A new call from a line or trunk: the switch controls its channel, which is not answered.

    Phones and carriers may send any text as a number. What a number cannot have is removed here, so that no report,
    notification or display gets it.
    """

    channel: Channel
    at: Instant
    endpoint: Endpoint
    called: str
    """As dialled: digits, maybe with a leading plus."""
    calling_number: str
    calling_name: str
    started_at: Instant
    """When the INVITE came; earlier than ``at`` when the call waited until a switch was connected."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "called", _NOT_DIALLED.sub("", self.called))
        object.__setattr__(self, "calling_number", str(CallerNumber.cleaned(self.calling_number)))


@dataclass(frozen=True, slots=True)
class TargetStarted:
    """The engine began to dial a target of a connect (``dialling`` = the channel given to connect)."""

    channel: Channel
    at: Instant
    dialling: Channel
    endpoint: Endpoint
    number: str | None
    """The number dialled through a trunk; None for a line."""


@dataclass(frozen=True, slots=True)
class Ringing:
    channel: Channel
    at: Instant


@dataclass(frozen=True, slots=True)
class EarlyMedia:
    channel: Channel
    at: Instant


@dataclass(frozen=True, slots=True)
class Detection:
    """Whether a person or an answering machine has answered.

    :ivar cause: what it was found by, in the words of the engine: ``HUMAN-800-800``, ``LONGGREETING-1500-1500``.
    :ivar silence_seconds: for how long the person had been waiting in silence when this was found.
    """

    is_machine: bool
    cause: str
    silence_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Answered:
    """The party picked up (an originated or dialled channel), or we answered an arrived one.

    :ivar at: when the switch may command the channel.
    :ivar answered_at_phone: when the party picked up, if that was earlier: its channel waited for a switch, or it was found
        out who answers.
    :ivar detection: None: it was not asked for (:attr:`Originate.detects_machine`), or could not begin.
    """

    channel: Channel
    at: Instant
    answered_at_phone: Instant | None = None
    detection: Detection | None = None


@dataclass(frozen=True, slots=True)
class Joined:
    """The channel entered a bridge. Two channels in one bridge are connected.

    :ivar by_switch: False: the dialplan connected it without a switch; only the CEL log has that.
    """

    channel: Channel
    at: Instant
    bridge: Bridge
    by_switch: bool = field(default=True, compare=False)


@dataclass(frozen=True, slots=True)
class Left:
    channel: Channel
    at: Instant
    bridge: Bridge


@dataclass(frozen=True, slots=True)
class Refused:
    """A carrier refuses a call, or ends it as a failure; its :class:`Ended` follows."""

    channel: Channel
    at: Instant
    sip_code: int


class ConnectResult(StrEnum):
    ANSWERED = "answered"
    """A target answered, they talked, and the target hung up."""
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    DECLINED = "declined"
    UNREACHABLE = "unreachable"
    """Not registered, no route, congestion, unknown number: see ``cause``."""
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class ConnectFinished:
    """A connect is over and the switch controls its dialling channel again."""

    channel: Channel
    at: Instant
    result: ConnectResult
    cause: int
    """Q.850 of the last target; 0 when unknown."""


@dataclass(frozen=True, slots=True)
class ControlTaken:
    """The switch controls a channel that the engine had connected (see :meth:`Engine.take_control`)."""

    channel: Channel
    at: Instant


@dataclass(frozen=True, slots=True)
class Ended:
    """The channel is gone. ``cause`` is Q.850; ``by_party`` = its own phone hung up, neither we nor the peer.

    :ivar answered_at_phone: when the party picked up, if no :class:`Answered` came: it left before the switch could
        command it.
    :ivar received: RTP packets of sound that arrived from the party; None: not known.
    """

    channel: Channel
    at: Instant
    cause: int
    by_party: bool
    answered_at_phone: Instant | None = None
    received: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class PlayFinished:
    channel: Channel
    at: Instant
    play_id: str


@dataclass(frozen=True, slots=True)
class RecordFinished:
    """A voice mail recording ended; ``seconds`` of sound are in the file that was asked for."""

    channel: Channel
    at: Instant
    record_id: str
    seconds: float
    hung_up: bool = False
    """The party has hung up: its :class:`Ended` follows."""


@dataclass(frozen=True, slots=True)
class KeyPressed:
    channel: Channel
    at: Instant
    key: str


@dataclass(frozen=True, slots=True)
class Redirected:
    """A called phone redirects the call (SIP 302). The engine calls nobody for it: the target has failed.

    :ivar to: the user part of the address, any text.
    """

    channel: Channel
    at: Instant
    to: str


@dataclass(frozen=True, slots=True)
class TransferAsked:
    """The party's phone asks to be replaced in its talk (REFER). It waits for :meth:`Engine.answer_transfer`.

    :ivar to: what was dialled as the target, any text; None: the target is another call.
    :ivar other: the phone's other call; None: no such call.
    """

    channel: Channel
    at: Instant
    to: str | None
    other: Channel | None


@dataclass(frozen=True, slots=True)
class EngineUp:
    """(Re)connected; what happened meanwhile must be read from :meth:`Engine.survey`."""

    at: Instant


@dataclass(frozen=True, slots=True)
class EngineDown:
    at: Instant


@dataclass(frozen=True, slots=True)
class HeartbeatReturned:
    """A heartbeat came back through the engine: signals arrive, and commands are carried out."""

    at: Instant
    token: str


@dataclass(frozen=True, slots=True)
class Registered:
    """A device of a line is registered, refreshed, or its reachability was probed."""

    at: Instant
    line: str
    contact_uri: str
    ip: str
    port: int
    transport: str
    user_agent: str
    expires_at: Instant | None
    round_trip_us: int | None
    reachable: bool | None


@dataclass(frozen=True, slots=True)
class Unregistered:
    at: Instant
    line: str
    contact_uri: str


@dataclass(frozen=True, slots=True)
class LoginFailed:
    """A registration or call with a wrong name, password or address."""

    at: Instant
    line: str
    """Its login; "" when there is no such line, or when the line refuses this address because of a ban."""
    ip: str
    reason: str
    tried_password: bool = True
    """False: the name alone was refused, as of an unlisted carrier."""
    proven: bool = True
    """False for UDP: the sender may have written any address (Asterisk does not report which nonce it sent where)."""
    name: str = ""
    """What the sender wrote, when Asterisk reports it and it is not the login of a line; not to be trusted."""
    call_id: str = ""
    """``Call-ID`` of the request, which the sender chose as well."""


@dataclass(frozen=True, slots=True)
class Unidentified:
    """A request without a login that names no line and comes from no address of a trunk: it was challenged (SIP 401)."""

    at: Instant
    ip: str


@dataclass(frozen=True, slots=True)
class RequestFlood:
    """More requests with the password of a line came from one address than a phone sends."""

    at: Instant
    line: str
    """Its login."""
    ip: str
    requests: int
    """Within a minute."""


Signal = (
    Arrived
    | TargetStarted
    | Ringing
    | Refused
    | EarlyMedia
    | Answered
    | Joined
    | Left
    | ConnectFinished
    | ControlTaken
    | Ended
    | PlayFinished
    | RecordFinished
    | KeyPressed
    | Redirected
    | TransferAsked
    | EngineUp
    | EngineDown
    | HeartbeatReturned
    | Registered
    | Unregistered
    | LoginFailed
    | Unidentified
    | RequestFlood
)

# --- commands: switch -> engine -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to dial: a line (all its registered devices at once), or a number through a trunk."""

    endpoint: Endpoint
    number: DialNumber | None = None
    caller_number: CallerNumber = CallerNumber("")  # noqa: RUF009 - immutable
    """What the target's phone shows."""
    caller_name: DisplayName = DisplayName("")  # noqa: RUF009 - immutable

    def __post_init__(self) -> None:
        if self.number is not None:
            checked_values(DialNumber, self.number)
        checked_values(CallerNumber, self.caller_number)
        checked_values(DisplayName, self.caller_name)

    @classmethod
    def of(
        cls, endpoint: Endpoint, number: str | None = None, caller_number: str = "", caller_name: str = ""
    ) -> Target:
        """From plain texts. What is shown is cleaned: a caller outside the PBX may send any text.

        :raises BadEngineValue: the number cannot be dialled.
        """
        return cls(
            endpoint,
            None if number is None else DialNumber(number),
            CallerNumber.cleaned(caller_number),
            DisplayName.cleaned(caller_name),
        )


@dataclass(frozen=True, slots=True)
class Connect:
    """Dial all ``targets`` at once; the first to answer talks with the dialling channel."""

    targets: Sequence[Target]
    ring_seconds: int
    record: bool = False
    """Record each party's own voice to ``spool_dir/<tag>/<channel>.sln`` while they are bridged (8 kHz, mono).

    Needs ``tag``. Both files begin when the talk does and stay in step. A party that sends nothing has silence on
    its track; while *neither* sends audio (both phones suppress silence), time does not advance in either, so the
    files are shorter than the talk by that time. A channel that is connected again continues its own file.
    """
    answer_first: bool = False
    """Answer the dialling channel before dialling (needed for music instead of ring-back)."""
    music: MediaPath | None = None
    """Media file (path without extension) played to the dialling channel instead of ring-back."""
    announcement: Sequence[MediaPath] = ()
    """Media files (paths without extension) that are played to the target after the answer, before the connection."""
    tag: CallTag = CallTag("")  # noqa: RUF009 - immutable
    """The call session id. The dialling channel and its targets have it in their account codes from then on; Asterisk keeps
    it when the switch is killed."""
    return_after_talk: bool = True
    """False: when a target hangs up, the engine ends the dialling channel by itself, without asking us."""

    def __post_init__(self) -> None:
        checked_values(CallTag, self.tag)
        checked_values(MediaPath, *self.announcement)
        if self.music is not None:
            checked_values(MediaPath, self.music)


@dataclass(frozen=True, slots=True)
class Originate:
    """Call a party; on answer the switch controls its channel (:class:`Answered`)."""

    channel: Channel
    """Chosen by us."""
    target: Target
    ring_seconds: int
    tag: CallTag
    auto_answer: bool = False
    """Ask the phone to answer by itself; whether it does is up to its settings."""
    detects_machine: bool = False
    """Find out whether a person has answered, which takes a greeting and most of a second; for one device."""

    def __post_init__(self) -> None:
        checked_values(CallTag, self.tag)


@dataclass(frozen=True, slots=True)
class LineAccess:
    """From where a line may be used.

    :ivar denied: addresses that are refused.
    :ivar only: when not None, all others than these are refused.
    """

    denied: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None


class Supervision(StrEnum):
    """The audio of a supervisor in a conversation; it receives both parties in every mode.

    A supervisor for both parties joins their bridge.
    """

    LISTEN = "listen"
    WHISPER = "whisper"
    """Its audio goes to the target only."""


@dataclass(frozen=True, slots=True)
class SeenChannel:
    """One live channel as found by :meth:`Engine.survey`."""

    channel: Channel
    endpoint: Endpoint
    tag: str
    """The call session id that a command has set; "" when none has."""
    created_at: Instant
    answered: bool
    ringing: bool
    controlled: bool
    bridge: Bridge | None
    linked: str
    """Channels of one call share it, also those the engine connected without us."""
    calling_number: str = ""
    called: str = ""
    detection: Detection | None = None
    """Who has answered, if that was to be found out."""


@dataclass(frozen=True, slots=True)
class SeenRecording:
    """A voice mail recording that was begun, as found by :meth:`Engine.survey`.

    :ivar seconds: of sound so far.
    :ivar ended_at: None while it goes on.
    :ivar note: what was given with :meth:`Engine.record_message`.
    """

    seconds: float
    ended_at: Instant | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Participant:
    """One live channel of a phone or carrier, as listed.

    :ivar endpoint: its name in the engine.
    :ivar tag: the call session id that a command has set; "" when none has.
    :ivar by_dialplan: the dialplan connects it without a switch, or it is called by another channel and ends with it.
    """

    channel: Channel
    endpoint: str
    tag: str
    created_at: Instant
    by_dialplan: bool


@dataclass(frozen=True, slots=True)
class Survey:
    """The engine's present state, and the missed signals of live and ended channels."""

    at: Instant
    channels: Sequence[SeenChannel]
    missed: Sequence[Signal] = field(default=())
    """From the engine's CEL log, oldest first, from the requested instant on; may repeat known signals."""
    engine_started_at: Instant | None = None
    """Since when this process of the engine runs: calls that are older were carried by another one. None = not known."""
    recordings: Mapping[str, SeenRecording] = field(default_factory=dict)
    """By record id: voice mail recordings that go on, and those that ended lately or while no switch was connected."""


class Engine(Protocol):
    """Asterisk (:class:`~trunkline.telephony.engine.AsteriskEngine`).

    A recovery may repeat the commands whose effects have the policy ``resumed`` (``calls/effects.py``). ``send_keys`` is
    never repeated: the party would get the digits twice.

    Each may raise one of the kinds of :class:`~trunkline.core.errors.EngineError`: ``ChannelGone``, ``EffectRefused`` (also
    ``NoChannelFree``), ``EffectTimedOut``, ``EngineUnavailable``.
    """

    async def wait_up(self, timeout: float = 30.0) -> None:
        """Return when commands can be sent.

        :raises TimeoutError: not within ``timeout`` seconds.
        """

    def signals(self) -> AsyncIterator[Signal]: ...

    async def answer(self, channel: Channel) -> None: ...

    async def play_files(self, channel: Channel, play_id: str, files: Sequence[MediaPath]) -> None:
        """Play files (paths without extension) one after another, then :class:`PlayFinished`."""

    async def stop_play(self, channel: Channel, play_id: str) -> None: ...

    async def record_message(
        self,
        channel: Channel,
        record_id: str,
        path: str,
        max_seconds: int,
        silence_seconds: int,
        beep: bool,
        note: str = "",
    ) -> None:
        """Record the party to ``path`` (with extension .wav); a key or silence ends it.

        :param note: kept for a day, for the survey of a later switch.
        """

    async def stop_message(self, channel: Channel, record_id: str) -> None:
        """End such a recording: :class:`RecordFinished` follows. Nothing happens when it has ended."""

    async def connect(self, channel: Channel, connect: Connect) -> None: ...

    async def pick_up(self, channel: Channel, ringing: Channel) -> None:
        """Put the phone of a controlled channel in the place of one that rings, which :meth:`connect` dials.

        ``channel`` is answered (:class:`Answered`) and talks with who dialled the other, which ends. When the other does not
        ring any more, ``channel`` ends with cause 21.
        """

    async def originate(self, originate: Originate) -> None:
        """Begin to call; :class:`EffectRefused` when there is no target, such as a line without devices.

        :class:`Ended` without :class:`Answered` is a failed attempt with its cause; ``by_party`` = refused.
        """

    async def hangup(self, channel: Channel, cause: int = 16) -> None: ...

    async def indicate_messages(self, line: SipLogin, new: int, saved: int) -> None:
        """Send the registered devices of a line the numbers of messages in the mailbox of its employee."""

    async def survey(self, since: Instant) -> Survey: ...

    # --- controlled conversations (hold, consult, transfer, coach, messages while the other side is dialled)

    async def take_control(self, channels: Sequence[Channel], leaving: Channel | None = None) -> None:
        """Redirect channels that the engine had connected into Stasis, inaudibly for the parties.

        Returns when all of them have come (:class:`ControlTaken`, and :class:`Left` for the engine's bridge). A channel that
        is already controlled is not changed. Recording of their audio continues.

        :param leaving: the one of them that may be gone, or go meanwhile: the others come under control without it.
        :raises ChannelGone: another one is gone.
        """

    async def keep_when_left(self, channels: Sequence[Channel]) -> None:
        """For some seconds from now, a party whose other one hangs up stays until a switch takes control of it, also when
        none is connected at that moment. For parties that a transfer connects with somebody else."""

    async def open_bridge(self, bridge: Bridge) -> None:
        """Make a bridge; its id is chosen by us."""

    async def close_bridge(self, bridge: Bridge) -> None:
        """Channels in it remain live and controlled."""

    async def join(self, bridge: Bridge, channel: Channel, ends_with: Channel | None = None) -> None:
        """Put a channel into a bridge (out of the one it was in); stops its music. :class:`Joined` follows.

        :param ends_with: another channel: when it is hung up in the bridge while no switch runs, this one is.
        """

    async def leave(self, bridge: Bridge, channel: Channel) -> None: ...

    async def start_music(self, channel: Channel, file: MediaPath | None = None) -> None:
        """Play a media file over and over (path without extension, one of the configured music; None = hold music)."""

    async def stop_music(self, channel: Channel) -> None: ...

    async def send_keys(self, channel: Channel, keys: Keys) -> None:
        """Send DTMF to the party: ``0-9*#``, a ``.`` is a pause of one second before what follows."""

    async def start_recording(self, channel: Channel, tag: CallTag, part: int = 1) -> None:
        """Record the party's own voice, as :class:`Connect` ``record`` does, from now on while it is bridged.

        From the second part on, to ``spool_dir/<tag>/<channel>.<part>.sln``.
        """

    async def stop_recording(self, channel: Channel) -> None: ...

    async def answer_transfer(self, channel: Channel, *, is_done: bool) -> None:
        """Report to a phone that asked for a transfer (:class:`TransferAsked`) whether it is carried out.

        Its channel must be controlled by the switch.
        """

    async def play_into_talk(self, channel: Channel, file: MediaPath) -> None:
        """Play a file (path without extension) to one party while it talks, in place of what is played so before.

        Works for conversations that the engine connected, too, without taking them.
        """

    async def stop_playing_into_talk(self, channel: Channel) -> None:
        """Stop what :meth:`play_into_talk` plays; nothing happens when it is over."""

    async def supervise(self, supervisor: Channel, target: Channel, mode: Supervision) -> None:
        """Connect a controlled, answered channel to a conversation through one of its parties (``target``).

        Works for conversations that the engine connected, too, without taking them. Ends when either ends.
        """
