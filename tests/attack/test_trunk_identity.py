"""A trunk never identifies calls of another account: hostile trunk addresses change nothing for other accounts, and two
accounts at one carrier address both work. Phones may transfer calls, and reach nothing that their line may not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from tests.attack.two_companies import Company, TwoCompanies
from trunkline.demo.installation import ApiError
from trunkline.demo.outside import Answer, Call, Ignore
from trunkline.runtime import postgres
from trunkline.runtime.asterisk import AsteriskInstall

pytestmark = [
    pytest.mark.attack,
    pytest.mark.engine,
    pytest.mark.xdist_group("two-companies"),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300),
]

PHONES = "127.0.0.3"
PASSWORD_OF_PROVIDER = "tests-only-2750"
HOSTILE: tuple[dict[str, str], ...] = (
    {"server_address": "sip.example.com", "resolved_server_address": "0.0.0.0/0"},
    {"server_address": "sip.example.com", "resolved_server_address": "127.0.0.0/8"},
    {"server_address": "sip.example.com", "resolved_server_address": "127.0.0.1"},
    {"server_address": "sip.example.com", "resolved_server_address": PHONES},
    {"server_address": "sip.example.com", "resolved_server_address": "::ffff:127.0.0.3"},
    {"server_address": "sip.example.com", "resolved_server_address": "::/0"},
    {"server_address": "sip.example.com", "resolved_server_address": "10.0.0.5"},
    {"server_address": "127.0.0.1"},
    {"server_address": PHONES},
    {"server_address": "localhost"},
    {"server_address": "127.1"},
    {"server_address": "2130706433"},
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(
    asterisk_install: AsteriskInstall, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[TwoCompanies]:
    async with TwoCompanies(asterisk_install, tmp_path_factory.mktemp("pair"), transfers=True) as companies:
        yield companies


async def challenged(pair: TwoCompanies) -> None:
    """Requests without a login from phones' addresses, as a line and without a user, must authenticate."""
    other = pair.other
    for source in ("127.0.0.1", PHONES):
        for user in (other.line, "nobody"):
            for method in ("REGISTER", "INVITE"):
                status = await pair.answer(source, method, user, other.number)
                assert status == 401, (source, method, user)


async def test_hostile_addresses_are_refused_and_change_nothing(pair: TwoCompanies) -> None:
    for index, addresses in enumerate(HOSTILE):
        with pytest.raises(ApiError) as refused:
            await pair.installation.data_api(
                pair.one.account,
                "enable.private_number",
                virtual_phone_number=f"4420794602{index:02}",
                is_used_for_va=True,
                login="u",
                password=PASSWORD_OF_PROVIDER,
                port="5060",
                **addresses,
            )
        assert refused.value.mnemonic == "invalid_parameter_value", addresses
        assert refused.value.error["data"]["field"] == list(addresses)[-1]
    await challenged(pair)


async def test_hostile_rows_do_not_reach_the_engine(pair: TwoCompanies) -> None:
    """Whatever wrote them: what is in the tables is checked again before it is rendered."""
    dsn = postgres.dsn(pair.installation.settings)
    rows: list[tuple[Any, ...]] = [
        ("register", "sip.example.com", [one["resolved_server_address"]])
        for one in HOSTILE
        if "resolved_server_address" in one
    ]
    rows += [("address", one["server_address"], []) for one in HOSTILE if len(one) == 1]
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        before = pair.engine_files
        for index, (mode, host, addresses) in enumerate(rows):
            await connection.execute(
                "insert into trunks (account_id, key, name, mode, host, username, addresses) values"
                " (%s, %s, 'Hostile', %s, %s, 'u', %s::inet[]::cidr[])",
                (pair.one.account.account_id, f"hostile-{index}", mode, host, addresses),
            )
        # A valid one after them: once the engine has loaded it, it has processed all.
        await connection.execute(
            "insert into trunks (account_id, key, name, mode, host) values (%s, 'fair', 'Fair', 'address', '192.0.2.77')",
            (pair.one.account.account_id,),
        )
        async with asyncio.timeout(20):
            while "match = 192.0.2.77" not in pair.engine_files:
                await asyncio.sleep(0.1)
        reported = set(pair.engine_files.splitlines()) - set(before.splitlines())
        matches = {line for line in reported if line.startswith("match")}
        assert matches == {"match = 192.0.2.77"}
        await asyncio.sleep(1)  # the engine reads what was written
        await challenged(pair)
        await connection.execute("delete from trunks where key like 'hostile-%' or key = 'fair'")


