"""The people outside: desk phones and customers, and their calls.

A party is called and follows its behaviour (:meth:`Party.on_call`), or calls (``dial``). During a call it
plays its own tone; its received audio is recorded from the start, and :meth:`Call.ear` passes that to
:mod:`trunkline.demo.tones`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import quote

from trunkline.demo import tones
from trunkline.demo.outside.behaviour import Answer, Behaviour, Ignore, Redirect, Refuse
from trunkline.demo.outside.config import APP, TRANSFER, Identity, Registrar, Transport
from trunkline.demo.tones import Ear, Interval
from trunkline.telephony.ami import AmiClient, AmiError
from trunkline.telephony.ari import AriClient, AriError, segment
from trunkline.telephony.ari_events import (
    AriEvent,
    ChannelDestroyed,
    ChannelDtmfReceived,
    ChannelSnapshot,
    ChannelStateChange,
    Dialled,
    StasisStart,
)

WAIT_TIMEOUT_SECONDS = 40.0
"""Default maximum wait for an event of a call, in seconds; long enough for a busy machine."""
_NORMAL_CLEARING = 16
_POLL = 0.05
_LONGEST_RING = 120
_END_SECONDS = 5.0
"""How long the end of a call whose channel takes no commands any more may take to be reported."""


class What(StrEnum):
    """What can be noticed outside."""

    REGISTERED = "registered"
    UNREGISTERED = "unregistered"
    DIALLED = "dialled"
    INVITED = "invited"
    RINGING = "ringing"
    EARLY_MEDIA = "early_media"
    ANSWERED = "answered"
    SPEAKS = "speaks"
    """Its tone plays: on a busy machine a moment after it answered."""
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Moment:
    """One event of one party. ``at`` is Unix seconds; ``cause`` is Q.850, of an end."""

    at: float
    party: str
    what: What
    number: str = ""
    cause: int = 0


@dataclass(frozen=True)
class Line:
    """The two connections to the outside Asterisk, and the folder of the received audio."""

    ari: AriClient
    ami: AmiClient
    heard: Path


class Call:
    """One call of one party, as this party sees it.

    :ivar tone: what its party plays.
    :ivar number: the dialled number, or the displayed caller id.
    :ivar name: the name its phone shows, for an incoming call.
    :ivar moments: what happened, in order.
    :ivar keys: keys the other side pressed.
    :ivar ended_by_other: whether the other side ended it.
    :ivar in_hand: set once its channel takes commands.
    :ivar failure: what its phone could not do, although the call lives; each wait ends with it.
    """

    def __init__(self, party: str, tone: float, line: Line, channel: str, number: str, name: str) -> None:
        self.party = party
        self.number = number
        self.name = name
        self.moments: list[Moment] = []
        self.keys = ""
        self.ended_by_other = True
        self.in_hand = asyncio.Event()
        self.failure: AriError | AmiError | None = None
        self.tone = tone
        self._line = line
        self._channel = channel
        self._file = line.heard / f"{channel}.sln"
        self._sent_file = line.heard / f"{channel}.sent.sln"
        self._changed = asyncio.Event()
        self._speaking: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        demo_call = " ".join(moment.what for moment in self.moments)
        return f"<call of {self.party} with {self.number}: {demo_call}>"

    # --- what happened

    def at(self, what: What) -> float | None:
        """Unix seconds of the first time it happened."""
        return next((moment.at for moment in self.moments if moment.what is what), None)

    @property
    def at_dial(self) -> float:
        """Unix seconds of the INVITE, in either direction."""
        return self.at(What.DIALLED) or self.at(What.INVITED) or 0.0

    @property
    def at_answer(self) -> float:
        """Unix seconds, 0 when it was not answered."""
        return self.at(What.ANSWERED) or 0.0

    @property
    def speaks_from(self) -> float:
        """Unix seconds from when both its tone plays and it is answered, 0 when it never was."""
        return max((moment.at for moment in self.moments if moment.what is What.SPEAKS), default=0.0)

    @property
    def at_end(self) -> float:
        """Unix seconds, 0 while it is live."""
        return self.at(What.ENDED) or 0.0

    @property
    def is_ringing(self) -> bool:
        return self.at(What.RINGING) is not None

    @property
    def is_answered(self) -> bool:
        return self.at(What.ANSWERED) is not None

    @property
    def is_ended(self) -> bool:
        return self.at(What.ENDED) is not None

    @property
    def cause(self) -> int:
        """Q.850 cause of the end, 0 while it is live."""
        return next((moment.cause for moment in self.moments if moment.what is What.ENDED), 0)

    async def wait(self, what: What, timeout: float = WAIT_TIMEOUT_SECONDS) -> float:
        """Unix seconds of the first time it happened; :class:`TimeoutError` when it does not come.

        An ended call has no further events, and one whose phone failed not those that are expected: the wait fails at once.
        """
        try:
            async with asyncio.timeout(timeout):
                while (at := self.at(what)) is None:
                    if self.is_ended or self.failure:
                        raise TimeoutError
                    self._changed.clear()
                    await self._changed.wait()
                return at
        except TimeoutError:
            raise TimeoutError(
                f"{self!r} was never {what.value}; cause {self.cause}{self._failed()}"
            ) from self.failure

    async def ringing(self, timeout: float = WAIT_TIMEOUT_SECONDS) -> float:
        return await self.wait(What.RINGING, timeout)

    async def answered(self, timeout: float = WAIT_TIMEOUT_SECONDS) -> float:
        return await self.wait(What.ANSWERED, timeout)

    async def ended(self, timeout: float = WAIT_TIMEOUT_SECONDS) -> float:
        return await self.wait(What.ENDED, timeout)

    # --- what it does

    async def hangup(self, cause: int = _NORMAL_CLEARING) -> None:
        """Hang up, cancel or refuse; nothing for a call that is over."""
        self.ended_by_other = False
        with contextlib.suppress(AriError):
            await self._line.ari.delete(self._path(), reason_code=cause)

    async def answer(self) -> None:
        await self._line.ari.post(self._path("/answer"))

    async def send_keys(self, keys: str, between: float = 0.1) -> None:
        """Press keys, one after another."""
        await self._line.ari.post(self._path("/dtmf"), dtmf=keys, between=round(between * 1000))

    async def mute(self) -> None:
        """Stop the tone: the party is silent."""
        await self._line.ari.delete(self._path("/moh"))

    async def unmute(self) -> None:
        await self._line.ari.post(self._path("/moh"), mohClass=tone_class(self.tone))
        self.note(What.SPEAKS)

    async def hold(self) -> None:
        """Press the hold key: the phone sends a re-INVITE with ``sendonly``, and no sound."""
        await self.mute()
        await self._line.ari.post(self._path("/hold"))

    async def resume(self) -> None:
        """Undo :meth:`hold`."""
        await self._line.ari.delete(self._path("/hold"))
        await self.unmute()

    async def transfer(self, number: str) -> None:
        """Press the transfer key and dial a number: REFER. Returns when it is on its way."""
        await self._refer(f"sip:{number}@127.0.0.1")

    async def transfer_to(self, other: Call) -> None:
        """Connect the other party of this call with that of another call of this phone: REFER with ``Replaces``."""
        dialog = [await other.dialog(name) for name in ("call-id", "remote_tag", "local_tag")]
        replaces = quote("{};to-tag={};from-tag={}".format(*dialog), safe="")
        await self._refer(f"sip:other@127.0.0.1?Replaces={replaces}")

    async def dialog(self, name: str) -> str:
        """``call-id``, ``local_tag`` or ``remote_tag`` of the SIP dialog."""
        got = await self._line.ari.get(self._path("/variable"), variable=f"CHANNEL(pjsip,{name})")
        return str(got["value"])

    async def transfer_status(self) -> str:
        """``SUCCESS`` or ``FAILURE`` once the PBX has answered; the call must be up still."""
        async with asyncio.timeout(WAIT_TIMEOUT_SECONDS):
            while True:
                with contextlib.suppress(AriError):
                    got = await self._line.ari.get(self._path("/variable"), variable="TRANSFERRED")
                    if got["value"]:
                        return str(got["value"])
                await asyncio.sleep(_POLL)

    async def _refer(self, uri: str) -> None:
        await self._line.ari.post(self._path("/variable"), variable="TRANSFERRED", value="")
        await self._line.ari.post(self._path("/variable"), variable="TRANSFER_TO", value=uri)
        await self._line.ari.post(self._path("/continue"), context=TRANSFER, extension="s", priority=1)

    async def say(self, file: Path) -> None:
        """Play a sound file (WAV, 8000 Hz, mono) once; :meth:`mute` first."""
        await self._line.ari.post(self._path("/play"), media=f"sound:{file.with_suffix('')}")

    # --- received audio

    async def ear(self) -> Ear:
        """All received audio. Its times are exact to about 50 ms while both sides send."""
        return await self._sound_of(self._file)

    async def sent(self) -> Ear:
        """All audio that it sent; times as of :meth:`ear`. On a busy machine a phone sends less than it should."""
        return await self._sound_of(self._sent_file)

    async def owed(self) -> float:
        """Seconds of its tone that it should have sent from :attr:`speaks_from` to its end, and did not: its own
        lateness, which no PBX can make good. For an ended call that was not muted."""
        spans = tones.heard((await self.sent()).sound, [self.tone])[self.tone]
        return max(0.0, self.at_end - self.speaks_from - tones.total(spans)) if self.speaks_from else 0.0

    async def _sound_of(self, file: Path) -> Ear:
        if self.is_ended:
            await self._settled(file)
            sound, until = tones.read_raw(file), self.at(What.ENDED) or 0.0
        else:
            sound, until = tones.read_raw(file), time.time()
        return Ear(self.party, sound, until - len(sound) / tones.RATE)

    async def hears(self, tone: float, seconds: float = 0.5, timeout: float = WAIT_TIMEOUT_SECONDS) -> None:
        """Wait until, from now on, a tone sounded for so long without a break; else :class:`TimeoutError`.

        Asterisk writes received audio in blocks of 32 KiB, so the result is delayed by up to two seconds.
        """
        past = len(tones.read_raw(self._file))
        deadline = time.monotonic() + timeout
        sound, spans = tones.silence(0), list[Interval]()
        while True:
            received = tones.read_raw(self._file)[past:]
            if len(received) > len(sound):
                sound = received
                spans = tones.heard(sound, [tone])[tone]
                if any(span.seconds >= seconds for span in spans):
                    return
            if time.monotonic() > deadline or self.is_ended or self.failure:
                raise TimeoutError(
                    f"{self!r} did not hear {tone:.0f} Hz for {seconds} s; heard {spans}: {tones.described(sound)}"
                    f"{await self._packets()}{self._failed()}"
                ) from self.failure
            await asyncio.sleep(0.1)

    async def _packets(self) -> str:
        """Whether media comes at all, for a message."""
        try:
            sent = await self._line.ari.get(self._path("/rtp_statistics"))
        except AriError:  # the call is over
            return ""
        return f"; its phone got {sent.get('rxcount')} packets and sent {sent.get('txcount')}"

    async def _settled(self, file: Path) -> None:
        """The file of an ended call is written to its end a moment later."""
        size = -1
        for _ in range(20):
            now = _size(file)
            if now == size:
                return
            size = now
            await asyncio.sleep(0.1)

    # --- for the world

    def note(self, what: What, at: float | None = None, cause: int = 0) -> None:
        self.moments.append(Moment(at or time.time(), self.party, what, self.number, cause))
        self._changed.set()

    def _failed(self) -> str:
        return f"; its phone failed: {self.failure}" if self.failure else ""

    def on_event(self, event: AriEvent) -> None:
        """Handle an engine event of this call's channel."""
        match event:
            case StasisStart():
                self.in_hand.set()
            case ChannelStateChange(at=at, channel=ChannelSnapshot(state="Up")) if not self.is_answered:
                self.note(What.ANSWERED, at)
            case Dialled(at=at, status="RINGING") if not self.is_ringing:
                self.note(What.RINGING, at)
            case Dialled(at=at, status="PROGRESS") if self.at(What.EARLY_MEDIA) is None:
                self.note(What.EARLY_MEDIA, at)
            case ChannelDtmfReceived(digit=digit):
                self.keys += digit
            case ChannelDestroyed(at=at, cause=cause):
                self.note(What.ENDED, at, cause)

    async def listen(self, channel_name: str) -> None:
        """Keep what comes and what it sends from now on, early media included."""
        options = f"r({self._file})t({self._sent_file})"
        await self._line.ami.action("MixMonitor", {"Channel": channel_name, "File": "", "Options": options})

    def speak_when_answered(self) -> None:
        """Play the tone as soon as the other side picks up; Asterisk takes no sound for a channel before."""
        self._speaking = asyncio.create_task(self._speak_when_answered())

    async def _speak_when_answered(self) -> None:
        with contextlib.suppress(TimeoutError):
            await self.answered(_LONGEST_RING)
            await self._try(self.unmute())

    async def behave(self, behaviour: Behaviour, channel_name: str) -> None:
        """Handle an incoming call according to its behaviour; the other side may end it at any moment."""
        await self._try(self._behave(behaviour, channel_name))

    async def _try(self, work: Awaitable[None]) -> None:
        """Do work of the phone beside the test, which learns of a failure when it waits for the call."""
        try:
            await work
        except (AriError, AmiError) as error:
            # A call that has ended takes no commands, and its end may be reported after that.
            with contextlib.suppress(TimeoutError):
                await self.ended(_END_SECONDS)
            if not self.is_ended:
                self.failure = error
                self._changed.set()

    async def _behave(self, behaviour: Behaviour, channel_name: str) -> None:
        match behaviour:
            case Answer():
                await self._answer_with(behaviour, channel_name)
            case Ignore():
                await self._ring()
            case Redirect():
                await self._refer(f"sip:{behaviour.to}@127.0.0.1")
            case Refuse():
                if behaviour.after:
                    await self._ring()
                    await asyncio.sleep(behaviour.after)
                await self.hangup(behaviour.cause)

    async def _answer_with(self, answer_as: Answer, channel_name: str) -> None:
        if answer_as.early_media:
            await self._line.ari.post(self._path("/progress"))
            self.note(What.EARLY_MEDIA)
            await self.listen(channel_name)
            await self.unmute()
        elif answer_as.after:
            await self._ring()
        if answer_as.after:
            await asyncio.sleep(answer_as.after)
        await self.answer()
        # Answering ends what played before.
        if answer_as.greeting is None:
            await self.unmute()
        else:
            await self.say(answer_as.greeting)
        if not answer_as.early_media:
            await self.listen(channel_name)
        if answer_as.hang_up_after is not None:
            await asyncio.sleep(answer_as.hang_up_after)
            await self.hangup()

    async def _ring(self) -> None:
        await self._line.ari.post(self._path("/ring"))
        self.note(What.RINGING)

    def _path(self, rest: str = "") -> str:
        return f"/channels/{segment(self._channel)}{rest}"


