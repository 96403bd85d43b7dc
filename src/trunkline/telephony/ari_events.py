"""The events of ARI that we use, typed. What is not listed here is ignored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from trunkline.core.clock import Instant

MADE_BY_COMMAND = "stasis"
"""Class of the bridges that were made by a command, not by ``Dial()``."""


@dataclass(frozen=True, slots=True)
class ChannelSnapshot:
    """A channel as ARI shows it in an event or a listing."""

    id: str
    name: str
    """``PJSIP/1001-00000007``."""
    state: str
    """``Down``, ``Ring``, ``Ringing``, ``Up``, ..."""
    caller_number: str
    caller_name: str
    connected_number: str
    context: str
    exten: str
    app: str
    created_at: Instant
    variables: Mapping[str, str]
    call_id: str = ""
    """Call-ID of its SIP dialog."""
    app_data: str = ""
    """Arguments of the dialplan application ``app``, separated by commas."""


@dataclass(frozen=True, slots=True)
class StasisStart:
    at: Instant
    channel: ChannelSnapshot
    args: tuple[str, ...]
    replaces: str | None
    """Channel that this one took the place of."""


@dataclass(frozen=True, slots=True)
class StasisEnd:
    at: Instant
    channel: ChannelSnapshot


@dataclass(frozen=True, slots=True)
class Dialled:
    """Progress of a dialled channel. ``status``: "" (begun), RINGING, PROGRESS, ANSWER, BUSY, ...

    :ivar forward: where the called phone redirects the call (302), any text; nothing was dialled for it.
    """

    at: Instant
    status: str
    dialstring: str
    caller: ChannelSnapshot | None
    peer: ChannelSnapshot
    forward: str = ""


@dataclass(frozen=True, slots=True)
class ChannelUserevent:
    """An event that a client asked for (``POST /events/user``)."""

    at: Instant
    name: str
    variables: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ChannelCreated:
    at: Instant
    channel: ChannelSnapshot


@dataclass(frozen=True, slots=True)
class ChannelStateChange:
    at: Instant
    channel: ChannelSnapshot


@dataclass(frozen=True, slots=True)
class ChannelHangupRequest:
    """``soft`` = requested by another side than the party.

    :ivar sip_code: SIP status of the failure; 0 = there was none, or an older Asterisk does not report it.
    """

    at: Instant
    channel: ChannelSnapshot
    cause: int
    soft: bool
    sip_code: int = 0


@dataclass(frozen=True, slots=True)
class ChannelDestroyed:
    at: Instant
    channel: ChannelSnapshot
    cause: int


@dataclass(frozen=True, slots=True)
class ChannelEnteredBridge:
    """``is_ours``: the bridge was made by a command, not by ``Dial()``."""

    at: Instant
    channel: ChannelSnapshot
    bridge: str
    is_ours: bool = False


@dataclass(frozen=True, slots=True)
class ChannelLeftBridge:
    at: Instant
    channel: ChannelSnapshot
    bridge: str


@dataclass(frozen=True, slots=True)
class ChannelHold:
    """The party's phone holds the call."""

    at: Instant
    channel: ChannelSnapshot


@dataclass(frozen=True, slots=True)
class ChannelUnhold:
    at: Instant
    channel: ChannelSnapshot


@dataclass(frozen=True, slots=True)
class ChannelTransfer:
    """The party's phone asks for a transfer (REFER); nothing is done yet.

    :ivar destination: user part of the target; of an attended transfer, too.
    :ivar other: Call-ID of the other call of the phone, in an attended transfer; None: blind. The corrected module of
        transfers does not name its channel.
    """

    at: Instant
    channel: ChannelSnapshot
    destination: str
    other: str | None


@dataclass(frozen=True, slots=True)
class ChannelDtmfReceived:
    at: Instant
    channel: ChannelSnapshot
    digit: str
    duration_ms: int


@dataclass(frozen=True, slots=True)
class PlaybackFinished:
    """``state``: done or failed. ``target``: ``channel:<id>`` or ``bridge:<id>``."""

    at: Instant
    id: str
    target: str
    state: str


@dataclass(frozen=True, slots=True)
class RecordingFinished:
    """Also for a failed one, with ``failed`` set. ``name`` is the requested name; whole seconds."""

    at: Instant
    name: str
    target: str
    duration: int
    failed: bool


AriEvent = (
    StasisStart
    | StasisEnd
    | ChannelUserevent
    | Dialled
    | ChannelCreated
    | ChannelStateChange
    | ChannelHangupRequest
    | ChannelDestroyed
    | ChannelEnteredBridge
    | ChannelLeftBridge
    | ChannelHold
    | ChannelUnhold
    | ChannelTransfer
    | ChannelDtmfReceived
    | PlaybackFinished
    | RecordingFinished
)


def parse_time(text: str) -> Instant:
    """Instant of ARI's ``2026-11-21T00:06:13.123+0000``."""
    return Instant(datetime.fromisoformat(text).timestamp())


