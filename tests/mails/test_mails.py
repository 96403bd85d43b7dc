"""Mails of accounts: voice messages with their recording, and notifications of scenarios, each once and none lost."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.billing.mail_server import MailServer
from tests.notifications.rig import Rig, links_of, new_session_id, open_rig
from tests.recordings.test_assembly import tone
from tests.recordings.test_service import call, spool
from trunkline.accounts.administration import Administration
from trunkline.core.clock import Instant
from trunkline.core.errors import InvalidInput
from trunkline.core.settings import MailSecurity, MailSettings, Settings
from trunkline.core.spool import mark_spool
from trunkline.db.jobs import Jobs
from trunkline.events.catalogue import Event, EventType
from trunkline.events.relay import Relay
from trunkline.mails import sending, wording
from trunkline.mails.listener import MailListener
from trunkline.mails.sending import AccountMails
from trunkline.outbound.mail import Attachment, Mail, mailer, message_of
from trunkline.recordings import worker as recordings
from trunkline.recordings.listener import RecordingListener
from trunkline.speech.audio import decode

NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)
OFFICE, ANNA = "office@example.com", "anna@example.com"


@pytest.fixture
async def rig(database: str) -> AsyncIterator[Rig]:
    async with open_rig(database) as rig:
        yield rig


def mail_settings(server: MailServer, **more: Any) -> MailSettings:
    return MailSettings(
        host="127.0.0.1", port=server.port, sender="pbx@example.com", security=MailSecurity.NONE, **more
    )


def listener(rig: Rig, jobs: Jobs, per_day: int = 1000) -> MailListener:
    return MailListener(jobs, lambda *one: links_of(*one).file, per_day)


# --- what they say


def test_what_a_mail_about_a_message_says() -> None:
    data = {
        "contact_phone_number": "12025550142",
        "contact_full_name": "Stone",
        "virtual_phone_number": "97140000200",
        "file_duration": 75.4,
    }
    said = wording.voice_message(data, NOON, "https://pbx.example/x")
    assert said.subject == "Voice message from Stone +12025550142 (1:15)"
    assert "Number called: +97140000200" in said.text
    assert "https://pbx.example/x" in said.text
    hidden = wording.voice_message(
        {**data, "contact_phone_number": None, "contact_full_name": None}, NOON, ""
    )
    assert "from a withheld number" in hidden.subject


@pytest.mark.parametrize(
    ("address", "domains", "allowed"),
    [
        ("a@example.com", None, True),
        ("a@Example.com", ["example.COM"], True),
        ("a@example.com.evil.example", ["example.com"], False),
        ("a@sub.example.com", ["example.com"], False),
        ("a@example.com", [], False),
    ],
)
def test_domains_of_an_account(address: str, domains: list[str] | None, allowed: bool) -> None:
    assert wording.is_allowed(address, domains) is allowed


def test_a_name_with_line_breaks_adds_no_header() -> None:
    said = wording.voice_message({"contact_full_name": "A\r\nBcc: b@example.com"}, NOON, "")
    message = message_of(Mail(OFFICE, said.subject, said.text, "x"), "pbx@example.com")
    assert message["Bcc"] is None
    assert "\n" not in message["Subject"]


def test_an_attachment_is_a_part_of_its_type() -> None:
    mail = Mail(OFFICE, "S", "T", "x", (Attachment("a.mp3", "audio/mpeg", b"\xff\xfb"),))
    [part] = message_of(mail, "pbx@example.com").iter_attachments()
    assert (part.get_filename(), part.get_content_type(), part.get_content()) == (
        "a.mp3", "audio/mpeg", b"\xff\xfb",
    )  # fmt: skip


# --- a voice message, from the end of the recording to the mail server


async def leave_message(rig: Rig, settings: Settings, **changes: Any) -> int:
    """A call in which a message was left; its raw audio is in the spool."""
    session = new_session_id()
    emails = changes.pop("emails", [OFFICE, ANNA])
    spool(settings, session, message=tone(440, 2))
    events = [
        dataclasses.replace(one, data={**one.data, "emails": emails, **changes})
        if one.type is EventType.VOICE_MAIL_LEFT
        else one
        for one in call(rig.account_id, session, recorded=False, mail=f"{session}/message.sln")
    ]
    await rig.happened(*events)
    return session


@contextlib.asynccontextmanager
async def working(rig: Rig, settings: Settings, mails: MailSettings) -> AsyncIterator[None]:
    jobs = Jobs(rig.dsn)
    AccountMails(rig.db, mailer(mails), mails, settings.recordings_dir).register(jobs)
    relay = Relay(rig.db, [RecordingListener(jobs), listener(rig, jobs)])
    async with recordings.recording(rig.db, jobs, settings):
        tasks = [
            asyncio.create_task(relay.run()),
            asyncio.create_task(
                jobs.run(lambda: {**recordings.concurrency(settings), **sending.CONCURRENCY})
            ),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_message_arrives_with_its_recording(
    rig: Rig, tmp_path: Path, wait_until: Callable[..., Awaitable[None]]
) -> None:
    settings = Settings(data_dir=tmp_path)
    mark_spool(settings)
    async with MailServer() as server, working(rig, settings, mail_settings(server)):
        await leave_message(rig, settings)
        await wait_until(lambda: len(server.got) == 2)
    assert {str(mail["To"]) for mail in server.got} == {OFFICE, ANNA}
    for mail in server.got:
        [part] = mail.iter_attachments()
        assert part.get_content_type() == "audio/mpeg"
        assert len(decode(part.get_content())) == pytest.approx(2 * 16_000, rel=0.1), "two seconds"
        assert "Voice message from" in mail["Subject"]
    assert len({mail["Message-ID"] for mail in server.got}) == 2
    rows = await rig.db.fetch_all("select sent_at, failure from account_mails")
    assert all(row["sent_at"] is not None and row["failure"] is None for row in rows)


async def test_a_long_recording_is_linked_only(
    rig: Rig, tmp_path: Path, wait_until: Callable[..., Awaitable[None]]
) -> None:
    settings = Settings(data_dir=tmp_path)
    mark_spool(settings)
    async with MailServer() as server, working(rig, settings, mail_settings(server, attachment_max=100)):
        await leave_message(rig, settings, emails=[OFFICE])
        await wait_until(lambda: len(server.got) == 1)
    assert not list(server.got[0].iter_attachments())
    assert "too long for a mail" in server.got[0].get_content()


@pytest.mark.parametrize("changes", [{"emails": []}, {"is_empty": True}])
async def test_nobody_is_mailed(rig: Rig, tmp_path: Path, changes: dict[str, Any]) -> None:
    settings = Settings(data_dir=tmp_path)
    mark_spool(settings)
    session = await leave_message(rig, settings, **changes)
    async with rig.db.connection() as connection:
        ready = Event(
            rig.account_id,
            f"call:{session}",
            99,
            EventType.RECORDING_READY,
            Instant(NOON.timestamp()),
            {"kind": "voice_mail", "leg_id": 1, "recording_id": "r"},
        )
        await listener(rig, Jobs(rig.dsn)).on_events(connection, [ready])
    assert await rig.db.fetch_all("select 1 from account_mails") == []


# --- notifications, limits, repeats


def notification(rig: Rig, seq: int, *emails: str) -> Event:
    data = {"operation_id": 1, "operation_name": "tell", "message": "Workshop", "emails": list(emails)}
    return Event(
        rig.account_id,
        f"call:{new_session_id()}",
        seq,
        EventType.SCENARIO_NOTIFICATION,
        Instant(NOON.timestamp()),
        data,
    )


async def handle(rig: Rig, *events: Event, per_day: int = 1000) -> None:
    async with rig.db.connection() as connection:
        await listener(rig, Jobs(rig.dsn), per_day).on_events(connection, events)


async def rows(rig: Rig) -> list[tuple[str, str | None]]:
    found = await rig.db.fetch_all("select email, failure from account_mails order by created_at, email")
    return [(row["email"], row["failure"]) for row in found]


async def jobs_of(rig: Rig) -> int:
    row = await rig.db.fetch_one(
        "select count(*) as n from procrastinate_jobs where task_name = 'send_account_mail'"
    )
    assert row is not None
    return int(row["n"])


async def test_an_event_that_comes_twice_makes_one_mail(rig: Rig) -> None:
    event = notification(rig, 3, OFFICE, OFFICE)
    await handle(rig, event)
    await handle(rig, event, event)
    assert (await rows(rig), await jobs_of(rig)) == ([(OFFICE, None)], 1)


async def test_a_domain_that_the_account_may_not_mail_to(rig: Rig) -> None:
    await Administration(rig.db).set_mail_domains(rig.account_id, ["example.com"])
    await handle(rig, notification(rig, 3, OFFICE, "a@elsewhere.example"))
    assert sorted(await rows(rig)) == [("a@elsewhere.example", "domain_not_allowed"), (OFFICE, None)]
    assert await jobs_of(rig) == 1
    await Administration(rig.db).set_mail_domains(rig.account_id, None)
    await handle(rig, notification(rig, 3, "a@elsewhere.example"))
    assert await jobs_of(rig) == 2
    with pytest.raises(InvalidInput, match="is not a domain"):
        await Administration(rig.db).set_mail_domains(rig.account_id, ["@example.com"])


async def test_the_limit_of_a_day(rig: Rig) -> None:
    for _ in range(3):
        await handle(rig, notification(rig, 3, OFFICE, ANNA), per_day=3)
    failures = [failure for _, failure in await rows(rig)]
    assert sorted(map(str, failures)) == ["None"] * 3 + ["daily_limit"] * 3
    await rig.db.execute("update account_mails set created_at = created_at - interval '25 hours'")
    await handle(rig, notification(rig, 3, OFFICE), per_day=3)
    assert await jobs_of(rig) == 4


async def test_a_worker_that_ends_at_any_moment_loses_no_mail(
    rig: Rig, tmp_path: Path, wait_until: Callable[..., Awaitable[None]]
) -> None:
    """Each try is cut off after another time; the last one is not. All copies of a mail have one Message-ID."""
    settings = Settings(data_dir=tmp_path)
    async with MailServer() as server:
        mails = AccountMails(
            rig.db, mailer(mail_settings(server)), mail_settings(server), settings.recordings_dir
        )
        wanted = [f"a{n}@example.com" for n in range(8)]
        await handle(rig, notification(rig, 3, *wanted))
        keys = await rig.db.fetch_all("select account_id, mail_key, email from account_mails")
        for number, key in enumerate(keys):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(mails.send(**key), number * 0.004)
        for key in keys:
            await mails.send(**key)
            await mails.send(**key)
        await wait_until(lambda: {str(mail["To"]) for mail in server.got} >= set(wanted))
    ids = {(str(mail["To"]), mail["Message-ID"]) for mail in server.got}
    assert len(ids) == len(wanted)
    assert all(
        row["sent_at"] is not None for row in await rig.db.fetch_all("select sent_at from account_mails")
    )


async def test_what_the_server_refuses_for_good_is_kept_with_the_reason(rig: Rig, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    async with MailServer() as server:
        server.answer = "550 no such person"
        mails = AccountMails(
            rig.db, mailer(mail_settings(server)), mail_settings(server), settings.recordings_dir
        )
        await handle(rig, notification(rig, 3, OFFICE))
        [key] = await rig.db.fetch_all("select account_id, mail_key, email from account_mails")
        await mails.send(**key)
    assert (await rows(rig))[0][1] == "550 no such person"


async def test_old_mails_are_removed(rig: Rig) -> None:
    await handle(rig, notification(rig, 3, OFFICE, ANNA))
    await rig.db.execute(
        "update account_mails set created_at = now() - interval '91 days' where email = %(email)s",
        {"email": ANNA},
    )
    await sending.prune(rig.db)
    assert await rows(rig) == [(OFFICE, None)]
