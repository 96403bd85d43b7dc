"""Calls of browsers and callbacks on a running switch: what a ticket permits, and who is called first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.attack.test_added_legs import NOW, Rig, rig
from tests.calls import company as c
from tests.calls.company import company
from trunkline.calls.command_names import ANNOUNCE_CALL, SITE_STATE, START_CALLBACK
from trunkline.core.engine_values import EndpointName
from trunkline.core.errors import LimitExceeded, NotFound
from trunkline.directory.model import Account, Site
from trunkline.telephony.port import Arrived, Channel, Endpoint, EndpointKind

SITE = Site(16001, "shop.example.com", c.TO_ANNA, c.TO_ANNA, ha1_md5="0" * 32, ha1_sha256="0" * 64)
OTHER = replace(SITE, site_id=16002)


def shops(**changes: Any) -> Account:
    site = replace(SITE, abroad=True, **changes)
    return replace(
        company(sites={SITE.site_id: site, OTHER.site_id: OTHER}), security={"international": True}
    )


def call(it: Rig, channel: str, dialled: str, site: int = SITE.site_id) -> None:
    endpoint = Endpoint(EndpointKind.SITE, EndpointName(f"site-{site}"))
    it.switch.handle(Arrived(Channel(channel), NOW, endpoint, dialled, f"site-{site}", "", NOW))


async def ticket(it: Rig, **more: Any) -> str:
    answer = await it.switch.command(c.ACCOUNT, ANNOUNCE_CALL, {"site_id": SITE.site_id, **more})
    assert isinstance(answer, dict)
    return str(answer["ticket"])


async def test_a_ticket_rings_the_scenario_once_and_nothing_else_does(tmp_path: Path) -> None:
    it = rig(tmp_path, shops(), 40)
    good = await ticket(it, visit={"utm_source": "letter"}, visitor_name="Mia")
    for number, dialled in enumerate(("112", c.CUSTOMER, c.ANNA_LINE, "101", "s", "0" * 32)):
        call(it, f"other-{number}", dialled)
    call(it, "of-other-site", good, OTHER.site_id)
    call(it, "of-no-site", good, 999)
    await it.drain()
    assert it.engine.connects == []
    assert it.switch.sessions == {}
    call(it, "good", good)
    call(it, "again", good)
    await it.drain()
    [connect] = it.engine.connects
    assert connect.targets[0].endpoint.name == c.ANNA_LINE
    assert connect.targets[0].caller_name == "Mia"
    [session] = it.switch.sessions.values()
    assert (session.source, session.direction, session.contact_phone_number) == ("sitephone", "in", None)
    assert session.visit == {
        "site_id": SITE.site_id,
        "site_domain_name": "shop.example.com",
        "utm_source": "letter",
    }


async def test_live_calls_and_unused_tickets_count_for_the_limit_of_the_website(tmp_path: Path) -> None:
    it = rig(tmp_path, shops(at_once=2), 40)
    call(it, "first", await ticket(it))
    await ticket(it)
    with pytest.raises(LimitExceeded):
        await ticket(it)
    with pytest.raises(NotFound):
        await it.switch.command(c.ACCOUNT, SITE_STATE, {"site_id": 999})
    state = await it.switch.command(c.ACCOUNT, SITE_STATE, {"site_id": SITE.site_id})
    assert state == {"is_open": True, "opens_at": None, "has_phone": True, "has_callback": True}


@pytest.mark.parametrize("group", [None, c.ALL])
async def test_a_call_back_calls_our_side_alone_at_first(tmp_path: Path, group: int | None) -> None:
    it = rig(tmp_path, shops(), 40)
    params = {"site_id": SITE.site_id, "contact": c.CUSTOMER, "group_id": group, "visit": {"utm_source": "x"}}
    answer = await it.switch.command(c.ACCOUNT, START_CALLBACK, params)
    assert isinstance(answer, dict)
    await it.drain()
    [session] = it.switch.sessions.values()
    assert session.call_session_id == answer["call_session_id"]
    called = {leg.called_phone_number for leg in session.living}
    assert called == ({c.ANNA_LINE} if group is None else {c.ANNA_LINE, c.BORIS_LINE})
    assert session.visit["utm_source"] == "x"
    assert session.contact_phone_number == c.CUSTOMER
