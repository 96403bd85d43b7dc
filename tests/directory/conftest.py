"""A database with one account, and directory files over it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from tests.shared_database import SharedDatabase, shared_database
from trunkline.accounts.secrets import Cipher
from trunkline.db.pool import Database
from trunkline.directory.files.apply import Applied, DirectoryFiles
from trunkline.directory.files.file import parse, to_yaml
from trunkline.directory.files.plan import Plan
from trunkline.directory.files.prepare import Request
from trunkline.directory.live.snapshot import DirectorySnapshot
from trunkline.directory.media.store import ensure_system_media
from trunkline.directory.trunks.allowed import allow
from trunkline.runtime.postgres import EmbeddedPostgres
from trunkline.speech import NullSpeech


@dataclass
class Administrator:
    """Applies YAML text to one account, as an administrator does."""

    db: Database
    cipher: Cipher
    files: DirectoryFiles
    account_id: int
    folder: Path
    media_dir: Path

    async def plan(self, text: str, *, delete: bool = False, env: dict[str, str] | None = None) -> Plan:
        return (await self.files.prepare(self._request(text, delete, env))).plan

    async def apply(self, text: str, *, delete: bool = False, env: dict[str, str] | None = None) -> Applied:
        return await self.files.apply(await self.files.prepare(self._request(text, delete, env)))

    async def export(self) -> str:
        return to_yaml(await self.files.export(self.account_id))

    def _request(self, text: str, delete: bool, env: dict[str, str] | None) -> Request:
        return Request(self.account_id, parse(text, env or {}), self.folder, delete)


@pytest.fixture
def cipher() -> Cipher:
    return Cipher(Fernet.generate_key())


@pytest.fixture(scope="session")
def system_sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("system") / "media"


@pytest.fixture(scope="session")
def shared_accounts(
    postgres_server: EmbeddedPostgres, migrated_template: str, system_sounds: Path
) -> Iterator[SharedDatabase]:
    """With the system's set of sounds."""

    async def put_sounds(dsn: str) -> None:
        async with await Database.open(dsn, application_name="test") as db:
            await ensure_system_media(db, system_sounds, NullSpeech())

    with shared_database(
        postgres_server, migrated_template, "desks", lambda dsn: asyncio.run(put_sounds(dsn))
    ) as shared:
        yield shared


@pytest.fixture
async def db(shared_accounts: SharedDatabase) -> AsyncIterator[Database]:
    await shared_accounts.empty()
    async with await Database.open(shared_accounts.dsn, application_name="test", max_size=4) as opened:
        yield opened


@pytest.fixture
async def admin(db: Database, cipher: Cipher, tmp_path: Path, system_sounds: Path) -> Administrator:
    media_dir = tmp_path / "media"
    await asyncio.to_thread(shutil.copytree, system_sounds, media_dir)
    files = DirectoryFiles(db, cipher, NullSpeech(), media_dir)
    account_id = await new_account(db, "Palm Office")
    await allow(db, account_id, "127.0.0.2", "carrier of the demo company")
    return Administrator(db, cipher, files, account_id, tmp_path, media_dir)


@pytest.fixture
async def snapshot(admin: Administrator) -> AsyncIterator[DirectorySnapshot]:
    """The directory as calls see it; it follows the database."""
    made = DirectorySnapshot(admin.db, admin.cipher, admin.media_dir)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


async def until(condition: Callable[[], object], seconds: float = 20) -> None:
    """Wait for what comes by itself."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def new_account(db: Database, name: str) -> int:
    row = await db.fetch_one(
        "insert into accounts (name, time_zone) values (%s, 'Asia/Dubai') returning account_id", (name,)
    )
    assert row is not None
    return int(row["account_id"])
