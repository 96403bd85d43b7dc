"""Limits of outside calls hold for calls that begin at once: before the engine has reported one channel of them."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from tests.attack.test_one_rule_for_every_dial import called_out
from tests.calls import company as c
from tests.calls.company import company
from tests.calls.fake_engine import a_line
from tests.calls.simulation import CallSimulation
from trunkline.calls.flows.outgoing_limits import MINUTE
from trunkline.directory.model import Account, OutgoingLimits

pytestmark = pytest.mark.attack

LINE = 2
"""Of Boris."""

LIMIT = 5


class _Calls:
    """Calls of one line in one switch; the engine reports its channels later than it is commanded to open them."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.usage = CallSimulation(account)
        self.calls: list[CallSimulation] = []

    def dial(self, number: str = c.CUSTOMER) -> None:
        """One more INVITE: the switch decides on it; what follows in the engine waits for :meth:`report`."""
        simulation = CallSimulation(self.account)
        simulation.presence, simulation.ids = self.usage.presence, self.usage.ids
        simulation.clock = self.usage.clock
        simulation.channel = simulation.engine.arrive(a_line(c.BORIS_LINE), number, c.BORIS_LINE)
        simulation.handle(simulation.engine.pending.pop(0))
        self.calls.append(simulation)

    def report(self, which: int) -> None:
        """The engine reports what became of one call."""
        self.calls[which].flow()

    def placed(self) -> list[CallSimulation]:
        return [one for one in self.calls if called_out(one)]


def _account(who: int = 0, **limits: float) -> Account:
    account = company(outgoing_limits={who: OutgoingLimits(**limits)})  # type: ignore[arg-type]
    return replace(account, lines={**account.lines, LINE: c.line(LINE, c.BORIS_LINE, channels_count=1000)})


@pytest.mark.parametrize("who", [0, LINE])
@pytest.mark.parametrize("limit", ["calls_per_minute", "concurrent_calls"])
def test_twenty_calls_at_once(who: int, limit: str) -> None:
    calls = _Calls(_account(who, **{limit: LIMIT}))
    for _ in range(20):
        calls.dial()
    for which in range(20):
        calls.report(which)
    assert len(calls.placed()) == LIMIT


def test_the_channels_of_a_trunk() -> None:
    account = _account()
    trunks = {key: replace(one, max_channels=LIMIT) for key, one in account.trunks.items()}
    calls = _Calls(replace(account, trunks=trunks))
    for _ in range(20):
        calls.dial()
    for which in range(20):
        calls.report(which)
    assert len(calls.placed()) == LIMIT


def test_money() -> None:
    """Each call that is to begin, or rings, is expected to cost its first minute."""
    calls = _Calls(_account(money_per_day=26))
    calls.usage.presence.outgoing.spent = lambda _account, _line, begun: (
        20 + 2 * sum(-(-seconds // MINUTE) for _, seconds in begun)
    )
    for _ in range(20):
        calls.dial()
    for which in range(20):
        calls.report(which)
    assert len(calls.placed()) == 3
    calls.dial()
    calls.report(20)
    assert len(calls.placed()) == 3, "those that ring count, too"


@pytest.mark.parametrize("seed", range(30))
def test_any_order_of_starts_reports_and_ends(seed: int) -> None:
    """Never more than the limit; and when all have ended, nothing is reserved any more."""
    chance = random.Random(seed)
    calls = _Calls(_account(chance.choice([0, LINE]), concurrent_calls=LIMIT))
    for _ in range(60):
        unreported = [which for which, one in enumerate(calls.calls) if one.engine.pending]
        living = [
            which
            for which, one in enumerate(calls.calls)
            if which not in unreported and called_out(one) and one.session.living
        ]
        act = chance.choice(["dial", "dial", "report", "end"])
        if act == "report" and unreported:
            calls.report(chance.choice(unreported))
        elif act == "end" and living:
            calls.calls[chance.choice(living)].hang_up()
        elif act == "dial":
            calls.dial()
        reserved = len(calls.usage.presence.outgoing.reserved(calls.account.account_id))
        open_ones = sum(bool(one.session.living and called_out(one)) for one in calls.calls)
        assert open_ones <= LIMIT
        assert reserved <= LIMIT
    for which in range(len(calls.calls)):
        calls.report(which)
        if calls.calls[which].session.living:
            calls.calls[which].hang_up()
    assert calls.usage.presence.outgoing.reserved(calls.account.account_id) == []
    for _ in range(LIMIT):
        calls.dial()
        calls.report(len(calls.calls) - 1)
    assert all(called_out(one) for one in calls.calls[-LIMIT:])


@pytest.mark.parametrize("who", [0, LINE])
@pytest.mark.parametrize("limit", ["calls_per_minute", "concurrent_calls"])
def test_a_switch_that_was_killed_knows_the_calls_of_the_last_minute(who: int, limit: str) -> None:
    """Of the calls that still are: a restart is no way to a second set of calls."""
    account = _account(who, **{limit: LIMIT})
    before = _Calls(account)
    for which in range(LIMIT):
        before.dial()
        before.report(which)
    after = _Calls(account)
    after.usage.clock = before.usage.clock
    for one in before.placed():
        after.usage.presence.restore(one.session)
    after.dial()
    assert after.placed() == []
    if limit == "calls_per_minute":
        after.usage.clock += 2 * MINUTE  # later than all of them in their own simulations
        after.dial()
        after.report(1)
        assert len(after.placed()) == 1
