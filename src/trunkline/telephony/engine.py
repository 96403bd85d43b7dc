"""The engine, implemented with Asterisk: commands are sent over ARI and AMI, their events become signals."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from trunkline.core.clock import Instant
from trunkline.core.engine_values import EndpointName, SipLogin
from trunkline.core.errors import ChannelGone, EffectRefused, EffectTimedOut, EngineError
from trunkline.core.hangup_causes import NORMAL_CLEARING
from trunkline.core.log import get_logger
from trunkline.core.tasks import core_task
from trunkline.telephony import ami_framing, cel_log
from trunkline.telephony.account_configuration import AccountConfiguration
from trunkline.telephony.ami import AmiAddress, AmiClient, AmiDown, AmiMessage, AmiUp
from trunkline.telephony.answering_machines import CAUSE, DETECT, STATUS, detection
from trunkline.telephony.ari import AriAddress, AriClient, AriError, Connected, Disconnected, segment
from trunkline.telephony.ari_events import (
    ChannelSnapshot,
    ChannelUserevent,
    StasisStart,
    parse_channel,
    parse_time,
)
from trunkline.telephony.bad_messages import BadMessages
from trunkline.telephony.carrier_registrations import (
    CarrierRegistration,
    carrier_registrations,
    end_of_log,
)
from trunkline.telephony.config import (
    SINGLE,
    EndpointSet,
    EngineConfig,
    Kind,
)
from trunkline.telephony.config.dialplan import ABSENT, APP, CONNECT, PICK_UP, READY, WITHOUT_SWITCH
from trunkline.telephony.config.model import NumberFormat
from trunkline.telephony.config.pjsip import BROWSER_PREFIX
from trunkline.telephony.connects import dial_variables, line_names, short_connect, trunk_name
from trunkline.telephony.contact_lookups import ContactLookups, Refusal
from trunkline.telephony.conversations import STASIS, Conversations
from trunkline.telephony.dialled_channels import (
    ALIAS,
    DIALLED,
    RINGING,
    UP,
    DialledChannels,
    device_groups,
    device_shown,
)
from trunkline.telephony.engine_commands import failure_of
from trunkline.telephony.message_recordings import MessageRecordings
from trunkline.telephony.names import endpoint_of, endpoint_of_channel
from trunkline.telephony.port import (
    Answered,
    Bridge,
    Channel,
    Connect,
    EndpointKind,
    EngineDown,
    EngineUp,
    HeartbeatReturned,
    LineAccess,
    LoginFailed,
    Originate,
    Participant,
    RecordFinished,
    RequestFlood,
    SeenChannel,
    Signal,
    Survey,
    Target,
    Unidentified,
)
from trunkline.telephony.queue_alarm import QueueAlarm
from trunkline.telephony.readiness import Readiness
from trunkline.telephony.registrations import Contact
from trunkline.telephony.request_rates import RequestRates
from trunkline.telephony.translate import CREATED, WANTED
from trunkline.telephony.tried_names import LOG_BYTES, shown_name, tried_name

_log = get_logger("telephony")

_LOGIN_FAILURES = {
    "ChallengeResponseFailed": "wrong password",
    "InvalidAccountID": "unknown name",
}
AUTO_ANSWER = {
    "PJSIP_HEADER(add,Alert-Info)": "<http://127.0.0.1>;info=alert-autoanswer;delay=0",
    "PJSIP_HEADER(add,Call-Info)": "<sip:127.0.0.1>;answer-after=0",
}
"""Headers by which phones answer by themselves: each brand knows one of the two."""

_LINKED = "CHANNEL(linkedid)"
_HEARTBEAT = "TrunklineHeartbeat"
_ARI, _AMI = "the call interface (ARI)", "the manager interface (AMI)"
_AMI_UP_TIMEOUT_SECONDS = 10.0
_NOT_STOPPED = "Could not stop playback"
"""What Asterisk responds when the playback is neither waiting nor can be controlled: it begins, or plays no file."""
_STOP_TRIES = 10
_STOP_RETRY_SECONDS = 0.02
CONNECT_SECONDS = 30.0
"""How long Asterisk may take for the commands of a connect. No response in time ends the call, because its targets may
ring: so this is as long as a caller waits, and a busy machine after a large recovery loses no call by it."""
_FAILURES_MAX, _FAILURES_SECONDS = 20, 0.01
"""So many events of failed logins are handled in so long a time, so that a flood of them leaves the processor to calls."""
_TRIM_SECONDS = 60.0
_LOG_SECONDS = 0.5
"""How long after an event its line is in Asterisk's log, at most."""
_LATE_ANSWER_SECONDS = 0.05
"""The response to an answer takes milliseconds; after this time the CEL log is read for when it was."""
_NOT_FOUND = 404


