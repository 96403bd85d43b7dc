"""Limits of outside calls: per minute, at once, and by money, of accounts and of lines; never of emergency calls."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.attack.test_one_rule_for_every_dial import called_out
from tests.calls import company as c
from tests.calls.company import company, number_of
from tests.calls.restarted_node import Node
from tests.calls.simulation import CallSimulation
from trunkline.calls.flows.outgoing_limits import MINUTE, LimitKind, LimitReached, OutgoingUsage
from trunkline.calls.session import LegState
from trunkline.calls.switch.limit_events import publishing_limits
from trunkline.core.clock import Instant
from trunkline.core.errors import LimitExceeded
from trunkline.core.settings import LimitSettings
from trunkline.db.pool import Database
from trunkline.directory.model import Account, Directory, OutgoingLimits

pytestmark = pytest.mark.attack

LINE = 2
"""Of Boris."""


def limited(who: int = 0, **limits: float) -> Account:
    return company(outgoing_limits={who: OutgoingLimits(**limits)})  # type: ignore[arg-type]


def call(
    account: Account, before: CallSimulation | None, number: str, seconds: float = 0.0
) -> CallSimulation:
    """One more call of Boris, in a switch that remembers what came before."""
    simulation = CallSimulation(account)
    if before is not None:
        simulation.presence, simulation.clock = before.presence, before.clock + seconds
        simulation.ids = before.ids
    return simulation.dial(c.BORIS_LINE, number)


@pytest.mark.parametrize("who", [0, LINE])
def test_calls_per_minute(who: int) -> None:
    account = limited(who, calls_per_minute=3)
    simulation = None
    for _ in range(3):
        simulation = call(account, simulation, c.CUSTOMER, 1)
        assert called_out(simulation) == [c.CUSTOMER]
        simulation.hang_up()
    simulation = call(account, simulation, c.CUSTOMER, 1)
    assert called_out(simulation) == []
    assert simulation.end["finish_reason"] == "max_out_call_reached"
    simulation = call(account, simulation, c.CUSTOMER, MINUTE)
    assert called_out(simulation) == [c.CUSTOMER]


@pytest.mark.parametrize("who", [0, LINE])
def test_calls_at_once(who: int) -> None:
    account = limited(who, concurrent_calls=1)
    account = company(
        outgoing_limits=account.outgoing_limits,
        lines={**account.lines, LINE: c.line(LINE, c.BORIS_LINE, channels_count=9)},
    )
    first = call(account, None, c.CUSTOMER)
    second = call(account, first, c.KNOWN, 1)
    assert called_out(second) == []
    first.at(5).hang_up()
    assert called_out(call(account, second, c.KNOWN, 9)) == [c.KNOWN]


@pytest.mark.parametrize("who", [0, LINE])
def test_money(who: int) -> None:
    """Today's charges, the calls that are not charged yet, and the first minute of the one that is dialled."""
    account = limited(who, money_per_day=10.0)
    charged = 7.0

    def spent(_account: int, _line: int | None, calls: Iterable[tuple[str, int]]) -> float:
        return charged + sum(seconds / 60 for _, seconds in calls)

    simulation = CallSimulation(account)
    simulation.presence.outgoing.spent = spent
    simulation.dial(c.BORIS_LINE, c.CUSTOMER)
    assert called_out(simulation) == [c.CUSTOMER]
    simulation.at(1).answer(c.CUSTOMER)
    simulation.at(151).hang_up()
    later = call(account, simulation, c.KNOWN, 1)
    assert called_out(later) == []  # 7 + 2.5 + 1
    assert later.end["finish_reason"] == "limit_exceeded"
    # It counts until its end is stored, however long that takes: PostgreSQL may be down.
    later = call(account, later, c.KNOWN, 3600)
    assert called_out(later) == []
    # Once a reading includes the first, it is no longer counted in addition.
    outgoing = later.presence.outgoing
    assert outgoing.over() == [(account.account_id, simulation.session.call_session_id)]
    outgoing.stored(outgoing.over())
    charged = 8.0
    assert called_out(call(account, later, c.KNOWN, 60)) == [c.KNOWN]


def test_calls_that_are_stored_take_no_memory() -> None:
    """Also of accounts whose money is not limited."""
    simulation = None
    for _ in range(5):
        simulation = call(limited(calls_per_minute=100), simulation, c.CUSTOMER, MINUTE)
        simulation.answer(c.CUSTOMER)
        simulation.hang_up()
    assert simulation is not None
    outgoing = simulation.presence.outgoing
    assert [len(one) for one in outgoing._answered.values()] == [5, 5]
    outgoing.stored(outgoing.over())
    assert not outgoing._answered
    assert not outgoing._answered_of