class Party:
    """Somebody outside with a tone of their own, made by the outside world.

    :ivar calls: all its calls, oldest first, ended ones included.
    :ivar incoming: those that came in.
    :ivar is_silent: whether nothing is sent in the calls that it begins, as if a firewall dropped its sound.
    """

    def __init__(
        self, name: str, tone: float, identity: Identity, line: Line, adopt: Callable[[str, Call], None]
    ) -> None:
        self.name = name
        self.tone = tone
        self.identity = identity
        self.calls: list[Call] = []
        self.incoming: list[Call] = []
        self.is_silent = False
        self._line = line
        self._adopt = adopt
        self._behaviour: Behaviour = Answer()
        self._arrived = asyncio.Event()
        self._taken = 0
        self._dialled = 0

    def on_call(self, behaviour: Behaviour) -> None:
        """How it takes calls from now on; at first it answers at once."""
        self._behaviour = behaviour

    async def next_call(self, timeout: float = WAIT_TIMEOUT_SECONDS) -> Call:
        """The next incoming call that was not asked for before; :class:`TimeoutError` when none comes."""
        try:
            async with asyncio.timeout(timeout):
                while len(self.incoming) <= self._taken:
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            raise TimeoutError(f"{self.name} was not called within {timeout} s") from None
        self._taken += 1
        return self.incoming[self._taken - 1]

    def forget(self) -> None:
        """Remove former calls, so that the next test starts without any."""
        self.calls.clear()
        self.incoming.clear()
        self._taken = 0

    async def dial_uri(self, number: str, uri: str) -> Call:
        """Call a SIP address; returns when the INVITE is on its way."""
        self._dialled += 1
        channel = f"{self.identity.name}-{self._dialled}-{time.time_ns()}"
        call = Call(self.name, self.tone, self._line, channel, number, "")
        self._adopt(channel, call)
        self.calls.append(call)
        created = await self._line.ari.post(
            "/channels/create",
            # Becomes the From header; without it the other side would see "Anonymous".
            {
                "variables": {
                    "CONNECTEDLINE(num,i)": self.identity.user,
                    "CONNECTEDLINE(name,i)": self.identity.display,
                }
            },
            app=APP,
            channelId=channel,
            endpoint=f"PJSIP/{self.identity.name}/{uri}",
        )
        await call.listen(created["name"])
        if not self.is_silent:
            call.speak_when_answered()
        await asyncio.wait_for(call.in_hand.wait(), WAIT_TIMEOUT_SECONDS)
        await self._line.ari.post(f"/channels/{segment(channel)}/dial", timeout=_LONGEST_RING)
        call.note(What.DIALLED)
        return call

    def take_call(self, channel: ChannelSnapshot) -> Call:
        """An INVITE came for this party."""
        call = Call(self.name, self.tone, self._line, channel.id, channel.caller_number, channel.caller_name)
        self._adopt(channel.id, call)
        call.note(What.INVITED, channel.created_at)
        self.calls.append(call)
        self.incoming.append(call)
        self._arrived.set()
        return call

    @property
    def behaviour(self) -> Behaviour:
        return self._behaviour


