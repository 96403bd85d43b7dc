"""Sends the mails of accounts: the job of each row of ``account_mails``."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trunkline.core.log import get_logger
from trunkline.core.retry import MAILS
from trunkline.core.settings import MailSettings
from trunkline.db.jobs import Jobs, RetryLater
from trunkline.db.pool import Database
from trunkline.mails.listener import JOB, QUEUE
from trunkline.outbound.mail import Attachment, Mail, Mailer, MailError

CONCURRENCY = {QUEUE: 2}

KEPT_DAYS = 90

_ROW = """
select m.mail_key, m.email, m.subject, m.body, m.sent_at, m.failure, m.call_session_id, r.mp3_path,
    extract(epoch from now() - m.created_at)::float8 as age, a.name as account_name
from account_mails m join accounts a using (account_id)
    left join recordings r on r.account_id = m.account_id and r.recording_id = m.recording_id and r.status = 'ready'
where m.account_id = %(account_id)s and m.mail_key = %(mail_key)s and m.email = %(email)s
"""

_SENT = """
update account_mails set sent_at = now()
where account_id = %(account_id)s and mail_key = %(mail_key)s and email = %(email)s
"""

_FAILED = """
update account_mails set failure = %(failure)s
where account_id = %(account_id)s and mail_key = %(mail_key)s and email = %(email)s
"""

_log = get_logger("mail")


class AccountMails:
    """Carries out the jobs.

    :param recordings_dir: folder of the recordings.
    """

    def __init__(self, db: Database, mailer: Mailer, settings: MailSettings, recordings_dir: Path) -> None:
        self._db = db
        self._mailer = mailer
        self._give_up_after = settings.give_up_after
        self._attachment_max = settings.attachment_max
        self._recordings = recordings_dir

    def register(self, jobs: Jobs) -> None:
        jobs.register(JOB, self.send, queue=QUEUE)

    async def send(self, account_id: int, mail_key: str, email: str) -> None:
        """Try once; the job is repeated when the server did not accept the mail and may do so later."""
        params = {"account_id": account_id, "mail_key": mail_key, "email": email}
        row = await self._db.fetch_one(_ROW, params)
        if row is None or row["sent_at"] is not None or row["failure"] is not None:
            return
        attachment, text = await asyncio.to_thread(self._attachment, row)
        mail = Mail(
            email,
            row["subject"],
            text,
            f"{mail_key}.{hashlib.sha256(email.encode()).hexdigest()[:12]}",
            (attachment,) if attachment is not None else (),
        )
        try:
            await self._mailer.send(mail)
        except MailError as error:
            if error.is_final or row["age"] > self._give_up_after:
                _log.error(
                    "account_mail_failed",
                    account_id=account_id,
                    call_session_id=row["call_session_id"],
                    mail_key=mail_key,
                    error=str(error),
                    consequence="the mail is not sent",
                    remedy="check the address, mail.host and the other settings of mail.*",
                )
                await self._db.execute(_FAILED, {**params, "failure": str(error)[:500]})
                return
            _log.warning(
                "account_mail_waits",
                account_id=account_id,
                call_session_id=row["call_session_id"],
                error=str(error),
                consequence="it is sent again later, until mail.give_up_after",
            )
            raise RetryLater(MAILS.pause_at_age(row["age"])) from error
        await self._db.execute(_SENT, params)

    def _attachment(self, row: Mapping[str, Any]) -> tuple[Attachment | None, str]:
        """The recording, and the text; without the recording the text has the reason."""
        if row["mp3_path"] is None:
            return None, row["body"]
        file = self._recordings / row["mp3_path"]
        try:
            if file.stat().st_size > self._attachment_max:
                return None, f"{row['body']}\nThe recording is too long for a mail.\n"
            return Attachment(f"message-{row['call_session_id']}.mp3", "audio/mpeg", file.read_bytes()), row[
                "body"
            ]
        except FileNotFoundError:
            return None, f"{row['body']}\nThe recording has been deleted.\n"


async def prune(db: Database, now: float | None = None) -> None:
    """Remove rows of old mails.

    :param now: Unix seconds.
    """
    before = (time.time() if now is None else now) - KEPT_DAYS * 86_400
    await db.execute(
        "delete from account_mails where created_at < to_timestamp(%(before)s)", {"before": before}
    )
