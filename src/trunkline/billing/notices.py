"""Mails on limits: a client has reached one, or the threshold before it.

What was reached is noted in ``customer_notices``, in one transaction with the jobs that send the mails: each is sent at
least once, and there is one notice for the same amount in the same month or day.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any

from trunkline.billing.rates import plain
from trunkline.core.log import get_logger
from trunkline.core.retry import MAILS
from trunkline.db.jobs import Jobs, RetryLater
from trunkline.db.pool import Database
from trunkline.outbound.mail import Mail, Mailer, MailError

_log = get_logger("billing")

QUEUE = "mails"
SEND = "send_limit_mail"
CONCURRENCY = {QUEUE: 2}

_NOTE = """
insert into customer_notices (account_id, customer_id, kind, is_limit, amount, period)
values (%(agent_id)s, %(customer_id)s, %(kind)s, %(is_limit)s, %(amount)s, %(period)s) on conflict do nothing
"""


class Kind(StrEnum):
    """What is limited; the beginning of the settings' names."""

    MONTHLY_BASE = "monthly_base"
    MONTHLY_CALLS = "monthly_calls"
    DAILY_CALLS = "daily_calls"


Used = Mapping[Kind, Decimal | int]
"""How much a client has used in its present month or day; kinds without a request are left out."""


@dataclass(frozen=True, slots=True)
class Notice:
    """An amount that was reached. ``is_limit``: the limit itself, not the threshold before it."""

    kind: Kind
    is_limit: bool
    amount: Decimal | int
    used: Decimal | int
    period: date
    """The month's first day, or the day, by the client's calendar."""


def reached(client: Mapping[str, Any], used: Used) -> list[Notice]:
    """The limits and thresholds that a client has reached and that need a notice. Pure.

    :param client: settings of ``customers``, ``month`` and ``day``.
    """
    found = []
    for kind, amount in used.items():
        if not client[f"{kind}_notify_emails"]:
            continue
        period = client["day"] if kind is Kind.DAILY_CALLS else client["month"]
        for is_limit, name in ((False, f"{kind}_notify_limit"), (True, f"{kind}_limit")):
            limit = client[name]
            if limit is not None and amount >= limit:
                found.append(Notice(kind, is_limit, limit, amount, period))
    return found


def wording(notice: Notice, name: str, currency: str) -> tuple[str, str]:
    """Subject and text of the mail. Pure.

    :param name: of the client.
    """
    of_money = notice.kind is Kind.MONTHLY_BASE
    amount, used = (
        f"{plain(Decimal(value))} {currency}" if of_money else f"{value} calls"
        for value in (notice.amount, notice.used)
    )
    period = "day" if notice.kind is Kind.DAILY_CALLS else "month"
    when = notice.period.isoformat() if period == "day" else f"{notice.period:%Y-%m}"
    if notice.is_limit:
        subject = f"{name} has reached its limit of {amount}"
        then = f"The account is locked until the next {period} begins or the limit is raised."
    else:
        subject = f"{name} has used {amount}"
        then = "This is the threshold for a notice; nothing is locked by it."
    return subject, f"{name} has used {used} in {when}, of which you wanted to know at {amount}.\n\n{then}\n"


async def enqueue_notices(
    database: Database, jobs: Jobs, client: Mapping[str, Any], notices: Sequence[Notice]
) -> int:
    """Enqueue the mails of new notices; returns the number of notices.

    :param client: ``agent_id``, ``customer_id``, ``name``, ``currency`` and settings of ``customers``.
    """
    enqueued = 0
    for notice in notices:
        async with database.connection() as connection:
            row = {
                "agent_id": client["agent_id"],
                "customer_id": client["customer_id"],
                "kind": notice.kind.value,
                "is_limit": notice.is_limit,
                "amount": notice.amount,
                "period": notice.period,
            }
            if not (await connection.execute(_NOTE, row)).rowcount:
                continue
            enqueued += 1
            subject, text = wording(notice, client["name"], client["currency"])
            mark = (
                f"{client['customer_id']}.{notice.kind}.{notice.is_limit:d}.{plain(Decimal(notice.amount))}"
            )
            for place, address in enumerate(client[f"{notice.kind}_notify_emails"]):
                args = {
                    "to": address,
                    "subject": subject,
                    "text": text,
                    "message_id": f"limit.{mark}.{notice.period:%Y%m%d}.{place}",
                    "ordered_at": time.time(),
                }
                await jobs.enqueue(connection, SEND, args, queue=QUEUE)
    return enqueued


class Sender:
    """Does the jobs.

    :param give_up_after: seconds during which a mail is tried again.
    """

    def __init__(self, mailer: Mailer, give_up_after: float) -> None:
        self._mailer = mailer
        self._give_up_after = give_up_after

    async def send(self, to: str, subject: str, text: str, message_id: str, ordered_at: float) -> None:
        """One try; another is asked for when the mail was not taken and may be later."""
        try:
            await self._mailer.send(Mail(to, subject, text, message_id))
        except MailError as error:
            age = time.time() - ordered_at
            if error.is_final or age > self._give_up_after:
                _log.error(
                    "mail_refused",
                    subject=subject,
                    error=str(error),
                    age=round(age),
                    consequence="the mail is not sent",
                    remedy="check the address, mail.host and the other settings of mail.*",
                )
                return
            _log.warning(
                "mail_waits",
                subject=subject,
                error=str(error),
                consequence="it is sent again later, until mail.give_up_after",
            )
            raise RetryLater(MAILS.pause_at_age(age)) from error
