"""A client of the Call API: commands on live calls, and which party hears which."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.engine.setup import MEDIA_TONES, Setup
from tests.patience import PATIENCE
from trunkline.demo import tones
from trunkline.demo.installation import Account, ApiError
from trunkline.demo.outside import Answer, Call, Customer, Party
from trunkline.demo.tones import Ear, Interval
from trunkline.runtime import postgres

ANNAS_NUMBER, BORIS_WITH_MESSAGE_NUMBER, FINNS_NUMBER = "97140000200", "97140000210", "97140000211"
ANNA, BORIS, CLARA, DORA = "201", "202", "203", "204"
MUSIC = "music"
"""Pseudo-speaker: something sounds that is neither a party nor a message."""
MESSAGE_KINDS = frozenset(MEDIA_TONES)

_SETTLING = 0.45
"""Seconds until music or silence has reached every ear: gulps of the mixer, and placing in time by 50 ms."""
_EDGE = 0.1
_MOST = 0.65
"""Share of a span for which a party is heard at least: the mixer of a busy machine leaves a gap of up to 0.2 s."""
_LIMIT = 60.0
"""Seconds that waiting for a state takes at most, also on a busy machine."""


Heard = Mapping[Call, Collection[Call | str]]
"""Who hears whom: parties, names of media files, or :data:`MUSIC`."""


@dataclass(frozen=True, slots=True)
class _Span:
    name: str
    start: float
    end: float
    hears: Heard


@dataclass(slots=True)
class Talk:
    """A call that stands: the contact's and the employee's side, and its id."""

    call_session_id: int
    contact: Call
    employee: Call
    before: int
    """No session between this id and its own."""


class CallApiClient:
    """Sends commands of the Call API, and checks the states and the sound of the parties."""

    def __init__(self, setup: Setup, media: Mapping[str, int]) -> None:
        self.setup = setup
        self.media = media
        self._spans: list[_Span] = []

    # --- commands

    async def api(self, method: str, **params: Any) -> Any:
        """``result.data`` of a Call API method."""
        return (await self.setup.installation.call_api(self.setup.account, method, **params))["data"]

    async def do(self, talk: Talk | int, method: str, **params: Any) -> None:
        """A command on a living call, which must succeed."""
        session = talk if isinstance(talk, int) else talk.call_session_id
        answer = await self.api(method, call_session_id=session, **params)
        assert answer == {"success": "true"}

    async def refused(self, talk: Talk | int, method: str, **params: Any) -> tuple[int, str]:
        """Code and mnemonic of a command that must fail."""
        session = talk if isinstance(talk, int) else talk.call_session_id
        with pytest.raises(ApiError) as caught:
            await self.api(method, call_session_id=session, **params)
        return caught.value.error["code"], caught.value.mnemonic

    async def refused_to(self, account: Account, method: str, **params: Any) -> Mapping[str, Any]:
        """The error object of a request of another account."""
        with pytest.raises(ApiError) as caught:
            await self.setup.installation.call_api(account, method, **params)
        return caught.value.error

    def message(self, name: str) -> dict[str, str]:
        """A message parameter that plays one of the company's media files."""
        return {"type": "media", "value": str(self.media[name])}

    async def hold(self, talk: Talk | int, message: str = "word_to_contact") -> None:
        await self.do(talk, "hold.call", contact_message=self.message(message))

    async def employee_id(self, name: str) -> int:
        """By first name."""
        rows = await self.setup.installation.data_api(self.setup.account, "get.employees")
        return next(int(row["id"]) for row in rows["data"] if row["first_name"] == name)

    async def scenario_id(self, name: str) -> int:
        rows = await self.setup.installation.data_api(self.setup.account, "get.scenarios")
        return next(int(row["id"]) for row in rows["data"] if row["name"] == name)

    async def tag_id(self) -> int:
        """Of the tag Important."""
        options = await self.api("list.talk_options")
        return next(int(one["button_value"]["id"]) for one in options if one["mnemonic"] == "tag_call")

    # --- calls

    async def talk_in(self, number: str = ANNAS_NUMBER, phone: Party | None = None) -> Talk:
        """A customer calls in and talks with the employee: connected by the engine."""
        before = await self.setup.last_id()
        phone = phone or self.setup.anna
        phone.on_call(Answer())
        customer = await self.setup.customer()
        contact = await customer.dial(number)
        employee = await phone.next_call()
        await asyncio.gather(contact.answered(), employee.answered())
        session = await self.session_with(contact.party)
        return Talk(session, contact, employee, before)

    async def talk_by_api(self, first: str = "employee", **params: Any) -> Talk:
        """``start.employee_call`` with Anna."""
        before = await self.setup.last_id()
        self.setup.anna.on_call(Answer())
        customer = await self.setup.customer()
        customer.on_call(Answer())
        session = await self.start_employee_call(customer, first, **params)
        contact, employee = await asyncio.gather(customer.next_call(), self.setup.anna.next_call())
        await asyncio.gather(contact.answered(), employee.answered())
        assert await self.session_with(contact.party) == session
        return Talk(session, contact, employee, before)

    async def start_employee_call(self, customer: Customer, first: str, **params: Any) -> int:
        employee = {"id": await self.employee_id("Anna")}
        data = await self.api(
            "start.employee_call",
            **{
                "first_call": first,
                "contact": customer.name,
                "virtual_phone_number": ANNAS_NUMBER,
                "employee": employee,
                **params,
            },
        )
        return int(data["call_session_id"])

    async def session_with(self, number: str) -> int:
        """The living session with this contact, once it talks."""
        deadline = time.monotonic() + _LIMIT
        while True:
            for call in await self.setup.living():
                talks = any(leg["state"] == "Conversation" for leg in call["legs"])
                if call["contact_phone_number"] == number and talks:
                    return int(call["call_session_id"])
            if time.monotonic() > deadline:
                raise TimeoutError(f"{number} does not talk: {await self.setup.living()}")
            await asyncio.sleep(0.05)

    async def living(self, session: int) -> Mapping[str, Any] | None:
        """The session in ``list.calls``."""
        calls = await self.setup.living()
        return next((call for call in calls if call["call_session_id"] == session), None)

    async def until_states(self, session: int, **wanted: str) -> None:
        """Until the legs of employees (by first name) and the ``contact`` are in these states."""
        deadline = time.monotonic() + _LIMIT
        while True:
            call = await self.living(session)
            seen: dict[str, str] = {}
            for leg in call["legs"] if call else ():
                name = leg["employee_full_name"]
                seen[name.split()[-1] if name else ("other" if leg["is_operator"] else "contact")] = leg[
                    "state"
                ]
            if seen == wanted:
                return
            assert time.monotonic() < deadline, f"legs are {seen}, not {wanted}"
            await asyncio.sleep(0.05)

    async def until_living(self, session: int) -> None:
        """Until a switch that was just started answers for the session."""
        deadline = time.monotonic() + _LIMIT
        while True:
            # Not yet: ApiError.
            with contextlib.suppress(ApiError):
                if await self.living(session) is not None:
                    return
            if time.monotonic() > deadline:
                raise TimeoutError(f"{session} is not known any more")
            await asyncio.sleep(0.1)

    async def engine_bridges(self) -> int:
        """Bridges of the product's own Asterisk, a moment after a call."""
        deadline = time.monotonic() + _LIMIT
        while (count := await self.setup.engine_count("bridges")) and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
        return count

    async def gone(self, session: int) -> None:
        """Until the session does not live any more, and the engine has no channel of it."""
        deadline = time.monotonic() + _LIMIT
        while await self.living(session) is not None or await self.setup.engine_channels():
            assert time.monotonic() < deadline, (
                f"still lives: {await self.setup.living()}, {await self.setup.engine_channels()}"
            )
            await asyncio.sleep(0.05)

    # --- who hears whom

    async def span(self, name: str, hears: Heard, seconds: float = 1.0) -> None:
        """Wait until parties hear each other as given, then let a while pass in which exactly these are heard; proven by
        :meth:`prove`."""
        parties = [
            listener.hears(speaker.tone, 0.2, PATIENCE)
            for listener, speakers in hears.items()
            for speaker in speakers
            if isinstance(speaker, Call)
        ]
        await asyncio.gather(asyncio.sleep(_SETTLING), *parties)
        start = time.time()
        await asyncio.sleep(seconds)
        self._spans.append(_Span(name, start, time.time(), hears))

    async def prove(self) -> None:
        """Hold every span against what the parties really heard."""
        ears: dict[Call, Ear] = {}
        known = {tone: name for name, tone in MEDIA_TONES.items()}
        for span in self._spans:
            for call, speakers in span.hears.items():
                known |= {one.tone: one.party for one in (call, *speakers) if isinstance(one, Call)}
                if call not in ears:
                    ears[call] = await call.ear()
        wrong = []
        for span in self._spans:
            for listener, speakers in span.hears.items():
                wanted = {one if isinstance(one, str) else one.party for one in speakers}
                heard = _heard(ears[listener], span, known)
                if heard.keys() != wanted or any(share < _MOST for share in heard.values()):
                    calls = [one for one in (listener, *speakers) if isinstance(one, Call)]
                    sent = {one.party: _heard(await one.sent(), span, known) for one in calls}
                    wrong.append(f"{span.name}: {listener.party} hears {heard}, not {wanted}; sent: {sent}")
        assert not wrong, "\n".join(wrong)

    # --- recordings

    async def recording(self, row: Mapping[str, Any], folder: Path) -> list[dict[float, list[Interval]]]:
        """When each tone sounds on the left and on the right, seconds from the beginning."""
        file = await self.recording_file(row, folder)
        channels, rate = tones.read_wav(file)
        known = {*self.setup.world.tones.values(), *MEDIA_TONES.values()}
        found = [tones.heard(channel, known, rate) for channel in channels]
        return [{tone: spans for tone, spans in channel.items() if spans} for channel in found]

    async def recording_file(self, row: Mapping[str, Any], folder: Path) -> Path:
        [recording_id] = row["wav_call_records"]
        status, body = await self.setup.installation.get(
            f"{self.setup.installation.url}/system/media/wav/{row['communication_id']}/{recording_id}/",
            {"Authorization": f"Bearer {self.setup.account.keys['data_api']}"},
        )
        assert status == 200, body
        file = folder / f"{recording_id}.wav"
        file.write_bytes(body)
        return file


def _heard(ear: Ear, span: _Span, known: Mapping[float, str]) -> dict[str, float]:
    """Names of all that sound in the span, each with its share of the time (1: all of it)."""
    first, last = ((at - ear.started_at) * ear.rate for at in (span.start + _EDGE, span.end - _EDGE))
    sound = ear.sound[max(0, round(first)) : max(0, round(last))]
    length = (last - first) / ear.rate
    found = {
        known[tone]: round(tones.total(spans) / length, 2)
        for tone, spans in tones.heard(sound, known, ear.rate).items()
        if spans
    }
    sounding = tones.total(tones.sounding(sound, ear.rate))
    if not found and sounding > 0.5 * length:
        return {MUSIC: 1.0}
    return found


async def make_client(setup: Setup) -> CallApiClient:
    """A client of the setup's account, with the ids of the company's media files."""
    dsn = postgres.dsn(setup.installation.settings)
    async with await psycopg.AsyncConnection.connect(dsn) as conn:
        cursor = await conn.execute(
            "select key, media_file_id from media_files where account_id = %s", (setup.account.account_id,)
        )
        media: dict[str, int] = dict(await cursor.fetchall())
    return CallApiClient(setup, media)
