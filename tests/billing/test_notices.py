"""Mails on limits: each notice is sent once, and no mail is lost on its way to the server."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tests.billing.mail_server import MailServer
from tests.reports.lifelike import generate_calls, store
from tests.shared_database import SharedDatabase
from trunkline.accounts.administration import AccountProfile, Administration
from trunkline.billing import notices
from trunkline.billing.limits import enforce_limits
from trunkline.billing.notices import Kind, Notice, Sender
from trunkline.core.settings import MailSecurity, MailSettings, Settings
from trunkline.db.jobs import Jobs, RetryLater
from trunkline.db.pool import Database
from trunkline.outbound.mail import Mail, MailError, NullMailer, SmtpMailer, mailer, message_of
from trunkline.runtime import certificates

MARCH = datetime(2026, 3, 5, 12, tzinfo=UTC)
MAIL = Mail("money@example.com", "Too much", "Really: 5 €.", "limit.1")


def settings(server: MailServer, **more: Any) -> MailSettings:
    return MailSettings(
        host="127.0.0.1",
        port=server.port,
        sender="pbx@example.com",
        **{"security": MailSecurity.NONE, **more},
    )


def client(**limits: Any) -> dict[str, Any]:
    reported = {f"{kind}_{what}": None for kind in Kind for what in ("limit", "notify_limit")}
    emails = {f"{kind}_notify_emails": ["a@example.com"] for kind in Kind}
    return {**reported, **emails, "month": date(2026, 3, 1), "day": date(2026, 3, 5), **limits}


@pytest.mark.parametrize(
    ("used", "found"),
    [
        (79, []),
        (80, [(False, 80)]),
        (99, [(False, 80)]),
        (100, [(False, 80), (True, 100)]),
    ],
)
def test_what_was_reached(used: int, found: list[tuple[bool, int]]) -> None:
    limits = {"monthly_calls_limit": 100, "monthly_calls_notify_limit": 80}
    reported = notices.reached(client(**limits), {Kind.MONTHLY_CALLS: used})
    assert [(one.is_limit, one.amount) for one in reported] == found
    assert {one.period for one in reported} <= {date(2026, 3, 1)}
    assert notices.reached(client(**limits, monthly_calls_notify_emails=[]), {Kind.MONTHLY_CALLS: used}) == []
    daily = {"daily_calls_limit": 100, "daily_calls_notify_limit": 80}
    assert {one.period for one in notices.reached(client(**daily), {Kind.DAILY_CALLS: used})} <= {
        date(2026, 3, 5)
    }


def test_what_the_mail_says() -> None:
    money = Notice(Kind.MONTHLY_BASE, True, Decimal("118.10"), Decimal("120.0000"), date(2026, 3, 1))
    subject, text = notices.wording(money, "Harbour Cafe", "AED")
    assert subject == "Harbour Cafe has reached its limit of 118.1 AED"
    assert "used 120 AED in 2026-03" in text
    assert "locked until the next month" in text
    subject, text = notices.wording(
        Notice(Kind.DAILY_CALLS, False, 8, 9, date(2026, 3, 5)), "Harbour Cafe", "AED"
    )
    assert subject == "Harbour Cafe has used 8 calls"
    assert "used 9 calls in 2026-03-05" in text
    assert "nothing is locked" in text


@pytest.fixture
async def ids(db: Database) -> tuple[int, int]:
    """An agent and its client, which had ten calls on the fifth of March."""
    administration = Administration(db)
    agent = (
        await administration.create_account(AccountProfile("Agent", is_agent=True), login="agent")
    ).account_id
    profile = AccountProfile("Harbour\nCafé", time_zone="Asia/Dubai", parent_account_id=agent)
    client_id = (await administration.create_account(profile, login="client")).account_id
    await store(db, generate_calls(client_id, datetime(2026, 3, 5, tzinfo=UTC), days=1, count=10, seed=3))
    await db.execute("update call_sessions set start_time = '2026-03-05 10:00+00'")
    await db.execute(
        "insert into customers (account_id, customer_id, status, daily_calls_notify_limit, daily_calls_notify_emails)"
        " values (%s, %s, 'active', 5, '{one@example.com,two@example.com}')",
        (agent, client_id),
    )
    return agent, client_id


async def ordered(db: Database) -> list[dict[str, Any]]:
    rows = await db.fetch_all(
        "select args from procrastinate_jobs where task_name = %s and status = 'todo' order by id",
        (notices.SEND,),
    )
    return [row["args"] for row in rows]


async def test_each_address_is_reported_once_a_day(
    db: Database, purses: SharedDatabase, ids: tuple[int, int]
) -> None:
    jobs = Jobs(purses.dsn)
    for _ in range(2):
        assert await enforce_limits(db, jobs, MARCH) == 0
    mails = await ordered(db)
    assert [mail["to"] for mail in mails] == ["one@example.com", "two@example.com"]
    assert len({mail["message_id"] for mail in mails}) == 2
    await db.execute("update customers set daily_calls_notify_limit = 6, daily_calls_limit = 10")
    assert await enforce_limits(db, jobs, MARCH) == 1
    assert await enforce_limits(db, jobs, MARCH) == 0
    assert [mail["subject"] for mail in await ordered(db)][2::2] == [
        "Harbour\nCafé has used 6 calls",
        "Harbour\nCafé has reached its limit of 10 calls",
    ]
    assert await enforce_limits(db, jobs, datetime(2026, 3, 6, 12, tzinfo=UTC)) == 1
    assert len(await ordered(db)) == 6, "the next day has no calls yet"


async def test_mails_of_a_limit_arrive(
    db: Database, purses: SharedDatabase, ids: tuple[int, int], wait_until: Callable[..., Awaitable[None]]
) -> None:
    """From the limit to the server, by the worker's jobs."""
    async with MailServer() as server:
        jobs = Jobs(purses.dsn)
        sender = Sender(mailer(settings(server)), 60)
        jobs.register(notices.SEND, sender.send, queue=notices.QUEUE)
        await enforce_limits(db, jobs, MARCH)
        work = asyncio.create_task(jobs.run(notices.CONCURRENCY))
        try:
            await wait_until(lambda: len(server.got) == 2)
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
        assert {mail["To"] for mail in server.got} == {"one@example.com", "two@example.com"}
        assert {mail["Subject"] for mail in server.got} == {"Harbour Café has used 5 calls"}
        assert {mail["From"] for mail in server.got} == {"pbx@example.com"}
        assert "used 10 calls in 2026-03-05" in server.got[0].get_content()


