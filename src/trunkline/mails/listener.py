"""Writes the mails that follow from events, and enqueues the jobs that send them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from psycopg import AsyncConnection

from trunkline.core.clock import to_datetime
from trunkline.core.log import get_logger
from trunkline.db.jobs import Jobs
from trunkline.events import store
from trunkline.events.catalogue import Event, EventType
from trunkline.mails import wording
from trunkline.mails.wording import Wording

QUEUE = "account_mails"
JOB = "send_account_mail"

DOMAIN_NOT_ALLOWED = "domain_not_allowed"
DAILY_LIMIT = "daily_limit"

LinkOf = Callable[[int, str, str], str]
"""``(call_session_id, recording_id, kind)``: where that recording can be fetched."""

_ACCOUNT = """
select time_zone, mail_domains, (select count(*) from account_mails m
    where m.account_id = %(account_id)s and m.failure is null and m.created_at > now() - interval '1 day') as today
from accounts where account_id = %(account_id)s
"""

_NEW = """
insert into account_mails (account_id, mail_key, email, call_session_id, recording_id, subject, body, failure)
values (%(account_id)s, %(mail_key)s, %(email)s, %(call_session_id)s, %(recording_id)s, %(subject)s, %(body)s, %(failure)s)
on conflict do nothing
"""

_log = get_logger("mail")


class MailListener:
    """A listener of the relay.

    :param links: makes addresses of recordings.
    :param per_day: mails of an account within 24 hours.
    """

    name = "mails"

    def __init__(self, jobs: Jobs, links: LinkOf, per_day: int) -> None:
        self._jobs = jobs
        self._links = links
        self._per_day = per_day

    async def on_events(self, conn: AsyncConnection[Any], events: Sequence[Event]) -> None:
        """See :class:`trunkline.events.relay.Listener`."""
        for event in events:
            if event.type is EventType.RECORDING_READY and event.data.get("kind") == "voice_mail":
                await self._voice_message(conn, event)
            elif event.type is EventType.SCENARIO_NOTIFICATION and event.data.get("emails"):
                await self._notification(conn, event)

    async def _voice_message(self, conn: AsyncConnection[Any], event: Event) -> None:
        left = next(
            (
                one
                for one in await _events_of_call(conn, event)
                if one.type is EventType.VOICE_MAIL_LEFT
                and one.data.get("leg_id") == event.data.get("leg_id")
            ),
            None,
        )
        emails = left.data.get("emails") if left is not None and not left.data.get("is_empty") else None
        if left is None or not emails or event.call_session_id is None:
            return
        recording_id = str(event.data["recording_id"])
        link = self._links(event.call_session_id, recording_id, "voice_mail")
        await self._make(
            conn,
            event,
            f"voice_mail.{recording_id}",
            emails,
            lambda zone: wording.voice_message(event.data, to_datetime(left.at).astimezone(zone), link),
            recording_id,
        )

    async def _notification(self, conn: AsyncConnection[Any], event: Event) -> None:
        started = next(iter(await _events_of_call(conn, event)), None)
        session = started.data if started is not None else {}
        await self._make(
            conn,
            event,
            f"notification.{event.call_session_id}.{event.seq}",
            event.data["emails"],
            lambda zone: wording.scenario_notification(
                event.data, session, to_datetime(event.at).astimezone(zone)
            ),
        )

    async def _make(
        self,
        conn: AsyncConnection[Any],
        event: Event,
        mail_key: str,
        emails: Sequence[str],
        word: Callable[[ZoneInfo], Wording],
        recording_id: str | None = None,
    ) -> None:
        """Write the rows, each once, and enqueue their jobs."""
        params = {"account_id": event.account_id}
        account = await (await conn.execute(_ACCOUNT, params)).fetchone()
        if account is None:
            return
        said = word(ZoneInfo(account["time_zone"]))
        used = account["today"]
        for email in dict.fromkeys(emails):
            failure = self._why_not(email, account["mail_domains"], used)
            row = {
                "account_id": event.account_id,
                "mail_key": mail_key,
                "email": email,
                "call_session_id": event.call_session_id,
                "recording_id": recording_id,
                "subject": said.subject,
                "body": said.text,
                "failure": failure,
            }
            if not (await conn.execute(_NEW, row)).rowcount:
                continue
            if failure is not None:
                _log.warning(
                    "account_mail_refused",
                    account_id=event.account_id,
                    reason=failure,
                    consequence="the mail is not sent; its row has the reason",
                )
                continue
            used += 1
            args = {"account_id": event.account_id, "mail_key": mail_key, "email": email}
            await self._jobs.enqueue(conn, JOB, args, queue=QUEUE)

    def _why_not(self, email: str, domains: Sequence[str] | None, used: int) -> str | None:
        if not wording.is_allowed(email, domains):
            return DOMAIN_NOT_ALLOWED
        return DAILY_LIMIT if used >= self._per_day else None


async def _events_of_call(conn: AsyncConnection[Any], event: Event) -> list[Event]:
    if event.call_session_id is None:
        return []
    found = await store.events_of_calls(conn, [(event.account_id, event.call_session_id)])
    return found[event.stream]
