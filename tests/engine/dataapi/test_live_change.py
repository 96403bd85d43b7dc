"""What the Data API changes is live at once: a new employee's phone registers, rings and talks; old logins fail."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.engine.setup import REGISTERED_SECONDS, Setup, wait_known
from trunkline.demo.outside import Answer, Phone

pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("setup"),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),  # the first one sets the setup, maybe on a busy machine
]

NUMBER = "97140000200"
EXTENSION = "277"


async def phone_with(setup: Setup, login: str, password: str) -> Phone:
    """A device that logs in with this, as its first attempt leaves it."""
    return await setup.world.phone(login, password, name="Nadia", register=False)


async def refused(phone: Phone) -> None:
    """Wait until a device is turned away."""
    deadline = time.monotonic() + REGISTERED_SECONDS
    while await phone.wait_registration("Registered", "Rejected", "Stopped") == "Registered":
        assert time.monotonic() < deadline, "still registered"
        await asyncio.sleep(0.2)
        await phone.try_again()


async def test_a_line_made_changed_and_removed_by_the_api(setup: Setup) -> None:
    async def do(method: str, **params: object) -> dict[str, object]:
        return dict(await setup.installation.data_api(setup.account, method, **params))

    employee = (
        await do(
            "create.employees",
            first_name="Nadia",
            last_name="Quist",
            extension={"extension_phone_number": EXTENSION},
        )
    )["id"]
    line = await do("create.sip_lines", employee_id=employee, virtual_phone_number=NUMBER)
    login, password = str(line["phone_number"]), str(line["password"])

    # The phone registers with the password that was shown, and a colleague reaches it by its short number.
    nadia = await phone_with(setup, login, password)
    await wait_known(setup.installation, setup.account, nadia)
    nadia.on_call(Answer())
    before = await setup.last_id()
    calling = await setup.anna.dial(EXTENSION)
    taken = await nadia.next_call()
    await taken.answered()
    await calling.hears(nadia.tone)
    await taken.hears(setup.anna.tone)
    await calling.hangup()
    await taken.ended()
    legs = await setup.legs((await setup.row(before))["id"])
    assert "Quist Nadia" in {leg["employee_full_name"] for leg in legs if leg["is_talked"]}

    # A new password: the old one is turned away.
    renewed = str((await do("update.sip_line_password", id=line["id"]))["password"])
    successor = await phone_with(setup, login, renewed)
    await wait_known(setup.installation, setup.account, successor)
    await nadia.try_again()
    await refused(nadia)

    # The line goes: nobody gets in.
    await do("delete.sip_lines", id=line["id"])
    await do("delete.employees", id=employee)
    await successor.try_again()
    await refused(successor)
