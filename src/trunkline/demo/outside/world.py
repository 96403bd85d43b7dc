"""The outside world: one Asterisk that is the carrier, its customers, and the desk phones."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

from trunkline.core.errors import EngineUnavailable
from trunkline.core.settings import Settings
from trunkline.demo import tones
from trunkline.demo.certificate import certify
from trunkline.demo.outside import config
from trunkline.demo.outside.config import CarrierLogin, Folders, Identity, Ports, Registrar, Transport
from trunkline.demo.outside.party import (
    WAIT_TIMEOUT_SECONDS,
    Call,
    Customer,
    Line,
    Moment,
    Party,
    Phone,
    What,
    tone_class,
)
from trunkline.demo.tones import Interval
from trunkline.runtime import certificates
from trunkline.runtime.asterisk import AsteriskInstall
from trunkline.runtime.ports import free_media_ports, free_ports, published_media_ports
from trunkline.runtime.program import Program
from trunkline.telephony.ami import AmiAddress, AmiClient
from trunkline.telephony.ari import AriAddress, AriClient, AriError, segment
from trunkline.telephony.ari_events import Dialled, StasisStart

ALL_TONES = tuple(1010.0 + 110.0 * number for number in range(22))
"""Assigned to the parties, unless another is given. None is a multiple of another."""
_PHONE_TONES, _CUSTOMER_TONES = ALL_TONES[:8], ALL_TONES[8:]
"""No phone has a tone of a customer: they talk with each other."""
_TONE_SECONDS = 10
_NO_SUCH_NUMBER = 1
_CODECS = ("alaw", "ulaw")


def speakers_of(
    parties: Iterable[tuple[str, float]], of_calls: Iterable[tuple[str, float]]
) -> dict[str, float]:
    """The tone by which each party is recognized; pure.

    A tone that was given twice, and a name that several devices had, are those of the calls in question.

    :param parties: name and tone of all, in the order in which they were added.
    :param of_calls: name and tone of those who are on the calls.
    """
    names = {tone: name for name, tone in parties}
    for name, tone in of_calls:
        names.pop(tone, None)  # so that it comes last
        names[tone] = name
    return {name: tone for tone, name in names.items()}


@cache
def _sound_of(tone: float) -> bytes:
    return tones.to_pcm(tones.sine(tone, _TONE_SECONDS))


def choose_ports() -> Ports:
    """Ports free now."""
    http, ami, sip, tls, carrier = free_ports(5)
    rtp = free_media_ports()
    return Ports(http, ami, sip, tls, carrier, rtp[0], rtp[-1])


class OutsideWorld:
    """Carrier, customers and phones over real SIP on loopback, to be used as an async context manager.

    :param install: which Asterisk to run.
    :param folder: everything it writes is below; best a temporary one.
    :param pbx: where the PBX under test takes SIP (UDP and TCP on one port).
    :param pbx_tls: where it takes SIP over TLS.
    """

    def __init__(
        self,
        install: AsteriskInstall,
        folder: Path,
        pbx: Registrar,
        pbx_tls: Registrar | None = None,
        ports: Ports | None = None,
    ) -> None:
        self.ports = ports or choose_ports()
        self.pbx = pbx
        self.pbx_tls = pbx_tls
        self.moments: list[Moment] = []
        self.parties: list[Party] = []
        self.unknown_numbers: list[str] = []
        """Called numbers that no party has, in the order of the calls."""
        self._install = install
        self._folders = Folders(folder, install.modules_dir, install.data_dir)
        self._password = secrets.token_urlsafe(16)
        self._logins: list[CarrierLogin] = []
        self._called: dict[str, Party] = {}
        self._calls: dict[str, Call] = {}
        self._tones: set[float] = set()
        self._tone_used: dict[float, int] = {}
        """The place of the last use of each tone among all uses."""
        self._reconfiguring = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._process: asyncio.subprocess.Process | None = None
        self._stack = contextlib.AsyncExitStack()
        # The end of an incoming channel is sent only to subscribers of all channels.
        # On a busy machine Asterisk may take seconds for a command; the product would not wait for so long.
        ari = AriClient(
            AriAddress(self.ports.http, config.USER, self._password),
            config.APP,
            subscribe_all=True,
            timeout=WAIT_TIMEOUT_SECONDS,
        )
        ami = AmiClient(AmiAddress(self.ports.ami, config.USER, self._password), timeout=WAIT_TIMEOUT_SECONDS)
        self._line = Line(ari, ami, self._folders.heard)

    # --- life

    async def __aenter__(self) -> Self:
        self._write_static()
        self._write_parties()
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def _start(self) -> None:
        self._stack.enter_context(published_media_ports(self.ports.rtp_first, self.ports.rtp_last))
        argv = self._install.command("-f", "-C", str(self._folders.etc / "asterisk.conf"))
        program = Program(argv, open_files=65_536)
        with (self._folders.log / "console.log").open("wb") as console:
            self._process = await asyncio.create_subprocess_exec(
                *program.launch_argv(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env=program.launch_environment(),
                # Linux shares the processors among sessions: tones do not wait for what else ours computes.
                start_new_session=True,
            )
        await self._stack.enter_async_context(self._line.ari)
        await self._stack.enter_async_context(self._line.ami)
        try:
            await asyncio.gather(self._line.ari.wait_up(), self._line.ami.wait_up())
        except TimeoutError:
            raise EngineUnavailable(
                f"the outside Asterisk did not start; see {self._folders.log / 'full'}"
            ) from None
        self._spawn(self._dispatch())
        self._spawn(self._drain_manager_events())

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()
        if self._process and self._process.returncode is None:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), 5)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()

    # --- people

    async def phone(
        self,
        login: str,
        password: str | None = None,
        *,
        ha1: str | None = None,
        transport: Transport = Transport.UDP,
        name: str | None = None,
        tone: float | None = None,
        codecs: Sequence[str] = _CODECS,
        srtp: bool = False,
        register: bool = True,
    ) -> Phone:
        """A phone of a SIP line; several of one line are several devices.

        :param ha1: logs in with the digest of its password instead.
        :param name: in the matrix of audio paths; default: the login.
        :param register: wait until it is registered; without, it is left as its first attempt leaves it (see
            :meth:`Phone.wait_registration`).
        """
        registrar = self.pbx_tls if transport is Transport.TLS else self.pbx
        if registrar is None:
            raise ValueError("the TLS address of the PBX is not set")
        identity = Identity(
            f"device-{len(self.parties) + 1}",
            login,
            name or login,
            transport,
            codecs,
            password,
            ha1,
            registrar,
            srtp,
        )
        phone = Phone(name or login, self._tone(tone, _PHONE_TONES), identity, self._line, self._adopt)
        phone.registrar = registrar
        await self._add(phone, identity.name)
        if register:
            await phone.wait_registration("Registered")
            self.moments.append(Moment(time.time(), phone.name, What.REGISTERED, login))
        return phone

    async def customer(
        self,
        number: str,
        *,
        name: str | None = None,
        tone: float | None = None,
        codecs: Sequence[str] = _CODECS,
        display: str = "",
    ) -> Customer:
        """A customer with this number (digits, no plus) in the carrier's network."""
        identity = Identity(f"customer-{number}", number, display or number, Transport.CARRIER, codecs)
        customer = Customer(
            name or number, self._tone(tone, _CUSTOMER_TONES), identity, self._line, self._adopt
        )
        customer.registrar = self.pbx
        await self._add(customer, number)
        return customer

    async def carrier_login(self, username: str, password: str) -> None:
        """Let a PBX register at the carrier (``carrier_address:carrier`` of :attr:`ports`)."""
        self._logins.append(CarrierLogin(username, password))
        await self._reconfigure()

    async def carrier_registered(self, username: str, timeout: float = WAIT_TIMEOUT_SECONDS) -> str:
        """The contact the PBX registered under this name; :class:`TimeoutError` when it does not."""
        deadline = time.monotonic() + timeout
        while True:
            for entry in await self._line.ami.listing("PJSIPShowContacts"):
                if entry.get("Aor") == username or entry.get("ObjectName").startswith(f"{username};"):
                    return entry.get("Uri")
            if time.monotonic() > deadline:
                raise TimeoutError(f"no PBX registered at the carrier as {username}")
            await asyncio.sleep(0.1)

    async def dial_registered(self, customer: Customer, number: str, username: str) -> Call:
        """A customer's call that the carrier brings to the PBX registered under this name."""
        contact = await self.carrier_registered(username)
        _, _, address = contact.partition("@")
        return await customer.dial_uri(number, f"sip:{number}@{address}")

    async def hang_up_all(self) -> None:
        """End every live call, and wait until it has ended."""
        living = [call for call in self._calls.values() if not call.is_ended]
        await asyncio.gather(*(call.hangup() for call in living))
        for call in living:
            await call.ended()

    async def living_channels(self) -> int:
        """Channels of the outside Asterisk: all calls of all parties."""
        return len(await self._line.ari.get("/channels"))

    # --- what happened

    @property
    def tones(self) -> dict[str, float]:
        """The tone of each party; devices of one name share the last one's."""
        return {party.name: party.tone for party in self.parties}

    async def hears(self, calls: Iterable[Call] | None = None) -> dict[str, dict[str, list[Interval]]]:
        """The audio paths between parties with their times (Unix seconds), of these calls or of all."""
        wanted = list(calls) if calls is not None else list(self._calls.values())
        speakers = speakers_of(
            [(party.name, party.tone) for party in self.parties], [(call.party, call.tone) for call in wanted]
        )
        return tones.hears_matrix([await call.ear() for call in wanted], speakers)

    def timeline(self) -> list[Moment]:
        """Everything noticed by anybody, in order."""
        of_calls = (moment for call in self._calls.values() for moment in call.moments)
        return sorted([*self.moments, *of_calls], key=lambda moment: moment.at)

    # --- inside

    def renew(self, customer: Customer) -> None:
        """Remove the calls of a customer of former tests. From now on it has another tone: its last one may have been
        given to a customer it is called by next."""
        customer.forget()
        customer.tone = self._tone(None, _CUSTOMER_TONES)

    def _tone(self, given: float | None, among: Sequence[float]) -> float:
        """The given tone, or the one that has not been given to a party or been in a call for the longest time."""
        tone = given or min(among, key=lambda one: self._tone_used.get(one, 0))
        self._use_tone(tone)
        return tone

    def _use_tone(self, tone: float) -> None:
        self._tone_used[tone] = max(self._tone_used.values(), default=0) + 1

    async def _add(self, party: Party, called_as: str) -> None:
        self.parties.append(party)
        self._called[called_as] = party
        await self._reconfigure()

    async def _reconfigure(self) -> None:
        async with self._reconfiguring:
            new_tones = self._write_parties()
            if new_tones:
                await self._line.ami.action("Reload", {"Module": "res_musiconhold.so"})
            await self._line.ami.action("Reload", {"Module": "res_pjsip.so"})

    def _write_static(self) -> None:
        self._folders.create()
        own = Settings(data_dir=self._folders.root)
        certify(own)
        files = config.static_files(
            self._folders,
            self.ports,
            self._password,
            certificates.certificate_file(own),
            certificates.key_file(own),
        )
        for name, text in files.items():
            (self._folders.etc / name).write_text(text)

    def _write_parties(self) -> bool:
        """Write what depends on the parties; whether there are new tones."""
        # Without any from the start, Asterisk turns endless music off for good; and who is given another needs no reload.
        new = {*ALL_TONES, *(party.tone for party in self.parties)} - self._tones
        for tone in new:
            folder = self._folders.tones / tone_class(tone)
            folder.mkdir(exist_ok=True)
            (folder / "tone.sln").write_bytes(_sound_of(tone))
        self._tones |= new
        music = "".join(
            f"[{tone_class(tone)}]\nmode = files\ndirectory = {self._folders.tones / tone_class(tone)}\n\n"
            for tone in sorted(self._tones)
        )
        (self._folders.etc / "musiconhold.conf").write_text(music)
        text = config.parties_file([party.identity for party in self.parties], self._logins, self.ports)
        (self._folders.etc / "pjsip.conf").write_text(text)
        return bool(new)

    def _adopt(self, channel: str, call: Call) -> None:
        self._calls[channel] = call
        self._use_tone(call.tone)

    def _spawn(self, work: object) -> None:
        task: asyncio.Task[None] = asyncio.ensure_future(work)  # type: ignore[call-overload]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _dispatch(self) -> None:
        async for event in self._line.ari.events():
            if isinstance(event, StasisStart) and event.args == ("incoming",):
                self._take(event)
            elif isinstance(event, Dialled):
                self._dispatch_to_party(event.peer.id, event)
            elif (channel := getattr(event, "channel", None)) is not None:
                self._dispatch_to_party(channel.id, event)

    def _dispatch_to_party(self, channel: str, event: object) -> None:
        if call := self._calls.get(channel):
            call.on_event(event)  # type: ignore[arg-type]

    def _take(self, event: StasisStart) -> None:
        party = self._called.get(event.channel.exten.removeprefix("+"))
        if party is None:
            self.unknown_numbers.append(event.channel.exten)
            self._spawn(self._refuse(event.channel.id))
            return
        call = party.take_call(event.channel)
        self._spawn(call.behave(party.behaviour, event.channel.name))

    async def _refuse(self, channel: str) -> None:
        with contextlib.suppress(AriError):
            await self._line.ari.delete(f"/channels/{segment(channel)}", reason_code=_NO_SUCH_NUMBER)

    async def _drain_manager_events(self) -> None:
        async for _ in self._line.ami.events():
            pass
