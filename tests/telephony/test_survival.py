"""What outlives the switch, and what changes while calls go on."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.attack.guesser import Guesser
from tests.drills.own_server import fill, needs_root, small_disk
from tests.patience import PATIENCE
from tests.telephony.conftest import NUMBER, Pbx, TelephonySetup, line
from tests.telephony.test_calls import BY_ADDRESS, CUSTOMER, LINE
from trunkline.core.clock import Instant
from trunkline.core.engine_values import CallTag, MediaPath
from trunkline.core.errors import ConfigurationError
from trunkline.core.settings import DiskSettings, Settings
from trunkline.demo import outside
from trunkline.demo.outside import OutsideWorld, Registrar
from trunkline.demo.tones import heard as heard_tones
from trunkline.demo.tones import read_raw, read_wav, sine, write_wav
from trunkline.runtime import certificates, engine_database
from trunkline.runtime.asterisk import AsteriskInstall
from trunkline.runtime.asterisk_correction import are_transfers_corrected
from trunkline.runtime.full_disk import FullDiskGuard
from trunkline.runtime.instance import set_disk_full
from trunkline.runtime.secrets import Login
from trunkline.telephony.ari import AriError
from trunkline.telephony.config import EndpointSet
from trunkline.telephony.engine import AsteriskEngine
from trunkline.telephony.port import (
    Answered,
    Arrived,
    Bridge,
    Connect,
    ConnectFinished,
    Ended,
    EngineUp,
    Joined,
    KeyPressed,
    LoginFailed,
    PlayFinished,
    RecordFinished,
    Registered,
    Signal,
    Target,
    TargetStarted,
    Unregistered,
)

pytestmark = pytest.mark.engine

S = TypeVar("S", bound=Signal)

PRECISION = 0.3
"""Seconds."""


async def talk(
    setup: TelephonySetup, tag: str, *, record: bool = False, returns: bool = True
) -> tuple[outside.Call, outside.Call, Arrived]:
    """A customer talks with the phone of line 1001."""
    phone = await setup.world.phone("1001", "secret")
    customer = await setup.world.customer(CUSTOMER)
    phone.on_call(outside.Answer(after=0.2))
    call = await customer.dial(NUMBER)
    arrival = await setup.signals.wait(Arrived)
    target = Target.of(LINE, caller_number=CUSTOMER)
    connect = Connect([target], 20, record=record, tag=CallTag(tag), return_after_talk=returns)
    await setup.engine.connect(arrival.channel, connect)
    taken = await phone.next_call()
    await call.hears(phone.tone)
    return call, taken, arrival


async def test_call_ends_while_the_switch_is_dead(setup: TelephonySetup) -> None:
    call, taken, arrival = await talk(setup, "31", record=True)
    started = await setup.signals.wait(TargetStarted)
    await setup.engine.__aexit__(None, None, None)  # the switch is gone
    died = Instant(time.time())
    await asyncio.sleep(1.0)
    hung_up = time.time()
    await taken.hangup()
    await call.ended()
    await setup.logged("HANGUP", arrival.channel, started.channel)
    ended = time.time()
    async with AsteriskEngine(setup.pbx.config) as engine:
        await engine.wait_up()
        survey = await engine.survey(died)
        assert not survey.channels
        ends = {one.channel: one for one in survey.missed if isinstance(one, Ended)}
        assert set(ends) == {arrival.channel, started.channel}
        assert ends[started.channel].by_party
        assert not ends[arrival.channel].by_party
        assert all(one.cause == 16 for one in ends.values())
        assert all(hung_up < one.at < ended for one in ends.values())
        everything = (await engine.survey(Instant(0.0))).missed
        assert {one.channel for one in everything if isinstance(one, Joined)} == set(ends)
        assert all(one.by_switch for one in everything if isinstance(one, Joined))
        assert [one.called for one in everything if isinstance(one, Arrived)] == [NUMBER]
    sound = read_raw(setup.pbx.config.paths.spool / "31" / f"{arrival.channel}.sln")
    joined = await setup.signals.wait(Joined, lambda one: one.channel == arrival.channel)
    assert len(sound) / 8000 == pytest.approx(ends[arrival.channel].at - joined.at, abs=0.3)


@pytest.mark.durability
@pytest.mark.parametrize("who", ["contact", "employee"])
async def test_who_is_left_while_no_switch_runs(
    asterisk_install: AsteriskInstall, tmp_path: Path, who: str
) -> None:
    """The employee does not wait for the next switch; the contact does: a phone may have asked for a transfer."""
    if not are_transfers_corrected(asterisk_install.modules_dir):
        pytest.skip("this machine has an Asterisk without the corrections")
    pbx = Pbx(asterisk_install, tmp_path / "pbx")
    pbx.config = replace(pbx.config, away_wait=300, transfers=True)
    await pbx.start()
    try:
        registrars = (
            Registrar("127.0.0.1", pbx.config.ports.udp),
            Registrar("127.0.0.1", pbx.config.ports.tls),
        )
        async with OutsideWorld(asterisk_install, tmp_path / "w", *registrars, pbx.world_ports) as world:
            async with pbx.engine() as (engine, signals):
                setup = TelephonySetup(pbx, engine, signals, world)
                call, taken, _arrival = await talk(setup, "34", returns=False)
            await asyncio.sleep(0.3)  # Asterisk needs a moment to notice
            if who == "contact":
                await call.hangup()
                await taken.ended()
            else:
                await taken.hangup()
                await asyncio.sleep(1.5)
                assert not call.is_ended
                async with pbx.engine() as (engine, signals):
                    await call.ended()
    finally:
        await pbx.stop()


@pytest.mark.durability
async def test_a_talk_in_a_bridge_of_the_switch_ends_with_the_contact_while_no_switch_runs(
    setup: TelephonySetup,
) -> None:
    call, taken, arrival = await talk(setup, "33")
    started = await setup.signals.wait(TargetStarted)
    bridge = Bridge("talk-33")
    await setup.engine.take_control([arrival.channel, started.channel])
    await setup.engine.open_bridge(bridge)
    await setup.engine.join(bridge, started.channel, arrival.channel)
    await setup.engine.join(bridge, arrival.channel)
    await setup.signals.wait(Joined, lambda one: one.channel == arrival.channel and one.bridge == bridge)
    await call.hears(taken.tone)
    await setup.engine.__aexit__(None, None, None)
    await asyncio.sleep(0.3)  # Asterisk needs a moment to notice
    await call.hangup()
    await taken.ended()


@pytest.mark.durability
async def test_a_call_that_ends_before_it_is_offered_is_in_the_log_only(setup: TelephonySetup) -> None:
    """It comes while the switch recovers, waits in the dialplan and is cancelled: no signal says so."""
    customer = await setup.world.customer(CUSTOMER)
    before, since = setup.engine.times_offered, Instant(time.time())
    setup.engine._readiness.end()
    async with asyncio.timeout(PATIENCE):
        while await setup.engine._is_ready_shown():
            await asyncio.sleep(0.05)
    assert not setup.engine.is_offering
    call = await customer.dial(NUMBER)
    async with asyncio.timeout(PATIENCE):
        while not (arrived := await logged(setup, since, Arrived)):
            await asyncio.sleep(0.05)
    await call.hangup()
    async with asyncio.timeout(PATIENCE):
        while not (ended := await logged(setup, since, Ended)):
            await asyncio.sleep(0.05)
    await setup.engine._readiness.begin()
    assert (setup.engine.times_offered, setup.engine.is_offering) == (before + 1, True)
    assert [one.called for one in arrived] == [NUMBER]
    assert [(one.channel, one.by_party) for one in ended] == [(arrived[0].channel, True)]
    assert not setup.signals.of(Arrived)


async def logged(setup: TelephonySetup, since: Instant, kind: type[S]) -> list[S]:
    return [one for one in await setup.engine.logged_since(since) if isinstance(one, kind)]


async def test_live_call_is_found_again(setup: TelephonySetup) -> None:
    call, _taken, arrival = await talk(setup, "32")
    started = await setup.signals.wait(TargetStarted)
    await setup.engine.__aexit__(None, None, None)
    async with AsteriskEngine(setup.pbx.config) as engine:
        await engine.wait_up()
        seen = {one.channel: one for one in (await engine.survey(Instant(time.time()))).channels}
        assert set(seen) == {arrival.channel, started.channel}
        first, second = seen[arrival.channel], seen[started.channel]
        assert (first.tag, second.tag) == ("32", "32")
        assert first.linked == second.linked == arrival.channel
        assert first.bridge == second.bridge is not None
        assert first.answered
        assert not first.controlled
        assert (first.endpoint, second.endpoint) == (BY_ADDRESS, LINE)
        assert first.created_at == pytest.approx(arrival.started_at, abs=0.002)
        await call.hangup()


async def test_new_call_waits_for_the_switch(setup: TelephonySetup) -> None:
    setup.pbx.directory = EndpointSet()
    customer = await setup.world.customer(CUSTOMER)
    await setup.engine.__aexit__(None, None, None)
    call = await customer.dial(NUMBER)
    await call.ringing()
    async with setup.pbx.engine() as (_, signals):
        arrival = await signals.wait(Arrived)
        assert arrival.at > arrival.started_at


@pytest.mark.durability
async def test_on_a_full_disk_a_call_that_no_switch_takes_is_refused(
    setup: TelephonySetup, tmp_path: Path
) -> None:
    """Such a call could not be stored; when there is space again, the default line rings."""
    phone = await setup.world.phone("1001", "secret")
    phone.on_call(outside.Answer(after=0.2))
    customer = await setup.world.customer(CUSTOMER)
    await setup.signals.wait(Registered)
    await setup.engine.__aexit__(None, None, None)
    secrets = setup.pbx.config.secrets
    free, said, in_asterisk = [1 << 30], list[str](), [""]

    def set_variable(value: str) -> None:
        login = Login(secrets.ari_user, secrets.ari_password)
        set_disk_full(setup.pbx.config.ports.ari, login, value)
        in_asterisk[0] = value

    guard = FullDiskGuard([tmp_path], DiskSettings(), set_variable, said.append, probe=lambda _: free[0])

    async def checked(variable: str) -> None:
        """The guard has set it: a busy Asterisk does not respond in time, and the next check tries it again."""
        async with asyncio.timeout(PATIENCE):
            await asyncio.to_thread(guard.check)
            while in_asterisk[0] != variable:
                await asyncio.to_thread(guard.check)

    await checked("")
    for _ in range(2):
        free[0] = 0
        await checked("1")
        call = await customer.dial(NUMBER)
        await call.ended()
        assert (call.cause, phone.calls) == (34, [])
        free[0] = 1 << 30
        await checked("")
    call = await customer.dial(NUMBER)
    await call.hears(phone.tone)
    await call.hangup()
    assert [line.startswith("the disk is full") for line in said] == [True, True]


async def test_new_call_goes_to_the_default_line_when_nobody_comes(setup: TelephonySetup) -> None:
    phone = await setup.world.phone("1001", "secret")
    phone.on_call(outside.Answer(after=0.2))
    customer = await setup.world.customer(CUSTOMER)
    # Without a switch, the devices are called that a switch has stored (decision 0050).
    await setup.signals.wait(Registered)
    await setup.engine.__aexit__(None, None, None)
    call = await customer.dial(NUMBER)
    await call.hears(phone.tone)
    taken = await phone.next_call()
    async with setup.pbx.engine() as (engine, _):
        survey = await engine.survey(Instant(0.0))
        assert len(survey.channels) == 2
        assert [one.called for one in survey.missed if isinstance(one, Arrived)] == [NUMBER]
        assert [one for one in survey.missed if isinstance(one, Answered)]
        joined = [one for one in survey.missed if isinstance(one, Joined)]
        assert len(joined) == 2
        assert not any(one.by_switch for one in joined)
        assert [one.tag for one in survey.channels] == ["", ""]
        await call.hangup()
        await taken.ended()


async def test_lines_and_trunks_change_during_a_call(setup: TelephonySetup) -> None:
    call, taken, arrival = await talk(setup, "33")
    directory = setup.pbx.directory
    await setup.engine.configure(
        EndpointSet(
            [*directory.lines, line("1004")],
            directory.trunks,
            directory.defaults,
            [MediaPath("/nowhere/music")],
        )
    )
    late = await setup.world.phone("1004", "secret")
    assert await late.registration() == "Registered"
    await setup.engine.configure(EndpointSet(directory.lines, directory.trunks))
    wrong = await setup.world.phone("1004", "secret", name="late", register=False)
    assert await wrong.wait_registration("Rejected") == "Rejected"
    assert not call.is_ended
    assert not taken.is_ended
    await taken.hangup()
    await setup.signals.wait(ConnectFinished)
    await setup.engine.hangup(arrival.channel)
    await call.ended()
    joined = await setup.signals.wait(Joined)
    (unbroken,) = (await setup.world.hears([call]))[CUSTOMER]["1001"]
    # The phone may begin to speak late; what counts is that it was heard without a break.
    assert unbroken.seconds > setup.signals.of(ConnectFinished)[0].at - joined.at - 2.0


async def test_certificate_is_replaced_during_a_call_over_tls(setup: TelephonySetup, tmp_path: Path) -> None:
    phone = await setup.world.phone("1001", "secret", transport=outside.Transport.TLS, srtp=True)
    phone.on_call(outside.Answer())
    customer = await setup.world.customer(CUSTOMER)
    call = await customer.dial(NUMBER)
    arrival = await setup.signals.wait(Arrived)
    await setup.engine.connect(arrival.channel, Connect([Target(LINE)], 20, tag=CallTag("34")))
    await call.hears(phone.tone)
    ports = setup.pbx.config.ports
    before = [await served_certificate(port) for port in (ports.tls, ports.wss)]
    other = Settings(data_dir=tmp_path / "other")
    certificates.ensure(other)
    own = setup.pbx.settings
    shutil.copy(certificates.key_file(other), certificates.key_file(own))
    with pytest.raises(ConfigurationError, match="cannot be used together"):
        certificates.publish(own)
    await setup.engine.reload_certificates()
    assert [await served_certificate(port) for port in (ports.tls, ports.wss)] == before
    shutil.copy(certificates.certificate_file(other), certificates.certificate_file(own))
    assert certificates.publish(own)
    await setup.engine.reload_certificates()
    after = [await served_certificate(port) for port in (ports.tls, ports.wss)]
    expected = ssl.PEM_cert_to_DER_cert(certificates.certificate_file(other).read_text())
    assert before[0] != expected
    assert after == [expected, expected]
    assert not call.is_ended
    taken = await phone.next_call()
    await taken.hears(customer.tone)
    await taken.hangup()
    await setup.signals.wait(ConnectFinished)


async def served_certificate(port: int) -> bytes | None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    _reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        certificate: bytes | None = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return certificate
    finally:
        writer.close()


async def test_registrations_and_failed_logins_are_reported(setup: TelephonySetup) -> None:
    phone = await setup.world.phone("1001", "secret")
    registered = await setup.signals.wait(Registered, lambda one: one.line == "1001")
    assert registered.ip == setup.world.ports.phones_address
    assert registered.port == setup.world.ports.sip
    assert registered.user_agent == "Outside World"
    assert registered.transport == "udp"
    assert registered.expires_at
    assert registered.expires_at > time.time()
    probed = await setup.signals.wait(Registered, lambda one: one.round_trip_us is not None)
    assert probed.reachable
    await phone.unregister()
    await setup.signals.wait(Unregistered, lambda one: one.contact_uri == registered.contact_uri)
    # A device with the former password of its line counts no more.
    await setup.world.phone("1003", "secret")
    former = await setup.signals.wait(Registered, lambda one: one.line == "1003")
    lines = [line("1001"), line("1002"), line("1003", "another secret")]
    await setup.engine.configure(replace(setup.pbx.directory, lines=lines))
    await setup.signals.wait(Unregistered, lambda one: one.contact_uri == former.contact_uri)
    assert not [one for one in setup.engine.contacts() if one.line == "1003"]
    await setup.world.phone("1002", "wrong", register=False)
    failed = await setup.signals.wait(LoginFailed, lambda one: one.line == "1002")
    assert failed.ip == setup.world.ports.phones_address


async def test_a_refreshed_registration_ends_later_and_an_expired_one_is_removed(
    asterisk_install: AsteriskInstall, tmp_path: Path
) -> None:
    pbx = Pbx(asterisk_install, tmp_path / "pbx")
    pbx.config = replace(pbx.config, expiry_min=2, expiry_max=16)
    registrar = Registrar("127.0.0.1", pbx.config.ports.udp)
    await pbx.start()
    try:
        async with (
            pbx.engine() as (engine, signals),
            OutsideWorld(asterisk_install, tmp_path / "w", registrar, ports=pbx.world_ports) as world,
            Guesser(pbx.config.ports.udp, patience=PATIENCE) as silent,
        ):
            await world.phone("1001", "secret")
            assert await silent.guess("1002", "secret") == 200  # and it never refreshes
            first = await signals.wait(Registered, lambda one: one.line == "1001")
            ends = first.expires_at
            assert ends is not None
            await signals.wait(Registered, lambda one: one.line == "1001" and (one.expires_at or 0.0) > ends)
            await signals.wait(Unregistered, lambda one: one.line == "1002", timeout=60)
            assert {one.line for one in engine.contacts()} == {"1001"}
            assert not [one for one in signals.of(Unregistered) if one.line == "1001"]
    finally:
        await pbx.stop()


async def test_greeting_keys_and_voicemail(
    setup: TelephonySetup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    greeting = tmp_path / "greeting"
    write_wav(greeting.with_suffix(".wav"), sine(1500, 1.0))
    customer = await setup.world.customer(CUSTOMER)
    call = await customer.dial(NUMBER)
    arrival = await setup.signals.wait(Arrived)
    channel = arrival.channel
    await setup.engine.answer(channel)
    await setup.signals.wait(Answered, lambda one: one.channel == channel)
    await setup.engine.play_files(channel, "p1", [str(greeting), str(greeting)])
    finished = await setup.signals.wait(PlayFinished, lambda one: one.play_id == "p1")
    assert finished.channel == channel
    await call.hears(1500, 1.5)
    ear = await call.ear()
    assert sum(span.seconds for span in heard_tones(ear.sound, [1500])[1500]) == pytest.approx(2.0, abs=0.3)
    await setup.engine.play_files(channel, "p2", [str(greeting)])
    await setup.engine.stop_play(channel, "p2")
    await setup.signals.wait(PlayFinished, lambda one: one.play_id == "p2")
    await setup.engine.play_files(channel, "p3", [str(greeting)])
    with monkeypatch.context() as patched:
        # The response of Asterisk for some microseconds after it has announced that it plays.
        request = setup.engine._ari.request
        refused: list[Any] = []

        async def not_yet(method: str, *arguments: Any) -> Any:
            if method == "DELETE" and len(refused) < 3:
                refused.append(arguments)
                raise AriError(500, "Could not stop playback")
            return await request(method, *arguments)

        patched.setattr(setup.engine._ari, "request", not_yet)
        await setup.engine.stop_play(channel, "p3")
    await setup.signals.wait(PlayFinished, lambda one: one.play_id == "p3")
    await call.send_keys("5")
    assert (await setup.signals.wait(KeyPressed)).key == "5"
    path = tmp_path / "deep" / "message.wav"
    began = time.monotonic()
    await setup.engine.record_message(channel, "r1", str(path), 30, 0, beep=False)
    await asyncio.sleep(1.5)
    await call.hangup()
    recorded = await setup.signals.wait(RecordFinished)
    assert recorded.record_id == "r1"
    assert 0.5 < recorded.seconds < time.monotonic() - began + PRECISION
    (sound,), rate = read_wav(path)
    assert len(sound) / rate == pytest.approx(recorded.seconds, abs=0.01)
    assert heard_tones(sound, [customer.tone])[customer.tone]
    await setup.nobody_left()


@pytest.mark.parametrize("away", ["restarted", "reconnected"])
async def test_a_recording_goes_on_while_the_switch_is_away(
    setup: TelephonySetup, tmp_path: Path, away: str
) -> None:
    """The survey has its length, a key ends it as before, and its end is reported once."""
    call = await (await setup.world.customer(CUSTOMER)).dial(NUMBER)
    channel = (await setup.signals.wait(Arrived)).channel
    await setup.engine.answer(channel)
    await setup.signals.wait(Answered, lambda one: one.channel == channel)
    path = tmp_path / "message.wav"
    began = time.monotonic()
    assert (await setup.engine.survey(Instant(time.time()))).recordings == {}
    await setup.engine.record_message(channel, "31-1", str(path), 60, 30, beep=False, note="a note")
    await asyncio.sleep(3)
    async with contextlib.AsyncExitStack() as stack:
        if away == "restarted":
            await setup.engine.__aexit__(None, None, None)
            engine, signals = await stack.enter_async_context(setup.pbx.engine())
        else:
            engine, signals = setup.engine, setup.signals
            ups = len(signals.of(EngineUp))
            engine.reconnect("cut")
            async with asyncio.timeout(PATIENCE):
                while len(signals.of(EngineUp)) == ups:
                    await asyncio.sleep(0.05)
        [found] = (await engine.survey(Instant(time.time()))).recordings.items()
        assert found[0] == "31-1"
        assert found[1].ended_at is None
        assert found[1].seconds == pytest.approx(time.monotonic() - began, abs=1.5)
        await asyncio.sleep(2)
        await call.send_keys("#")
        recorded = await signals.wait(RecordFinished)
        assert (recorded.channel, recorded.record_id, recorded.hung_up) == (channel, "31-1", False)
        assert recorded.seconds == pytest.approx(time.monotonic() - began, abs=1.5)
        assert recorded.seconds > 4.5
        ended = (await engine.survey(Instant(time.time()))).recordings["31-1"]
        assert (ended.seconds, ended.ended_at, ended.note) == (recorded.seconds, recorded.at, "a note")
        await call.hangup()
        await call.ended()
        assert len(signals.of(RecordFinished)) == 1


async def test_a_recording_that_ended_without_a_switch_is_found(
    setup: TelephonySetup, tmp_path: Path
) -> None:
    call = await (await setup.world.customer(CUSTOMER)).dial(NUMBER)
    channel = (await setup.signals.wait(Arrived)).channel
    await setup.engine.answer(channel)
    await setup.signals.wait(Answered, lambda one: one.channel == channel)
    await setup.engine.record_message(
        channel, "31-1", str(tmp_path / "message.wav"), 60, 30, beep=False, note="a note"
    )
    await asyncio.sleep(3)
    await setup.engine.__aexit__(None, None, None)
    await call.hangup()
    await call.ended()
    await setup.logged("HANGUP", channel)
    ended = time.time()
    await asyncio.sleep(1)
    async with setup.pbx.engine() as (engine, _):
        found = (await engine.survey(Instant(time.time()))).recordings["31-1"]
    assert found.ended_at == pytest.approx(ended, abs=1.0)
    assert found.seconds == pytest.approx(3.0, abs=1.0)
    assert found.note == "a note"


async def test_engine_restart_is_reported_and_registrations_survive(setup: TelephonySetup) -> None:
    await setup.world.phone("1001", "secret")
    await setup.signals.wait(Registered)
    await setup.registration_stored("1001")
    ups = len(setup.signals.of(EngineUp))
    known = len(setup.signals.of(Registered))
    await setup.pbx.stop()
    await setup.pbx.start()
    await setup.signals.wait(EngineUp, lambda _: len(setup.signals.of(EngineUp)) > ups, timeout=15)
    await setup.signals.wait(Registered, lambda _: len(setup.signals.of(Registered)) > known)


@needs_root
@pytest.mark.durability
async def test_a_registration_is_refreshed_while_the_disk_has_no_free_block(
    asterisk_install: AsteriskInstall, tmp_path: Path
) -> None:
    """Asterisk answers with 200 in any case; without reserved blocks, the registration would end."""
    pbx = Pbx(asterisk_install, tmp_path / "pbx")
    pbx.config = replace(pbx.config, expiry_min=2, expiry_max=16)
    registrar = Registrar("127.0.0.1", pbx.config.ports.udp)
    with small_disk(pbx.config.paths.root / "db", 14) as disk:
        assert engine_database.prepare(disk) is None
        await pbx.start()
        try:
            async with (
                pbx.engine() as (_engine, signals),
                OutsideWorld(asterisk_install, tmp_path / "w", registrar, ports=pbx.world_ports) as world,
            ):
                await world.phone("1001", "secret")
                first = await signals.wait(Registered, lambda one: one.line == "1001")
                ends = first.expires_at
                assert ends is not None
                engine_database.reserve(disk)
                fill(disk)
                later = await signals.wait(
                    Registered, lambda one: one.line == "1001" and (one.expires_at or 0.0) > ends
                )
                await world.phone("1002", "secret")
                await signals.wait(Registered, lambda one: one.line == "1002")
                assert later.expires_at is not None
        finally:
            await pbx.stop()