async def test_two_accounts_at_one_carrier_address_get_their_own_calls(pair: TwoCompanies) -> None:
    for company, stranger in ((pair.one, pair.other), (pair.other, pair.one)):
        for number in (company.number, company.registered):
            company.desk.forget()
            stranger.desk.forget()
            company.desk.on_call(Answer())
            stranger.desk.on_call(Ignore())
            customer = await pair.world.customer(pair.new_number())
            if number == company.number:
                call = await customer.dial(number)
            else:
                call = await pair.world.dial_registered(customer, number, company.user)
            phone = await company.desk.next_call()
            await asyncio.gather(call.answered(), phone.answered())
            await call.hangup()
            await phone.ended()
            with pytest.raises(TimeoutError):
                await stranger.desk.next_call(timeout=0.2)


async def test_a_call_for_nobody_s_number_is_nobody_s(pair: TwoCompanies) -> None:
    customer = await pair.world.customer(pair.new_number())
    call = await customer.dial("97140000399")
    await call.ended()
    assert not call.is_answered


async def test_a_number_is_verified_by_who_answers_it(pair: TwoCompanies) -> None:
    """The call leaves by the operator's trunk and shows the operator's number; the party that answers hears a voice."""
    phone = "97140000288"
    run = pair.installation.run
    dsn = postgres.dsn(pair.installation.settings)
    claimant = str(pair.other.account.account_id)
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute(
            "insert into virtual_numbers (account_id, phone_number) values (%s, %s)", (claimant, phone)
        )
    subscriber = await pair.world.customer(phone)
    subscriber.on_call(Answer())
    operator = str(pair.one.account.account_id)
    await run("numbers", "call", phone, "--account", claimant, "--by", operator)
    call = await subscriber.next_call()
    await call.answered()
    assert call.number.lstrip("+") == pair.one.number
    await call.ended(timeout=60)  # when all was said
    with pytest.raises(RuntimeError, match="the code is wrong"):
        await run("numbers", "confirm", phone, "000000", "--account", claimant)
    assert phone in await run("numbers", "claims")
    await run("numbers", "assign", phone, "--account", claimant)
    assert phone not in await run("numbers", "claims")


async def test_a_call_of_one_account_s_phone_never_rings_the_other_s(pair: TwoCompanies) -> None:
    """It goes to the carrier as every outside call, and leaves with the account's own number."""
    for company, stranger in ((pair.one, pair.other), (pair.other, pair.one)):
        company.desk.forget()
        stranger.desk.forget()
        stranger.desk.on_call(Answer())
        network = await pair.world.customer(stranger.number, name=f"network {stranger.number}")
        network.on_call(Answer())
        call = await company.desk.dial(stranger.number)
        outside = await network.next_call()
        await asyncio.gather(call.answered(), outside.answered())
        assert outside.number.lstrip("+") == company.number
        await call.hangup()
        await outside.ended()
        with pytest.raises(TimeoutError):
            await stranger.desk.next_call(timeout=0.2)


async def _talk(pair: TwoCompanies, company: Company) -> tuple[Call, Call]:
    """A customer talks with the phone of a company."""
    company.desk.forget()
    company.desk.on_call(Answer())
    customer = await pair.world.customer(pair.new_number())
    call = await customer.dial(company.number)
    phone = await company.desk.next_call()
    await call.hears(phone.tone)
    return call, phone


async def test_only_what_the_line_may_reach(pair: TwoCompanies) -> None:
    """The phone of one company knows the dialog of a call of the other, and the names of the other's lines and trunks."""
    own_customer, own = await _talk(pair, pair.one)
    other_customer, other = await _talk(pair, pair.other)
    await own.transfer_to(other)
    assert await own.transfer_status() == "FAILURE"
    for target in (
        "trunk-2",
        "h",
        "112~1",
        "p~20~5~trunk-2~",
        "+18005550199",  # international: no right
    ):
        await own.transfer(target)
        status = await own.transfer_status()
        assert status == "FAILURE", target
    await own.unmute()
    await own_customer.hears(own.tone)
    await other_customer.hears(other.tone)
    for call in (own_customer, other_customer):
        await call.hangup()
    await asyncio.gather(own.ended(), other.ended())
