"""Check-in, check-out, pause and wrap-up of agents; the switch notes the commands on their status."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest

from tests.apis.call_center.rest import Rest
from tests.apis.call_center.test_agents import make_user
from tests.apis.call_center.test_users import JOHN
from trunkline.calls.flows.number_plan import Setting
from trunkline.calls.switch import phone_settings
from trunkline.calls.timers import Question
from trunkline.core.errors import InvalidState, NotFound, SwitchUnavailable
from trunkline.directory.agents.check_ins import check_in_by_code, check_out

VIEW = {
    "agent_id": 1, "status": "Available", "status_reason": None, "status_changed_at": None, "state": "Waiting",
    "wrap_up_until": None, "ready_time": None, "talk_time": 0.0, "calls_answered": 0, "no_answer_count": 0,
    "queue_ids": [], "queue_id": None, "call_session_id": None,
}  # fmt: skip
AGENT = "/api/cc_agent"


@pytest.fixture
def floor(rest: Rest) -> Rest:
    """A switch that carries out the commands on agents."""
    rest.switch.answers |= {"set_agent_status": VIEW, "set_agent_wrap_up": VIEW}
    return rest


async def make_line(rest: Rest, login: str, account_id: int | None = None) -> int:
    row = await rest.db.fetch_one(
        "insert into sip_lines (account_id, phone_number, ha1_md5, ha1_sha256)"
        " values (%s, %s, 'a', 'b') returning sip_line_id",
        (account_id or rest.company.account_id, login),
    )
    assert row is not None
    return int(row["sip_line_id"])


async def devices(rest: Rest, user: int) -> list[int]:
    return [one["device_id"] for one in (await rest.get(f"/api/user/{user}"))["devices"]]


async def checks_in_only(employee_id: int, status: str) -> None:
    assert status == "Available", f"{employee_id} is at no device of another agent"


def statuses(rest: Rest) -> list[tuple[int, str, str | None]]:
    """Statuses that the switch was given since the last look."""
    found = [
        (params["employee_id"], params["status"], params["reason"])
        for _, name, params in rest.switch.commands
        if name == "set_agent_status"
    ]
    rest.switch.commands.clear()
    return found


async def ok(rest: Rest, path: str, **more: Any) -> None:
    answered = await rest.ask("GET", f"{AGENT}/{path}", **more)
    assert (answered.status, answered.content) == (200, {"success": True})


async def test_examples_of_check_in_at_a_device_and_check_out(floor: Rest) -> None:
    rest, user, device = floor, await make_user(floor), await make_line(floor, "0260001")
    address = f"user_id={user}&device_id={device}&api_key={rest.key}"
    await ok(rest, f"checkInDevice?{address}", key=None)
    assert statuses(rest) == [(user, "Available", None)]
    assert await devices(rest, user) == [device]
    await ok(rest, f"checkInDevice?{address}", key=None)
    await ok(rest, f"checkOut?user_id={user}&api_key={rest.key}", key=None)
    assert statuses(rest) == [(user, "Available", None), (user, "Logged Out", None)]
    assert await devices(rest, user) == []
    await ok(rest, f"checkOut?user_id={user}")


async def test_check_out_of_one_device(floor: Rest) -> None:
    """The document's example of checkInDevice has the path of checkOut, with device_id."""
    rest, user = floor, await make_user(floor)
    first, second = await make_line(rest, "0260001"), await make_line(rest, "0260002")
    await ok(rest, f"checkInDevice?user_id={user}&device_id={first}")
    statuses(rest)
    await ok(rest, f"checkOut?user_id={user}&device_id={second}")
    assert (statuses(rest), await devices(rest, user)) == ([], [first])
    await ok(rest, f"checkOut?user_id={user}&device_id={first}")
    assert (statuses(rest), await devices(rest, user)) == ([(user, "Logged Out", None)], [])


