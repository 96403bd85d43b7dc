"""A demonstration with real calls: a customer calls, a phone rings, they talk, the results are stored.

It starts a separate installation with the demo company and simulates carrier, customer and desk phones. Every
step is printed as it happens and checked afterwards; the report holds the same as data.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import trunkline
from trunkline.demo import tones
from trunkline.demo.installation import Account, Installation
from trunkline.demo.outside import (
    ALL_TONES,
    Answer,
    Call,
    Customer,
    Ignore,
    OutsideWorld,
    Phone,
    choose_ports,
)
from trunkline.demo.tones import Interval
from trunkline.demo.webhooks import WebhookReceiver
from trunkline.runtime.asterisk import AsteriskInstall

COMPANY = Path(trunkline.__file__).parent / "directory" / "demo.yaml"
NUMBER = "97140000100"
"""The demo company's sales number: a greeting, then the phones of three people ring."""
CUSTOMER = "971500000010"
TEAM = {"Layla": "0160001", "Omar": "0160002", "Nina": "0160003"}
ANSWERS = "Layla"
SERIES = 8
"""So many accounts can have the demo company at once: series 1 has the logins 0161... and the numbers 971400002..."""
_LOGIN, _NUMBER = re.compile(r"016([0-7])(\d{3})"), re.compile(r"97140000([1-8])(\d\d)")
ZONE = ZoneInfo("Asia/Dubai")

TALK_SECONDS = 4.0
_AWAITED = (
    "in_call_session",
    "call_connected",
    "talk_finished",
    "call_session_finished",
    "call_record_completed",
)
_PRECISION = 0.3


def of_series(name: str, series: int) -> str:
    """A login or a number of the demo company in another series."""
    if _LOGIN.fullmatch(name):
        return f"016{series}{name[4:]}"
    return f"97140000{series + 1}{name[9:]}" if _NUMBER.fullmatch(name) else name


def series_of(name: str) -> int | None:
    """The series of a login or a number; None when it is not the demo company's."""
    if login := _LOGIN.fullmatch(name):
        return int(login[1])
    number = _NUMBER.fullmatch(name)
    return int(number[1]) - 1 if number else None


def company(series: int) -> str:
    """The demo company's directory file with the logins and numbers of a series."""
    text = COMPANY.read_text("utf-8")
    return re.sub(r'(?<=")\d+(?=")', lambda found: of_series(found[0], series), text)


Say = Callable[[str], None]


@dataclass
class Timeline:
    """The steps, printed as they happen, with seconds since the beginning."""

    say: Say
    began: float = field(default_factory=time.time)
    steps: list[dict[str, Any]] = field(default_factory=list)

    def step(self, name: str, text: str, at: float | None = None) -> None:
        """A step happened (``at``: Unix seconds, default now)."""
        moment = at or time.time()
        last = self.steps[-1]["at"] if self.steps else 0.0
        elapsed = round(moment - self.began, 3)
        self.steps.append({"step": name, "at": elapsed, "seconds": round(elapsed - last, 3), "text": text})
        self.say(f"{elapsed:7.2f} s  {name:<11} {text}")


@dataclass
class Conversation:
    """A call from the customer to the company, and the call of the phone that took it."""

    customer: Call
    employee: Call
    hears: dict[str, dict[str, list[Interval]]]

    @property
    def talked(self) -> Interval:
        """Start of the talk, Unix seconds."""
        return Interval(self.employee.at_answer, self.employee.at_end)


async def converse(
    world: OutsideWorld, customer: Customer, phone: Phone, timeline: Timeline, number: str = NUMBER
) -> Conversation:
    """The customer calls; the phone rings, picks up after a second and a half; they talk; the customer hangs up."""
    phone.on_call(Answer(after=1.5))
    call = await customer.dial(number)
    timeline.step("INVITE", f"{customer.name} ({customer.identity.user}) calls {number}", call.at_dial)
    taken = await _taken(call, phone)
    ringing = await taken.ringing()
    shown = f"{taken.name} <{taken.number}>" if taken.name else taken.number
    timeline.step("ringing", f"{phone.name}'s phone rings and shows {shown}", ringing)
    answered = await taken.answered()
    timeline.step("answered", f"{phone.name} picks up", answered)
    await asyncio.sleep(TALK_SECONDS)
    await call.hangup()
    ended = await taken.ended()
    await call.ended()
    hears = await world.hears([call, taken])
    timeline.step("talked", f"{ended - answered:.1f} s, {_who_heard_whom(hears)}", ended)
    return Conversation(call, taken, hears)


