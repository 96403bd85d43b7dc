"""Which addresses a trunk may have, when it is written and when it is rendered, and which trunks share one."""

from __future__ import annotations

import dataclasses
import ipaddress
import socket
from collections.abc import Iterable, Mapping

import pytest

from tests.directory.conftest import Administrator, new_account, until
from trunkline.calls.context import TrunkRegistration
from trunkline.calls.switch.presence import Presence
from trunkline.core.errors import DirectoryFileError, InvalidInput, NotFound
from trunkline.directory.live.snapshot import DirectorySnapshot
from trunkline.directory.model import Account, Directory, NumberFormat, Transport, Trunk, TrunkMode
from trunkline.directory.numbers import private
from trunkline.directory.numbers.changes import Chosen
from trunkline.directory.trunks import allowed
from trunkline.directory.trunks.addresses import AddressProblem, Network, parse, problem_of
from trunkline.directory.trunks.identification import Identification, identification
from trunkline.directory.trunks.resolution import resolve
from trunkline.directory.trunks.watch import TrunkIdentification
from trunkline.engine_configuration import account_config, accounts_concerned
from trunkline.roles.switch import unreachable_trunks

OWN = frozenset({ipaddress.ip_address("198.51.100.9")})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("203.0.113.7", None),
        ("203.0.113.7/32", None),
        ("2001:db8::7", None),
        ("0.0.0.0/0", AddressProblem.NETWORK),
        ("203.0.113.0/31", AddressProblem.NETWORK),
        ("::/0", AddressProblem.NETWORK),
        ("127.0.0.1", AddressProblem.LOOPBACK),
        ("127.9.9.9", AddressProblem.LOOPBACK),
        ("::1", AddressProblem.LOOPBACK),
        ("::ffff:127.0.0.1", AddressProblem.LOOPBACK),
        ("198.51.100.9", AddressProblem.OWN),
        ("10.0.0.5", AddressProblem.PRIVATE),
        ("192.168.1.1", AddressProblem.PRIVATE),
        ("100.64.0.1", AddressProblem.PRIVATE),
        ("169.254.1.1", AddressProblem.PRIVATE),
        ("0.0.0.0", AddressProblem.PRIVATE),
        ("239.1.1.1", AddressProblem.PRIVATE),
        ("::ffff:10.0.0.5", AddressProblem.PRIVATE),
        ("::10.0.0.5", AddressProblem.PRIVATE),
        ("64:ff9b::a00:5", AddressProblem.PRIVATE),
        ("2002:a00:5::", AddressProblem.PRIVATE),
        ("fd00::5", AddressProblem.PRIVATE),
        ("fe80::5", AddressProblem.PRIVATE),
    ],
)
def test_what_a_trunk_may_not_have(text: str, problem: AddressProblem | None) -> None:
    network = parse(text)
    assert network is not None
    assert problem_of(network, [], OWN) is problem
    assert problem_of(network, [network], OWN) is None  # the operator allowed it


def trunk(account_id: int, trunk_id: int, host: str, *addresses: str, registers: bool = False) -> Trunk:
    return Trunk(
        account_id, trunk_id, f"Trunk {trunk_id}", TrunkMode.REGISTER if registers else TrunkMode.ADDRESS, host, 5060,
        Transport.UDP, "u", "p", addresses, ("alaw",), 0, NumberFormat.E164, True,
    )  # fmt: skip


def company(base: Account, account_id: int, trunks: Iterable[Trunk], *allowed_addresses: str) -> Account:
    return dataclasses.replace(
        base,
        account_id=account_id,
        trunks={one.trunk_id: one for one in trunks},
        allowed_addresses=allowed_addresses,
    )


@pytest.fixture
async def base(admin: Administrator, snapshot: DirectorySnapshot) -> Account:
    return snapshot.current.accounts[admin.account_id]


def identified(accounts: Iterable[Account], resolved: Mapping[str, str] | None = None) -> Identification:
    known: dict[str, tuple[Network, ...]] = {
        host: tuple(filter(None, map(parse, texts.split()))) for host, texts in (resolved or {}).items()
    }
    return identification(Directory({one.account_id: one for one in accounts}), known, OWN)


