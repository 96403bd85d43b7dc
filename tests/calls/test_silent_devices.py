"""Calls in which no sound arrived from a line or trunk are in the log and in the status."""

from __future__ import annotations

import pytest
import structlog

from tests.calls import company as c
from tests.calls.simulation import CallSimulation
from trunkline.calls.switch.silent_devices import SilentDevices
from trunkline.directory.model import Directory
from trunkline.events.catalogue import EventType


def talk(simulation: CallSimulation, *, is_caller_silent: bool, seconds: float) -> list[object]:
    """``no_sound`` of both legs of a call of Boris to a customer."""
    simulation.dial(c.BORIS_LINE, c.CUSTOMER)
    phone = simulation.at(7).answer(c.CUSTOMER)
    simulation.engine.silent.add(simulation.channel if is_caller_silent else phone)
    simulation.at(7 + seconds).hang_up()
    ends = [one for one in simulation.events if one.type is EventType.LEG_ENDED]
    legs = {one.data["leg_id"]: one.data.get("no_sound") for one in ends}
    return [legs[leg_id] for leg_id in simulation.session.legs]


def test_the_end_of_a_leg_names_the_device_without_sound() -> None:
    trunk = {"kind": "trunk", "name": c.company().trunks[1].name}
    line = {"kind": "line", "name": c.BORIS_LINE}
    assert talk(CallSimulation(), is_caller_silent=False, seconds=6) == [None, trunk]
    assert talk(CallSimulation(), is_caller_silent=True, seconds=6) == [line, None]
    assert talk(CallSimulation(), is_caller_silent=False, seconds=4) == [None, None]


@pytest.mark.parametrize("is_caller_silent", [True, False])
def test_they_are_counted_and_logged_once_a_minute(is_caller_silent: bool) -> None:
    account = c.company()
    directory = Directory({account.account_id: account})
    now = 1000.0
    devices = SilentDevices(lambda: directory, lambda _line: ["192.0.2.9"], lambda: now)
    trunk = account.trunks[1]
    kind, name, addresses = (
        ("line", c.BORIS_LINE, ["192.0.2.9"])
        if is_caller_silent
        else ("trunk", trunk.name, [trunk.host, *trunk.addresses])
    )
    with structlog.testing.capture_logs() as logs:
        for at in (0, 30, 61):
            now = 1000.0 + at
            simulation = CallSimulation()
            talk(simulation, is_caller_silent=is_caller_silent, seconds=6)
            for event in simulation.events:
                if event.type is EventType.LEG_ENDED:
                    devices.note(simulation.session, event)
    assert devices.status() == [{"account_id": account.account_id, "kind": kind, "name": name, "count": 3}]
    assert [(one["event"], one[kind], one["calls"], one["addresses"]) for one in logs] == [
        ("call_without_sound", name, 1, addresses),
        ("call_without_sound", name, 2, addresses),
    ]
