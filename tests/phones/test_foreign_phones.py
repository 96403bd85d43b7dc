"""Phones that others wrote register, place and take calls, over UDP and TLS."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path

import psycopg
import pytest

import trunkline.bench
from tests.engine.setup import LINE_PASSWORD, Setup
from tests.phones.baresip import ADDRESS, TONE, Baresip
from tests.phones.tls_relay import TlsRelay
from trunkline.demo.outside import Answer, Transport
from trunkline.directory.lines.listing import REGISTERED
from trunkline.runtime import postgres
from trunkline.runtime.ports import free_ports
from trunkline.testing.foreign import ForeignPhones
from trunkline.testing.sipp import Sipp

pytestmark = [
    pytest.mark.engine,
    pytest.mark.phones,
    pytest.mark.xdist_group("phones"),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),  # the first one sets the setup, maybe on a busy machine
]

LOGIN, NUMBER = "0260004", "97140000205"
ANNA = "201"
SCENARIOS = Path(trunkline.bench.__file__).with_name("scenarios")
CALLS = Path(__file__).with_name("phone_calls.xml")
NOTIFY = Path(__file__).with_name("notify.xml")
both_ways = pytest.mark.parametrize("transport", [Transport.UDP, Transport.TLS])


REACHED_SECONDS = 90.0
"""Time limit of a device's first answer to a keep-alive: if it missed one, the next comes a minute later."""


async def wait_reachable(setup: Setup, since: float, login: str = LOGIN) -> None:
    """Until ``get.sip_lines`` shows the line as registered, and the phone that registered after ``since`` (Unix seconds)
    has answered a keep-alive: one that does not answer the first gets no calls until it answers the next."""
    deadline = time.monotonic() + REACHED_SECONDS
    dsn = postgres.dsn(setup.installation.settings)
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        while True:
            result = await setup.installation.data_api(setup.account, "get.sip_lines")
            [line] = [one for one in result["data"] if one["phone_number"] == login]
            states = await connection.execute(
                "select 1 from registrations where account_id = %s and sip_line_id = %s and reachable"
                " and registered_at >= to_timestamp(%s)",
                (setup.account.account_id, line["id"], since),
            )
            if line["physical_state"] == REGISTERED and await states.fetchone():
                return
            assert time.monotonic() < deadline, f"{line['physical_state']}; the phone did not answer"
            await asyncio.sleep(0.2)


@both_ways
async def test_baresip(
    setup: Setup, foreign_phones: ForeignPhones, tmp_path: Path, transport: Transport
) -> None:
    registrar = setup.installation.sip_tls if transport is Transport.TLS else setup.installation.sip
    before, began = await setup.last_id(), time.time()
    setup.anna.on_call(Answer(after=0.5))
    async with Baresip(
        foreign_phones, tmp_path / "baresip", registrar, transport, LOGIN, LINE_PASSWORD
    ) as phone:
        await wait_reachable(setup, began)

        await phone.dial(ANNA)
        call = await setup.anna.next_call()
        await call.answered()
        await phone.wait("CALL_ESTABLISHED")
        await call.hears(TONE)
        await phone.hang_up()
        await call.ended()
        await phone.wait("CALL_RTPESTAB")
        row = await setup.row(before, recorded=True)
        assert row["finish_reason"] == "operator_disconnects"
        assert row["talk_duration"] >= 1

        customer = await setup.customer()
        theirs = await customer.dial(NUMBER)
        await theirs.answered()
        await theirs.hears(TONE)
        await theirs.hangup()
        await phone.wait("CALL_CLOSED")
        await phone.wait("CALL_RTPESTAB")
        row = await setup.row(row["id"], recorded=True)
        assert row["contact_phone_number"] == customer.name
        assert not row["is_lost"]


class SippPhone:
    """SIPp as a phone that registers, calls, and is called."""

    def __init__(self, phones: ForeignPhones, folder: Path, target: str, port: int, mode: str) -> None:
        self._folder = folder
        self._program = phones.sipp
        folder.mkdir()
        (folder / "line.csv").write_text(
            f"SEQUENTIAL\n{LOGIN};[authentication username={LOGIN} password={LINE_PASSWORD}];{ANNA}\n"
        )
        self._common: list[str | int] = ["-i", ADDRESS, "-p", port, "-t", mode, "-rtp_echo"]
        self._client = [target, *self._common, "-m", 1, "-inf", str(folder / "line.csv")]

    def register(self) -> Sipp:
        return self._of(SCENARIOS / "register.xml", self._client)

    def calls(self) -> Sipp:
        return self._of(CALLS, self._client)

    def takes(self) -> Sipp:
        """Runs until it is stopped: keep-alives count as calls."""
        return self._of(SCENARIOS / "callee.xml", self._common)

    def is_notified(self) -> Sipp:
        """Runs until it is stopped; logs each NOTIFY."""
        return self._of(NOTIFY, self._common)

    def _of(self, scenario: Path, arguments: list[str | int]) -> Sipp:
        return Sipp(self._program, self._folder, scenario, arguments)


