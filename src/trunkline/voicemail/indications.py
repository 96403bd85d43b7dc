"""Message-waiting indication: phones show how many messages are in the mailbox of their employee.

The numbers are sent when a message comes, is saved or deleted (the database announces it), and to each phone that
registers. What cannot be sent is sent with the next change or registration.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

import psycopg

from trunkline.core.engine_values import SipLogin
from trunkline.core.errors import DatabaseUnavailable, EngineError
from trunkline.core.log import get_logger
from trunkline.core.tasks import core_task
from trunkline.db.pool import Database, log_cause
from trunkline.directory.model import Directory
from trunkline.telephony.port import Registered, Signal, Unregistered

CHANNEL = "trunkline_mailboxes"
"""Announcements: ``account_id:employee_id``."""

GATHER_SECONDS = 0.2
"""How long a first change waits for others."""

RETRY_SECONDS = 1.0

MAILBOXES_AT_ONCE = 500
"""Mailboxes that one statement counts."""

Send = Callable[[SipLogin, int, int], Awaitable[None]]
"""Sends the devices of a line the numbers of new and saved messages."""

Mailbox = tuple[int, int]
"""Account and employee."""

_COUNTS = """
select w.account_id, w.employee_id,
    count(r.recording_id) filter (where not m.is_saved) as new, count(r.recording_id) filter (where m.is_saved) as saved,
    exists (select from voice_mailboxes b
        where b.account_id = w.account_id and b.employee_id = w.employee_id) as has_mailbox
from unnest(%(accounts)s::bigint[], %(employees)s::bigint[]) as w (account_id, employee_id)
left join voice_messages m on m.account_id = w.account_id and m.employee_id = w.employee_id
left join recordings r on r.account_id = m.account_id and r.recording_id = m.recording_id
    and r.status = 'ready' and r.wav_path is not null
group by w.account_id, w.employee_id
"""

_log = get_logger("voicemail")


@dataclass(frozen=True, slots=True)
class _Count:
    new: int
    saved: int
    is_known: bool
    """Whether there is a mailbox: it has a PIN, or messages."""


class MessageIndicator:
    """Sends the phones of this node the numbers of messages.

    :param is_online: whether a device is registered for a login.
    """

    def __init__(
        self, db: Database, send: Send, directory: Callable[[], Directory], is_online: Callable[[str], bool]
    ) -> None:
        self._db = db
        self._send = send
        self._directory = directory
        self._is_online = is_online
        self._devices: set[tuple[str, str]] = set()
        self._changed: set[Mailbox] = set()
        self._registered: set[str] = set()
        """Logins of lines with a new device."""
        self._wake = asyncio.Event()

    def handle(self, signal: Signal) -> None:
        """A phone that registers gets the numbers; refreshes of a registration change nothing."""
        match signal:
            case Registered():
                device = signal.line, signal.contact_uri
                if device not in self._devices:
                    self._devices.add(device)
                    self._registered.add(signal.line)
                    self._wake.set()
            case Unregistered():
                self._devices.discard((signal.line, signal.contact_uri))
            case _:
                pass

    async def listen(self) -> None:
        """Follow the announcements until cancelled."""
        async for payload in self._db.listen(CHANNEL):
            account_id, _, employee_id = payload.partition(":")
            if account_id.isdecimal() and employee_id.isdecimal():
                self._changed.add((int(account_id), int(employee_id)))
            else:  # connected again: announcements may be lost
                self._registered.update(line for line, _ in self._devices)
            self._wake.set()

    async def run(self) -> None:
        """Send what changed until cancelled."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(GATHER_SECONDS)
            self._wake.clear()
            changed, self._changed = self._changed, set()
            registered, self._registered = self._registered, set()
            try:
                await self._send_all(changed, registered)
            except (psycopg.Error, DatabaseUnavailable) as error:
                _log.warning(
                    "message_indication_not_read",
                    cause=log_cause(error),
                    error=str(error),
                    consequence="phones show new messages later; it is tried again",
                )
                self._changed |= changed
                self._registered |= registered
                self._wake.set()
                await asyncio.sleep(RETRY_SECONDS)

    async def _send_all(self, changed: set[Mailbox], registered: set[str]) -> None:
        lines: dict[Mailbox, set[str]] = {mailbox: self._lines_of(mailbox) for mailbox in changed}
        for login in registered:
            mailbox = self._mailbox_of(login)
            if mailbox is not None and mailbox not in changed:
                lines.setdefault(mailbox, set()).add(login)
        mailboxes = [mailbox for mailbox, logins in lines.items() if logins]
        for first in range(0, len(mailboxes), MAILBOXES_AT_ONCE):
            counts = await self._counts(mailboxes[first : first + MAILBOXES_AT_ONCE])
            for mailbox, count in counts.items():
                if count.is_known or mailbox in changed:
                    for login in sorted(lines[mailbox]):
                        await self._send_one(login, count)

    async def _send_one(self, login: str, count: _Count) -> None:
        if not self._is_online(login):
            return
        try:
            await self._send(SipLogin(login), count.new, count.saved)
        except EngineError as error:
            _log.info("message_indication_not_sent", line=login, error=str(error))

    async def _counts(self, mailboxes: Sequence[Mailbox]) -> dict[Mailbox, _Count]:
        params = {"accounts": [one[0] for one in mailboxes], "employees": [one[1] for one in mailboxes]}
        rows = await self._db.fetch_all(_COUNTS, params)
        return {
            (row["account_id"], row["employee_id"]): _Count(
                row["new"], row["saved"], row["has_mailbox"] or row["new"] + row["saved"] > 0
            )
            for row in rows
        }

    def _lines_of(self, mailbox: Mailbox) -> set[str]:
        account = self._directory().accounts.get(mailbox[0])
        if account is None:
            return set()
        owners = ((line, account.employee_of_line(line.sip_line_id)) for line in account.lines.values())
        return {
            line.phone_number
            for line, owner in owners
            if owner is not None and owner.employee_id == mailbox[1]
        }

    def _mailbox_of(self, login: str) -> Mailbox | None:
        found = self._directory().line(login)
        if found is None:
            return None
        account, line = found
        owner = account.employee_of_line(line.sip_line_id)
        return (account.account_id, owner.employee_id) if owner is not None else None


@contextlib.asynccontextmanager
async def indicating_messages(indicator: MessageIndicator) -> AsyncIterator[None]:
    """Send the numbers of messages for the time of the block."""
    tasks = [
        core_task(indicator.listen(), name="mailbox-listen"),
        core_task(indicator.run(), name="message-indication"),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
