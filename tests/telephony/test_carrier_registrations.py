"""The state of registrations at carriers: registered, refused with the carrier's code, unreachable."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from tests.telephony.conftest import TelephonySetup
from trunkline.core.clock import Instant
from trunkline.core.settings import Settings
from trunkline.runtime import status
from trunkline.runtime.ports import free_ports
from trunkline.runtime.processes import started_at
from trunkline.runtime.supervisor import state_file
from trunkline.telephony.ami import AmiMessage
from trunkline.telephony.carrier_registrations import (
    CarrierRegistration,
    RegistrationState,
    carrier_registrations,
)
from trunkline.telephony.config import EndpointSet, TrunkConfig, TrunkMode, TrunkTransport

_LINE = (
    "[2026-03-01 12:00:00.000] WARNING[7] res_pjsip_outbound_registration.c: {text} received from"
    " 'sip:192.0.2.1:5060' on registration attempt to 'sip:{user}@192.0.2.1:5060', retrying in '60' seconds\n"
)


def listed(name: str, user: str, state: str) -> AmiMessage:
    headers = {
        "Event": "OutboundRegistrationDetail",
        "ObjectName": name,
        "ClientUri": f"sip:{user}@192.0.2.1:5060",
        "ServerUri": "sip:192.0.2.1:5060",
        "Status": state,
    }
    return AmiMessage(tuple(headers.items()), Instant(0.0))


def test_states() -> None:
    log = (
        _LINE.format(text="Temporal response '503'", user="two")
        + _LINE.format(text="403 Forbidden fatal response", user="two")
        + _LINE.format(text="No response", user="three")
        + _LINE.format(text="No response", user="one")
        + "something' else received from 'x'\n"
    )
    messages = [
        listed("trunk-3", "three", "Rejected"),
        listed("trunk-2", "two", "Rejected"),
        listed("trunk-1", "one", "Registered"),
        listed("trunk-4", "four", "Unregistered"),
        listed("tl-other", "five", "Unregistered"),
        AmiMessage((("Event", "AuthDetail"), ("ObjectName", "trunk-1")), Instant(0.0)),
    ]
    found = carrier_registrations(messages, log)
    assert [(one.trunk_id, one.state, one.code, one.reason) for one in found] == [
        (1, RegistrationState.REGISTERED, None, ""),
        (2, RegistrationState.REFUSED, 403, "403 Forbidden fatal response"),
        (3, RegistrationState.UNREACHABLE, None, "No response"),
        (4, RegistrationState.WAITING, None, ""),
    ]


@pytest.mark.parametrize(
    ("text", "code", "reason"),
    [
        ("Temporal response '401'", 401, "Temporal response 401"),
        ("'404' fatal response", 404, "404 fatal response"),
        ("Fatal response '405'", 405, "Fatal response 405"),
        ("403 Forbidden fatal response", 403, "403 Forbidden fatal response"),
    ],
)
def test_each_form_of_the_line_has_the_code(text: str, code: int, reason: str) -> None:
    [one] = carrier_registrations([listed("trunk-2", "two", "Rejected")], _LINE.format(text=text, user="two"))
    assert (one.state, one.code, one.reason) == (RegistrationState.REFUSED, code, reason)


@pytest.mark.engine
async def test_real_carriers(setup: TelephonySetup) -> None:
    pbx, ports = setup.pbx, setup.pbx.world_ports
    await setup.world.carrier_login("good", "secret")

    def trunk(
        trunk_id: str, user: str, port: int, transport: TrunkTransport = TrunkTransport.UDP
    ) -> TrunkConfig:
        return TrunkConfig.of(
            trunk_id,
            TrunkMode.REGISTER,
            ports.carrier_address,
            port,
            transport,
            username=user,
            password="secret",
        )

    nobody = free_ports(1)[0]
    trunks = [trunk("1", "good", ports.carrier), trunk("2", "unknown", ports.carrier)]
    trunks.append(trunk("3", "good", nobody, TrunkTransport.TCP))
    await setup.engine.configure(EndpointSet(lines=pbx.directory.lines, trunks=trunks))
    log = pbx.config.paths.root / "console"
    expected = [RegistrationState.REGISTERED, RegistrationState.REFUSED, RegistrationState.UNREACHABLE]
    async with asyncio.timeout(60):
        while True:
            found: list[CarrierRegistration] = await setup.engine.registrations_at_carriers(log)
            if [one.state for one in found] == expected:
                break
            await asyncio.sleep(0.5)
    assert found[1].code in (401, 403, 404)
    assert found[1].reason
    assert found[2].reason


def test_a_role_that_does_not_run_is_named(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    pid = os.getpid()
    services = [
        {"name": name, "state": state, "pid": None, "restarts": 0, "version": "", "reason": ""}
        for name, state in (
            ("postgres", "ready"),
            ("asterisk", "ready"),
            ("switch", "not ready"),
            ("web", "ready"),
        )
    ]
    file = state_file(settings.run_dir)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"pid": pid, "started": started_at(pid), "up": True, "services": services}))
    report = status.collect(settings)
    assert report["missing"] == ["switch", "worker"]
    assert not report["up"]