class _LateAnswers:
    """Reads the CEL log for answers whose responses were late: one reading at a time, for all that wait, because on a busy
    machine many are.

    :param read: when channels were answered from a time on; blocks.
    """

    def __init__(self, read: Callable[[Instant], dict[str, Instant]]) -> None:
        self._read = read
        self._reading = asyncio.Lock()
        self._waiting: list[tuple[Instant, asyncio.Future[dict[str, Instant]]]] = []

    async def of(self, since: Instant) -> dict[str, Instant]:
        """First answers from this time on, and maybe some before, by channel."""
        found: asyncio.Future[dict[str, Instant]] = asyncio.get_running_loop().create_future()
        self._waiting.append((since, found))
        async with self._reading:
            if not found.done():
                waiting, self._waiting = self._waiting, []
                try:
                    answers = await asyncio.to_thread(self._read, min(one for one, _ in waiting))
                except BaseException:
                    self._waiting += waiting  # the next of them reads
                    raise
                for _, one in waiting:
                    if not one.done():
                        one.set_result(answers)
        return await found


class AsteriskEngine(Conversations):
    """Implements :class:`trunkline.telephony.port.Engine`; an async context manager.

    It does not start Asterisk; it connects, and reconnects automatically when Asterisk is available again.
    """

    def __init__(
        self, config: EngineConfig, *, ari_port: int | None = None, ami_port: int | None = None
    ) -> None:
        """Connect by other ports than Asterisk's own when they are given."""
        secrets, ports = config.secrets, config.ports
        self._config = config
        self._bad = BadMessages()
        address = AriAddress(ari_port or ports.ari, secrets.ari_user, secrets.ari_password)
        ari = AriClient(
            address,
            APP,
            only=WANTED,
            subscribe_all=True,
            bad=self._bad,
        )
        super().__init__(
            ari,
            AmiClient(AmiAddress(ami_port or ports.ami, secrets.ami_user, secrets.ami_secret), self._bad),
            config.paths,
        )
        self._failures = AmiClient(
            AmiAddress(ami_port or ports.ami, secrets.ami_failures_user, secrets.ami_secret),
            self._bad,
            queue_max=_FAILURES_MAX,
        )
        """Failed logins. A flood of them delays neither the responses to actions nor other events, and waits in Asterisk."""
        self._signals: asyncio.Queue[Signal] = asyncio.Queue()
        self._late_answers = _LateAnswers(self._answers_since)
        self._readiness = Readiness(address, self._bad, self._is_ready_shown)
        self._up: EngineUp | None = None
        """The last one, while the connection is open."""
        self._signals_alarm = QueueAlarm("signals_pile_up")
        self.configuration = AccountConfiguration(
            config, self._ari, self._ami, self._reload_bans, lambda lines: self._contacts.forget(lines)
        )
        """What each account has in Asterisk's configuration."""
        self._contacts = ContactLookups(self._ami, self._emit, self._spawn, self._remove_contact)
        self._dialled = DialledChannels(self._translator, self._command, self._spawn)
        self._recordings = MessageRecordings(config.paths.voicemail, self._is_recorded)
        self._returned: tuple[str, set[str]] = ("", set())
        """Token of the last heartbeat, and the interfaces that have brought it back."""
        self._request_rates = RequestRates()
        self._core: list[asyncio.Task[None]] = []
        self._stack = contextlib.AsyncExitStack()

    # --- life

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._ari)
        await self._stack.enter_async_context(self._ami)
        await self._stack.enter_async_context(self._failures)
        await self._stack.enter_async_context(self._readiness)
        self._core = [
            core_task(self._pump_ari(), name="ari-signals"),
            core_task(self._pump_ami(), name="ami-signals"),
            core_task(self._pump_failures(), name="ami-failed-logins"),
            core_task(self._keep_cel_log(), name="cel-log-rotation"),
            core_task(self._contacts.follow_refreshes(), name="registration-refreshes"),
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = [*self._core, *self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._stack.aclose()

    async def wait_up(self, timeout: float = 30.0) -> None:
        """Return once Asterisk is connected on both interfaces; :class:`TimeoutError` otherwise."""
        async with asyncio.timeout(timeout):
            await self._ari.wait_up(timeout)
            await self._ami.wait_up(timeout)

    async def wait_offered(self, timeout: float = 30.0) -> None:
        """Return once Asterisk offers new calls, for which :meth:`signals` must be consumed; :class:`TimeoutError`
        otherwise."""
        await asyncio.wait_for(self._readiness.registered.wait(), timeout)

    @property
    def times_offered(self) -> int:
        """How often Asterisk began to offer new calls."""
        return self._readiness.times_registered

    @property
    def is_offering(self) -> bool:
        """Whether Asterisk offers new calls, as far as is known here."""
        return self._readiness.registered.is_set()

    async def logged_since(self, since: Instant) -> list[Signal]:
        """The signals of the CEL log from this time on, in their order."""
        entries = await asyncio.to_thread(self._read_cel_log, since)
        return cel_log.signals(entries)

    async def signals(self) -> AsyncIterator[Signal]:
        """Every signal in order, for ever. One consumer only.

        Asterisk offers new calls and transfers by phones from when the consumer has handled :class:`EngineUp`, which
        includes its recovery.
        """
        while True:
            signal = await self._signals.get()
            yield signal
            if isinstance(signal, EngineUp) and signal is self._up:
                await self._readiness.begin()

    async def _is_ready_shown(self) -> bool:
        shown = await self._act("Getvar", {"Variable": f"DIALPLAN_EXISTS(stasis-{READY},s,1)"})
        return shown.get("Value") == "1"

    # --- heartbeat

    async def heartbeat(self, token: str) -> None:
        """Cause an event on both event streams; :class:`HeartbeatReturned` follows when both have brought it back.

        :param token: unique; comes back in the signal.
        :raises EngineError: Asterisk does not respond, or does not offer new calls although they are taken.
        """
        self._returned = (token, set())
        await self._readiness.check()
        await self._act("UserEvent", {"UserEvent": _HEARTBEAT, "Token": token})
        params: dict[str, str | int] = {"application": APP}
        await self._command("POST", f"/events/user/{_HEARTBEAT}", params, {"variables": {"token": token}})

    def reconnect(self, reason: str, *, calls: bool = True) -> None:
        """Reconnect the interfaces that did not return the last heartbeat.

        :param reason: for the log.
        :param calls: also the event stream of calls.
        """
        returned = self._returned[1]
        if calls and _ARI not in returned:
            self._ari.reconnect(reason)
        if _AMI not in returned:
            self._ami.reconnect(reason)

    async def channels(self) -> frozenset[Channel]:
        """All channels that exist now. Raises :class:`EngineError`."""
        return frozenset(await self.answered_channels())

    async def answered_channels(self) -> Mapping[Channel, bool]:
        """All channels that exist now, and whether each is answered. Raises :class:`EngineError`."""
        found: dict[Channel, bool] = {}
        for channel, _ in self._read_channels(await self._command("GET", "/channels")):
            public = self._translator.public(channel.id)
            found[public] = found.get(public, False) or channel.state == UP
        return found

    async def participants(self) -> Sequence[Participant]:
        """The channels of phones and carriers that exist now. Raises :class:`EngineError`."""
        listed = await self._command("GET", "/channels")
        return [
            Participant(
                self._translator.public(channel.id),
                endpoint.name,
                str(data.get("accountcode", "")),
                channel.created_at,
                channel.context in WITHOUT_SWITCH or channel.app == "AppDial",
            )
            for channel, data in self._read_channels(listed)
            if (endpoint := endpoint_of_channel(channel.name)) is not None
        ]

    def _read_channels(self, listed: Any) -> list[tuple[ChannelSnapshot, Mapping[str, Any]]]:
        """The channels of a listing, with their data; one that cannot be read is left out and counted."""
        found: list[tuple[ChannelSnapshot, Mapping[str, Any]]] = []
        for data in listed if isinstance(listed, list) else [listed]:
            try:
                found.append((parse_channel(data), data))
            except Exception as error:  # it concerns only itself
                self._bad.add("ari", data, error)
        return found

    def resynchronise(self, reason: str) -> None:
        """Reconnect the event stream of calls: :class:`EngineUp` follows, and with it a comparison of all calls.

        :param reason: for the log.
        """
        self._ari.reconnect(reason)

    @property
    def signals_waiting(self) -> int:
        """Signals that arrived and are not taken yet."""
        return self._signals.qsize()

    @property
    def bad_messages(self) -> dict[str, int]:
        """Messages of Asterisk that could not be handled since the start, by interface: ``ami``, ``ari``, ``cel``, and
        ``signal`` for those that failed outside of the engine."""
        return self._bad.counts

    def add_bad_message(self, interface: str, message: object, reason: BaseException) -> None:
        """Count a message whose signal could not be handled."""
        self._bad.add(interface, message, reason)

    @property
    def is_connected(self) -> bool:
        """Whether the event stream of calls is open."""
        return self._ari.is_up

    @property
    def is_up(self) -> bool:
        """Whether both connections are open."""
        return self._ari.is_up and self._ami.is_up

    @property
    def missing(self) -> str:
        """The interfaces that are not connected, or did not return the last heartbeat."""
        up = {_ARI: self._ari.is_up, _AMI: self._ami.is_up}
        return " and ".join(name for name in up if not up[name] or name not in self._returned[1])

    def _heartbeat_returned(self, token: str, interface: str, at: Instant) -> None:
        expected, returned = self._returned
        if token != expected or interface in returned:
            return
        returned.add(interface)
        if returned == {_ARI, _AMI}:
            self._emit(HeartbeatReturned(at, token))

    # --- configuration during calls

    def set_account(self, account: str, directory: EndpointSet) -> frozenset[str]:
        """See :meth:`trunkline.telephony.account_configuration.AccountConfiguration.set_account`."""
        return self.configuration.set_account(account, directory)

    def remove_account(self, account: str) -> None:
        """The account shall have nothing from the next :meth:`apply` on."""
        self.configuration.remove_account(account)

    async def apply(self) -> list[Kind]:
        """See :meth:`trunkline.telephony.account_configuration.AccountConfiguration.apply`."""
        return await self.configuration.apply()

    async def configure(self, directory: EndpointSet) -> None:
        """:meth:`set_account` and :meth:`apply`, for a directory that is not divided by accounts."""
        self.set_account(SINGLE, directory)
        await self.apply()

    async def remove_stale_files(self) -> None:
        """Remove files of deleted accounts; after an :meth:`apply`, which unloads them."""
        await self.configuration.remove_stale_files()

    async def restrict_logins(self, addresses: Iterable[str], lines: Mapping[str, LineAccess]) -> None:
        """See :meth:`trunkline.telephony.account_configuration.AccountConfiguration.restrict_logins`."""
        await self.configuration.restrict_logins(addresses, lines)

    async def _reload_bans(self) -> None:
        await self._act("Reload", {"Module": "acl"})

    async def reload_certificates(self) -> None:
        """Take a replaced certificate (same file names) for TLS and WSS. Connections and calls stay."""
        await self._act("Reload", {"Module": "res_pjsip.so"})
        await self._act("Reload", {"Module": "http"})

    @property
    def has_all_devices(self) -> bool:
        """Whether all registered devices are known: they were listed since the connection to Asterisk. Their signals come
        before :class:`EngineUp`."""
        return self._contacts.known.is_set()

    def contacts(self) -> Sequence[Contact]:
        """All registered devices, as known now."""
        return self._contacts.registrations.all()

    # --- one channel

    async def answer(self, channel: Channel) -> None:
        sent_at = _now()
        try:
            await self._on(channel, "POST", "/answer", timeout=CONNECT_SECONDS)
        except EffectTimedOut:
            # Nothing else reports this answer.
            if not await self._is_answered(channel):
                raise
        real = self._real(channel)
        if real not in self._translator.answered:
            self._translator.answered.add(real)
            self._emit(Answered(channel, now := _now(), await self._logged_answer(real, sent_at, now)))

    async def _logged_answer(self, real: str, sent_at: Instant, now: Instant) -> Instant | None:
        """When a channel was answered, if the response came late: Asterisk was slow, or this process was stopped."""
        if now - sent_at < _LATE_ANSWER_SECONDS:
            return None
        at = (await self._late_answers.of(sent_at)).get(real)
        return at if at is not None and at < now else None

    def _answers_since(self, since: Instant) -> dict[str, Instant]:
        entries = self._read_cel_log(since)
        return {one.channel: one.at for one in reversed(entries) if one.event == "ANSWER"}

    async def _is_answered(self, channel: Channel) -> bool:
        try:
            return parse_channel(await self._on(channel, "GET", "")).state == UP
        except EngineError:
            return False

    async def hangup(self, channel: Channel, cause: int = NORMAL_CLEARING) -> None:
        if self._translator.is_hanging_up(channel):
            return  # its end follows by itself
        reals = self._translator.members(channel)
        outcomes = await asyncio.gather(
            *(
                self._command("DELETE", f"/channels/{segment(real)}", {"reason_code": cause})
                for real in reals
            ),
            return_exceptions=True,
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not (
                isinstance(outcome, ChannelGone) and len(reals) > 1
            ):
                raise outcome

    async def play_files(self, channel: Channel, play_id: str, files: Sequence[str]) -> None:
        media = ",".join(f"sound:{file}" for file in files)
        await self._on(channel, "POST", f"/play/{segment(play_id)}", {"media": media})

    async def stop_play(self, channel: Channel, play_id: str) -> None:
        path = f"/playbacks/{segment(play_id)}"
        for _ in range(_STOP_TRIES):
            try:
                await self._command("DELETE", path)
                return
            except EffectRefused as refused:
                # Asterisk announces that it plays, and accepts a moment later that it stops.
                if _NOT_STOPPED not in str(refused):
                    raise
                await asyncio.sleep(_STOP_RETRY_SECONDS)
        await self._command("DELETE", path)

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
        target = Path(path)
        await self._recordings.prepare(record_id, target, note)
        self._translator.add_recording(record_id, channel, target)
        params: dict[str, str | int] = {
            "name": record_id,
            "format": "wav",
            "maxDurationSeconds": max_seconds,
            "maxSilenceSeconds": silence_seconds,
            "ifExists": "overwrite",
            "beep": str(beep).lower(),
            "terminateOn": "any",
        }
        try:
            await self._on(channel, "POST", "/record", params)
        except EngineError:
            self._translator.forget_recording(record_id)
            raise

    async def stop_message(self, channel: Channel, record_id: str) -> None:
        if await self._is_recorded(record_id):
            await self._command("POST", f"/recordings/live/{segment(record_id)}/stop")

    async def _is_recorded(self, record_id: str) -> bool:
        """Whether Asterisk records under this name now."""
        try:
            await self._ari.request("GET", f"/recordings/live/{segment(record_id)}")
        except AriError as error:
            if error.status != _NOT_FOUND:
                raise failure_of(error, f"recording {record_id}") from error
            return False
        return True

    # --- reaching others

    async def connect(self, channel: Channel, connect: Connect) -> None:
        if connect.answer_first:
            await self.answer(channel)
        dial = [name for target in connect.targets for name in await self._dial_names(target)]
        numbers = {target: self._caller_number(target) for target in connect.targets}
        known = self._translator.callers.get(self._real(channel))
        if short := short_connect(connect, dial, numbers, known):
            await self._on(
                channel,
                "POST",
                "/continue",
                {"context": CONNECT, "extension": short, "priority": 1},
                timeout=CONNECT_SECONDS,
            )
            return
        variables = dial_variables(channel, connect, dial, numbers)
        if connect.tag:
            variables |= _marks(connect.tag)
        await self._on(channel, "POST", "/variables", body={"variables": variables}, timeout=CONNECT_SECONDS)
        place: dict[str, str | int] = {
            "context": CONNECT,
            "extension": "record" if connect.record and connect.tag else "plain",
            "priority": 1,
        }
        await self._on(channel, "POST", "/continue", place, timeout=CONNECT_SECONDS)

    async def pick_up(self, channel: Channel, ringing: Channel) -> None:
        variables = {"TL_PICKED": self._real(ringing)}
        await self._on(channel, "POST", "/variables", body={"variables": variables}, timeout=CONNECT_SECONDS)
        place: dict[str, str | int] = {"context": PICK_UP, "extension": "ringing", "priority": 1}
        await self._on(channel, "POST", "/continue", place, timeout=CONNECT_SECONDS)

    async def originate(self, originate: Originate) -> None:
        names = await self._dial_names(originate.target)
        variables = {**_marks(originate.tag), **self._caller_variables(originate.target)}
        if originate.auto_answer:
            variables |= AUTO_ANSWER
        if originate.detects_machine:
            variables[DETECT] = "1"
        await self._dialled.originate(originate, names, variables)

    def _caller_variables(self, target: Target) -> dict[str, str]:
        """What the called party sees, and what the channel is in listings."""
        variables: dict[str, str] = {}
        if number := _unquoted(self._caller_number(target)):
            variables |= {"CALLERID(num)": number, "CONNECTEDLINE(num,i)": number}
        if name := _unquoted(target.caller_name):
            variables |= {"CALLERID(name)": name, "CONNECTEDLINE(name,i)": name}
        return variables

    async def _dial_names(self, target: Target) -> list[str]:
        if target.endpoint.kind is not EndpointKind.LINE:
            return [trunk_name(target.endpoint.name, self._formatted(target, target.number or ""))]
        login = target.endpoint.name
        endpoints = (login, f"{BROWSER_PREFIX}{login}")
        if not (contacts := self._contacts.registrations.of(*endpoints)):
            # It may have registered at this moment, and its event is still to come.
            await asyncio.gather(*map(self._contacts.look_up, endpoints))
            contacts = self._contacts.registrations.of(*endpoints)
        return line_names(login, contacts)

    async def _remove_contact(self, endpoint: str, uri: str, why: Refusal) -> None:
        name = f"{endpoint};@{hashlib.md5(uri.encode(), usedforsecurity=False).hexdigest()}"
        with contextlib.suppress(EngineError):  # it has ended
            await self._command("DELETE", f"/asterisk/config/dynamic/res_pjsip/contact/{segment(name)}")
        _log.warning(
            "device_refused",
            line=endpoint_of(endpoint).name,
            address=uri[:200],
            remedy=why.value,
        )

    def _caller_number(self, target: Target) -> str:
        return self._formatted(target, target.caller_number)

    def _formatted(self, target: Target, number: str) -> str:
        wanted = self.configuration.format_of(target.endpoint.name)
        if wanted is NumberFormat.PLUS and number.isdigit() and len(number) > 6:
            return f"+{number}"
        return number

    async def indicate_messages(self, line: SipLogin, new: int, saved: int) -> None:
        variables = (
            "Event=message-summary",
            "Subscription-State=active",
            "Content-Type=application/simple-message-summary",
            f"Content=Messages-Waiting: {'yes' if new else 'no'}",
            f"Content=Voice-Message: {new}/{saved} (0/0)",
        )
        await self._act("PJSIPNotify", {"Endpoint": line, "Variable": variables})

    # --- what is there

    async def survey(self, since: Instant) -> Survey:
        """Synchronise with Asterisk and return its channels and the signals that were missed.

        Discards the state of channels that ended, hangs up devices that lost and channels that no call can use, and closes
        unused bridges.

        :param since: the CEL log is read from here.
        :raises EngineError: Asterisk does not respond.
        """
        at = _now()
        channels, bridges, info, statuses = await asyncio.gather(
            self._command("GET", "/channels"),
            self._command("GET", "/bridges"),
            self._command("GET", "/asterisk/info", {"only": "status"}),
            self._list("Status", {"Variables": f"{_LINKED},{ALIAS},{DIALLED},{STATUS},{CAUSE}"}),
        )
        channels = self._read_channels(channels)
        # After the listings: what ended since is in the log, and what began since is also reported by signals.
        entries = await asyncio.to_thread(self._read_cel_log, since)
        details = {message.get("Uniqueid"): _variables(message) for message in statuses}
        channels = self._dialled.resume(channels, details)
        bridge_of = {member: bridge["id"] for bridge in bridges for member in bridge["channels"]}
        self._translator.keep_only({channel.id for channel, _ in channels})
        groups = device_groups(channels, details)
        winning = cel_log.winners(entries)
        self._note_waiting(channels, details, bridge_of, entries)
        for public, devices in groups.items():
            self._adopt_devices(public, devices, winning)
        for signal in self._translator.settle_ended(winning):
            self._emit(signal)
        parties = {one.id for one, _ in channels if endpoint_of_channel(one.name) is not None}
        await self._close_left_over(bridges, parties)
        self._dialled.process_pending()
        recordings = await self._recordings.survey()
        shown = {device_shown(public, devices, winning) for public, devices in groups.items()}
        linked = {entry.channel: entry.linked for entry in entries if entry.event == "CHAN_START"}
        linked |= {channel: one[_LINKED] for channel, one in details.items() if _LINKED in one}
        # The listings are of different moments. A channel whose call is not known yet is new, and left to its signals.
        found = (
            self._seen(
                one,
                str(data.get("accountcode", "")),
                bridge_of.get(one.id),
                linked[one.id],
                details.get(one.id, {}),
            )
            for one, data in channels
            if one.id in linked and (one.id in shown or not details.get(one.id, {}).get(ALIAS))
        )
        alive = {public: [one.id for one in devices] for public, devices in groups.items()}
        seen = [one for one in found if one]
        missed = cel_log.signals(entries, winning, alive)
        return Survey(at, seen, missed, self._started_at(info), recordings)

    def _started_at(self, info: Any) -> Instant | None:
        """Since when this Asterisk runs."""
        try:
            return parse_time(info["status"]["startup_time"])
        except (KeyError, TypeError, ValueError) as error:
            self._bad.add("ari", info, error)
            return None

    def _note_waiting(
        self,
        channels: Iterable[tuple[ChannelSnapshot, Mapping[str, Any]]],
        details: Mapping[str, Mapping[str, str]],
        bridge_of: Mapping[str, str],
        entries: Iterable[cel_log.Entry],
    ) -> None:
        """When the channels picked up that we dialled and that wait for a switch."""
        waiting = {
            one.id
            for one, _ in channels
            if details.get(one.id, {}).get(DIALLED) == "1" and one.app != STASIS and one.id not in bridge_of
        }
        for entry in entries:
            if entry.event == "ANSWER" and entry.channel in waiting:
                self._translator.picked_up.setdefault(entry.channel, entry.at)

    def _adopt_devices(
        self, public: Channel, devices: Sequence[ChannelSnapshot], winning: dict[Channel, str]
    ) -> None:
        """Restore the groups of devices of a line that were called together, and which device answered first."""
        answered = sorted((one for one in devices if one.state == UP), key=lambda one: one.app != STASIS)
        winner = self._translator.winner(public) or winning.get(public)
        if winner is None and answered:
            winner = answered[0].id
        if winner is not None:
            winning[public] = winner
        rings = any(one.state == RINGING for one in devices)
        for signal in self._translator.adopt_group(public, [one.id for one in devices], winner, rings=rings):
            self._emit(signal)

    def _read_cel_log(self, since: Instant) -> list[cel_log.Entry]:
        return cel_log.read(self._config.paths.cel_log, since, self._bad_cel)

    def _bad_cel(self, lines: str) -> None:
        self._bad.add("cel", lines, "not an entry of the CEL log")

    async def _keep_cel_log(self) -> None:
        """Keep the CEL log small, and space reserved for it. Without a switch it is kept completely."""
        path, reported = self._config.paths.cel_log, ""
        while True:
            try:
                await asyncio.to_thread(cel_log.rotate, path)
                reason = "" if await asyncio.to_thread(cel_log.reserve, path) else "not supported"
            except OSError as error:
                reason = error.strerror or str(error)
            if reason and reason != reported:
                _log.warning(
                    "cel_log_not_reserved",
                    file=str(path),
                    reason=reason,
                    consequence="when the disk is full and no switch runs, the ends of calls may be lost",
                    remedy="free space; the data folder needs a file system with fallocate (ext4, XFS, Btrfs)",
                )
            reported = reason
            await asyncio.sleep(_TRIM_SECONDS)

    def _seen(
        self,
        channel: ChannelSnapshot,
        tag: str,
        bridge: str | None,
        linked: str,
        variables: Mapping[str, str],
    ) -> SeenChannel | None:
        endpoint = endpoint_of_channel(channel.name)
        if endpoint is None:
            return None
        self._translator.add_call_id(channel)
        is_up = channel.state == UP
        if is_up:
            self._translator.answered.add(channel.id)
        return SeenChannel(
            channel=self._translator.public(channel.id),
            endpoint=endpoint,
            tag=tag,
            created_at=channel.created_at,
            answered=is_up,
            ringing=channel.state == RINGING,
            controlled=channel.app == STASIS and not channel.app_data.startswith(ABSENT),
            bridge=Bridge(bridge) if bridge else None,
            linked=linked,
            calling_number=channel.caller_number,
            called=channel.exten,
            detection=detection(variables.get(STATUS, ""), variables.get(CAUSE, "")),
        )

    # --- events

    async def _pump_ari(self) -> None:
        async for event in self._ari.events():
            match event:
                case Connected():
                    # The receiver requests a survey and connects calls: both need the other interface.
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._contacts.known.wait(), _AMI_UP_TIMEOUT_SECONDS)
                    self._up = EngineUp(event.at)
                    self._emit(self._up)
                case Disconnected():
                    self._up = None
                    self._readiness.end()
                    self._translator.unsettle()
                    self._emit(EngineDown(event.at))
                case ChannelUserevent() if event.name == _HEARTBEAT:
                    self._heartbeat_returned(str(event.variables.get("token", "")), _ARI, event.at)
                case StasisStart() if event.args == (CREATED,):
                    self._dialled.entered_stasis(event.channel.id)
                case _:
                    try:
                        self._note(event)
                        for signal in self._translator.signals(event):
                            self._emit(signal)
                    except Exception as error:  # one event that cannot be translated concerns its call only
                        self._bad.add("ari", event, error)
                    self._dialled.process_pending()

    async def _pump_ami(self) -> None:
        async for message in self._ami.events():
            match message:
                case AmiUp():
                    self._spawn(self._contacts.list_all(), "list-contacts")
                case AmiDown():
                    self._contacts.known.clear()
                    self._log.warning(
                        "registrations_stale",
                        consequence="registrations are not updated until AMI is connected again",
                    )
                case AmiMessage():
                    try:
                        self._on_ami_event(message)
                    except Exception as error:  # an event that cannot be handled concerns only itself
                        self._bad.add("ami", message, error)

    async def _pump_failures(self) -> None:
        handled = 0
        async for message in self._failures.events():
            if not isinstance(message, AmiMessage):
                continue
            try:
                self._on_failed_login(message)
            except Exception as error:  # an event that cannot be handled concerns only itself
                self._bad.add("ami", message, error)
            handled += 1
            if handled % _FAILURES_MAX == 0:
                await asyncio.sleep(_FAILURES_SECONDS)

    def _on_ami_event(self, message: AmiMessage) -> None:
        match message.event:
            case "UserEvent" if message.get("UserEvent") == _HEARTBEAT:
                self._heartbeat_returned(message.get("Token"), _AMI, message.at)
            case "ContactStatus":
                self._contacts.on_status(message)
            case "SuccessfulAuth":
                self._contacts.on_authenticated(message)
                self._count_request(message)

    def _count_request(self, message: AmiMessage) -> None:
        if message.get("Service") != "PJSIP":
            return  # a login at the manager interface
        endpoint = endpoint_of(message.get("AccountID"))
        if endpoint.kind is EndpointKind.LINE:
            _transport, ip = _remote(message)
            if requests := self._request_rates.add(endpoint.name, ip, message.at):
                self._emit(RequestFlood(message.at, endpoint.name, ip, requests))

    def _on_failed_login(self, message: AmiMessage) -> None:
        match message.event:
            case event if event in _LOGIN_FAILURES:
                self._emit(self._login_failed(message))
            case ami_framing.CHALLENGE if message.get("AccountID") == ami_framing.UNKNOWN_ACCOUNT:
                self._emit(Unidentified(message.at, _remote(message)[1]))

    def _login_failed(self, message: AmiMessage) -> LoginFailed:
        transport, ip = _remote(message)
        # The account is what the sender wrote: a line only if it is named like one.
        account = message.get("AccountID")
        is_line = EndpointName.is_good(account) and endpoint_of(account).kind is EndpointKind.LINE
        return LoginFailed(
            at=message.at,
            line=endpoint_of(account).name if is_line else "",
            ip=ip,
            reason=_LOGIN_FAILURES[message.event],
            tried_password=message.event != "InvalidAccountID",
            proven=transport != "UDP",
            name="" if is_line or account == ami_framing.UNKNOWN_ACCOUNT else shown_name(account),
            call_id=message.get("SessionID"),
        )

    async def tried_name(self, failed: LoginFailed, log: Path) -> str:
        """The name that a failed login tried, "" when it cannot be found.

        :param log: Asterisk's log; may be absent.
        """
        if failed.name or failed.line:
            return failed.name or failed.line
        await asyncio.sleep(_LOG_SECONDS)
        text = await asyncio.to_thread(end_of_log, log, LOG_BYTES)
        return tried_name(text, failed.call_id, failed.ip)

    async def registrations_at_carriers(self, log: Path) -> list[CarrierRegistration]:
        """The state of each registration at a carrier.

        :param log: Asterisk's log, whose end has the carriers' responses; may be absent.
        :raises EngineError: there is no connection to Asterisk.
        """
        messages = await self._list("PJSIPShowRegistrationsOutbound", {})
        return carrier_registrations(messages, await asyncio.to_thread(end_of_log, log))

    # --- helpers

    def _emit(self, signal: Signal) -> None:
        if isinstance(signal, RecordFinished):
            self._recordings.note_end(signal)
        self._signals.put_nowait(signal)
        self._signals_alarm.check(self._signals.qsize())


def _marks(tag: str) -> dict[str, str]:
    # The account code of a channel is in every listing and CEL entry; the peer's
    # is given to the channels it dials.
    return {"CHANNEL(accountcode)": tag, "CHANNEL(peeraccount)": tag}


def _variables(message: AmiMessage) -> dict[str, str]:
    pairs = (value.partition("=") for value in message.all("Variable"))
    return {name: value for name, _, value in pairs}


def _remote(message: AmiMessage) -> tuple[str, str]:
    """Transport and address of ``IPV4/UDP/192.0.2.7/5060``; empty when there is none."""
    parts = message.get("RemoteAddress").split("/")
    return (parts[1], parts[2]) if len(parts) > 2 else ("", "")


def _unquoted(name: str) -> str:
    return name.replace('"', "").replace("\\", "").replace("<", "").replace(">", "")


def _now() -> Instant:
    return Instant(time.time())