async def test_registration_identifies_and_listed_addresses_do(base: Account) -> None:
    found = identified(
        [
            company(
                base,
                1,
                [
                    trunk(1, 100, "203.0.113.1"),
                    trunk(1, 101, "203.0.113.2", registers=True),
                    trunk(1, 102, "203.0.113.3", "203.0.113.4", registers=True),
                    trunk(1, 103, "sip.carrier.example"),
                    trunk(1, 104, "sip.other.example", "203.0.113.6"),
                ],
            )
        ],
        {"sip.carrier.example": "203.0.113.5 2001:db8::5", "sip.other.example": "203.0.113.66"},
    )
    assert found.addresses == {
        100: ("203.0.113.1",),
        102: ("203.0.113.4",),
        103: ("2001:db8::5", "203.0.113.5"),
        104: ("203.0.113.6",),
    }
    assert found.unusable == frozenset()


async def test_what_a_name_stands_for_is_checked(base: Account) -> None:
    accounts = [
        company(base, 1, [trunk(1, 100, "evil.example"), trunk(1, 101, "evil.example", registers=True)]),
        company(base, 2, [trunk(2, 102, "fair.example"), trunk(2, 103, "unknown.example")]),
    ]
    found = identified(accounts, {"evil.example": "203.0.113.1 127.0.0.3", "fair.example": "203.0.113.2"})
    assert found.addresses == {102: ("203.0.113.2",)}
    assert found.unusable == {100, 101, 103}
    assert {(one.trunk_id, one.problem) for one in found.refused} == {
        (100, AddressProblem.LOOPBACK),
        (101, AddressProblem.LOOPBACK),
    }


async def test_trunks_with_one_address_share_it(base: Account) -> None:
    found = identified(
        [
            company(base, 1, [trunk(1, 100, "sip.a.example", "203.0.113.1", registers=True)]),
            company(base, 2, [trunk(2, 101, "203.0.113.1"), trunk(2, 102, "203.0.113.9")]),
            company(base, 3, [trunk(3, 103, "203.0.113.2", "203.0.113.0/29")], "203.0.113.0/29"),
        ],
        {"sip.a.example": ""},
    )
    assert found.addresses == {101: ("203.0.113.0/29", "203.0.113.1", "203.0.113.2"), 102: ("203.0.113.9",)}
    assert found.sharing == {101: {100, 101, 103}, 102: {102}}


async def test_only_whom_the_operator_allows(base: Account) -> None:
    accounts = [
        company(base, 1, [trunk(1, 100, "10.0.0.5")], "10.0.0.0/24"),
        company(base, 2, [trunk(2, 101, "10.0.0.5")]),
    ]
    found = identified(accounts)
    assert found.sharing == {100: {100}}
    assert found.unusable == {101}


# --- when it is written


PROVIDER = private.Provider("harbour", "s3cret", "203.0.113.15", "5070")


async def enable(admin: Administrator, provider: private.Provider, account_id: int | None = None) -> None:
    number = Chosen(f"44207946{len(provider.server) * 97 + (account_id or 0):04}"[:12])
    await private.enable_private(
        admin.db, admin.cipher, account_id or admin.account_id, number, provider, "va", own=OWN
    )


@pytest.mark.parametrize(
    "address", ["0.0.0.0/0", "127.0.0.1", "198.51.100.9", "10.0.0.5", "203.0.113.0/24", "203.0.113.44"]
)
async def test_all_ways_of_writing_refuse(admin: Administrator, address: str) -> None:
    """The last one is a phone's."""
    await admin.apply("sip_lines: {'0160001': {}}")
    await admin.db.execute(
        "insert into registrations (account_id, sip_line_id, contact_uri, ip, port, registered_at)"
        " select account_id, sip_line_id, 'sip:x', '203.0.113.44', 5060, now() from sip_lines"
    )
    attacker = await new_account(admin.db, "Attacker")
    with pytest.raises(InvalidInput) as refused:
        await enable(admin, dataclasses.replace(PROVIDER, address=address), attacker)
    assert refused.value.field == "resolved_server_address"
    if address != "198.51.100.9":  # the admin's files do not know of it
        with pytest.raises(DirectoryFileError, match=r"trunks\.c\.addresses.*trunkline trunk allow"):
            await admin.apply(f"trunks: {{c: {{host: sip.example.com, addresses: ['{address}']}}}}")
    if "/" not in address:
        with pytest.raises(InvalidInput) as refused:
            await enable(admin, dataclasses.replace(PROVIDER, server=address), attacker)
        assert refused.value.field == "server_address"
    await allowed.allow(admin.db, attacker, address)
    await enable(admin, dataclasses.replace(PROVIDER, address=address), attacker)
    await allowed.disallow(admin.db, attacker, address)
    with pytest.raises(NotFound):
        await allowed.disallow(admin.db, attacker, address)