@pytest.fixture
def wait_until() -> Callable[..., Awaitable[None]]:
    async def wait(done: Callable[[], bool], seconds: float = 20) -> None:
        async with asyncio.timeout(seconds):
            while not done():
                await asyncio.sleep(0.02)

    return wait


@pytest.mark.parametrize(
    ("answer", "is_final"), [("450 later", False), ("550 nobody here", True), ("421 busy", False)]
)
async def test_a_refused_mail(answer: str, is_final: bool) -> None:
    """What may be taken later is tried again, for as long as the setting says; what will not, is not."""
    async with MailServer() as server:
        server.answer = answer
        smtp = SmtpMailer(settings(server))
        with pytest.raises(MailError) as refused:
            await smtp.send(MAIL)
        assert refused.value.is_final is is_final
        sender = Sender(smtp, 60)
        send = (MAIL.to, MAIL.subject, MAIL.text, MAIL.message_id)
        if is_final:
            await sender.send(*send, datetime.now(UTC).timestamp())
        else:
            with pytest.raises(RetryLater):
                await sender.send(*send, datetime.now(UTC).timestamp())
        await sender.send(*send, datetime.now(UTC).timestamp() - 61)
        assert server.got == []
        server.answer = "250 fine"
        await sender.send(*send, datetime.now(UTC).timestamp())
        assert [mail["Message-ID"] for mail in server.got] == ["<limit.1@example.com>"]
        assert server.got[0].get_content().strip() == MAIL.text


async def test_a_server_that_is_not_there() -> None:
    async with MailServer() as server:
        there = settings(server)
    with pytest.raises(MailError) as refused:
        await SmtpMailer(there).send(MAIL)
    assert not refused.value.is_final


async def test_a_secret_way_and_a_login(tmp_path: Path) -> None:
    """The certificate is checked; the password is sent only after that."""
    pbx = Settings(data_dir=tmp_path)
    certificates.ensure(pbx)
    certificate = certificates.certificate_file(pbx)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificates.key_file(pbx))
    async with MailServer(context, ("pbx", "sun and sand")) as server:
        login = {"user": "pbx", "password": SecretStr("sun and sand"), "security": MailSecurity.STARTTLS}
        with pytest.raises(MailError, match=r"(?i)certificate"):
            await SmtpMailer(settings(server, **login)).send(MAIL)
        assert server.logins == []
        await SmtpMailer(settings(server, **login, trusted_certificates=certificate)).send(MAIL)
        assert server.was_secret == [True]
        assert [base64.b64decode(one) for one in server.logins] == [b"\0pbx\0sun and sand"]


async def test_without_a_server_nothing_is_sent() -> None:
    null = mailer(MailSettings())
    assert isinstance(null, NullMailer)
    await null.send(MAIL)


def test_no_header_can_be_smuggled_in() -> None:
    message = message_of(Mail("a@example.com", "Hello\r\nBcc: b@example.com", "x", "m"), "pbx@example.com")
    assert message["Bcc"] is None
    assert abs(message["Date"].datetime - datetime.now(UTC)) < timedelta(minutes=1)
    with pytest.raises(MailError) as refused:
        message_of(Mail("a@example.com\r\nBcc: b@example.com", "Hello", "x", "m"), "pbx@example.com")
    assert refused.value.is_final