class Phone(Party):
    """A desk phone or soft phone of a SIP line, registered at the PBX."""

    registrar: Registrar

    async def dial(self, number: str) -> Call:
        """Dial a number as a user would."""
        return await self.dial_uri(number, self.registrar.uri(number, self.identity.transport))

    async def registration(self) -> str:
        """``Registered``, ``Unregistered``, ``Rejected``, ``Stopped``... as the phone sees it."""
        for entry in await self._line.ami.listing("PJSIPShowRegistrationsOutbound"):
            if entry.get("ObjectName") == self.identity.name:
                return entry.get("Status")
        return "Unregistered"

    async def wait_registration(self, *statuses: str, timeout: float = WAIT_TIMEOUT_SECONDS) -> str:
        """Wait for one of the statuses; :class:`TimeoutError` with the last one otherwise."""
        deadline = time.monotonic() + timeout
        while (now := await self.registration()) not in statuses:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name} is {now}, not {' or '.join(statuses)}")
            await asyncio.sleep(_POLL)
        return now

    async def register(self) -> None:
        await self.try_again()
        await self.wait_registration("Registered")

    async def try_again(self) -> None:
        """Register again after a refusal; :meth:`wait_registration` waits for the result."""
        await self._line.ami.action("PJSIPRegister", {"Registration": self.identity.name})

    async def unregister(self) -> None:
        await self._line.ami.action("PJSIPUnregister", {"Registration": self.identity.name})
        await self.wait_registration("Unregistered", "Stopped")


class Customer(Party):
    """Somebody with an ordinary number behind the carrier."""

    registrar: Registrar

    async def dial(self, number: str) -> Call:
        """Call a number that the carrier brings to the PBX."""
        return await self.dial_uri(number, self.registrar.uri(number, Transport.CARRIER))


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def tone_class(tone: float) -> str:
    """Name of the endless music that is this tone."""
    return f"tone-{tone:g}"