async def test_a_check_out_that_failed_is_complete_when_it_is_repeated(floor: Rest) -> None:
    """Without the switch the agent would stay available: the request fails, and the next one finds the check-in."""
    rest, user, device = floor, await make_user(floor), await make_line(floor, "0260001")
    await ok(rest, f"checkInDevice?user_id={user}&device_id={device}")

    async def fails(_employee_id: int, _status: str) -> None:
        raise SwitchUnavailable("The telephone switch does not answer.")

    with pytest.raises(SwitchUnavailable):
        await check_out(rest.db, rest.company.account_id, user, fails, device)
    assert await devices(rest, user) == [device]
    statuses(rest)
    await ok(rest, f"checkOut?user_id={user}&device_id={device}")
    assert (statuses(rest), await devices(rest, user)) == ([(user, "Logged Out", None)], [])


async def test_check_out_of_another_device_keeps_the_number_to_dial(floor: Rest) -> None:
    rest, user = floor, await make_user(floor)
    first, second = await make_line(rest, "0260001"), await make_line(rest, "0260002")
    number = await rest.get(f"{AGENT}/checkIn?user_id={user}")
    await ok(rest, f"checkOut?user_id={user}&device_id={second}")
    dialled = {"value": number.removeprefix("***"), "sip_line_id": first}
    assert await check_in_by_code(rest.db, rest.company.account_id, dialled, checks_in_only) == user
    await ok(rest, f"checkOut?user_id={user}&device_id={first}")
    with pytest.raises(NotFound):
        await check_in_by_code(rest.db, rest.company.account_id, dialled, checks_in_only)


