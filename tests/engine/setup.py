"""One installation with a small company, and the simulated network around it, for all end-to-end tests."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote
from zoneinfo import ZoneInfo

import aiohttp
import psycopg
import pytest

from tests.billing.mail_server import MailServer
from tests.hubspot.server import HubSpot
from tests.patience import PATIENCE
from trunkline.accounts.administration import Administration
from trunkline.accounts.model import METERED
from trunkline.cli.switch import switch_client
from trunkline.core.ids import first_id_at, unix_ms_of
from trunkline.core.settings import HubSpotSettings, MailSecurity, MailSettings
from trunkline.db.pool import Database
from trunkline.demo import tones
from trunkline.demo.installation import Account, ApiError, Installation, settings_on_free_ports
from trunkline.demo.outside import (
    Call,
    Customer,
    Ignore,
    OutsideWorld,
    Phone,
    Transport,
    choose_ports,
)
from trunkline.demo.webhooks import WebhookReceiver
from trunkline.runtime import postgres, secrets
from trunkline.runtime.asterisk import AsteriskInstall
from trunkline.speech.audio import decode

COMPANY = Path(__file__).with_name("company.yaml")
LINE_PASSWORD = "tests-only-7391"
TRUNK_USER = "trunk-of-tests"
ZONE = ZoneInfo("Asia/Dubai")
AWAY_WAIT = 8
"""Seconds that calls wait for a switch before the default line rings: long enough for one that was killed, even on a
busy machine, and short enough to see the end of it."""
PARKING_SECONDS = 10
"""After which the phone that parked a contact rings."""
PRECISION = 0.3
"""Seconds."""
REPORTED_SECONDS = 60.0
"""Time limit of a report or a notification about a call that ended, also on a busy machine."""
REGISTERED_SECONDS = 60.0
"""Time limit of a registration; a change of the configuration that it needs may still be on its way."""
MEDIA_TONES = {"word_to_contact": 1065.0, "word_to_employee": 1175.0, "long_word": 1285.0, "tune": 1395.0}
"""What the company's media files sound like; between the tones of the parties."""
MEDIA_SECONDS = {"word_to_contact": 1.2, "word_to_employee": 1.2, "long_word": 5.0, "tune": 2.0}
_SESSION_FIELDS = [
    "id", "direction", "source", "finish_reason", "is_lost", "contact_phone_number", "virtual_phone_number",
    "contact_full_name", "start_time", "finish_time", "wait_duration", "total_wait_duration", "talk_duration",
    "clean_talk_duration", "total_duration", "postprocess_duration", "employees", "scenario_name", "is_transfer",
    "communication_id", "call_records", "wav_call_records", "voice_mail_records", "full_record_file_link",
    "first_talked_employee_full_name", "operator_phone_number",
]  # fmt: skip

