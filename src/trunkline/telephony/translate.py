"""From ARI's events to the port's signals: events in, signals and channels to hang up out. No clock; the only
I/O is to read the size of the file of a finished voice message.

It keeps state that single events do not have: which ends were requested by the party itself, which channels have
answered, and the *groups*: a line with several devices is originated as several channels, of which the first to
answer continues under the one id that the switch chose.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trunkline.core.clock import Instant
from trunkline.telephony.answering_machines import detection
from trunkline.telephony.ari_events import (
    AriEvent,
    ChannelDestroyed,
    ChannelDtmfReceived,
    ChannelEnteredBridge,
    ChannelHangupRequest,
    ChannelLeftBridge,
    ChannelSnapshot,
    ChannelTransfer,
    Dialled,
    PlaybackFinished,
    RecordingFinished,
    StasisStart,
)
from trunkline.telephony.media_statistics import packets_received
from trunkline.telephony.names import endpoint_of_channel
from trunkline.telephony.port import (
    Answered,
    Arrived,
    Bridge,
    Channel,
    ConnectFinished,
    ControlTaken,
    Detection,
    EarlyMedia,
    Ended,
    EndpointKind,
    Joined,
    KeyPressed,
    Left,
    PlayFinished,
    RecordFinished,
    Redirected,
    Refused,
    Ringing,
    Signal,
    TargetStarted,
    TransferAsked,
)
from trunkline.telephony.results import connect_result

WANTED = (
    "StasisStart", "ChannelUserevent", "Dial", "ChannelHangupRequest", "ChannelDestroyed", "ChannelEnteredBridge",
    "ChannelLeftBridge", "ChannelHold", "ChannelUnhold", "ChannelTransfer", "ChannelDtmfReceived", "PlaybackFinished",
    "RecordingFinished", "RecordingFailed",
)  # fmt: skip
"""The events that are read here; Asterisk need not make the others."""

CREATED = "created"
"""Argument with which a channel that we dial is in Stasis until it is answered."""

_ONE_REQUEST_SECONDS = 0.1
_BYTES_PER_SECOND = 16_000
_WAV_HEADER = 44


_DEVICE = "~"


def device_id(public: Channel, number: int) -> str:
    """Id of one of several channels that are originated under one id of the switch."""
    return f"{public}{_DEVICE}{number}"


@dataclass(slots=True)
class _Group:
    """Channels originated at once under one id of the switch."""

    public: Channel
    members: set[str]
    winner: str | None = None
    rang: bool = False
    settled: bool = True
    """False while a device may have answered without an event: which one was first is in the CEL log only."""
    withheld: list[tuple[str, Signal]] = field(default_factory=list)
    """Answers and ends of devices of a group that is not settled, by device."""


@dataclass(slots=True)
class _Recording:
    channel: Channel
    path: Path


@dataclass(slots=True)
class Translator:
    """State of the translation; :meth:`unsettle` before and :meth:`keep_only` after a loss of events."""

    by_party: set[str] = field(default_factory=set)
    answered: set[str] = field(default_factory=set)
    callers: dict[str, str] = field(default_factory=dict)
    """The number with which a channel came in, while it is live: the default caller id of dialled channels."""
    to_hang_up: list[str] = field(default_factory=list)
    """Losing channels of a group; the caller of the translator ends them."""
    to_admit: list[str] = field(default_factory=list)
    """Channels that we dialled and that are answered; the caller of the translator sends them to the dialplan."""
    admitted: set[str] = field(default_factory=set)
    """Those that were sent there: once only, because from then on the switch commands them."""
    picked_up: dict[str, Instant] = field(default_factory=dict)
    """When channels that we dialled were answered, until they are under our control."""
    recordings_dir: Path | None = None
    """Where Asterisk records voice mails: one that a former switch began is found there."""
    _groups: dict[str, _Group] = field(default_factory=dict)
    _unsettled: dict[Channel, _Group] = field(default_factory=dict)
    _recordings: dict[str, _Recording] = field(default_factory=dict)
    call_ids: dict[str, str] = field(default_factory=dict)
    """Call-ID of each channel that was in Stasis or in a bridge, while it is live."""
    _refused_early: dict[str, Refused] = field(default_factory=dict)
    """By channel that Asterisk has not announced as dialled yet."""
    _dialled_out: set[str] = field(default_factory=set)
    """Live channels that Asterisk has announced as dialled."""
    _transfers: dict[str, TransferAsked] = field(default_factory=dict)
    """The last request of each channel's phone."""

    # --- groups and recordings, from the engine

    def add_group(self, public: Channel, members: Iterable[str]) -> None:
        group = _Group(public, set(members))
        for member in group.members:
            self._groups[member] = group

    def drop_member(self, real: str) -> None:
        """A channel of a group could not even be begun."""
        if group := self._groups.pop(real, None):
            group.members.discard(real)

    def unsettle(self) -> None:
        """Events may be lost from now on.

        Devices that answer meanwhile wait in the dialplan and enter in any order when the connection is back, so the
        first to enter is not the first that answered. Until :meth:`adopt_group`, which has it from the CEL log, no device
        of a group without an answer has the call, and their answers and ends are withheld.
        """
        for group in self._groups.values():
            if group.winner is None:
                self._hold(group)

    def _hold(self, group: _Group) -> None:
        group.settled = False
        self._unsettled[group.public] = group

    def adopt_group(
        self, public: Channel, alive: Iterable[str], winner: str | None = None, *, rings: bool = False
    ) -> list[Signal]:
        """Live channels that share one id: the devices of a line that were called together.

        :param alive: all live ones.
        :param winner: the one that answered first, also if it has ended since; None = no answer.
        :param rings: at least one of them rings.
        :returns: the signals of the winner that were withheld.
        """
        group = self._unsettled.get(public) or self._group(public) or _Group(public, set())
        ended = {real for real, signal in group.withheld if isinstance(signal, Ended)}
        group.members = set(alive) - ended
        group.rang = group.rang or rings
        group.winner = group.winner or winner
        for member in group.members:
            self._groups[member] = group
        return self._settle(group)

    def settle_ended(self, winners: Mapping[Channel, str]) -> list[Signal]:
        """The groups that were not adopted have no device that lives.

        :param winners: the devices that answered first, by the id of the group.
        :returns: their signals that were withheld.
        """
        found: list[Signal] = []
        for public, group in list(self._unsettled.items()):
            group.winner = group.winner or winners.get(public)
            found += self._settle(group)
        return found

    def _settle(self, group: _Group) -> list[Signal]:
        """End the wait of a group for its winner, who is the first to have entered if nothing else is known."""
        self._unsettled.pop(group.public, None)
        withheld, group.withheld, group.settled = group.withheld, [], True
        answered = (real for real, signal in withheld if isinstance(signal, Answered))
        group.winner = group.winner or next(answered, None)
        if group.winner is not None:
            self.to_hang_up += sorted(group.members - {group.winner})
            return [signal for real, signal in withheld if real == group.winner]
        # No device answered: the call ends with the last device.
        return [signal for _, signal in withheld[-1:] if not group.members]

    def winner(self, public: Channel) -> str | None:
        """The channel of a group that answered first, as far as it is known here."""
        group = self._group(public)
        return group.winner if group is not None else None

    def _group(self, public: Channel) -> _Group | None:
        return next((group for group in self._groups.values() if group.public == public), None)

    def members(self, public: Channel) -> list[str]:
        """The real channels behind an id: itself, or the winner, or all that still ring."""
        found = [(member, group) for member, group in self._groups.items() if group.public == public]
        winners = [member for member, group in found if group.winner == member]
        return winners or [member for member, _ in found] or [str(public)]

    def public(self, real: str) -> Channel:
        group = self._groups.get(real)
        return group.public if group else Channel(real)

    def is_hanging_up(self, public: Channel) -> bool:
        """Whether its own phone has hung up, and its end is not reported yet."""
        return all(member in self.by_party for member in self.members(public))

    def admit(self, real: str) -> None:
        """A channel that we dialled is answered."""
        if real not in self.admitted:
            self.admitted.add(real)
            self.to_admit.append(real)

    def add_recording(self, record_id: str, channel: Channel, path: Path) -> None:
        self._recordings[record_id] = _Recording(channel, path)

    def forget_recording(self, record_id: str) -> None:
        self._recordings.pop(record_id, None)

    def add_call_id(self, channel: ChannelSnapshot) -> None:
        if channel.call_id:
            self.call_ids[channel.id] = channel.call_id

    def keep_only(self, alive: set[str]) -> None:
        """Discard the state of channels whose end was missed."""
        self.by_party &= alive
        self.answered &= alive
        self.admitted &= alive
        self.picked_up = {real: at for real, at in self.picked_up.items() if real in alive}
        self.callers = {real: number for real, number in self.callers.items() if real in alive}
        self.call_ids = {real: one for real, one in self.call_ids.items() if real in alive}
        self._refused_early = {real: one for real, one in self._refused_early.items() if real in alive}
        self._dialled_out &= alive
        self._transfers = {real: one for real, one in self._transfers.items() if real in alive}
        self._groups = {real: group for real, group in self._groups.items() if real in alive}
        for group in [*self._groups.values(), *self._unsettled.values()]:
            group.members &= alive

    # --- events

    def signals(self, event: AriEvent) -> list[Signal]:
        """Signals of one event, in order."""
        match event:
            case StasisStart():
                return self._entered(event)
            case Dialled():
                return self._dialled(event)
            case ChannelHangupRequest():
                if not event.soft:
                    self.by_party.add(event.channel.id)
                return self._refused(event)
            case ChannelDestroyed():
                return self._destroyed(event)
            case ChannelEnteredBridge() if _is_party(event.channel):
                self.add_call_id(event.channel)
                return [Joined(self.public(event.channel.id), event.at, Bridge(event.bridge))]
            case ChannelLeftBridge() if _is_party(event.channel):
                return [Left(self.public(event.channel.id), event.at, Bridge(event.bridge))]
            case ChannelDtmfReceived() if _is_party(event.channel):
                return [KeyPressed(self.public(event.channel.id), event.at, event.digit)]
            case ChannelTransfer() if _is_party(event.channel):
                return self._transfer_asked(event)
            case PlaybackFinished():
                kind, _, target = event.target.partition(":")
                if kind != "channel" or target in self.by_party:
                    return []  # cut short by the party's hanging up: its end follows
                return [PlayFinished(self.public(target), event.at, event.id)]
            case RecordingFinished():
                return self._recorded(event)
            case _:
                return []

    def _refused(self, event: ChannelHangupRequest) -> list[Signal]:
        """Only this event has the SIP status before the result of a connect.

        A carrier may refuse the INVITE before Asterisk announces that it was sent: then the signal is repeated after that.
        """
        endpoint = endpoint_of_channel(event.channel.name)
        if event.soft or not event.sip_code or endpoint is None or endpoint.kind is not EndpointKind.TRUNK:
            return []
        refused = Refused(self.public(event.channel.id), event.at, event.sip_code)
        if event.channel.id not in self._dialled_out:
            self._refused_early[event.channel.id] = refused
        return [refused]

    def _transfer_asked(self, event: ChannelTransfer) -> list[Signal]:
        to = event.destination if event.other is None else None
        others = [real for real, one in self.call_ids.items() if one == event.other]
        other = self.public(others[0]) if len(others) == 1 else None
        asked = TransferAsked(self.public(event.channel.id), event.at, to, other)
        # Asterisk may publish one request twice.
        before = self._transfers.get(event.channel.id)
        self._transfers[event.channel.id] = asked
        if before is not None and (before.to, before.other) == (to, other):
            return [] if event.at - before.at < _ONE_REQUEST_SECONDS else [asked]
        return [asked]

    def _entered(self, event: StasisStart) -> list[Signal]:
        channel = event.channel
        endpoint = endpoint_of_channel(channel.name)
        if endpoint is None or not event.args or event.args[0] == CREATED:
            return []
        self._add_to_group(channel.id)
        self.add_call_id(channel)
        public = self.public(channel.id)
        match event.args:
            case ("in", *_):
                if not channel.caller_name:
                    self.callers[channel.id] = channel.caller_number
                return [
                    Arrived(
                        channel=public,
                        at=event.at,
                        endpoint=endpoint,
                        called=channel.exten,
                        calling_number=channel.caller_number,
                        calling_name=channel.caller_name,
                        started_at=channel.created_at,
                    )
                ]
            case ("connected", status, cause):
                number = int(cause) if cause.isascii() and cause.isdigit() and len(cause) < 4 else 0
                return [ConnectFinished(public, event.at, connect_result(status, number), number)]
            case ("originated", *found):
                # Nothing more when Asterisk has the configuration of an earlier version.
                status, cause = (*found, "", "")[:2]
                return self._originated(channel, event, detection(status, cause))
            case ("taken", *_):
                return [ControlTaken(public, event.at)]
        return []

    def _add_to_group(self, real: str) -> None:
        """After a restart a device may come before the listing that finds the others: its id has the id of its group."""
        public, is_device, _ = real.partition(_DEVICE)
        if is_device and real not in self._groups:
            group = self._unsettled.get(Channel(public)) or self._group(Channel(public))
            if group is None:
                group = _Group(Channel(public), set())
                self._hold(group)
            self._groups[real] = group
            group.members.add(real)

    def _originated(
        self, channel: ChannelSnapshot, event: StasisStart, found: Detection | None
    ) -> list[Signal]:
        self.answered.add(channel.id)
        answered_at_phone = self.picked_up.pop(channel.id, event.at)
        answered = Answered(
            self.public(channel.id),
            event.at,
            answered_at_phone if answered_at_phone < event.at else None,
            found,
        )
        group = self._groups.get(channel.id)
        if group is not None:
            if not group.settled:
                group.withheld.append((channel.id, answered))
                return []
            if group.winner is not None and group.winner != channel.id:
                self.to_hang_up.append(channel.id)
                return []
            group.winner = channel.id
            self.to_hang_up += [member for member in group.members if member != channel.id]
        return [answered]

    def _dialled(self, event: Dialled) -> list[Signal]:
        peer = event.peer
        endpoint = endpoint_of_channel(peer.name)
        if endpoint is None:
            return []
        public = self.public(peer.id)
        if event.caller is None:
            return self._progress_of_originated(public, event)
        if event.forward:
            return [Redirected(public, event.at, event.forward)]
        match event.status:
            case "":
                number = event.dialstring.partition("@")[0] if endpoint.kind is EndpointKind.TRUNK else None
                dialling = self.public(event.caller.id)
                self._dialled_out.add(peer.id)
                refused = self._refused_early.pop(peer.id, None)
                started = TargetStarted(public, event.at, dialling, endpoint, number)
                return [started] if refused is None else [started, refused]
            case "RINGING":
                return [Ringing(public, event.at)]
            case "PROGRESS":
                return [EarlyMedia(public, event.at)]
            case "ANSWER":
                return [*self._answer(peer.id, event), *self._answer(event.caller.id, event)]
        return []

    def _progress_of_originated(self, public: Channel, event: Dialled) -> list[Signal]:
        group = self._groups.get(event.peer.id)
        if event.status == "ANSWER":
            self.picked_up.setdefault(event.peer.id, event.at)
            self.admit(event.peer.id)
            return []
        if event.status == "RINGING":
            if group is not None and group.rang:
                return []
            if group is not None:
                group.rang = True
            return [Ringing(public, event.at)]
        if event.status == "PROGRESS" and group is None:
            return [EarlyMedia(public, event.at)]
        return []

    def _answer(self, real: str, event: Dialled) -> list[Signal]:
        if real in self.answered:
            return []
        self.answered.add(real)
        return [Answered(self.public(real), event.at)]

    def _destroyed(self, event: ChannelDestroyed) -> list[Signal]:
        real = event.channel.id
        by_party = real in self.by_party
        self.by_party.discard(real)
        self.answered.discard(real)
        self.admitted.discard(real)
        answered_at_phone = self.picked_up.pop(real, None)
        self._transfers.pop(real, None)
        self._refused_early.pop(real, None)
        self._dialled_out.discard(real)
        self.call_ids.pop(real, None)
        self.callers.pop(real, None)
        if not _is_party(event.channel):
            return []
        public = self.public(real)
        received = packets_received(event.channel.variables)
        ended = Ended(public, event.at, event.cause, by_party, answered_at_phone, received)
        group = self._groups.pop(real, None)
        if group is not None:
            group.members.discard(real)
            if not group.settled:
                group.withheld.append((real, ended))
                return []
            if group.winner != real and (group.winner is not None or group.members):
                return []
        return [ended]

    def _recorded(self, event: RecordingFinished) -> list[Signal]:
        recording = self._recordings.pop(event.name, None) or self._begun_before(event)
        if recording is None:
            return []
        seconds = seconds_of_wav(recording.path)
        hung_up = any(real in self.by_party for real in self.members(recording.channel))
        return [RecordFinished(recording.channel, event.at, event.name, seconds, hung_up)]

    def _begun_before(self, event: RecordingFinished) -> _Recording | None:
        """A recording that the switch before this one began."""
        kind, _, target = event.target.partition(":")
        if kind != "channel" or self.recordings_dir is None:
            return None
        return _Recording(self.public(target), self.recordings_dir / f"{event.name}.wav")


def seconds_of_wav(path: Path) -> float:
    """Length of an 8 kHz mono 16-bit WAV file; 0 when it is not there."""
    try:
        size = path.stat().st_size
    except OSError:
        return 0.0
    return max(0, size - _WAV_HEADER) / _BYTES_PER_SECOND


def _is_party(channel: ChannelSnapshot) -> bool:
    return endpoint_of_channel(channel.name) is not None
