"""A company with users of every role, and the application of the web role over a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer
from cryptography.fernet import Fernet

from tests.apis.support import NotedSwitch
from tests.console.browser import Browser
from tests.shared_database import SharedDatabase, shared_database
from trunkline.accounts.administration import AccountProfile, Administration
from trunkline.accounts.permissions import Role
from trunkline.accounts.secrets import Cipher
from trunkline.accounts.service import Accounts
from trunkline.apis.service.request_context import Services
from trunkline.apis.service.request_log import MemoryRequestLog
from trunkline.apis.web import build_app
from trunkline.console import application
from trunkline.core.settings import Settings
from trunkline.db.pool import Database
from trunkline.runtime.postgres import EmbeddedPostgres

PASSWORD = "a long password"


@pytest.fixture(autouse=True)
def quick(quick_passwords: None) -> None:
    """See ``quick_passwords``."""


@dataclass
class Office:
    """Two companies and their console.

    :ivar log: of requests.
    :ivar users: ``user_id`` by log-in: one of each role, named like it, and ``captain``, the owner.
    """

    db: Database
    origin: str
    account_id: int
    other_id: int
    switch: NotedSwitch
    log: MemoryRequestLog
    users: dict[str, int] = field(default_factory=dict)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def browser(self, login: str | None = None, language: str = "en") -> Browser:
        """A new browser, in which this user is signed in."""
        browser = await self._stack.enter_async_context(Browser(self.origin, language))
        if login is not None:
            page = await browser.sign_in(login)
            assert page.url.path == "/console/", page.words
        return browser


@pytest.fixture(scope="session")
def shared_offices(postgres_server: EmbeddedPostgres, migrated_template: str) -> Iterator[SharedDatabase]:
    with shared_database(postgres_server, migrated_template, "consoles") as shared:
        yield shared


@pytest.fixture
async def office(shared_offices: SharedDatabase, tmp_path: Path) -> AsyncIterator[Office]:
    await shared_offices.empty()
    async with await Database.open(shared_offices.dsn) as db, AsyncExitStack() as stack:
        made = []
        administration = Administration(db)
        for name, login in (("Sample Ltd", "captain"), ("Other Ltd", "rival")):
            made.append(
                await administration.create_account(
                    AccountProfile(name, time_zone="Asia/Dubai"),
                    login=login,
                    password=PASSWORD,
                    allow=["127.0.0.0/8"],
                )
            )
        settings = Settings(data_dir=tmp_path)
        switch = NotedSwitch()
        cipher = Cipher(Fernet.generate_key())
        services = Services(Accounts(db, cipher=cipher), switch, settings, db, cipher=cipher)
        log = MemoryRequestLog()
        app = build_app(services, request_log=log, routes=application.routes(services))
        server = await stack.enter_async_context(TestServer(app))
        origin = str(server.make_url("")).rstrip("/")
        office = Office(db, origin, made[0].account_id, made[1].account_id, switch, log)
        office.users = {"captain": made[0].user_id, "rival": made[1].user_id}
        for role in (Role.ADMIN, Role.SUPERVISOR, Role.OPERATOR, Role.INTEGRATOR, Role.MEMBER):
            office.users[role] = await administration.users.create(
                made[0].account_id, role, PASSWORD, role=role
            )
        async with office._stack:
            yield office
