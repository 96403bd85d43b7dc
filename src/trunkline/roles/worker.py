"""The worker role: deliveries, recordings, voice analysis, uploads, money, housekeeping."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from functools import partial

import psycopg

from trunkline.accounts import retention
from trunkline.accounts.retention import DataKind
from trunkline.accounts.secrets import Cipher
from trunkline.accounts.service import Accounts
from trunkline.analysis import worker as analysis_worker
from trunkline.analysis.jobs import AnalysisListener, when_ready
from trunkline.apis.call_api import idempotency
from trunkline.apis.service import request_log
from trunkline.billing import notices
from trunkline.billing.rating import BillingListener
from trunkline.billing.worker import run_billing
from trunkline.core import log
from trunkline.core.clock import to_datetime
from trunkline.core.errors import TrunklineError
from trunkline.core.settings import Settings
from trunkline.db.jobs import Jobs
from trunkline.db.pool import Database, log_cause
from trunkline.dialer.retention import remove_attempts
from trunkline.directory.media.spoken_retention import remove_spoken_texts
from trunkline.directory.media.store import ensure_system_media
from trunkline.events.relay import Listener, Relay
from trunkline.events.retention import remove_calls
from trunkline.events.upkeep import run_upkeep
from trunkline.hubspot import calls as hubspot_calls
from trunkline.hubspot import worker as hubspot_worker
from trunkline.hubspot.listener import HubSpotListener
from trunkline.mails import sending
from trunkline.mails.listener import MailListener
from trunkline.mails.sending import AccountMails
from trunkline.notifications import deliveries
from trunkline.notifications import worker as notifications_worker
from trunkline.notifications.listener import NotificationListener
from trunkline.outbound.mail import mailer
from trunkline.provisioning import browser_lines
from trunkline.recordings import worker as recordings_worker
from trunkline.recordings.links import LinkMaker, base_url
from trunkline.recordings.listener import RecordingListener
from trunkline.recordings.retention import remove_recordings
from trunkline.reports import rollup
from trunkline.roles import installation_alarms
from trunkline.roles.backlog import run_backlog
from trunkline.roles.common import database, until_stopped
from trunkline.roles.health import Health
from trunkline.roles.installation_alarms import run_alarms
from trunkline.roles.weak_passwords import run_weak_passwords
from trunkline.runtime import postgres, secrets
from trunkline.site import requests as site_requests
from trunkline.speech.espeak import EspeakSpeech
from trunkline.uploads import limit_states, sessions
from trunkline.uploads import worker as uploads_worker
from trunkline.uploads.storage import Quota
from trunkline.voicemail import mailboxes
from trunkline.voicemail.mailboxes import MailboxListener

_log = log.get_logger("roles")

HOUSEKEEPING_PERIOD = 3600.0
"""Seconds."""


async def run(settings: Settings, health: Health, stopped: asyncio.Event) -> None:
    """Everything that need not happen at once, until ``stopped``."""
    dsn = postgres.dsn(settings)
    own = secrets.load(settings)
    async with contextlib.AsyncExitStack() as stack:
        db = await stack.enter_async_context(database(dsn, "trunkline-worker", max_size=20, stopped=stopped))
        jobs = Jobs(dsn)
        await stack.enter_async_context(
            notifications_worker.delivering(
                db, settings.notifications, Cipher(own.master_key), settings.uploads, settings.loopback_ports
            )
        )
        await stack.enter_async_context(recordings_worker.recording(db, jobs, settings))
        transcribe = settings.analysis.transcribe_all
        await stack.enter_async_context(
            uploads_worker.uploading(db, jobs, settings, [when_ready(jobs, transcribe)])
        )
        analysis_worker.analysing(db, jobs, settings)
        sender = notices.Sender(mailer(settings.mail), settings.mail.give_up_after)
        jobs.register(notices.SEND, sender.send, queue=notices.QUEUE)
        AccountMails(db, mailer(settings.mail), settings.mail, settings.recordings_dir).register(jobs)
        links = LinkMaker(base_url(settings.web.public_url, settings.web.http_bind, settings.web.http_port))
        listeners: list[Listener] = [
            RecordingListener(jobs),
            NotificationListener(links.of),
            BillingListener(),
            AnalysisListener(jobs, transcribe),
            MailboxListener(),
            MailListener(jobs, lambda *one: links.of(*one).file, settings.mail.account_mails_per_day),
            HubSpotListener(),
            site_requests.LostCallbacks(),
        ]
        await stack.enter_async_context(
            hubspot_worker.syncing(
                db,
                settings.hubspot,
                Cipher(own.master_key),
                hubspot_worker.playable_links(settings),
                settings.loopback_ports,
            )
        )
        relay = Relay(db, listeners)
        await ensure_system_media(db, settings.media_dir, EspeakSpeech())
        health.ready()

        def concurrency() -> dict[str, int]:
            return {
                **recordings_worker.concurrency(settings),
                **uploads_worker.CONCURRENCY,
                **analysis_worker.CONCURRENCY,
                **notices.CONCURRENCY,
                **sending.CONCURRENCY,
            }

        await until_stopped(
            stopped,
            jobs=jobs.run(concurrency),
            relay=relay.run(),
            upkeep=run_upkeep(db, listeners),
            billing=run_billing(db, jobs),
            housekeeping=_housekeeping(db, settings),
            upload_limits=limit_states.run_limits(db, Quota.of(settings)),
            browser_lines=browser_lines.run_ends(db),
            backlog=run_backlog(db),
            weak_passwords=run_weak_passwords(db),
            alarms=run_alarms(db, jobs, settings.mail.administrators),
        )


async def remove_old(db: Database, settings: Settings, now: float | None = None) -> None:
    """Remove data whose retention is over, in small batches: logs, visits, recordings, then calls and
    attempts of campaigns, and unused spoken texts.

    :param now: Unix seconds.
    """
    now = time.time() if now is None else now
    accounts = await retention.of_all_accounts(db, settings)

    def days(kind: DataKind) -> dict[int, int | None]:
        return {account_id: values[kind].days for account_id, values in accounts.items()}

    def before(kind: DataKind) -> dict[int, float | None]:
        return {
            account_id: None if limit is None else now - limit * 86_400
            for account_id, limit in days(kind).items()
        }

    await request_log.prune(db, days(DataKind.REQUEST_LOG))
    await deliveries.prune(db, days(DataKind.DELIVERY_LOG))
    await sessions.prune(db, before(DataKind.VISITS))
    sound, calls = before(DataKind.RECORDINGS), before(DataKind.CALLS)
    latest = {one: [moment for moment in (sound[one], calls[one]) if moment is not None] for one in accounts}
    await remove_recordings(
        db, settings.recordings_dir, {one: max(moments) for one, moments in latest.items() if moments}
    )
    await remove_calls(db, calls, to_datetime(now))
    await remove_attempts(db, calls)
    if settings.retention.spoken_texts_days is not None:
        await remove_spoken_texts(db, settings.media_dir, settings.retention.spoken_texts_days)


async def _housekeeping(db: Database, settings: Settings) -> None:
    """Remove what is old, once an hour. What fails is tried in the next hour; nothing else waits for it."""
    steps: tuple[Callable[[], Awaitable[object]], ...] = (
        Accounts(db).prune,
        partial(remove_old, db, settings),
        partial(idempotency.prune, db),
        partial(rollup.compact, db),
        partial(sending.prune, db),
        partial(hubspot_calls.prune, db),
        partial(mailboxes.prune, db),
        partial(installation_alarms.prune, db),
        partial(site_requests.prune, db),
    )
    while True:
        for step in steps:
            try:
                await step()
            except (TrunklineError, psycopg.Error, OSError) as error:
                _log.warning(
                    "housekeeping_failed",
                    cause=log_cause(error),
                    error=str(error),
                    consequence="old rows or files are removed at the next run, in an hour",
                )
        await asyncio.sleep(HOUSEKEEPING_PERIOD)