async def _taken(call: Call, phone: Phone) -> Call:
    """The phone's call; :class:`TimeoutError` as soon as the customer's call has ended without it."""
    ringing, ended = (
        asyncio.ensure_future(phone.next_call(timeout=60)),
        asyncio.ensure_future(call.ended(timeout=60)),
    )
    try:
        await asyncio.wait({ringing, ended}, return_when=asyncio.FIRST_COMPLETED)
        if not ringing.done() and call.is_ended:
            raise TimeoutError(
                f"the customer's call ended (cause {call.cause}) and {phone.name}'s phone did not ring"
            )
        return await ringing
    finally:
        for task in (ringing, ended):
            task.cancel()
        await asyncio.gather(ringing, ended, return_exceptions=True)


async def run(install: AsteriskInstall, folder: Path, say: Say) -> dict[str, Any]:
    """Run the demonstration in ``folder``; its report, with ``"ok": true`` only if all checks pass."""
    timeline = Timeline(say)
    installation = Installation(folder / "pbx")
    ports = choose_ports()
    async with WebhookReceiver() as receiver, installation:
        timeline.step("up", f"PBX on {installation.url}, SIP on {installation.sip.uri('')}")
        account = await installation.create_account("Palm Office Furniture", ZONE.key)
        password = secrets.token_urlsafe(12)
        environment = {
            "DEMO_CARRIER_HOST": ports.carrier_address,
            "DEMO_CARRIER_PORT": str(ports.carrier),
            "DEMO_LINE_PASSWORD": password,
            "DEMO_WEBHOOK_URL": receiver.url,
            "DEMO_WEBHOOK_ACTIVE": "true",
        }
        await installation.apply(account, COMPANY, environment)
        timeline.step("configured", f"demo company in account {account.account_id}")
        world = OutsideWorld(install, folder / "outside", installation.sip, installation.sip_tls, ports)
        async with world:
            phones = {name: await _registered(world, name, login, password) for name, login in TEAM.items()}
            timeline.step("registered", f"the phones of {', '.join(phones)}")
            for phone in phones.values():
                phone.on_call(Ignore())
            customer = await world.customer(CUSTOMER, name="the customer")
            conversation = await converse(world, customer, phones[ANSWERS], timeline)
            return await _report(installation, account, receiver, conversation, timeline, folder)


async def _registered(world: OutsideWorld, name: str, login: str, password: str) -> Phone:
    # The snapshot of the directory reaches the engine a moment after it was applied.
    phone = await world.phone(login, password, name=name, register=False)
    while await phone.wait_registration("Registered", "Rejected", "Stopped") != "Registered":
        await asyncio.sleep(0.2)
        await phone.try_again()
    return phone


async def _report(
    installation: Installation,
    account: Account,
    receiver: WebhookReceiver,
    conversation: Conversation,
    timeline: Timeline,
    folder: Path,
) -> dict[str, Any]:
    row = await _report_row(installation, account)
    recording = await _recording(installation, account, row, folder)
    timeline.step("recorded", f"{recording['seconds']:.1f} s in {recording['file']}")
    timeline.step("reported", f"session {row['id']}: {row['finish_reason']}, talked {row['talk_duration']} s")
    bodies = await _delivered(receiver)
    timeline.step("delivered", ", ".join(body["event"] for body in bodies))
    checks = _checks(conversation, row, recording, bodies)
    began = timeline.began
    return {
        "ok": all(checks.values()),
        "checks": checks,
        "call_session_id": row["id"],
        "durations": {name: value for name, value in row.items() if name.endswith("_duration")},
        "talked": {"seconds": round(conversation.talked.seconds, 3)},
        "hears": {
            listener: {
                speaker: [[round(s.start - began, 3), round(s.end - began, 3)] for s in spans]
                for speaker, spans in heard.items()
            }
            for listener, heard in conversation.hears.items()
        },
        "tones": {
            "the customer": conversation.customer.tone,
            ANSWERS: conversation.employee.tone,
        },
        "recording": recording,
        "report_row": row,
        "webhooks": bodies,
        "steps": timeline.steps,
    }


