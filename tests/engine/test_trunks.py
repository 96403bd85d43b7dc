"""A trunk that registers at its carrier: calls both ways through it. A trunk whose server does not respond."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.engine.setup import TRUNK_USER, Setup
from trunkline.demo.outside import Answer

pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("setup of reports"),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),
]

NUMBER = "97140000212"


async def test_a_call_comes_in_where_the_trunk_registered(setup: Setup) -> None:
    before = await setup.last_id()
    customer = await setup.customer()
    setup.anna.on_call(Answer())
    call = await setup.world.dial_registered(customer, NUMBER, TRUNK_USER)
    phone = await setup.anna.next_call()
    await asyncio.gather(call.answered(), phone.answered())
    await asyncio.sleep(1.5)
    await call.hangup()
    await phone.ended()
    row = await setup.row(before)
    await setup.prove_talk(row, call, phone)
    assert row["virtual_phone_number"] == NUMBER
    assert row["contact_phone_number"] == customer.name


async def test_a_call_goes_out_through_the_registered_trunk(setup: Setup) -> None:
    before = await setup.last_id()
    customer = await setup.customer()
    customer.on_call(Answer())
    setup.anna.on_call(Answer())
    employees = (await setup.installation.data_api(setup.account, "get.employees"))["data"]
    await setup.installation.call_api(
        setup.account,
        "start.employee_call",
        first_call="employee",
        contact=customer.name,
        virtual_phone_number=NUMBER,
        employee={"id": next(one["id"] for one in employees if one["first_name"] == "Anna")},
    )
    call, phone = await asyncio.gather(customer.next_call(), setup.anna.next_call())
    await asyncio.gather(call.answered(), phone.answered())
    assert call.number.lstrip("+") == NUMBER
    await asyncio.gather(call.hears(phone.tone), phone.hears(call.tone))
    hears = await setup.world.hears([call, phone])
    assert list(hears[call.party]) == [phone.party]
    assert list(hears[phone.party]) == [call.party]
    await phone.hangup()
    await call.ended()
    assert (await setup.row(before))["virtual_phone_number"] == NUMBER


class _Refusing(asyncio.DatagramProtocol):
    """A carrier that does not accept the password: 403 for each request."""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if data.startswith(b"ACK"):
            return
        kept = (b"via:", b"from:", b"to:", b"call-id:", b"cseq:")
        lines = [line for line in data.split(b"\r\n") if line.lower().startswith(kept)]
        lines = [line + b";tag=1" if line.lower().startswith(b"to:") else line for line in lines]
        head = b"SIP/2.0 403 Forbidden"
        self._transport.sendto(b"\r\n".join([head, *lines, b"Content-Length: 0", b"", b""]), addr)


async def test_a_wrong_password_of_a_trunk_is_no_customer_who_hangs_up(setup: Setup, tmp_path: Path) -> None:
    carrier, _ = await asyncio.get_running_loop().create_datagram_endpoint(_Refusing, ("127.0.0.7", 0))
    port = carrier.get_extra_info("sockname")[1]
    file = tmp_path / "more.yaml"

    async def send_over(trunk: str) -> None:
        number = f"{{name: One at a time, trunk: {trunk}, max_in_calls: 1, rules: [{{scenario: anna}}]}}"
        file.write_text(
            f"trunks: {{wrong: {{name: Wrong, mode: register, host: 127.0.0.7, port: {port},"
            f' username: {TRUNK_USER}, password: "another one"}}}}\n'
            f'virtual_numbers: {{"97140000203": {number}}}\n'
        )
        await setup.installation.apply(setup.account, file)

    before = await setup.last_id()
    account = str(setup.account.account_id)
    await send_over("wrong")
    try:
        async with asyncio.timeout(40):
            while True:
                with pytest.raises(RuntimeError) as failed:  # its exit code is 3
                    await setup.installation.run("trunk", "status", "--account", account, "--json")
                states = str(failed.value)[str(failed.value).index("[") :]
                [state] = [one for one in json.loads(states) if one["name"] == "Wrong"]
                if state["code"]:
                    break
                await asyncio.sleep(0.5)
        await asyncio.sleep(11)  # the switch has read the state
        call = await setup.clara.dial("971500000077")
        await call.ended()
        row = await setup.row(before)
    finally:
        await send_over("carrier")
        carrier.close()
    assert (state["state"], state["code"]) == ("refused", 403)
    assert row["finish_reason"] == "caller_number_problems"
    printed = json.loads(await setup.installation.run("calls", "--last", "5", "--account", account, "--json"))
    explanation = next(one["explanation"] for one in printed if one["call_session_id"] == row["id"])
    assert "trunk Wrong was not registered: refused, " in explanation


@pytest.mark.parametrize("hangs_up_after", [None, 11])
async def test_a_trunk_whose_server_does_not_respond_is_named(
    setup: Setup, tmp_path: Path, hangs_up_after: int | None
) -> None:
    """Asterisk gives up after 32 s with cause 19, as for a customer who does not answer. Callers give up before."""
    file = tmp_path / "more.yaml"

    async def send_over(trunk: str, port: int) -> None:
        number = f"{{name: One at a time, trunk: {trunk}, max_in_calls: 1, rules: [{{scenario: anna}}]}}"
        file.write_text(
            f"trunks: {{silent: {{name: Silent, host: 127.0.0.7, port: {port}}}}}\n"
            f'virtual_numbers: {{"97140000203": {number}}}\n'
        )
        await setup.installation.apply(setup.account, file)

    before = await setup.last_id()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.7", 0))
        await send_over("silent", silent.getsockname()[1])
        try:
            call = await setup.clara.dial("971500000077")
            if hangs_up_after is not None:
                await asyncio.sleep(hangs_up_after)
                await call.hangup()
            await call.ended()
            row = await setup.row(before)
        finally:
            await send_over("carrier", silent.getsockname()[1])
    account = str(setup.account.account_id)
    printed = json.loads(await setup.installation.run("calls", "--last", "5", "--account", account, "--json"))
    explanation = next(one["explanation"] for one in printed if one["call_session_id"] == row["id"])
    assert "trunk Silent: the carrier did not respond, no ringing and no answer for" in explanation
    assert f"{hangs_up_after or 32} s" in explanation
    with pytest.raises(RuntimeError, match="no response"):  # its exit code is 3
        await setup.installation.run("trunk", "status", "--account", account)