def test_a_restarted_switch_counts_the_calls_of_sessions_that_go_on() -> None:
    """Also those that are over: nothing is charged before their session is."""
    simulation = CallSimulation(limited(money_per_day=10.0))
    simulation.dial(c.BORIS_LINE, c.CUSTOMER)
    simulation.at(1).answer(c.CUSTOMER)
    [leg] = [one for one in simulation.session.legs.values() if one.is_over_trunk]
    leg.state, leg.ended_at = LegState.ENDED, Instant(simulation.clock + 150.5)
    usage, counted = OutgoingUsage(), []
    usage.restore(simulation.session)
    usage.account_limits = OutgoingLimits(money_per_day=10.0)
    usage.spent = lambda _account, _line, calls: counted.append(calls) or 0.0  # type: ignore[func-returns-value]
    usage.obstacle(company(), None, c.KNOWN, Instant(simulation.clock + 3600))
    assert counted == [[(c.CUSTOMER, 150), (c.KNOWN, 60)]]


def test_an_event_once_a_window() -> None:
    account = limited(calls_per_minute=1)
    simulation = call(account, None, c.CUSTOMER)
    simulation.hang_up()
    for _ in range(50):
        simulation = call(account, simulation, c.CUSTOMER, 0.1)
    [reached] = simulation.presence.outgoing.reached
    assert (reached.account_id, reached.sip_line_id, reached.kind, reached.limit) == (
        account.account_id,
        None,
        LimitKind.CALLS_PER_MINUTE,
        1,
    )


def test_a_line_has_its_own_limit_and_the_usual_ones_hold_for_the_rest() -> None:
    usage = CallSimulation().presence.outgoing
    usage.account_limits, usage.line_limits = OutgoingLimits(300, 100, 0), OutgoingLimits(30, 10, 0)
    account = limited(LINE, calls_per_minute=5)
    assert usage.limits_of(account, None) == OutgoingLimits(300, 100, 0)
    assert usage.limits_of(account, LINE) == OutgoingLimits(5, 10, 0)
    assert usage.limits_of(account, 1) == OutgoingLimits(30, 10, 0)


def test_there_are_limits_without_any_setting() -> None:
    limits = LimitSettings()
    assert 0 < limits.line_calls_per_minute < limits.account_calls_per_minute
    assert 0 < limits.line_concurrent_calls < limits.account_concurrent_calls


def test_forwarding_counts_as_well() -> None:
    account = limited(calls_per_minute=1)
    simulation = call(account, None, c.CUSTOMER)
    simulation.hang_up()
    other = CallSimulation(account)
    other.presence, other.clock, other.ids = simulation.presence, simulation.clock + 1, simulation.ids
    other.arrive(c.TO_CLARA)
    assert called_out(other) == []


def test_an_emergency_call_whatever_is_reached() -> None:
    account = limited(calls_per_minute=1, concurrent_calls=1, money_per_day=0.01)
    simulation = CallSimulation(account)
    simulation.presence.outgoing.spent = lambda _account, _line, _calls: 99.0
    assert called_out(simulation.dial(c.BORIS_LINE, c.CUSTOMER)) == []
    assert called_out(call(account, simulation, "112", 1)) == ["112"]
    assert called_out(call(account, simulation, "999", 1)) == ["999"]


async def test_the_api_is_refused_in_the_form_of_the_contract() -> None:
    account = limited(money_per_day=10)
    switch = Node().switch
    switch._directory = lambda: Directory({account.account_id: account})
    switch.presence.outgoing.spent = lambda _account, _line, _calls: 99.0
    params = {"virtual_phone_number": number_of(1), "contact": c.CUSTOMER, "operator": c.PARTNER}
    with pytest.raises(LimitExceeded) as refused:
        await switch.command(
            account.account_id, "start_simple_call", {**params, "first_call": "operator", "direction": "in"}
        )
    assert (refused.value.mnemonic, refused.value.params) == (
        "limit_exceeded",
        {"limit_type": "money_per_day", "limit_max_value": 10},
    )
    assert switch.sessions == {}


async def test_the_event_is_written_away_from_the_call(database: str) -> None:
    usage = OutgoingUsage()
    usage.reached.append(LimitReached(c.ACCOUNT, LINE, LimitKind.CALLS_PER_MINUTE, 30, Instant(1.7e9)))
    async with await Database.open(database, application_name="test") as db:
        await db.execute(
            "insert into accounts (account_id, name, time_zone) values (%s, 'Example', 'UTC')", (c.ACCOUNT,)
        )
        async with publishing_limits(db, usage):
            pass  # the end of the block writes what waits
        [row] = await db.fetch_all("select * from outbox where account_id = %s", (c.ACCOUNT,))
    assert (row["type"], row["stream"]) == ("outgoing_limit_reached", f"account:{c.ACCOUNT}")
    assert row["data"] == {"sip_line_id": LINE, "limit": "calls_per_minute", "limit_max_value": 30}
    assert not usage.reached
