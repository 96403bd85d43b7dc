"""A trunk never identifies calls of another account: hostile trunk addresses change nothing for other accounts, and two
accounts at one carrier address both work. Phones may transfer calls, and reach nothing that their line may not. An
account that records as much as it may keeps nobody else from recording, and nobody from calling."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from tests.attack.two_companies import Company, TwoCompanies
from tests.patience import PATIENCE
from trunkline.cli.switch import switch_client
from trunkline.core import not_recorded
from trunkline.db.pool import Database
from trunkline.demo import tones
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


async def _recording(pair: TwoCompanies, company: Company, kind: str = "talk") -> dict[str, Any]:
    """The recording of the last call of a company, when it is made, or is not going to be."""
    async with await Database.open(postgres.dsn(pair.installation.settings)) as db, asyncio.timeout(PATIENCE):
        while True:
            row = await db.fetch_one(
                "select r.*, c.finish_time from call_sessions c"
                " left join recordings r on r.account_id = c.account_id and r.call_session_id = c.call_session_id"
                " and r.kind = %s where c.account_id = %s order by c.call_session_id desc limit 1",
                (kind, company.account.account_id),
            )
            if row is not None and row["finish_time"] is not None and row["status"] not in (None, "pending"):
                return row
            await asyncio.sleep(0.1)


async def _not_recorded(pair: TwoCompanies, *companies: Company) -> None:
    """Until calls of exactly these companies are not recorded."""
    wanted = [one.account.account_id for one in companies]
    async with switch_client(pair.installation.settings) as switch, asyncio.timeout(PATIENCE):
        while [
            one["account_id"] for one in (await switch.status())["accounts_not_recorded"]["first"]
        ] != wanted:
            await asyncio.sleep(0.1)


@pytest_asyncio.fixture(loop_scope="module")
async def limited(pair: TwoCompanies) -> AsyncIterator[Callable[[int], Awaitable[None]]]:
    """Sets the limit of recordings of the first company, in bytes more than it has now."""
    words = ("account", "recordings", "--account", str(pair.one.account.account_id))

    async def limit(more: int) -> None:
        stored = json.loads(await pair.installation.run(*words, "--json"))["stored_bytes"]
        await pair.installation.run(*words, "--bytes", str(max(stored + more, 1)))

    yield limit
    await pair.installation.run(*words, "--reset")
    await _not_recorded(pair)


async def test_recordings_of_one_account_stop_at_its_limit_and_calls_go_on(
    pair: TwoCompanies, limited: Callable[[int], Awaitable[None]]
) -> None:
    one_customer, one = await _talk(pair, pair.one)
    other_customer, other = await _talk(pair, pair.other)
    await limited(50_000)
    await _not_recorded(pair, pair.one)
    for listener, speaker in ((one_customer, one), (one, one_customer), (other_customer, other)):
        await listener.hears(speaker.tone)
    for call in (one_customer, other_customer):
        await call.hangup()
    await asyncio.gather(one.ended(), other.ended())

    cut = await _recording(pair, pair.one)
    assert (cut["status"], cut["failure"]) == ("ready", not_recorded.CUT_BY_LIMIT)
    whole = await _recording(pair, pair.other)
    assert (whole["status"], whole["failure"]) == ("ready", None)
    left, right = tones.channel_frequencies(
        pair.installation.settings.recordings_dir / whole["wav_path"], set(pair.world.tones.values())
    )
    assert (list(left), list(right)) == ([other_customer.tone], [other.tone])
    seconds = min(other_customer.at_end, other.at_end) - max(other_customer.at_answer, other.at_answer)
    assert whole["duration_ms"] / 1000 == pytest.approx(seconds, abs=0.5 + await other.owed())

    one_customer, one = await _talk(pair, pair.one)
    await one_customer.hangup()
    await one.ended()
    refused = await _recording(pair, pair.one)
    assert (refused["status"], refused["failure"]) == ("absent", not_recorded.ACCOUNT_LIMIT)


async def test_a_message_ends_at_the_limit_of_the_account(
    pair: TwoCompanies, limited: Callable[[int], Awaitable[None]]
) -> None:
    """Messages may take an hour. What was said until then is kept, and the scenario goes on."""
    await limited(50_000)
    customer = await pair.world.customer(pair.new_number())
    call = await customer.dial(pair.one.mailbox)
    await call.ended(timeout=60)  # by the scenario, which has no more steps
    assert call.is_answered
    message = await _recording(pair, pair.one, "voice_mail")
    assert (message["status"], message["failure"]) == ("ready", not_recorded.CUT_BY_LIMIT)
    assert message["duration_ms"] >= 1000
