"""A number is verified by a call to it that announces a code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.apis.data_api.client import CIPHER, DataApiClient
from tests.apis.support import SETTINGS
from tests.reports.company import ACCOUNT, OTHER_ACCOUNT
from trunkline.apis.service.request_context import Services
from trunkline.calls.command_names import CHECK
from trunkline.core.errors import InUse, InvalidInput, LimitExceeded, NotFound
from trunkline.core.settings import NumberSettings
from trunkline.directory.numbers import ownership, verification

pytestmark = pytest.mark.attack

PHONE = "442079460177"
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
async def claimant(client: DataApiClient) -> DataApiClient:
    for account in (ACCOUNT, OTHER_ACCOUNT):
        await client.db.execute(
            "insert into virtual_numbers (account_id, phone_number) values (%s, %s)", (account, PHONE)
        )
    return client


async def is_verified(client: DataApiClient, account: int = ACCOUNT) -> bool:
    return bool(
        await client.db.fetch_one(
            "select 1 as found from virtual_numbers where account_id = %s and phone_number = %s and is_verified",
            (account, PHONE),
        )
    )


def other_than(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06}"


async def test_who_shows_the_code_has_the_number(claimant: DataApiClient) -> None:
    code = await verification.new_code(claimant.db, ACCOUNT, f"+{PHONE}", NOW)
    assert re.fullmatch("[0-9]{6}", code)
    stored = await claimant.db.fetch_one(
        "select * from number_verifications where account_id = %s", (ACCOUNT,)
    )
    assert code not in repr(stored)
    with pytest.raises(InvalidInput):
        await verification.confirm(claimant.db, ACCOUNT, PHONE, other_than(code), NOW)
    with pytest.raises(InvalidInput):  # it was said for another account
        await verification.confirm(claimant.db, OTHER_ACCOUNT, PHONE, code, NOW)
    assert not await is_verified(claimant)
    await verification.confirm(claimant.db, ACCOUNT, PHONE, code, NOW + timedelta(minutes=9))
    assert await is_verified(claimant)
    with pytest.raises(NotFound):
        await verification.confirm(claimant.db, ACCOUNT, PHONE, code, NOW)
    with pytest.raises(InUse):
        await verification.new_code(claimant.db, OTHER_ACCOUNT, PHONE, NOW)
    assert not await is_verified(claimant, OTHER_ACCOUNT)


async def test_a_code_is_worth_five_attempts_and_ten_minutes(claimant: DataApiClient) -> None:
    code = await verification.new_code(claimant.db, ACCOUNT, PHONE, NOW)
    for _ in range(verification.ATTEMPTS):
        with pytest.raises(InvalidInput):
            await verification.confirm(claimant.db, ACCOUNT, PHONE, other_than(code), NOW)
    with pytest.raises(InvalidInput):
        await verification.confirm(claimant.db, ACCOUNT, PHONE, code, NOW)
    old = await verification.new_code(claimant.db, ACCOUNT, PHONE, NOW)
    with pytest.raises(InvalidInput):
        await verification.confirm(claimant.db, ACCOUNT, PHONE, old, NOW + verification.VALID)
    newer = await verification.new_code(claimant.db, ACCOUNT, PHONE, NOW)
    if newer != old:
        with pytest.raises(InvalidInput):
            await verification.confirm(claimant.db, ACCOUNT, PHONE, old, NOW)
    assert not await is_verified(claimant)


async def test_a_stranger_is_not_called_again_and_again(claimant: DataApiClient) -> None:
    """For any accounts, and also when the number is returned and claimed again."""
    await verification.new_code(claimant.db, ACCOUNT, PHONE, NOW)
    await verification.new_code(claimant.db, OTHER_ACCOUNT, PHONE, NOW)
    await claimant.db.execute(
        "delete from virtual_numbers where account_id = %s and phone_number = %s", (ACCOUNT, PHONE)
    )
    await claimant.db.execute(
        "insert into virtual_numbers (account_id, phone_number) values (%s, %s)", (ACCOUNT, PHONE)
    )
    await verification.new_code(claimant.db, ACCOUNT, PHONE, NOW)
    for account in (ACCOUNT, OTHER_ACCOUNT):
        with pytest.raises(LimitExceeded):
            await verification.new_code(claimant.db, account, PHONE, NOW + timedelta(hours=23))
    await verification.new_code(claimant.db, ACCOUNT, PHONE, NOW + timedelta(days=1))


async def test_the_operator_s_word_ends_it(claimant: DataApiClient) -> None:
    code = await verification.new_code(claimant.db, OTHER_ACCOUNT, PHONE, NOW)
    await ownership.assign(claimant.db, ACCOUNT, PHONE)
    with pytest.raises(InUse):
        await verification.confirm(claimant.db, OTHER_ACCOUNT, PHONE, code, NOW)


class Voice:
    def __init__(self) -> None:
        self.said: list[str] = []

    async def file_of(self, text: str, language: str, *, account_id: int = 0) -> str:
        self.said.append(text)
        return "/media/said"


class Switch:
    def __init__(self) -> None:
        self.commands: list[tuple[int, str, Mapping[str, Any]]] = []

    async def command(
        self, account_id: int, name: str, params: dict[str, Any], *, request_id: str = ""
    ) -> dict[str, Any]:
        self.commands.append((account_id, name, params))
        return {"call_session_id": 1}

    async def status(self) -> dict[str, Any]:
        return {}

    async def command_json(
        self, account_id: int, name: str, params: dict[str, Any], *, request_id: str
    ) -> bytes:
        raise AssertionError(name)


async def test_by_the_api(claimant: DataApiClient) -> None:
    refused = await claimant.fault("start.virtual_number_verification", virtual_phone_number=PHONE)
    assert refused == ("tariff_restrictions", "virtual_phone_number")
    settings = SETTINGS.model_copy(update={"numbers": NumberSettings(verification_account=1000)})
    switch, voice = Switch(), Voice()
    claimant.services = Services(claimant.accounts, switch, settings, claimant.db, voice, CIPHER)
    await claimant.do("start.virtual_number_verification", virtual_phone_number=PHONE)
    [(account, name, params)] = [command for command in switch.commands if command[1] != CHECK]
    assert (account, name, params["contact"]) == (1000, "start_informer_call", PHONE)
    assert params["contact_message"]["file"] == "/media/said"
    code = "".join(re.findall("[0-9]", voice.said[0]))[:6]
    wrong = await claimant.fault("confirm.virtual_number", virtual_phone_number=PHONE, code=other_than(code))
    assert wrong == ("invalid_parameter_value", "code")
    await claimant.do("confirm.virtual_number", virtual_phone_number=PHONE, code=code)
    assert await is_verified(claimant)


async def test_a_refused_call_makes_no_code_and_is_not_counted(claimant: DataApiClient) -> None:
    async def refuses(account_id: int, name: str, params: dict[str, Any]) -> None:
        raise NotFound(f"{name} of {account_id}: the account has no number")

    caller = verification.Caller(1000, refuses, Voice().file_of, CHECK)
    with pytest.raises(NotFound, match="has no number"):
        await verification.start(claimant.db, ACCOUNT, PHONE, "en", caller)
    counted = await claimant.db.fetch_one(
        "select count(*) as calls from number_verification_calls where account_id = %s", (ACCOUNT,)
    )
    assert counted == {"calls": 0}
