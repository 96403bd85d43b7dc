"""Whatever state the APIs make of an account: its export is applied without a change, and makes an equal account."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from tests.directory.account_contents import contents
from tests.directory.any_change import METHODS, OFFERED, OTHER_STATE, SECRET, Clerk
from tests.directory.conftest import new_account
from tests.shared_database import SharedDatabase
from trunkline.accounts.secrets import Cipher
from trunkline.apis.catalogue import DATA_API
from trunkline.db.pool import Database
from trunkline.directory.files.apply import DirectoryFiles
from trunkline.directory.files.file import HIDDEN, parse, to_yaml
from trunkline.directory.files.form import Form
from trunkline.directory.files.prepare import Request
from trunkline.directory.model import TrunkMode
from trunkline.directory.numbers.inventory import OfferForm, offer_numbers
from trunkline.directory.trunks.allowed import allow
from trunkline.speech import NullSpeech


def test_every_method_that_changes_something_is_tried_or_has_a_reason() -> None:
    declared = {
        method.name for method in DATA_API.methods if method.verb not in ("get", "getobj", "login", "logout")
    }
    assert METHODS.keys() | OTHER_STATE.keys() == declared
    assert not METHODS.keys() & OTHER_STATE.keys()


@pytest.mark.long
@pytest.mark.timeout(600)
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
@given(st.data())
def test_an_export_makes_an_equal_account(
    shared_accounts: SharedDatabase, tmp_path: Path, data: st.DataObject
) -> None:
    asyncio.run(_round_trip(shared_accounts, tmp_path, data))


async def _round_trip(shared_accounts: SharedDatabase, folder: Path, data: st.DataObject) -> None:
    await shared_accounts.empty()
    cipher = Cipher(Fernet.generate_key())
    async with await Database.open(shared_accounts.dsn, application_name="test", max_size=4) as db:
        files = DirectoryFiles(db, cipher, NullSpeech(), folder / "media")
        account_id = await _account(db)
        clerk = Clerk(db, account_id, await _user(db, account_id), cipher)
        done = [await clerk.change(data.draw) for _ in range(data.draw(st.integers(1, 40)))]
        for line in done:
            print(line)
        text = to_yaml(await files.export(account_id))
        print(text)
        plan = (
            await files.prepare(Request(account_id, parse(text, {"HOME": "/root"}), folder, delete=True))
        ).plan
        assert plan.lines() == ["no changes"]
        before = await contents(db, account_id)
    await shared_accounts.empty()
    async with await Database.open(shared_accounts.dsn, application_name="test", max_size=4) as db:
        files = DirectoryFiles(db, cipher, NullSpeech(), folder / "media")
        copy_id = await _account(db)
        form = _with_secrets(parse(text, {"HOME": "/root"}))
        await files.apply(await files.prepare(Request(copy_id, form, folder, delete=True)))
        assert to_yaml(await files.export(copy_id)) == text
        after = await contents(db, copy_id)
        for table, rows in before.items():
            assert after[table] == rows, table


async def _account(db: Database) -> int:
    account_id = await new_account(db, "Palm Office")
    for address in ("192.0.2.10", "198.51.100.7", "198.51.100.8"):
        await allow(db, account_id, address, "provider")
    await offer_numbers(db, {number: OfferForm(category="gold") for number in OFFERED})
    return account_id


async def _user(db: Database, account_id: int) -> int:
    row = await db.fetch_one(
        "insert into users (account_id, login) values (%s, 'captain') returning user_id", (account_id,)
    )
    assert row is not None
    return int(row["user_id"])


def _with_secrets(form: Form) -> Form:
    """An export has no secrets: a trunk that registers gets its password again, a header its value."""
    trunks = {
        key: trunk.model_copy(update={"password": SecretStr("correct-horse-1")})
        if trunk.mode is TrunkMode.REGISTER
        else trunk
        for key, trunk in form.section("trunks").items()
    }
    subscriptions = {
        key: one.model_copy(
            update={
                "headers": {name: SECRET if value == HIDDEN else value for name, value in one.headers.items()}
            }
        )
        for key, one in form.section("notifications").items()
    }
    return form.model_copy(update={"trunks": trunks or None, "notifications": subscriptions or None})