def parse_channel(data: Mapping[str, Any]) -> ChannelSnapshot:
    """:raises KeyError, TypeError, ValueError: not a channel."""
    dialplan = data["dialplan"]
    number = data["caller"]["number"]
    variables = data.get("channelvars")
    if not all(isinstance(one, str) for one in (data["id"], data["name"], dialplan["exten"], number)):
        raise TypeError("the texts of a channel are not texts")
    return ChannelSnapshot(
        id=data["id"],
        name=data["name"],
        state=data["state"],
        caller_number=number,
        caller_name=data["caller"]["name"],
        connected_number=data["connected"]["number"],
        context=dialplan["context"],
        exten=dialplan["exten"],
        app=dialplan.get("app_name", ""),
        created_at=parse_time(data["creationtime"]),
        variables=variables if isinstance(variables, dict) else {},
        call_id=data.get("protocol_id") or "",
        app_data=str(dialplan.get("app_data") or ""),
    )


def parse_event(data: Mapping[str, Any]) -> AriEvent | None:
    """The typed event, None for an unused kind."""
    parser = _PARSERS.get(data["type"])
    return parser(parse_time(data["timestamp"]), data) if parser else None


def _stasis_start(at: Instant, data: Mapping[str, Any]) -> StasisStart:
    replaced = data.get("replace_channel")
    return StasisStart(
        at, parse_channel(data["channel"]), tuple(data["args"]), replaced["id"] if replaced else None
    )


def _dial(at: Instant, data: Mapping[str, Any]) -> Dialled:
    caller = data.get("caller")
    return Dialled(
        at,
        data["dialstatus"],
        data.get("dialstring", ""),
        parse_channel(caller) if caller else None,
        parse_channel(data["peer"]),
        str(data.get("forward") or ""),
    )


def _user_event(at: Instant, data: Mapping[str, Any]) -> ChannelUserevent:
    variables = data.get("userevent")
    return ChannelUserevent(at, data["eventname"], variables if isinstance(variables, dict) else {})


def _hangup_request(at: Instant, data: Mapping[str, Any]) -> ChannelHangupRequest:
    return ChannelHangupRequest(
        at,
        parse_channel(data["channel"]),
        int(data.get("cause", 0)),
        bool(data.get("soft", False)),
        int(data.get("tech_cause") or 0),
    )


def _transfer(at: Instant, data: Mapping[str, Any]) -> ChannelTransfer:
    wanted = data["refer_to"]["requested_destination"]
    destination, other = wanted.get("destination", ""), wanted.get("protocol_id")
    if not isinstance(destination, str) or not isinstance(other, str | None):
        raise TypeError("the texts of a transfer are not texts")
    return ChannelTransfer(
        at,
        parse_channel(data["referred_by"]["source_channel"]),
        destination,
        other,
    )


def _playback_finished(at: Instant, data: Mapping[str, Any]) -> PlaybackFinished:
    playback = data["playback"]
    return PlaybackFinished(at, playback["id"], playback["target_uri"], playback["state"])


def _recording_finished(at: Instant, data: Mapping[str, Any]) -> RecordingFinished:
    recording = data["recording"]
    return RecordingFinished(
        at,
        recording["name"],
        recording.get("target_uri", ""),
        int(recording.get("duration", 0)),
        data["type"] == "RecordingFailed",
    )


_PARSERS: Mapping[str, Callable[[Instant, Mapping[str, Any]], AriEvent]] = {
    "StasisStart": _stasis_start,
    "StasisEnd": lambda at, data: StasisEnd(at, parse_channel(data["channel"])),
    "ChannelUserevent": _user_event,
    "Dial": _dial,
    "ChannelCreated": lambda at, data: ChannelCreated(at, parse_channel(data["channel"])),
    "ChannelStateChange": lambda at, data: ChannelStateChange(at, parse_channel(data["channel"])),
    "ChannelHangupRequest": _hangup_request,
    "ChannelDestroyed": lambda at, data: ChannelDestroyed(
        at, parse_channel(data["channel"]), int(data["cause"])
    ),
    "ChannelEnteredBridge": lambda at, data: ChannelEnteredBridge(
        at,
        parse_channel(data["channel"]),
        data["bridge"]["id"],
        data["bridge"].get("bridge_class") == MADE_BY_COMMAND,
    ),
    "ChannelTransfer": _transfer,
    "ChannelHold": lambda at, data: ChannelHold(at, parse_channel(data["channel"])),
    "ChannelUnhold": lambda at, data: ChannelUnhold(at, parse_channel(data["channel"])),
    "ChannelLeftBridge": lambda at, data: ChannelLeftBridge(
        at, parse_channel(data["channel"]), data["bridge"]["id"]
    ),
    "ChannelDtmfReceived": lambda at, data: ChannelDtmfReceived(
        at, parse_channel(data["channel"]), data["digit"], int(data["duration_ms"])
    ),
    "PlaybackFinished": _playback_finished,
    "RecordingFinished": _recording_finished,
    "RecordingFailed": _recording_finished,
}
