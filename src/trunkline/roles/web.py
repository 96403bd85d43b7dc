"""The web role: the doors for API clients and browsers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from trunkline.accounts.secrets import Cipher
from trunkline.accounts.service import Accounts
from trunkline.apis.address import address_reader
from trunkline.apis.jsonrpc.call import Services
from trunkline.apis.media import door as media_door
from trunkline.apis.web import build_app, serving
from trunkline.calls.client import SwitchClient
from trunkline.core.settings import Settings
from trunkline.directory.media_files import MediaFiles
from trunkline.directory.spoken import SpokenTexts
from trunkline.events.feed import CallFeed
from trunkline.recordings.library import Library
from trunkline.roles.common import database
from trunkline.runtime import postgres, secrets
from trunkline.speech import EspeakSpeech


async def run(settings: Settings, ready: Callable[[], None], stopped: asyncio.Event) -> None:
    """The doors, until ``stopped``."""
    own = secrets.load(settings)
    async with contextlib.AsyncExitStack() as stack:
        db = await stack.enter_async_context(
            database(postgres.dsn(settings), "trunkline-web", max_size=20, statement_timeout_ms=60_000)
        )
        switch = await stack.enter_async_context(
            SwitchClient(f"http://127.0.0.1:{settings.switch.control_port}", own.control_token)
        )
        accounts = Accounts(db)
        library = Library(db, settings.recordings_dir)
        media_files = MediaFiles(db, settings.media_dir)
        routes = media_door.routes(library, media_files, accounts, address_reader(settings))
        voice = SpokenTexts(EspeakSpeech(), settings.media_dir)
        feed = await stack.enter_async_context(CallFeed(db))
        app = build_app(
            Services(accounts, switch, settings, db, voice, Cipher(own.master_key)), feed=feed, routes=routes
        )
        await stack.enter_async_context(serving(app, settings))
        ready()
        await stopped.wait()
