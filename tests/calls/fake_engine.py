"""An engine without telephones: it executes commands and sends the signals that Asterisk would send.

Signals wait in ``pending`` until a test delivers them, in any order that keeps each channel's own.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from trunkline.calls.effects import (
    Answer,
    AnswerTransfer,
    ConnectTargets,
    Effect,
    Hangup,
    Join,
    Leave,
    Music,
    OriginateLeg,
    PickUp,
    PlayFiles,
    PlayIntoTalk,
    RecordMessage,
    RecordVoice,
    SendKeys,
    StopMessage,
    StopMusic,
    StopPlay,
    StopPlayIntoTalk,
    Supervise,
    TakeControl,
)
from trunkline.core.clock import Instant
from trunkline.core.engine_values import EndpointName
from trunkline.telephony.port import (
    Answered,
    Arrived,
    Bridge,
    Channel,
    Connect,
    ConnectFinished,
    ConnectResult,
    Detection,
    Ended,
    Endpoint,
    EndpointKind,
    Joined,
    Left,
    PlayFinished,
    RecordFinished,
    Refused,
    Ringing,
    SeenRecording,
    Signal,
    TargetStarted,
)

MOMENT = 0.0001
"""Seconds between two signals: each has its own time, all of one action the same rounded one."""


@dataclass
class Chan:
    """One living channel."""

    channel: Channel
    endpoint: Endpoint
    number: str | None = None
    answered: bool = False
    bridge: Bridge | None = None
    dialler: Channel | None = None
    """The channel for which it is dialled by the engine."""
    connect: Connect | None = None
    """While the engine connects it."""
    play: str | None = None
    record: str | None = None
    recording_since: float = 0.0
    originated: bool = False
    music: str | None = None
    """The repeated audio; "" = the hold music."""
    supervises: Channel | None = None
    played_into: str | None = None
    """File that is played to the party while it talks."""
    recording: bool = False

    @property
    def controlled(self) -> bool:
        return self.connect is None and self.dialler is None


@dataclass
class FakeEngine:
    """Channels and what can happen to them."""

    now: Callable[[], float]
    offline: set[str] = field(default_factory=set)
    """Lines of which the engine can make no channel."""
    unreachable_cause: int = 20
    """Of a dial whose targets have no device: Asterisk has 3 or 20."""
    devices: dict[str, int] = field(default_factory=dict)
    """Lines with more devices than one."""
    keeps_left: bool = False
    """A party whose other one hung up stays, as while phones may transfer calls; nothing reports that it is alone. Whom a
    trunk called does not stay."""
    silent: set[Channel] = field(default_factory=set)
    """Channels from which no sound arrives."""
    channels: dict[Channel, Chan] = field(default_factory=dict)
    pending: list[Signal] = field(default_factory=list)
    done: list[Effect] = field(default_factory=list)
    recorded_before: dict[str, SeenRecording] = field(default_factory=dict)
    """Voice mail recordings that ended."""
    notes: dict[str, str] = field(default_factory=dict)
    """Of voice mail recordings."""
    names: str = "chan-%d"
    """How the engine names channels, after their number."""
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _moment: itertools.count[int] = field(default_factory=itertools.count)

    def at(self) -> Instant:
        return Instant(self.now() + next(self._moment) * MOMENT)

    def name_channels(self, names: str) -> None:
        self.names = names

    # --- what the world does

    def arrive(self, endpoint: Endpoint, called: str, calling: str, *, waited: float = 0.0) -> Channel:
        channel = self._make(endpoint).channel
        at = self.at()
        self.pending.append(Arrived(channel, at, endpoint, called, calling, "", Instant(at - waited)))
        return channel

    def ring(self, channel: Channel) -> None:
        self.pending.append(Ringing(channel, self.at()))

    def answer(
        self, channel: Channel, detection: Detection | None = None, picked_up_at: Instant | None = None
    ) -> None:
        """A called party picks up."""
        chan = self.channels[channel]
        self._answered(chan, detection, picked_up_at)
        if chan.originated or chan.dialler is None:
            return
        caller = self.channels[chan.dialler]
        self._answered(caller)
        for other in self.targets(caller.channel):
            if other is not chan:
                self._end(other, 16)
        bridge = Bridge(f"bridge-{next(self._ids)}")
        for one in (chan, caller):
            one.bridge = bridge
            self.pending.append(Joined(one.channel, self.at(), bridge))

    def hang_up(self, channel: Channel) -> None:
        """A party hangs up, in whatever state."""
        self._clear(self.channels[channel], 16, by_party=True)

    def refuse(self, channel: Channel, cause: int, *, by_party: bool = False, sip_code: int = 0) -> None:
        """A called phone does not take the call."""
        chan = self.channels[channel]
        if sip_code:
            self.pending.append(Refused(channel, self.at(), sip_code))
        self._end(chan, cause, by_party=by_party)
        if chan.dialler is not None and not self.targets(chan.dialler):
            self._give_back(
                self.channels[chan.dialler], _RESULTS.get(cause, ConnectResult.UNREACHABLE), cause
            )

    def ring_out(self, channel: Channel) -> None:
        """The ring time is over: of a dialling channel's targets, or of a party called by ourselves."""
        chan = self.channels[channel]
        if chan.connect is None:
            self._end(chan, 19)
            return
        for target in self.targets(channel):
            self._end(target, 0)
        self._give_back(chan, ConnectResult.NO_ANSWER, 0)

    def played(self, channel: Channel) -> None:
        chan = self.channels[channel]
        if chan.play is not None:
            self.pending.append(PlayFinished(channel, self.at(), chan.play))
            chan.play = None

    def recorded(self, channel: Channel, *, hung_up: bool = False) -> None:
        """The voice mail ends by silence or a key."""
        chan = self.channels[channel]
        if chan.record is not None:
            seconds = self.now() - chan.recording_since
            ended = RecordFinished(channel, self.at(), chan.record, seconds, hung_up)
            self.pending.append(ended)
            self.recorded_before[chan.record] = SeenRecording(seconds, ended.at, self.notes[chan.record])
            chan.record = None

    @property
    def recordings(self) -> dict[str, SeenRecording]:
        """Those that ended, and those that go on."""
        live = {
            chan.record: SeenRecording(self.now() - chan.recording_since, None, self.notes[chan.record])
            for chan in self.channels.values()
            if chan.record is not None
        }
        return {**self.recorded_before, **live}

    def targets(self, channel: Channel) -> list[Chan]:
        return [one for one in self.channels.values() if one.dialler == channel]

    # --- what the rules want

    def perform(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            self.done.append(effect)
            match effect:
                case OriginateLeg(originate):
                    chan = self._make(originate.target.endpoint, originate.channel)
                    chan.originated, chan.number = True, originate.target.number
                    if chan.endpoint.name in self.offline:
                        self._end(chan, 20)
                case TakeControl():
                    self._converse(effect)
                case _ if effect.channel not in self.channels:
                    pass  # gone: normal in races
                case Answer(channel):
                    self._answered(self.channels[channel])
                case PlayFiles(channel, play_id, files):
                    assert files
                    self._ours(channel).play = play_id
                case RecordMessage(channel, record_id):
                    self.channels[channel].record = record_id
                    self.notes[record_id] = effect.note
                    self.channels[channel].recording_since = self.now()
                case StopMessage(channel, record_id):
                    if self.channels[channel].record == record_id:
                        self.recorded(channel)
                case ConnectTargets(channel, connect):
                    self._dial(self.channels[channel], connect)
                case Hangup(channel, cause):
                    self._clear(self.channels[channel], cause, by_party=False)
                case _:
                    self._converse(effect)

    def _converse(self, effect: Effect) -> None:
        """Conversations that the switch controls."""
        match effect:
            case TakeControl(channels, leaving):
                if all(one in self.channels or one == leaving for one in channels):
                    for chan in [self.channels[one] for one in channels if one in self.channels]:
                        if not chan.controlled:
                            self._leave(chan)
                            chan.connect = chan.dialler = None
            case StopPlay(channel, play_id):
                chan = self._ours(channel)
                chan.play = None if chan.play == play_id else chan.play
            case Music(channel, file):
                chan = self._ours(channel)
                assert chan.bridge is None, "music would be heard by who is in the bridge"
                chan.music = file or ""
            case StopMusic(channel):
                self._ours(channel).music = None
            case Join(channel, bridge):
                chan = self._ours(channel)
                assert chan.answered, "nobody is bridged before he has answered"
                chan.music = None
                if chan.bridge != bridge:
                    self._leave(chan)
                    chan.bridge = bridge
                    self.pending.append(Joined(channel, self.at(), bridge))
            case Leave(channel, bridge):
                if self._ours(channel).bridge == bridge:
                    self._leave(self.channels[channel])
            case SendKeys(channel, keys):
                assert keys
                assert self.channels[channel].answered
            case RecordVoice(channel, on):
                self.channels[channel].recording = on
            case AnswerTransfer(channel):
                assert self._ours(channel)
            case Supervise(channel, target):
                assert self._ours(channel).answered
                self.channels[channel].supervises = target
            case PickUp(channel):
                assert self._ours(channel)
            case PlayIntoTalk(channel, file):
                self.channels[channel].played_into = file
            case StopPlayIntoTalk(channel):
                self.channels[channel].played_into = None
            case _:
                raise AssertionError(f"no such effect: {effect!r}")

    def _ours(self, channel: Channel) -> Chan:
        chan = self.channels[channel]
        assert chan.controlled, "the engine commands it: it must be taken first"
        return chan

    def hearing(self, channel: Channel) -> set[str]:
        """Whom or what a channel hears: endpoint names or numbers of who is bridged with it, ``music``, ``message``."""
        chan = self.channels[channel]
        heard = {
            one.number or one.endpoint.name
            for one in self.channels.values()
            if one is not chan and one.bridge is not None and one.bridge == chan.bridge
        }
        return (
            heard | ({"music"} if chan.music is not None else set()) | ({"message"} if chan.play else set())
        )

    # --- inside

    def _make(self, endpoint: Endpoint, channel: Channel | None = None) -> Chan:
        chan = Chan(channel or Channel(self.names % next(self._ids)), endpoint)
        self.channels[chan.channel] = chan
        return chan

    def _dial(self, chan: Chan, connect: Connect) -> None:
        assert chan.connect is None, "told to connect a channel that is being connected"
        chan.connect, chan.play = connect, None
        for target in connect.targets:
            if target.endpoint.name in self.offline:
                continue
            for _ in range(self.devices.get(target.endpoint.name, 1)):
                made = self._make(target.endpoint)
                made.dialler, made.number = chan.channel, target.number
                at = self.at()
                self.pending.append(
                    TargetStarted(made.channel, at, chan.channel, target.endpoint, target.number)
                )
        if not self.targets(chan.channel):
            self._give_back(chan, ConnectResult.UNREACHABLE, self.unreachable_cause)

    def _answered(
        self, chan: Chan, detection: Detection | None = None, picked_up_at: Instant | None = None
    ) -> None:
        if not chan.answered:
            chan.answered = True
            self.pending.append(Answered(chan.channel, self.at(), picked_up_at, detection))

    def _clear(self, chan: Chan, cause: int, *, by_party: bool) -> None:
        peers = self.targets(chan.channel)
        caller = self.channels.get(chan.dialler) if chan.dialler is not None else None
        for one in (chan, *peers, caller):
            if one is not None and one.bridge is not None and one.bridge == chan.bridge and one is not chan:
                self._leave(one)
        self._leave(chan)
        for peer in peers:
            if self.keeps_left and peer.answered and chan.endpoint.kind is not EndpointKind.TRUNK:
                peer.dialler = None
            else:
                self._end(peer, cause)
        if chan.record is not None:
            self.recorded(chan.channel, hung_up=by_party)
        self._end(chan, cause, by_party=by_party)
        if caller is not None and not self.targets(caller.channel):
            result = ConnectResult.ANSWERED if chan.answered else _RESULTS.get(cause, ConnectResult.NO_ANSWER)
            self._give_back(caller, result, cause)

    def _leave(self, chan: Chan) -> None:
        if chan.bridge is not None:
            self.pending.append(Left(chan.channel, self.at(), chan.bridge))
            chan.bridge = None

    def _give_back(self, chan: Chan, result: ConnectResult, cause: int) -> None:
        connect, chan.connect = chan.connect, None
        self._leave(chan)
        if connect is not None and result is ConnectResult.ANSWERED and not connect.return_after_talk:
            if not self.keeps_left:
                self._end(chan, 16)
            return
        self.pending.append(ConnectFinished(chan.channel, self.at(), result, cause))

    def _end(self, chan: Chan, cause: int, *, by_party: bool = False) -> None:
        if self.channels.pop(chan.channel, None) is not None:
            received = 0 if chan.channel in self.silent else 500
            self.pending.append(Ended(chan.channel, self.at(), cause, by_party, None, received))


_RESULTS = {
    17: ConnectResult.BUSY,
    21: ConnectResult.DECLINED,
    18: ConnectResult.NO_ANSWER,
    19: ConnectResult.NO_ANSWER,
}


def a_line(login: str) -> Endpoint:
    return Endpoint.line(login)


def a_trunk(trunk_id: int = 1) -> Endpoint:
    return Endpoint(EndpointKind.TRUNK, EndpointName(f"trunk-{trunk_id}"))