@both_ways
async def test_sipp(
    setup: Setup,
    foreign_phones: ForeignPhones,
    tmp_path: Path,
    transport: Transport,
) -> None:
    async with AsyncExitStack() as leftovers:
        [port] = free_ports(1)
        if transport is Transport.TLS:
            relay = await leftovers.enter_async_context(TlsRelay(setup.installation.sip_tls, ADDRESS, port))
            phone = SippPhone(foreign_phones, tmp_path / "sipp", f"{ADDRESS}:{relay.port}", port, "t1")
        else:
            sip = setup.installation.sip
            phone = SippPhone(foreign_phones, tmp_path / "sipp", f"{sip.host}:{sip.port}", port, "u1")
        began = time.time()
        assert (await phone.register().run(20)).successful == 1
        # At once: who does not answer keep-alives soon counts as offline.
        taking = phone.takes()
        leftovers.push_async_callback(taking.stop)
        await taking.start()
        await wait_reachable(setup, began)
        customer = await setup.customer()
        before = await setup.last_id()
        theirs = await customer.dial(NUMBER)
        await theirs.answered()
        await theirs.hears(theirs.tone)
        await theirs.hangup()
        await theirs.ended()
        row = await setup.row(before, recorded=True)
        assert row["contact_phone_number"] == customer.name
        assert not row["is_lost"]
        await taking.stop()  # the call below needs its port

        setup.anna.on_call(Answer(after=0.5))
        calling = phone.calls()
        leftovers.push_async_callback(calling.stop)
        await calling.start()
        call = await setup.anna.next_call()
        await call.answered()
        await call.hears(call.tone)  # SIPp sends back the received audio
        assert (await calling.wait(20)).successful == 1
        row = await setup.row(row["id"], recorded=True)
        assert row["finish_reason"] == "operator_disconnects"
        assert row["talk_duration"] == pytest.approx(3, abs=1)


async def test_a_phone_shows_new_messages(
    setup: Setup, foreign_phones: ForeignPhones, tmp_path: Path
) -> None:
    """When it registers, and when a message comes, is saved or deleted: a NOTIFY outside a dialog."""
    [port] = free_ports(1)
    sip = setup.installation.sip
    phone = SippPhone(foreign_phones, tmp_path / "sipp", f"{sip.host}:{sip.port}", port, "u1")
    dsn = postgres.dsn(setup.installation.settings)
    async with (
        await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection,
        AsyncExitStack() as leftovers,
    ):
        params = {"account": setup.account.account_id, "id": "m" * 64}
        await connection.execute(
            """insert into recordings (account_id, recording_id, call_session_id, kind, leg_id, status, wav_path)
               values (%(account)s, %(id)s, 7, 'voice_mail', 7, 'ready', 'none.wav')""",
            params,
        )
        await connection.execute(
            """insert into voice_messages (account_id, recording_id, employee_id, call_session_id)
               select account_id, %(id)s, employee_id, 7 from employees where account_id = %(account)s and key = 'dora'""",
            params,
        )
        assert (await phone.register().run(20)).successful == 1
        notified = phone.is_notified()
        leftovers.push_async_callback(notified.stop)
        await notified.start()

        async def says(*lines: str) -> None:
            deadline = time.monotonic() + 30
            while not set(lines) <= set(_log_of(notified)):
                assert time.monotonic() < deadline, f"{lines} is not in {_log_of(notified)}"
                await asyncio.sleep(0.2)

        await says("message-summary Messages-Waiting: yes Voice-Message: 1/0")
        await connection.execute(
            "update voice_messages set is_saved = true where recording_id = %(id)s and account_id = %(account)s",
            params,
        )
        await says("message-summary Messages-Waiting: no Voice-Message: 0/1")
        for table in ("voice_messages", "recordings"):
            await connection.execute(
                f"delete from {table} where recording_id = %(id)s and account_id = %(account)s", params
            )
        await says("message-summary Messages-Waiting: no Voice-Message: 0/0")


def _log_of(sipp: Sipp) -> list[str]:
    return [line.strip() for line in sipp.log.read_text().splitlines()] if sipp.log.exists() else []
