"""The switch role: live calls of one node."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import os
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from trunkline.accounts.secrets import Cipher
from trunkline.billing.spending import Spending, watching
from trunkline.calls.context import TrunkRegistration
from trunkline.calls.flows import employee_settings, external_question, mailbox
from trunkline.calls.flows.outgoing_limits import OutgoingUsage
from trunkline.calls.records.event_writer import EventWriter
from trunkline.calls.records.unwritten_events import UnwrittenEvents
from trunkline.calls.switch.dialer import Dialer, dialing
from trunkline.calls.switch.executor import EffectExecutor
from trunkline.calls.switch.last_talks import LastTalksReader, reading_last_talks
from trunkline.calls.switch.lease import Lease
from trunkline.calls.switch.limit_events import publishing_limits
from trunkline.calls.switch.login_guard import BanSettings, LoginGuard, guarding
from trunkline.calls.switch.number_chooser import NumberChooser
from trunkline.calls.switch.phone_settings import change_setting
from trunkline.calls.switch.presence import Presence
from trunkline.calls.switch.queue_store import DatabaseQueueStore
from trunkline.calls.switch.queues import CallQueues, running_queues
from trunkline.calls.switch.refused_media import RefusedMedia
from trunkline.calls.switch.registration_recorder import RegistrationRecorder, registering
from trunkline.calls.switch.rpc_server import serving_commands
from trunkline.calls.switch.switch import Switch
from trunkline.calls.switch.unknown_channels import run_unknown_channels
from trunkline.calls.switch.unlisted_carriers import UnlistedCarriers
from trunkline.core import log, metrics
from trunkline.core.clock import Instant
from trunkline.core.disk import Changed, DiskLevel, DiskWatch, folders_of
from trunkline.core.errors import ConfigurationError, EngineError, SetupError
from trunkline.core.settings import LimitSettings, Settings
from trunkline.core.spool import mark_spool
from trunkline.core.tasks import core_task
from trunkline.db.partitions import ensure_partitions
from trunkline.db.pool import Database
from trunkline.directory.contacts.saving import save_contact
from trunkline.directory.live.snapshot import DirectorySnapshot
from trunkline.directory.media.spoken import SpokenTexts
from trunkline.directory.model import Account, Directory, OutgoingLimits, Trunk
from trunkline.directory.trunks.addresses import own_addresses
from trunkline.directory.trunks.watch import TrunkIdentification, identifying
from trunkline.engine_configuration import engine_config
from trunkline.events.publisher import Alarm, EventPublisher, Publication, publishing
from trunkline.external_decisions.exchange import DecisionExchange, exchanging_decisions
from trunkline.roles import installation_alarms
from trunkline.roles.common import cancelled, database, until_stopped
from trunkline.roles.configuration import EngineConfigurator, configuring
from trunkline.roles.health import Health
from trunkline.roles.installation_alarms import WATCH_PERIOD, SwitchAlarms, last_states
from trunkline.roles.recording_limits import RecordingLimits
from trunkline.roles.signal_follower import SignalFollower
from trunkline.roles.signal_path import PathState, SignalPath
from trunkline.runtime import asterisk, certificates, postgres, secrets
from trunkline.runtime.node_lock import node_lock
from trunkline.speech import EspeakSpeech
from trunkline.telephony.carrier_registrations import RegistrationState
from trunkline.telephony.engine import AsteriskEngine
from trunkline.voicemail.greetings import Greetings
from trunkline.voicemail.indications import MessageIndicator, indicating_messages
from trunkline.voicemail.mailboxes import Mailboxes

_log = log.get_logger("roles")

TRUNKS_PERIOD = 10.0
"""Seconds between two readings of the registrations at carriers."""


@dataclass(frozen=True, slots=True)
class _Storage:
    """What the switch reads and writes in PostgreSQL and in its own files.

    :ivar fenced: set when another switch holds the lease of the node.
    """

    db: Database
    lease: Lease
    fenced: asyncio.Event
    snapshot: DirectorySnapshot
    identified: TrunkIdentification
    writer: EventWriter


@dataclass(frozen=True, slots=True)
class _SipServices:
    """What is done about registrations, log-ins and sources of calls that are not known."""

    recorder: RegistrationRecorder
    indicator: MessageIndicator
    configuration: EngineConfigurator
    guard: LoginGuard
    unlisted: UnlistedCarriers


async def run(settings: Settings, health: Health, stopped: asyncio.Event) -> None:
    """The switch of this node, until ``stopped``."""
    install = asterisk.locate(settings)
    if install is None:
        raise SetupError("Asterisk is not there; run `trunkline setup` first")
    mark_spool(settings)
    node = settings.switch.node
    own = secrets.load(settings)
    async with contextlib.AsyncExitStack() as stack:
        storage = await _open_storage(stack, settings, own.master_key, health, stopped)
        connect = {"ari_port": settings.engine.ari_connect_port, "ami_port": settings.engine.ami_connect_port}
        engine = await stack.enter_async_context(AsteriskEngine(engine_config(settings, install), **connect))
        disk_events = EventPublisher(storage.db, file=settings.data / "disk-events.jsonl")
        await stack.enter_async_context(publishing(disk_events, "disk-events"))
        disk = DiskWatch(
            folders_of(settings),
            settings.disk,
            changed=_disk_events(disk_events, node),
            spool=settings.spool_dir,
        )
        await disk.check()
        switch = await _start_switch(stack, settings, storage, engine, disk)
        recording_limits = RecordingLimits(
            switch, storage.db, settings, disk, disk_events, lambda: storage.snapshot.current
        )
        await recording_limits.start()
        switch.not_recorded_accounts = recording_limits.status
        sip = await _start_sip_services(stack, settings, storage, engine, switch)
        follower = SignalFollower(
            storage.db,
            engine,
            switch,
            sip.recorder,
            sip.guard,
            sip.unlisted,
            sip.indicator,
            storage.snapshot,
            sip.configuration,
            storage.lease.position,
            storage.lease.alive_at,
            health.phases,
        )

        def path_changed(reason: str | None) -> None:
            if reason is None:
                health.ready()
            else:
                health.not_ready(reason)

        path = SignalPath(engine, path_changed, lambda: follower.is_recovering)
        follower.path = path
        storage.lease.engine_alive = follower.engine_alive
        health.phases.done("services")
        _show_state(switch, engine, disk, sip.guard, path)
        trunks = functools.partial(_trunks, engine, settings, lambda: storage.snapshot.current)
        refused = RefusedMedia(
            settings.logs_dir / "asterisk.log",
            lambda: storage.snapshot.current,
            lambda line: [device.ip for device in switch.presence.devices(line)],
        )
        await stack.enter_async_context(
            serving_commands(
                switch,
                own.control_token,
                settings.switch.control_port,
                host=settings.switch.control_bind,
                configuration=sip.configuration,
                login_guard=sip.guard,
                trunks=trunks,
                refused_media=refused,
                unlisted=sip.unlisted,
            )
        )
        await until_stopped(
            stopped,
            call_signals=follower.run(),
            disk=disk.run(),
            recording_limits=recording_limits.run(),
            signal_path=path.run(),
            lost_signals=follower.find_lost_signals(),
            unoffered_calls=follower.find_unoffered_calls(),
            unknown_channels=run_unknown_channels(engine, switch, follower.is_certain, time.time),
            alarms=_alarms(
                storage.db, node, storage.writer, trunks, switch.presence, storage.identified.fail_over
            ),
            refused_media=refused.run(),
        )


async def _open_storage(
    stack: contextlib.AsyncExitStack,
    settings: Settings,
    master_key: bytes,
    health: Health,
    stopped: asyncio.Event,
) -> _Storage:
    """Take the lease of the node, read the directory, and write what former switches left in their files."""
    dsn, node = postgres.dsn(settings), settings.switch.node
    db = await stack.enter_async_context(database(dsn, "trunkline-switch", stopped=stopped))
    fenced = asyncio.Event()
    installation = stack.enter_context(node_lock(settings.data / "switch.lock"))
    lease = await stack.enter_async_context(
        Lease(
            dsn,
            node,
            settings.switch.control_url,
            holder=_holder(),
            installation=installation,
            lost=fenced.set,
        )
    )
    health.phases.done("database_and_lease")
    async with db.connection() as connection:
        await ensure_partitions(connection, datetime.now(UTC))
    health.phases.done("partitions")
    snapshot = DirectorySnapshot(db, Cipher(master_key), settings.media_dir)
    await snapshot.start()
    health.phases.done("directory")
    stack.push_async_callback(snapshot.stop)
    identified = await stack.enter_async_context(
        identifying(
            snapshot,
            own_addresses(settings.sip.bind, settings.sip.external_address),
            version=6 if ":" in settings.sip.bind else 4,
            file=settings.data / "trunk-addresses.json",
        )
    )
    unwritten = UnwrittenEvents(settings.unwritten_events_dir)
    former = await asyncio.to_thread(unwritten.load)
    writer = EventWriter(
        db,
        node,
        buffer_max=settings.switch.event_buffer_max,
        fence=lease.fence,
        lost=fenced.set,
        unwritten=unwritten,
    )
    await writer.load_dead_letter_count()
    writer.start()
    stack.push_async_callback(writer.stop)
    await writer.write_loaded(former)
    await unwritten.remove_loaded()
    health.phases.done("events")
    return _Storage(db, lease, fenced, snapshot, identified, writer)


async def _start_switch(
    stack: contextlib.AsyncExitStack,
    settings: Settings,
    storage: _Storage,
    engine: AsteriskEngine,
    disk: DiskWatch,
) -> Switch:
    """The switch with its queues, campaigns, limits, and who answers the questions of its rules."""
    db, snapshot, fenced = storage.db, storage.snapshot, storage.fenced
    switch = Switch(
        disk=lambda: disk.applied,
        channels_max=_channels_max(settings),
        parking_seconds=settings.switch.parking_seconds,
        node=settings.switch.node,
        directory=lambda: snapshot.current,
        writer=storage.writer,
        executor=lambda one: EffectExecutor(engine, settings.spool_dir, one.effect_failed, fenced.is_set),
        sharing=lambda: storage.identified.current.sharing,
        numbers=NumberChooser(db),
        save_contact=functools.partial(save_contact, db),
        is_fenced=fenced.is_set,
    )
    disk.full = switch.disk_is_full
    queue_store = DatabaseQueueStore(db, storage.lease.fence)
    switch.queues = await stack.enter_async_context(
        running_queues(
            CallQueues(switch, queue_store, lambda: snapshot.current, lost=fenced.set), snapshot.subscribe
        )
    )
    switch.dialer = await stack.enter_async_context(dialing(Dialer(switch, db, time.time)))
    outgoing = switch.presence.outgoing
    _limit_outgoing(outgoing, settings.limits)
    decisions = await stack.enter_async_context(
        exchanging_decisions(
            settings.external_decisions,
            lambda account_id: snapshot.current.accounts.get(account_id),
            SpokenTexts(EspeakSpeech(), settings.media_dir),
            settings.loopback_ports,
        )
    )
    _answer_questions(switch, db, settings, decisions)
    last_talks = LastTalksReader(db, switch.presence.last_talks, lambda: snapshot.current)
    await stack.enter_async_context(reading_last_talks(last_talks))
    spending = Spending(
        db, lambda: snapshot.current, outgoing.limited_by_money, outgoing.over, outgoing.stored
    )
    outgoing.spent = spending.spent
    snapshot.prepare_with(spending.prepare)
    await stack.enter_async_context(watching(spending))
    await stack.enter_async_context(publishing_limits(db, outgoing, settings.data / "limit-events.jsonl"))
    return switch


async def _start_sip_services(
    stack: contextlib.AsyncExitStack,
    settings: Settings,
    storage: _Storage,
    engine: AsteriskEngine,
    switch: Switch,
) -> _SipServices:
    db, snapshot, identified = storage.db, storage.snapshot, storage.identified
    recorder = RegistrationRecorder(db, switch.presence, lambda: snapshot.current)
    await stack.enter_async_context(registering(recorder))
    indicator = MessageIndicator(
        db, engine.indicate_messages, lambda: snapshot.current, switch.presence.is_online
    )
    await stack.enter_async_context(indicating_messages(indicator))
    configuration = await stack.enter_async_context(configuring(engine, snapshot, identified, db))
    guard = LoginGuard(
        engine,
        db,
        switch.presence,
        lambda: snapshot.current,
        settings.data / "sip-bans.json",
        BanSettings(settings.sip.login_bans, settings.sip.login_ban_exempt, settings.switch.node),
        tried_name=lambda failed: engine.tried_name(failed, settings.logs_dir / "asterisk.log"),
        servers=identified.addresses_of,
    )
    await stack.enter_async_context(guarding(guard))
    unlisted = UnlistedCarriers(
        lambda: snapshot.current,
        identified.addresses_of,
        is_of_phones=lambda ip: guard.is_banned(ip) or bool(switch.presence.devices_at(ip)),
    )
    await stack.enter_async_context(_certificates_watched(engine, settings))
    return _SipServices(recorder, indicator, configuration, guard, unlisted)


def _limit_outgoing(outgoing: OutgoingUsage, limits: LimitSettings) -> None:
    """Set what accounts and lines may dial that have no limits of their own."""
    outgoing.account_limits = OutgoingLimits(
        limits.account_calls_per_minute, limits.account_concurrent_calls, limits.account_money_per_day
    )
    outgoing.line_limits = OutgoingLimits(
        limits.line_calls_per_minute, limits.line_concurrent_calls, limits.line_money_per_day
    )


def _answer_questions(switch: Switch, db: Database, settings: Settings, decisions: DecisionExchange) -> None:
    """Register who answers the questions that the rules of calls ask."""
    mailboxes = Mailboxes(db, settings.recordings_dir)
    greetings = Greetings(db, settings.spool_dir, settings.media_dir)
    switch.timers.register(mailbox.OPEN, lambda account_id, asked: mailboxes.open(account_id, asked.data))
    switch.timers.register(mailbox.MARK, lambda account_id, asked: mailboxes.mark(account_id, asked.data))
    switch.timers.register(
        mailbox.SET_PIN, lambda account_id, asked: mailboxes.change_pin(account_id, asked.data)
    )
    switch.timers.register(
        mailbox.KEEP_GREETING, lambda account_id, asked: greetings.keep(account_id, asked.data)
    )
    switch.timers.register(
        employee_settings.CHANGE,
        lambda account_id, asked: change_setting(db, switch.queues, account_id, asked),
    )
    switch.timers.register(
        external_question.DECISION, lambda account_id, asked: decisions.ask(account_id, asked.data)
    )


def _show_state(
    switch: Switch, engine: AsteriskEngine, disk: DiskWatch, guard: LoginGuard, path: SignalPath
) -> None:
    """Connect the status of the switch and its metrics with what they show."""
    switch.signal_path = path.status
    switch.spool_error = lambda: disk.spool_error
    switch.bad_engine_messages = lambda: engine.bad_messages
    switch.show_metrics()
    metrics.LOGIN_BANS.set_function(lambda: guard.in_force)
    metrics.SIGNAL_PATH.set_function(lambda: float(path.state is PathState.READY))
    metrics.DISK_FREE.set_function(lambda: disk.free)


async def _alarms(
    db: Database,
    node: int,
    writer: EventWriter,
    trunks: Callable[[], Awaitable[list[dict[str, object]] | None]],
    presence: Presence,
    fail_over: Callable[[int], None],
) -> None:
    """Write events of the installation for changes of the states of this switch.

    :param presence: gets the states of the trunks, which calls that fail have in their events.
    :param fail_over: is called with each trunk whose server does not respond.
    """
    silent: dict[int, int] = {}
    alarms = SwitchAlarms(
        functools.partial(installation_alarms.write, db, node), functools.partial(last_states, db, node)
    )
    for turn in itertools.count():
        states = await trunks()
        note_registrations(presence.trunk_registrations, states)
        for trunk_id in unreachable_trunks(presence, silent):
            fail_over(trunk_id)
        if turn % round(WATCH_PERIOD / TRUNKS_PERIOD) == 0:
            _count_trunks(states)
            await alarms.check(writer.waiting_reason, states)
        await asyncio.sleep(TRUNKS_PERIOD)


def unreachable_trunks(presence: Presence, silent: dict[int, int]) -> set[int]:
    """Trunks whose server does not respond to the registration, or has not responded to a call since the last time.

    :param silent: of the last time: calls in a row without a response, by trunk; is updated.
    """
    found = {
        trunk_id
        for trunk_id, one in presence.trunk_registrations.items()
        if one.state == RegistrationState.UNREACHABLE
    }
    found |= {one for one, calls in presence.silent_trunks.items() if calls > silent.get(one, 0)}
    silent.clear()
    silent.update(presence.silent_trunks)
    return found


def note_registrations(
    known: dict[int, TrunkRegistration], states: Iterable[Mapping[str, object]] | None
) -> None:
    """:param states: None while Asterisk cannot be asked: then none is known."""
    known.clear()
    for one in states or ():
        known[int(str(one["trunk_id"]))] = TrunkRegistration(str(one["state"]), str(one["reason"] or ""))


def _count_trunks(states: list[dict[str, object]] | None) -> None:
    """:param states: None while Asterisk cannot be asked: then no trunk has a known state."""
    counts = Counter(str(one["state"]) for one in states or ())
    for state in RegistrationState:
        metrics.TRUNK_REGISTRATIONS.labels(state.value).set(counts[state.value])


async def _trunks(
    engine: AsteriskEngine, settings: Settings, directory: Callable[[], Directory]
) -> list[dict[str, object]] | None:
    """See :data:`trunkline.calls.switch.rpc_server.TrunkStates`."""
    try:
        found = await engine.registrations_at_carriers(settings.logs_dir / "asterisk.log")
    except EngineError:
        return None
    owners = {
        trunk.trunk_id: (account, trunk)
        for account in directory().accounts.values()
        for trunk in account.trunks.values()
    }
    return [{**_names(owners.get(one.trunk_id)), **asdict(one)} for one in found]


def _names(owner: tuple[Account, Trunk] | None) -> dict[str, object]:
    """Account and name of a trunk; null when it was deleted, until Asterisk has unloaded it."""
    if owner is None:
        return {"account_id": None, "account_name": None, "trunk_name": None}
    account, trunk = owner
    return {"account_id": account.account_id, "account_name": account.name, "trunk_name": trunk.name}


def _channels_max(settings: Settings) -> int:
    """Channels that the engine can have: each needs two media ports, and an administrator may allow fewer."""
    by_ports = (settings.sip.rtp_port_last - settings.sip.rtp_port_first + 1) // 2
    return min(by_ports, settings.engine.max_channels or by_ports)


def _disk_events(publisher: EventPublisher, node: int) -> Changed:
    """Publishes an event of the installation for each change of the level; the watch of the disk never waits for it."""

    async def changed(level: DiskLevel, free: int) -> None:
        data = {"level": level.name.lower(), "free_bytes": free}
        alarm = Alarm(node, "disk_level", data)
        publisher.put(Publication("disk_level", Instant(time.time()), data, alarm=alarm))

    return changed


def _holder() -> str:
    """Name of this process in the table of leases, for administrators."""
    return f"{socket.gethostname()}:{os.getpid()}"


@contextlib.asynccontextmanager
async def _certificates_watched(engine: AsteriskEngine, settings: Settings) -> AsyncIterator[None]:
    """A replaced certificate is taken by the engine without dropping calls."""
    files = (certificates.certificate_file(settings), certificates.key_file(settings))

    def stamp() -> tuple[int, ...]:
        return tuple(file.stat().st_mtime_ns for file in files if file.exists())

    async def watch() -> None:
        known = stamp()
        while True:
            await asyncio.sleep(2.0)
            now = stamp()
            if now == known or len(now) < len(files):
                continue
            try:
                await asyncio.to_thread(certificates.publish, settings)
                await engine.reload_certificates()
            except ConfigurationError as error:
                # Perhaps one of the two files is replaced: the other one is a change, too.
                _log.error(
                    "certificate_not_usable",
                    error=str(error),
                    consequence="the former certificate is used",
                    remedy="replace the certificate and its key with a matching pair in PEM",
                )
                known = now
                continue
            except EngineError as error:
                _log.error(
                    "certificate_not_reloaded",
                    error=str(error),
                    consequence="Asterisk uses the former certificate; it is tried again",
                    remedy="see logs/asterisk.log if this is repeated",
                )
                continue
            known = now
            _log.info("certificate_reloaded")

    task = core_task(watch(), name="certificate-watch")
    try:
        yield
    finally:
        await cancelled(task)