async def _report_row(installation: Installation, account: Account, timeout: float = 20.0) -> dict[str, Any]:
    """The call's row of ``get.calls_report``, as soon as its recording is in it."""
    now = datetime.now(ZONE)
    period = {
        "date_from": f"{now - timedelta(hours=1):%Y-%m-%d %H:%M:%S}",
        "date_till": f"{now + timedelta(hours=1):%Y-%m-%d %H:%M:%S}",
    }
    deadline = time.monotonic() + timeout
    while True:
        rows = (await installation.data_api(account, "get.calls_report", **period))["data"]
        if rows and rows[0]["full_record_file_link"]:
            return dict(rows[0])
        if time.monotonic() > deadline:
            raise TimeoutError(f"no recording in the report after {timeout:.0f} s; rows: {rows}")
        await asyncio.sleep(0.1)


async def _recording(
    installation: Installation, account: Account, row: Mapping[str, Any], folder: Path
) -> dict[str, Any]:
    """Fetch the recording as a client does, and listen to its channels."""
    [recording_id] = row["wav_call_records"]
    link = f"{installation.url}/system/media/wav/{row['communication_id']}/{recording_id}/"
    token = account.keys["data_api"]
    status, wav = await installation.get(link, {"Authorization": f"Bearer {token}"})
    mp3_status, mp3 = await installation.get(row["full_record_file_link"])
    (folder / "recording.wav").write_bytes(wav)
    (folder / "recording.mp3").write_bytes(mp3)
    if (status, mp3_status) != (200, 200):
        raise RuntimeError(f"the recording was answered with {status} (WAV) and {mp3_status} (MP3)")
    file = folder / "recording.wav"
    channels, rate = tones.read_wav(file)
    return {
        "file": str(file),
        "mp3": str(folder / "recording.mp3"),
        "link": row["full_record_file_link"],
        "seconds": round(len(channels[0]) / rate, 3),
        "channels": [
            {f"{hertz:.0f} Hz": seconds for hertz, seconds in channel.items()}
            for channel in tones.channel_frequencies(file, ALL_TONES)
        ],
    }


async def _delivered(receiver: WebhookReceiver) -> list[dict[str, Any]]:
    """The bodies of the deliveries, once all expected ones have arrived, in the order of arrival."""
    wanted = set(_AWAITED)
    accepted = await receiver.wait_for(lambda got: wanted <= {request.json()["event"] for request in got})
    return [request.json() for request in accepted]


def _checks(
    conversation: Conversation,
    row: Mapping[str, Any],
    recording: Mapping[str, Any],
    bodies: list[dict[str, Any]],
) -> dict[str, bool]:
    customer, employee = conversation.customer, conversation.employee
    talk = conversation.talked.seconds
    own_tones = [[f"{customer.tone:.0f} Hz"], [f"{employee.tone:.0f} Hz"]]
    return {
        "both heard each other all the time": all(
            abs(tones.total(conversation.hears[listener].get(speaker, [])) - talk) < _PRECISION
            for listener, speaker in ((customer.party, employee.party), (employee.party, customer.party))
        ),
        "nobody heard anybody else": all(len(heard) == 1 for heard in conversation.hears.values()),
        "the phone showed the customer's number": employee.number.lstrip("+") == CUSTOMER,
        "each party is alone on its channel": [list(channel) for channel in recording["channels"]]
        == own_tones,
        "the recording is as long as the talk": abs(recording["seconds"] - talk) < _PRECISION,
        "the report has the talk": abs(row["talk_duration"] - talk) <= 1 and not row["is_lost"],
        "the report has both numbers": row["contact_phone_number"] == CUSTOMER
        and row["virtual_phone_number"] == NUMBER,
        "the URL of the company got this call": all(body["call"] == row["id"] for body in bodies),
    }


def _who_heard_whom(hears: Mapping[str, Mapping[str, list[Interval]]]) -> str:
    return "; ".join(
        f"{listener} heard {' and '.join(heard) or 'nobody'}" for listener, heard in hears.items()
    )
