"""The Call Center API over real sockets and a real database, and a client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import aiohttp
from cryptography.fernet import Fernet

from tests.apis.support import NotedSwitch
from trunkline.accounts.administration import AccountProfile, Administration
from trunkline.accounts.model import Action, Api, NewAccount
from trunkline.accounts.permissions import Role
from trunkline.accounts.secrets import Cipher
from trunkline.accounts.service import Accounts
from trunkline.apis.service.request_context import Services
from trunkline.apis.web import build_app, serving
from trunkline.core.settings import Settings
from trunkline.db.pool import Database
from trunkline.events.feed import CallFeed

PASSWORD = "Correct horse 1"


class Answered(NamedTuple):
    status: int
    content: Any
    headers: Any = None

    @property
    def data(self) -> Any:
        assert self.status == 200, self
        assert self.content["success"] is True
        return self.content["data"]

    @property
    def msg(self) -> str:
        assert self.content["success"] is False
        return str(self.content["msg"])


@dataclass
class Rest:
    """Sends requests as the owner of the first company, unless a key is given."""

    db: Database
    base: str
    session: aiohttp.ClientSession
    company: NewAccount
    other: NewAccount
    switch: NotedSwitch
    settings: Settings

    @property
    def key(self) -> str:
        return self.company.keys["call_center"]

    @property
    def other_key(self) -> str:
        return self.other.keys["call_center"]

    @property
    def administration(self) -> Administration:
        return Administration(self.db)

    async def ask(
        self, verb: str, path: str, body: Any = None, *, key: str | None = "", **more: Any
    ) -> Answered:
        """The answer to a request with a JSON body.

        :param key: in the query; None: none; empty: the owner's.
        """
        headers = dict(more.pop("headers", {}))
        if key is not None:
            headers["api_key"] = key or self.key
        if body is not None:
            more["json"] = body
        async with self.session.request(verb, f"{self.base}{path}", headers=headers, **more) as response:
            content = await response.json() if response.status != 204 and verb != "HEAD" else None
            return Answered(response.status, content, response.headers)

    async def get(self, path: str, **more: Any) -> Any:
        """``data`` of a success."""
        return (await self.ask("GET", path, **more)).data

    async def post(self, path: str, body: Any, **more: Any) -> Any:
        return (await self.ask("POST", path, body, **more)).data

    async def put(self, path: str, body: Any, **more: Any) -> Any:
        return (await self.ask("PUT", path, body, **more)).data

    async def user_key(self, *permissions: str, login: str = "clerk") -> str:
        """The key of a new member of the first company with these permissions (``queues:select``)."""
        users = self.administration.users
        user_id = await users.create(
            self.company.account_id, login, PASSWORD, apis=[Api.CALL_CENTER], role=Role.MEMBER
        )
        for permission in permissions:
            resource, action = permission.split(":")
            await users.set_permission(self.company.account_id, user_id, resource, Action(action), True)
        return (await users.create_key(self.company.account_id, user_id)).token


@asynccontextmanager
async def opened(dsn: str, port: int, settings: Settings | None = None, **web: Any) -> AsyncIterator[Rest]:
    """A served API with two companies."""
    made = settings or Settings.model_validate(
        {"data_dir": "/nonexistent", "web": {"http_port": port, "https_port": 0, **web}}
    )
    async with AsyncExitStack() as stack:
        db = await stack.enter_async_context(await Database.open(dsn, max_size=6))
        administration = Administration(db)
        company, other = [
            await administration.create_account(
                AccountProfile(name), login=login, password=PASSWORD, allow=["127.0.0.0/8"]
            )
            for name, login in (("Palm Office", "palm"), ("Harbour Tours", "harbour"))
        ]
        for account in (company, other):
            await administration.set_limits(
                account.account_id, Api.CALL_CENTER, day=1_000_000, minute=1_000_000
            )
        switch = NotedSwitch()
        feed = await stack.enter_async_context(CallFeed(db))
        cipher = Cipher(Fernet.generate_key())
        app = build_app(Services(Accounts(db), switch, made, db, cipher=cipher), feed=feed)
        endpoints = await stack.enter_async_context(serving(app, made))
        assert endpoints.http is not None
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Rest(db, endpoints.http, session, company, other, switch, made)
