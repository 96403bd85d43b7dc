"""The Data API over a real database with two small companies, for tests that change what they have set up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from cryptography.fernet import Fernet

from tests.apis.support import ADDRESS, SETTINGS, TOKEN, MemoryAccounts, NotedSwitch, mnemonic
from tests.reports.company import ACCOUNT, OTHER_ACCOUNT
from tests.reports.directory_rows import store_directory
from trunkline.accounts.permissions import Role
from trunkline.accounts.secrets import Cipher
from trunkline.apis.catalogue import DATA_API
from trunkline.apis.jsonrpc import Services
from trunkline.apis.jsonrpc.dispatcher import Dispatcher
from trunkline.apis.service.request_log import MemoryRequestLog
from trunkline.db.pool import Database

CIPHER = Cipher(Fernet.generate_key())


NUMBERS_GO_ON = """
do $$ declare named record; begin
    for named in select pg_get_serial_sequence(table_name, column_name) as sequence from information_schema.columns
        where table_schema = 'public' and is_identity = 'YES'
    loop execute format('select setval(%L, nextval(%L) + 100)', named.sequence, named.sequence); end loop;
end $$"""
"""The directory has its own ids, which new rows must not get."""


@dataclass
class DataApiClient:
    """Sends requests as the owner of :data:`ACCOUNT` unless :meth:`as_member` or :meth:`as_other_account` said otherwise."""

    db: Database
    accounts: MemoryAccounts = field(default_factory=lambda: MemoryAccounts(minute_limit=10**6))
    services: Services | None = None
    """In place of those that do nothing outside the database."""

    async def answer(
        self, method: str, *, idempotency_key: str | None = None, **params: Any
    ) -> dict[str, Any]:
        """The whole answer."""
        services = self.services or Services(self.accounts, NotedSwitch(), SETTINGS, self.db, cipher=CIPHER)
        dispatcher = Dispatcher(DATA_API, services, MemoryRequestLog())
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"access_token": TOKEN, **params}}
        answer: dict[str, Any] = orjson.loads(
            await dispatcher.answer(orjson.dumps(message), ADDRESS, idempotency_key=idempotency_key)
        )
        return answer

    async def do(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of a method that must succeed, without its metadata."""
        answer = await self.answer(method, **params)
        assert "result" in answer, answer
        return {name: value for name, value in answer["result"].items() if name != "metadata"}

    async def rows(self, method: str, **params: Any) -> list[dict[str, Any]]:
        """Rows of a get method."""
        rows: list[dict[str, Any]] = (await self.do(method, **params))["data"]
        return rows

    async def row(self, method: str, id: int, **params: Any) -> dict[str, Any]:
        """The row with that id."""
        [row] = await self.rows(method, filter={"field": "id", "operator": "=", "value": id}, **params)
        return row

    async def fault(self, method: str, **params: Any) -> tuple[str, str | None]:
        """Mnemonic and field of the error; ``("ok", None)`` for a success."""
        answer = await self.answer(method, **params)
        return mnemonic(answer), answer.get("error", {}).get("data", {}).get("field")

    def as_member(self, *permissions: str) -> None:
        """From now on the user has only these permissions (``employees:select``)."""
        self.accounts.allow(role=Role.MEMBER, permissions=frozenset(permissions))

    def as_other_account(self) -> None:
        """From now on the owner of the other company asks."""
        self.accounts.networks[OTHER_ACCOUNT] = ["127.0.0.0/8"]
        self.accounts.allow(account_id=OTHER_ACCOUNT)

    def as_owner(self) -> None:
        """From now on the owner of the first company asks, as at the beginning."""
        self.accounts.allow(account_id=ACCOUNT, role=Role.OWNER, permissions=frozenset())

    def with_components(self, *names: str) -> None:
        """From now on the account has these components and no others."""
        self.accounts.allow(components=frozenset(names))

    async def one(self, statement: Any, params: Mapping[str, Any] | None = None) -> Any:
        """First column of the first row of a statement."""
        row = await self.db.fetch_one(statement, params or {})
        return None if row is None else next(iter(row.values()))


async def open_client(db: Database) -> DataApiClient:
    """Two companies (:data:`ACCOUNT`, :data:`OTHER_ACCOUNT`) with the same directory."""
    await store_directory(db, ACCOUNT)
    await store_directory(db, OTHER_ACCOUNT)
    await db.execute(NUMBERS_GO_ON)
    return DataApiClient(db)