_LEG_FIELDS = [
    "id", "call_session_id", "start_time", "connect_time", "duration", "total_duration", "finish_reason",
    "calling_phone_number", "called_phone_number", "direction", "is_operator", "employee_full_name",
    "release_cause_code", "is_failed", "is_talked", "contact_phone_number",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sent:
    """What the phones of a talk sent themselves, beside what should have come from them.

    :ivar parts: in how many pieces each call sent its tone; one on a machine that is not too busy.
    :ivar by_party: seconds of its tone that each party did not send.
    """

    parts: Mapping[Call, int]
    by_party: Mapping[str, float]

    @property
    def owed(self) -> float:
        """The most that a party did not send, in seconds."""
        return max(self.by_party.values())

    def __str__(self) -> str:
        owed = ", ".join(f"{party} {seconds:.2f} s" for party, seconds in self.by_party.items())
        return f"not sent by the phones themselves: {owed}; load {os.getloadavg()[0]:.1f}"


class Setup:
    """The product, its account, the receiver, and the people: Anna, Boris and Clara have registered phones."""

    def __init__(self, install: AsteriskInstall, folder: Path) -> None:
        self._install = install
        self.folder = folder
        self._stack = AsyncExitStack()
        self._numbers = itertools.count(971500000100)
        self._there: dict[int, tuple[str, set[int]]] = {}
        """When :meth:`last_id` gave this id, as the report shows times, and the calls that were in the report then."""
        settings = settings_on_free_ports(folder / "pbx" / "data")
        switch = settings.switch.model_copy(
            update={"away_wait": AWAY_WAIT, "parking_seconds": PARKING_SECONDS}
        )
        self.mail_server = MailServer(port=_free_port())
        mail = MailSettings(
            host="127.0.0.1",
            port=self.mail_server.port,
            security=MailSecurity.NONE,
            sender="pbx@example.com",
        )
        sip = settings.sip.model_copy(update={"transfers": True})
        self.hubspot = HubSpot(_free_port())
        hubspot = HubSpotSettings(
            api_url=self.hubspot.url, allowed_private_networks=["127.0.0.0/8"], search_delay=1
        )
        changed = settings.model_copy(update={"switch": switch, "mail": mail, "sip": sip, "hubspot": hubspot})
        self.installation = Installation(folder / "pbx", changed)
        self.receiver = WebhookReceiver()
        self.account: Account
        self.environment: dict[str, str]
        self.world: OutsideWorld
        self.anna: Phone
        self.boris: Phone
        self.clara: Phone

    async def __aenter__(self) -> Self:
        try:
            await self._set()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _set(self) -> None:
        ports = choose_ports()
        await self._stack.enter_async_context(self.receiver)
        await self._stack.enter_async_context(self.mail_server)
        await self._stack.enter_async_context(self.hubspot.running())
        await self._stack.enter_async_context(self.installation)
        self.account = await self.installation.create_account("Test company", ZONE.key)
        # Waiting for reports by asking again and again takes many points. Not by a command: each takes most of a second.
        async with await Database.open(postgres.dsn(self.installation.settings)) as db:
            for api in METERED:
                await Administration(db).set_limits(
                    self.account.account_id, api, day=1_000_000, minute=100_000
                )
        media = self.folder / "media"
        media.mkdir()
        for name, tone in MEDIA_TONES.items():
            tones.write_wav(media / f"{name}.wav", tones.sine(tone, MEDIA_SECONDS[name]))
        self.environment = {
            "CARRIER_HOST": ports.carrier_address,
            "CARRIER_PORT": str(ports.carrier),
            "LINE_PASSWORD": LINE_PASSWORD,
            "WEBHOOK_URL": self.receiver.url,
            "MEDIA": str(media),
        }
        self.world = await self._stack.enter_async_context(
            OutsideWorld(
                self._install,
                self.folder / "outside",
                self.installation.sip,
                self.installation.sip_tls,
                ports,
            )
        )
        await self.world.carrier_login(TRUNK_USER, LINE_PASSWORD)
        await self.installation.apply(self.account, COMPANY, self.environment)
        # A registration takes a second: Asterisk delays its first request.
        self.anna, self.boris, self.clara = await asyncio.gather(
            self.phone("0260001", "Anna"), self.phone("0260002", "Boris"), self.phone("0260003", "Clara")
        )

    async def phone(
        self,
        login: str,
        name: str,
        *,
        transport: Transport = Transport.UDP,
        codecs: Sequence[str] = ("alaw", "ulaw"),
        srtp: bool = False,
    ) -> Phone:
        """A device of a line, registered and known to the switch."""
        phone = await self.world.phone(
            login,
            LINE_PASSWORD,
            name=name,
            transport=transport,
            codecs=codecs,
            srtp=srtp,
            register=False,
        )
        await wait_known(self.installation, self.account, phone)
        return phone

    async def customer(self) -> Customer:
        """Somebody who never called before."""
        return await self.world.customer(str(next(self._numbers)))

    async def mobile(self) -> Customer:
        """The mobile phone of Erik, an employee without a line."""
        return await self.customer_with("971500000090")

    async def prankster(self) -> Customer:
        """Whose number is on the blacklist."""
        return await self.customer_with("12025550199")

    async def customer_with(self, number: str) -> Customer:
        """The owner of a number, without memory."""
        for party in self.world.parties:
            if party.identity.user == number:
                assert isinstance(party, Customer)
                self.world.renew(party)
                return party
        return await self.world.customer(number)

    async def clear(self) -> None:
        """Before each test: nobody talks, nobody remembers, phones only ring."""
        await self.world.hang_up_all()
        for party in (self.anna, self.boris, self.clara):
            party.forget()
            party.on_call(Ignore())

    # --- what the product says happened

    async def last_id(self) -> int:
        """Call before a test's own calls and give it to :meth:`row`: the calls that are there now are not meant then."""
        now = datetime.now(ZONE).strftime("%Y-%m-%d %H:%M:%S")
        living = {int(call["call_session_id"]) for call in await self.living()}
        await self._written()
        finished = {row["id"] for row in await self._report(0)}
        newest = max(living | finished, default=0)
        self._there[newest] = (now, living | finished)
        return newest

    async def _written(self) -> None:
        """Wait until the database has what the switch has decided: a call that has just ended is in the report."""
        async with switch_client(self.installation.settings) as switch, asyncio.timeout(REPORTED_SECONDS):
            while (await switch.status())["unwritten_events"]:
                await asyncio.sleep(0.02)

    async def row(
        self, after: int, *, recorded: bool = False, expected: int = 1, timeout: float = REPORTED_SECONDS
    ) -> dict[str, Any]:
        """The newest of the ``expected`` sessions after ``after`` in ``get.calls_report``, once all are finished."""
        return await self._row(after, "full_record_file_link" if recorded else "id", expected, timeout)

    async def row_with(self, after: int, field: str) -> dict[str, Any]:
        """The one session after ``after`` once it has a value in this field."""
        return await self._row(after, field, 1, REPORTED_SECONDS)

    async def _row(self, after: int, field: str, expected: int, timeout: float) -> dict[str, Any]:
        deadline = time.monotonic() + timeout
        pause = 0.1
        while True:
            try:
                rows = await self._sessions(after)
            except (ApiError, aiohttp.ClientError):
                # Web or database was just killed.
                rows = []
            if len(rows) >= expected and rows[0][field]:
                assert len(rows) == expected, rows
                return rows[0]
            if time.monotonic() > deadline:
                raise TimeoutError(f"not in the report: {rows}\n{self.installation.log_tail(15)}")
            # A report takes processor time from the calls of other processes, and from the recording that is waited for.
            await asyncio.sleep(pause)
            pause = min(1.3 * pause, 0.5)

    async def legs(self, call_session_id: int) -> list[dict[str, Any]]:
        result = await self.installation.data_api(
            self.account,
            "get.call_legs_report",
            **period(),
            fields=_LEG_FIELDS,
            filter={"field": "call_session_id", "operator": "=", "value": call_session_id},
        )
        return sorted(result["data"], key=lambda leg: leg["id"])

    async def tags(self, call_session_id: int) -> list[str]:
        """Names of the tags of a finished call."""
        result = await self.installation.data_api(
            self.account,
            "get.calls_report",
            **period(),
            fields=["id", "tags"],
            filter={"field": "id", "operator": "=", "value": call_session_id},
        )
        [row] = result["data"]
        return [tag["tag_name"] for tag in row["tags"]]

    async def reported(
        self, call_session_id: int, events: Sequence[str], timeout: float = REPORTED_SECONDS
    ) -> list[str]:
        """The deliveries of a call to the receiver, once all of ``events`` came."""

        def of_call(got: Sequence[Any]) -> list[str]:
            bodies = [request.json() for request in got]
            return [body["event"] for body in bodies if body.get("call") == call_session_id]

        accepted = await self.receiver.wait_for(lambda got: set(events) <= set(of_call(got)), timeout)
        return of_call(accepted)

    async def living(self) -> list[Any]:
        """``list.calls``: what the product believes to be up."""
        return list((await self.installation.call_api(self.account, "list.calls"))["data"])

    async def only_call(self, legs: int) -> dict[str, Any]:
        """The only one of :meth:`living`, once it has so many legs: who leaves a call has ended before the switch has it."""
        deadline = time.monotonic() + PATIENCE
        while True:
            living = await self.living()
            if [len(one["legs"]) for one in living] == [legs]:
                return dict(living[0])
            assert time.monotonic() < deadline, f"not one call with {legs} legs: {living}"
            await asyncio.sleep(0.05)

    async def settled(self) -> None:
        """Wait until no call lives, each event is with its listeners and no recording is pending: reports that are read one
        after another show the same."""
        async with (
            asyncio.timeout(REPORTED_SECONDS),
            await Database.open(postgres.dsn(self.installation.settings), max_size=1) as db,
        ):
            while True:
                row = await db.fetch_one(
                    "select (select count(*) from outbox) + (select count(*) from recordings where account_id = %s"
                    " and status = 'pending') as waiting",
                    (self.account.account_id,),
                )
                if row == {"waiting": 0} and not await self.living():
                    return
                await asyncio.sleep(0.1)

    async def _sessions(self, after: int) -> list[dict[str, Any]]:
        """The finished calls that were not there when :meth:`last_id` gave ``after``; for the id of a call, those with
        a higher one."""
        if after not in self._there:
            return await self._report(after)
        since, there = self._there[after]
        # Ids of calls that come in follow the second, those of others the millisecond: a later call may have the lower one.
        rows = await self._report(first_id_at(unix_ms_of(after) - 3000) if after else 0)
        return [row for row in rows if row["start_time"] >= since and row["id"] not in there]

    async def _report(self, after: int) -> list[dict[str, Any]]:
        """The finished calls with a higher id than ``after``, by id."""
        result = await self.installation.data_api(
            self.account,
            "get.calls_report",
            **period(),
            fields=_SESSION_FIELDS,
            filter={"field": "id", "operator": ">", "value": after},
            sort=[{"field": "start_time", "order": "desc"}],
        )
        return sorted(result["data"], key=lambda row: row["id"])

    # --- proofs

    async def prove_talk(self, row: Mapping[str, Any], contact: Call, employee: Call) -> None:
        """Both heard each other without a break and nobody else; the report has the right lengths."""
        begin = max(contact.at_answer, employee.at_answer)
        end = min(contact.at_end, employee.at_end)
        hears = await self.world.hears([contact, employee])
        sent = await self.sent(contact, employee)
        precision = PRECISION + sent.owed
        for listener, speaker in ((contact, employee), (employee, contact)):
            heard = hears.get(listener.party, {})
            assert list(heard) == [speaker.party], f"{listener.party} hears {heard}; {sent}"
            # One interval, unless the speaker's own phone broke it: the audio never broke.
            assert len(heard[speaker.party]) <= sent.parts[speaker], f"{listener.party} hears {heard}; {sent}"
            first, last = heard[speaker.party][0], heard[speaker.party][-1]
            # Twice: what is heard first waits for a mixer and a bridge, of which each comes late on a busy machine.
            assert first.start == pytest.approx(max(begin, speaker.speaks_from), abs=2 * precision), sent
            assert last.end == pytest.approx(end, abs=2 * precision), sent
        assert row["talk_duration"] == pytest.approx(end - begin, abs=0.5 + PRECISION)
        assert row["clean_talk_duration"] == row["talk_duration"]
        assert not row["is_lost"]

    async def prove_recording(
        self, row: Mapping[str, Any], contact: Call, employee: Call, *, precision: float = PRECISION
    ) -> None:
        """Contact on the left, employee on the right, nothing else, and as long as the talk."""
        [recording_id] = row["wav_call_records"]
        file = await self._fetch(f"wav/{row['communication_id']}/{recording_id}", "recording.wav")
        begin, end = max(contact.at_answer, employee.at_answer), min(contact.at_end, employee.at_end)
        left, right = tones.channel_frequencies(file, set(self.world.tones.values()))
        sent = await self.sent(contact, employee)
        assert list(left) == [contact.tone], f"{left}; {sent}"
        assert list(right) == [employee.tone], f"{right}; {sent}"
        precision += sent.owed
        channels, rate = tones.read_wav(file)
        for channel, call, heard in zip(channels, (contact, employee), (left, right), strict=True):
            assert len(channel) / rate == pytest.approx(end - begin, abs=precision)
            spoken = end - max(begin, call.speaks_from)
            assert heard[call.tone] == pytest.approx(spoken, abs=precision), (heard, spoken, sent)

    async def sent(self, *calls: Call) -> Sent:
        """What the phones of ended calls really sent. Nobody hears more than that."""
        parts = {
            call: len(tones.heard((await call.sent()).sound, [call.tone])[call.tone]) or 1 for call in calls
        }
        return Sent(parts, {call.party: await call.owed() for call in calls})

    async def voice_mail(self, row: Mapping[str, Any]) -> dict[float, float]:
        """Which tones are in the message that was left, and for how many seconds."""
        [recording_id] = row["voice_mail_records"]
        mp3 = await self._fetch(f"voice_mail/{row['communication_id']}/{recording_id}", "message.mp3")
        sound = tones.from_pcm(decode(mp3))
        found = tones.heard(sound, set(self.world.tones.values()))
        return {tone: tones.total(spans) for tone, spans in found.items() if spans}

    async def _fetch(self, path: str, name: str) -> Path:
        status, body = await self.installation.get(
            f"{self.installation.url}/system/media/{path}/",
            {"Authorization": f"Bearer {self.account.keys['data_api']}"},
        )
        assert status == 200, body
        file = self.folder / name
        file.write_bytes(body)
        return file

    async def engine_channels(self) -> int:
        """Channels of the product's own Asterisk."""
        return await self.engine_count("channels")

    async def nobody_left(self) -> None:
        """Wait until the product's own Asterisk has neither channels nor bridges, and the switch no call: a call ends there
        after its parties have noticed. Until then its employee is busy."""
        deadline = time.monotonic() + PATIENCE
        while left := [
            *await self._of_engine("channels"),
            *await self._of_engine("bridges"),
            *await self.living(),
        ]:
            assert time.monotonic() < deadline, f"left in Asterisk, or in the switch: {left}"
            await asyncio.sleep(0.05)

    async def engine_count(self, what: str) -> int:
        """How many ``channels`` or ``bridges`` the product's own Asterisk has."""
        return len(await self._of_engine(what))

    async def hears(self, call: Call, tone: float) -> None:
        """:meth:`Call.hears`; without it, fails with what Asterisk has: who is where, and with whom, and has sent what."""
        try:
            await call.hears(tone)
        except TimeoutError as error:
            found = [str(error)]
            found += [
                f"bridge {one['id']}, {one['technology']}: {one['channels']}"
                for one in await self._of_engine("bridges")
            ]
            for one in await self._of_engine("channels"):
                found.append(f"channel {one['id']}, {one['name']}, {one['state']}: {one['dialplan']}")
                path = f"channels/{quote(one['id'], safe='')}/rtp_statistics"
                status, body = await self._ask_engine(path)
                sent = (
                    json.loads(body) if status == 200 else {}
                )  # 404: the channel has sent and received nothing
                found.append(f"  packets received {sent.get('rxcount')}, sent {sent.get('txcount')}")
            log = (self.folder / "outside" / "log" / "full").read_text(errors="replace")
            found += [line for line in log.splitlines()[-100:] if "SRTP" in line][-3:]
            raise AssertionError("\n".join(found)) from error

    async def gets_music(self, call: Call) -> None:
        """Wait until a call gets two seconds of music, from now on, and nobody is heard in them."""
        deadline = time.monotonic() + PATIENCE
        past = known = len((await call.ear()).sound)
        while True:
            await asyncio.sleep(0.1)
            ear = await call.ear()
            if len(ear.sound) == known and time.monotonic() < deadline:
                continue
            known = len(ear.sound)
            music = ear.sound[past:][-2 * ear.rate :]
            heard = tones.heard(music, list(self.world.tones.values()))
            # The melody has the tone of a party at times.
            is_alone = all(tones.total(spans) < 1.0 for spans in heard.values())
            if len(music) == 2 * ear.rate and is_alone and abs(music).mean() > 0.01:
                return
            assert time.monotonic() < deadline, f"heard: {heard}; {tones.described(music)}"

    async def _of_engine(self, what: str) -> Any:
        status, body = await self._ask_engine(what)
        assert status == 200, body
        return json.loads(body)

    async def _ask_engine(self, what: str) -> tuple[int, bytes]:
        settings = self.installation.settings
        login = secrets.load(settings).ari
        return await self.installation.get(
            f"http://127.0.0.1:{settings.engine.ari_port}/ari/{what}?api_key={login.user}:{login.password}"
        )


async def wait_known(installation: Installation, account: Account, phone: Phone) -> None:
    """Wait until a device is registered and the switch knows it; :class:`TimeoutError` otherwise.

    A line that was made a moment before may still be refused, so it registers again. The device gets its response before
    the switch gets the event: a call that comes between the two does not ring it.
    """
    async with asyncio.timeout(REGISTERED_SECONDS):
        while await phone.wait_registration("Registered", "Rejected", "Stopped") != "Registered":
            await asyncio.sleep(0.2)
            await phone.try_again()
        dsn = postgres.dsn(installation.settings)
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            while True:
                found = await connection.execute(
                    "select 1 from registrations where account_id = %s and contact_uri like %s",
                    (account.account_id, f"sip:{phone.identity.name}@%"),
                )
                if await found.fetchone():
                    return
                await asyncio.sleep(0.1)


async def wait_browser_known(installation: Installation, since: float) -> None:
    """Wait until the switch has a browser that has registered since this time (Unix seconds): see :func:`wait_known`."""
    dsn = postgres.dsn(installation.settings)
    async with asyncio.timeout(REGISTERED_SECONDS):
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            while True:
                found = await connection.execute(
                    "select from registrations where transport in ('ws', 'wss') and registered_at > to_timestamp(%s)",
                    (since,),
                )
                if found.rowcount:
                    return
                await asyncio.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def period() -> dict[str, str]:
    """Date parameters of a report that hold every call of the tests."""
    now = datetime.now(ZONE)
    return {
        "date_from": f"{now - timedelta(hours=2):%Y-%m-%d %H:%M:%S}",
        "date_till": f"{now + timedelta(hours=1):%Y-%m-%d %H:%M:%S}",
    }
