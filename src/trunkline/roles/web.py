"""The web role: the endpoints for API clients and browsers."""

from __future__ import annotations

import asyncio
import contextlib

from trunkline.accounts.secrets import Cipher
from trunkline.accounts.service import Accounts
from trunkline.apis import phone_files
from trunkline.apis.address import address_reader
from trunkline.apis.media import endpoints as media_endpoints
from trunkline.apis.service.request_context import Services
from trunkline.apis.web import build_app, serving
from trunkline.calls.switch.rpc_client import SwitchClient
from trunkline.console import application as console
from trunkline.core.settings import Settings
from trunkline.directory.media.listing import MediaFiles
from trunkline.directory.media.spoken import SpokenTexts
from trunkline.events.feed import CallFeed
from trunkline.provisioning.phones import Phones
from trunkline.recordings.library import Library
from trunkline.roles.common import database, until_stopped
from trunkline.roles.health import Health
from trunkline.runtime import postgres, secrets
from trunkline.site.application import Site
from trunkline.speech import EspeakSpeech

_COMMAND_MS = 20_000
_REPORT_MS = 30_000
_UPLOAD_MS = 30_000
"""Milliseconds after which the server stops a statement of the class."""


async def run(settings: Settings, health: Health, stopped: asyncio.Event) -> None:
    """Serve the endpoints until ``stopped``."""
    own = secrets.load(settings)
    async with contextlib.AsyncExitStack() as stack:
        sizes = settings.web
        db, report_db, upload_db = [
            await stack.enter_async_context(
                database(
                    postgres.dsn(settings),
                    name,
                    max_size=size,
                    statement_timeout_ms=timeout_ms,
                    stopped=stopped,
                )
            )
            for name, size, timeout_ms in (
                ("trunkline-web", sizes.command_connections, _COMMAND_MS),
                ("trunkline-web-reports", sizes.report_connections, _REPORT_MS),
                ("trunkline-web-uploads", sizes.upload_connections, _UPLOAD_MS),
            )
        ]
        switch = await stack.enter_async_context(
            SwitchClient(settings.switch.control_url, own.control_token, db, settings.switch.node)
        )
        cipher = Cipher(own.master_key)
        accounts = Accounts(db, cipher=cipher)
        library = Library(db, settings.recordings_dir)
        media_files = MediaFiles(db, settings.media_dir)
        address_of = address_reader(settings)
        routes = [
            *media_endpoints.routes(library, media_files, accounts, address_of),
            *phone_files.routes(Phones(db, cipher), settings, address_of),
        ]
        voice = SpokenTexts(EspeakSpeech(), settings.media_dir)
        feed = await stack.enter_async_context(CallFeed(db))
        services = Services(
            accounts,
            switch,
            settings,
            db,
            voice,
            cipher,
            report_database=report_db,
            upload_database=upload_db,
        )
        site = Site(services)
        app = build_app(services, feed=feed, routes=[*routes, *console.routes(services), *site.routes()])
        await stack.enter_async_context(serving(app, settings))
        health.ready()
        await until_stopped(stopped, callbacks=site.callbacks.run())