async def test_the_address_of_another_account_s_trunk_is_refused(admin: Administrator) -> None:
    await admin.apply(
        "trunks: {c: {host: 203.0.113.7}, d: {host: sip.example.com, addresses: [203.0.113.8]}}"
    )
    other = await new_account(admin.db, "Other")
    for address in ("203.0.113.7", "203.0.113.8"):
        with pytest.raises(InvalidInput, match="another account"):
            await enable(admin, dataclasses.replace(PROVIDER, address=address), other)
        await allowed.allow(admin.db, other, address)
        await enable(admin, dataclasses.replace(PROVIDER, address=address), other)
    # To register there is everybody's right: the registration identifies it.
    await enable(admin, dataclasses.replace(PROVIDER, server="203.0.113.7"), other)
    await admin.apply("trunks: {c: {host: 203.0.113.7, name: Carrier}}")


async def test_two_accounts_may_have_numbers_of_one_provider(admin: Administrator) -> None:
    provider = dataclasses.replace(PROVIDER, address="203.0.113.16")
    await enable(admin, provider)
    await enable(admin, dataclasses.replace(provider, login="quay"), await new_account(admin.db, "Other"))


async def test_a_name_is_checked_by_what_it_stands_for(admin: Administrator) -> None:
    for host in ("localhost", "127.1", "2130706433"):
        with pytest.raises(InvalidInput) as refused:
            await enable(admin, dataclasses.replace(PROVIDER, server=host))
        assert refused.value.field == "server_address"
    with pytest.raises(DirectoryFileError, match=r"trunks\.c\.host"):
        await admin.apply("trunks: {c: {host: localhost}}")


async def test_literal_addresses_are_not_asked_for() -> None:
    assert await resolve(["203.0.113.1", "[2001:db8::1]"], 1) == {
        "203.0.113.1": (parse("203.0.113.1"),),
        "[2001:db8::1]": (parse("2001:db8::1"),),
    }


# --- while names change


async def test_a_name_that_changes_is_taken_out(admin: Administrator, snapshot: DirectorySnapshot) -> None:
    """Asked again after a while: what was a carrier's address is now a phone's on this machine."""
    answers = {"sip.carrier.example": "203.0.113.1"}
    now = [0.0]
    called: list[str] = []

    async def resolver(hosts: Iterable[str], _account_id: int) -> dict[str, tuple[Network, ...]]:
        return {host: tuple(filter(None, map(parse, answers.get(host, "").split()))) for host in hosts}

    identified = TrunkIdentification(snapshot, OWN, resolver=resolver, clock=lambda: now[0])
    snapshot.subscribe(lambda directory, _: identified.update(directory))
    identified.subscribe(lambda: called.append("changed"))
    await admin.apply("trunks: {c: {host: sip.carrier.example}}")
    await until(lambda: any(account.trunks for account in snapshot.current.accounts.values()))
    await identified.refresh()
    [trunk_id] = identified.current.addresses
    assert identified.current.addresses == {trunk_id: ("203.0.113.1",)}
    answers["sip.carrier.example"] = "127.0.0.3"
    await identified.refresh()
    assert identified.current.addresses != {}  # not asked yet
    now[0] += 600
    await identified.refresh()
    assert identified.current.addresses == {}
    assert identified.current.unusable == {trunk_id}
    assert called == ["changed", "changed"]
    answers["sip.carrier.example"] = ""  # no name server answers
    now[0] += 600
    await identified.refresh()
    assert identified.current.unusable == {trunk_id}
    assert len(called) == 2