async def test_a_check_in_ends_a_break(floor: Rest, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a device by the API, and by dialling."""
    rest, user, device = floor, await make_user(floor), await make_line(floor, "0260001")

    async def pause_id() -> int:
        return int((await rest.get(f"/api/user/{user}"))["pause_id"])

    await ok(rest, f"setPause?id=2&user_id={user}")
    assert await pause_id() == 2
    await ok(rest, f"checkInDevice?user_id={user}&device_id={device}")
    assert await pause_id() == 0
    await ok(rest, f"checkOut?user_id={user}")
    await ok(rest, f"setPause?id=2&user_id={user}")
    number = (await rest.get(f"{AGENT}/checkIn?user_id={user}")).removeprefix("***")

    async def execute(*_: object) -> dict[str, Any]:
        raise NotFound("no agent")

    monkeypatch.setattr(phone_settings, "execute_queue_command", execute)
    asked = Question("change_setting", {"setting": Setting.CHECK_IN, "value": number, "sip_line_id": device})
    switch: Any = SimpleNamespace(queues=None)
    await phone_settings.change_setting(rest.db, switch.queues, rest.company.account_id, asked)
    assert await pause_id() == 0


async def test_another_check_in_ends_only_by_force(floor: Rest) -> None:
    rest = floor
    first, second = await make_user(rest), await make_user(rest, "second")
    here, there = await make_line(rest, "0260001"), await make_line(rest, "0260002")
    await ok(rest, f"checkInDevice?user_id={first}&device_id={here}")
    await ok(rest, f"checkInDevice?user_id={second}&device_id={there}")
    statuses(rest)
    for user, device in ((first, there), (second, here)):
        refused = await rest.ask("GET", f"{AGENT}/checkInDevice?user_id={user}&device_id={device}")
        assert refused.status == 409
        assert "forceCheckOut=1" in refused.msg
    assert statuses(rest) == []
    await ok(rest, f"checkInDevice?user_id={first}&device_id={there}&forceCheckOut=1")
    assert statuses(rest) == [(second, "Logged Out", None), (first, "Available", None)]
    assert (await devices(rest, first), await devices(rest, second)) == ([there], [])


async def test_a_forced_check_in_is_repeated_when_the_switch_did_not_respond(floor: Rest) -> None:
    """Nothing is stored before the other agent is logged out: the repeated request does all of it."""
    rest = floor
    first, second = await make_user(rest), await make_user(rest, "second")
    device = await make_line(rest, "0260001")
    await ok(rest, f"checkInDevice?user_id={second}&device_id={device}")
    statuses(rest)
    rest.switch.answers["set_agent_status"] = SwitchUnavailable("The telephone switch does not answer.")
    forced = f"checkInDevice?user_id={first}&device_id={device}&forceCheckOut=1"
    assert (await rest.ask("GET", f"{AGENT}/{forced}")).status == 503
    rest.switch.answers["set_agent_status"] = VIEW
    statuses(rest)
    await ok(rest, forced)
    assert statuses(rest) == [(second, "Logged Out", None), (first, "Available", None)]
    assert (await devices(rest, first), await devices(rest, second)) == ([device], [])


async def test_a_forced_check_in_by_phone_logs_the_other_agent_out(floor: Rest) -> None:
    rest, account_id = floor, floor.company.account_id
    first, second = await make_user(rest), await make_user(rest, "second")
    device = await make_line(rest, "0260001")
    await ok(rest, f"checkInDevice?user_id={second}&device_id={device}")
    number = await rest.get(f"{AGENT}/checkIn?user_id={first}&forceCheckOut=1")
    dialled = {"value": number.removeprefix("***"), "sip_line_id": device}
    changed: list[tuple[int, str]] = []

    async def fails(employee_id: int, status: str) -> None:
        raise SwitchUnavailable("The queues of this account are being read.")

    async def set_status(employee_id: int, status: str) -> None:
        changed.append((employee_id, status))

    with pytest.raises(SwitchUnavailable):
        await check_in_by_code(rest.db, account_id, dialled, fails)
    assert await devices(rest, second) == [device]
    assert await check_in_by_code(rest.db, account_id, dialled, set_status) == first
    assert changed == [(second, "Logged Out"), (first, "Available")]
    assert (await devices(rest, first), await devices(rest, second)) == ([device], [])


async def test_the_switch_logs_out_whom_a_check_in_by_phone_displaces(
    floor: Rest, monkeypatch: pytest.MonkeyPatch
) -> None:
    rest, account_id = floor, floor.company.account_id
    first, second = await make_user(rest), await make_user(rest, "second")
    device = await make_line(rest, "0260001")
    await ok(rest, f"checkInDevice?user_id={second}&device_id={device}")
    number = await rest.get(f"{AGENT}/checkIn?user_id={first}&forceCheckOut=1")
    given: list[tuple[int, str]] = []

    async def command(_queues: object, _account: int, _name: str, params: dict[str, Any]) -> None:
        given.append((params["employee_id"], params["status"]))
        if params["employee_id"] == second:
            raise NotFound("This employee is no agent")

    monkeypatch.setattr(phone_settings, "execute_queue_command", command)
    data = {"setting": Setting.CHECK_IN, "value": number.removeprefix("***"), "sip_line_id": device}
    asked = Question("change_setting", data)
    switch: Any = SimpleNamespace(queues=None)
    assert await phone_settings.change_setting(rest.db, switch.queues, account_id, asked) == {
        "result": "written"
    }
    assert given == [(second, "Logged Out"), (first, "Available")]


async def test_a_device_belongs_to_who_has_checked_in_there(floor: Rest) -> None:
    """The line is a phone of Anna; while another agent is checked in there, it is no phone of hers."""
    rest, account_id = floor, floor.company.account_id
    anna, guest = await make_user(rest, "anna"), await make_user(rest, "guest")
    line = await make_line(rest, "0260001")
    await rest.db.execute(
        "insert into employee_phones (account_id, employee_id, position, sip_line_id) values (%s, %s, 0, %s)",
        (account_id, anna, line),
    )
    await ok(rest, f"checkInDevice?user_id={guest}&device_id={line}")
    assert (await devices(rest, anna), await devices(rest, guest)) == ([], [line])
    await ok(rest, f"checkOut?user_id={guest}")
    assert (await devices(rest, anna), await devices(rest, guest)) == ([line], [])
    await ok(rest, f"checkInDevice?user_id={anna}&device_id={line}")
    assert await devices(rest, anna) == [line], "once"


async def test_example_of_check_in(floor: Rest) -> None:
    rest, user, device = floor, await make_user(floor), await make_line(floor, "0260001")
    answered = await rest.ask("GET", f"{AGENT}/checkIn?user_id={user}&api_key={rest.key}", key=None)
    number = answered.data
    assert re.fullmatch(r"\*\*\*[0-9]{6}", number)
    assert statuses(rest) == [], "the agent is checked in when the number was dialled"
    dialled = {"value": number.removeprefix("***"), "sip_line_id": device}
    account_id = rest.company.account_id
    for _ in range(2):
        assert await check_in_by_code(rest.db, account_id, dialled, checks_in_only) == user, (
            "again after a restart of the switch"
        )
    assert await devices(rest, user) == [device]
    other = await make_line(rest, "0260002")
    with pytest.raises(NotFound):
        await check_in_by_code(rest.db, account_id, {**dialled, "sip_line_id": other}, checks_in_only)
    with pytest.raises(NotFound):
        await check_in_by_code(rest.db, rest.other.account_id, dialled, checks_in_only)
    newer = await rest.get(f"{AGENT}/checkIn?user_id={user}")
    with pytest.raises(NotFound):
        await check_in_by_code(rest.db, account_id, dialled, checks_in_only)
    dialled = {"value": newer.removeprefix("***"), "sip_line_id": other}
    with pytest.raises(InvalidState):
        await check_in_by_code(rest.db, account_id, dialled, checks_in_only)
    forced = await rest.get(f"{AGENT}/checkIn?user_id={user}&forceCheckOut=1")
    dialled = {"value": forced.removeprefix("***"), "sip_line_id": other}
    assert await check_in_by_code(rest.db, account_id, dialled, checks_in_only) == user
    assert await devices(rest, user) == [other]
    await rest.db.execute("update agent_check_in_codes set expires_at = now()")
    with pytest.raises(NotFound):
        await check_in_by_code(rest.db, account_id, dialled, checks_in_only)


async def test_example_of_set_pause(floor: Rest) -> None:
    rest, user = floor, await make_user(floor)
    row = await rest.db.fetch_one("select status_id from employee_statuses where mnemonic = 'break'")
    assert row is not None
    pause = row["status_id"]
    await ok(rest, f"setPause?id={pause}&user_id={user}&api_key={rest.key}", key=None)
    assert (await rest.get(f"/api/user/{user}"))["pause_id"] == pause
    await ok(rest, f"setPause?id=0&user_id={user}")
    assert (await rest.get(f"/api/user/{user}"))["pause_id"] == 0
    assert statuses(rest) == [(user, "On Break", str(pause)), (user, "Available", None)]
    await ok(rest, f"setPause?id={pause}&user_id={user}")
    available = await rest.db.fetch_one(
        "select status_id from employee_statuses where mnemonic = 'available'"
    )
    assert available is not None
    await ok(rest, f"setPause?id={available['status_id']}&user_id={user}")
    assert (await rest.get(f"/api/user/{user}"))["pause_id"] == 0
    assert statuses(rest) == [(user, "On Break", str(pause)), (user, "Available", None)]
    assert (await rest.ask("GET", f"{AGENT}/setPause?id=987654&user_id={user}")).status == 404
    assert statuses(rest) == []


async def test_the_end_of_a_break_of_an_agent_who_is_logged_out_is_refused(floor: Rest) -> None:
    rest, user = floor, await make_user(floor)
    row = await rest.db.fetch_one("select status_id from employee_statuses where mnemonic = 'break'")
    assert row is not None
    await ok(rest, f"setPause?id={row['status_id']}&user_id={user}")
    rest.switch.answers["set_agent_status"] = InvalidState("The agent is logged out: check in first.")
    refused = await rest.ask("GET", f"{AGENT}/setPause?id=0&user_id={user}")
    assert (refused.status, "check in first" in refused.msg) == (409, True)
    assert [params.get("ends_break") for _, _, params in rest.switch.commands] == [None, True]
    assert (await rest.get(f"/api/user/{user}"))["pause_id"] == row["status_id"]


async def test_example_of_wrap_up(floor: Rest) -> None:
    rest, user = floor, await make_user(floor)
    await ok(rest, f"wrapup?user_id={user}&seconds=0&api_key={rest.key}", key=None)
    await ok(rest, f"wrapup?user_id={user}")
    assert [params["seconds"] for _, _, params in rest.switch.commands] == [0, None]
    assert (await rest.ask("GET", f"{AGENT}/wrapup?user_id={user}&seconds=90000")).status == 400
    rest.switch.answers["set_agent_wrap_up"] = NotFound("This employee is no agent")
    assert (await rest.ask("GET", f"{AGENT}/wrapup?user_id={user}")).status == 404


async def test_who_is_in_no_queue_can_check_in_and_pause(floor: Rest) -> None:
    rest, user, device = floor, await make_user(floor), await make_line(floor, "0260001")
    rest.switch.answers["set_agent_status"] = NotFound("This employee is no agent")
    await ok(rest, f"checkInDevice?user_id={user}&device_id={device}")
    await ok(rest, f"setPause?id=0&user_id={user}")
    await ok(rest, f"checkOut?user_id={user}")


async def test_an_agent_acts_for_itself_without_permission(floor: Rest) -> None:
    rest = floor
    user, other, device = (
        await make_user(rest),
        await make_user(rest, "other"),
        await make_line(rest, "0260001"),
    )
    session = await rest.post("/api/user/login", {"username": "john", "password": JOHN["password"]}, key=None)
    key = session["api_key"]
    for path in ("setPause?id=0", "wrapup", "checkOut", f"setPause?id=0&user_id={user}"):
        await ok(rest, path, key=key)
    assert re.fullmatch(r"\*\*\*[0-9]{6}", await rest.get(f"{AGENT}/checkIn", key=key))
    assert {one[0] for one in statuses(rest)} == {user}
    for path in (
        f"setPause?id=0&user_id={other}", f"wrapup?user_id={other}", f"checkOut?user_id={other}",
        f"checkIn?user_id={other}", f"checkInDevice?device_id={device}", f"checkInDevice?device_id={device}&user_id={other}",
    ):  # fmt: skip
        refused = await rest.ask("GET", f"{AGENT}/{path}", key=key)
        assert refused.status == 403, path
        assert "agents update" in refused.msg
    assert rest.switch.commands == []


async def test_two_companies_with_equal_ids_never_meet(floor: Rest) -> None:
    rest, theirs = floor, floor.other_key
    user, device = await make_user(rest), await make_line(rest, "0260001")
    for path in (
        f"checkIn?user_id={user}", f"checkOut?user_id={user}", f"checkInDevice?user_id={user}&device_id={device}",
        f"setPause?id=0&user_id={user}", f"wrapup?user_id={user}",
    ):  # fmt: skip
        assert (await rest.ask("GET", f"{AGENT}/{path}", key=theirs)).status == 404, path
    assert rest.switch.commands == []
    own = int((await rest.post("/api/user", {**JOHN, "username": "theirs"}, key=theirs))["id"])
    assert (
        await rest.ask("GET", f"{AGENT}/checkInDevice?user_id={own}&device_id={device}", key=theirs)
    ).status == 404
    await ok(rest, f"checkInDevice?user_id={user}&device_id={device}")
    line = await make_line(rest, "0360001", rest.other.account_id)
    await ok(rest, f"checkInDevice?user_id={own}&device_id={line}", key=theirs)
    assert await devices(rest, user) == [device]