async def test_requests_go_to_one_address_of_a_name_while_it_has_it(
    admin: Administrator, snapshot: DirectorySnapshot
) -> None:
    """Asterisk resolves no names. Each change of the address would be a reload, and name servers rotate their answers."""
    answers = ["203.0.113.2", "203.0.113.1"]
    now = [0.0]

    async def resolver(hosts: Iterable[str], _account_id: int) -> dict[str, tuple[Network, ...]]:
        return {host: tuple(filter(None, map(parse, answers))) for host in hosts}

    identified = TrunkIdentification(snapshot, OWN, resolver=resolver, clock=lambda: now[0])
    snapshot.subscribe(lambda directory, _: identified.update(directory))
    await admin.apply("trunks: {c: {host: sip.carrier.example}, d: {host: 203.0.113.9}}")
    await until(lambda: any(account.trunks for account in snapshot.current.accounts.values()))
    for found, expected in (
        (["203.0.113.2", "203.0.113.1"], "203.0.113.2"),
        (["203.0.113.1", "203.0.113.2", "203.0.113.3"], "203.0.113.2"),
        (["203.0.113.3", "203.0.113.1"], "203.0.113.3"),
        ([], "203.0.113.3"),  # the name server does not respond
        (["10.0.0.1"], None),  # refused
    ):
        answers[:] = found
        now[0] += 600
        before = identified.current
        await identified.refresh()
        assert list(identified.current.servers.values()) == ([expected] if expected else [])
        [account] = [one for one in snapshot.current.accounts.values() if one.trunks]
        named, literal = sorted(account.trunks.values(), key=lambda one: one.host, reverse=True)
        assert identified.current.servers.get(named.trunk_id) == expected
        made = account_config(account, identified.current)
        assert {one.id: one.server for one in made.directory.trunks} == {
            str(literal.trunk_id): None,
            **({str(named.trunk_id): expected} if expected else {}),
        }
        if before.servers != identified.current.servers:
            concerned = accounts_concerned(snapshot.current, before, identified.current)
            assert concerned == {account.account_id}


async def test_another_address_is_used_when_the_server_does_not_respond(
    admin: Administrator, snapshot: DirectorySnapshot
) -> None:
    answers, now = ["203.0.113.1", "2001:db8::1", "203.0.113.2"], [0.0]
    changes: list[list[str]] = []

    async def resolver(hosts: Iterable[str], _account_id: int) -> dict[str, tuple[Network, ...]]:
        return {host: tuple(filter(None, map(parse, answers))) for host in hosts}

    identified = TrunkIdentification(snapshot, OWN, resolver=resolver, clock=lambda: now[0])
    snapshot.subscribe(lambda directory, _: identified.update(directory))
    identified.subscribe(lambda: changes.append(sorted(identified.current.servers.values())))
    await admin.apply("trunks: {c: {host: sip.carrier.example}, d: {host: sip.carrier.example}}")
    await until(lambda: any(account.trunks for account in snapshot.current.accounts.values()))
    await identified.refresh()
    [first, other] = sorted(identified.current.servers)

    async def now_used() -> list[str | None]:
        await identified.refresh()
        return [identified.current.servers.get(one) for one in (first, other)]

    assert await now_used() == ["203.0.113.1", "203.0.113.1"]
    identified.fail_over(first)
    assert await now_used() == ["203.0.113.2", "203.0.113.1"]
    assert changes[-1] == ["203.0.113.1", "203.0.113.2"]
    now[0] += 30
    identified.fail_over(first)  # the new one needs time to respond
    assert await now_used() == ["203.0.113.2", "203.0.113.1"]
    now[0] += 600
    assert await now_used() == ["203.0.113.2", "203.0.113.1"]  # no way back while it responds
    identified.fail_over(first)
    assert await now_used() == ["203.0.113.1", "203.0.113.1"]
    now[0] += 600
    identified.fail_over(first)
    answers[:] = ["203.0.113.1"]
    now[0] += 600
    assert await now_used() == ["203.0.113.1", "203.0.113.1"]  # the name has no other address any more
    identified.fail_over(first)
    identified.fail_over(10**9)
    assert await now_used() == ["203.0.113.1", "203.0.113.1"]


async def test_addresses_of_ipv4_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [(0, 0, 0, "", (address, 0)) for address in ("2001:db8::7", "203.0.113.7", "203.0.113.6")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_other: answers)
    found = await resolve(["sip.carrier.example"], 1)
    addresses = [str(one.network_address) for one in found["sip.carrier.example"]]
    assert addresses == ["203.0.113.6", "203.0.113.7", "2001:db8::7"]


def test_which_servers_do_not_respond() -> None:
    """A registration without a response each time; calls only when there was one more since the last time."""
    presence = Presence()
    silent: dict[int, int] = {}
    presence.trunk_registrations |= {
        1: TrunkRegistration("unreachable", ""),
        2: TrunkRegistration("refused", "403"),
        3: TrunkRegistration("registered", ""),
    }
    assert unreachable_trunks(presence, silent) == {1}
    presence.silent_trunks[4] = 1
    assert unreachable_trunks(presence, silent) == {1, 4}
    assert unreachable_trunks(presence, silent) == {1}
    presence.silent_trunks[4] = 2
    assert unreachable_trunks(presence, silent) == {1, 4}
    del presence.silent_trunks[4]
    assert unreachable_trunks(presence, silent) == {1}
    presence.silent_trunks[4] = 1
    assert unreachable_trunks(presence, silent) == {1, 4}
