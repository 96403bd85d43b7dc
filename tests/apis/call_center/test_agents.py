"""Calls of agents: originate, active calls, files played into them, recordings; against a switch that notes commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.apis.call_center.rest import Rest, opened
from tests.apis.call_center.test_users import JOHN
from trunkline.apis.call_center import agents
from trunkline.core.call_uuids import identifier_of, uuid_of
from trunkline.core.errors import InvalidState, NotFound
from trunkline.core.settings import Settings

CALL = 7_000_000_000_123
ORIGINATE = "/api/cc_agent/originate"
ACTIVE = "/api/cc_agent/active_calls"
BARGE = "/api/cc_agent/barge_media"


def live(**changes: Any) -> dict[str, Any]:
    """A call as the switch lists it."""
    return {
        "uuid": uuid_of(CALL), "state": "Answer", "type": "outbound", "ts": 1_800_000_000, "answer_ts": 1_800_000_009,
        "cid_num": "97140000200", "cid_name": None, "dst_num": "12025550111", "src_device_id": 5, "dst_device_id": None,
        "src_user_id": 1, "dst_user_id": None, "user_id": 1, "queue_id": None, "lead_id": "04", "external_id": None,
        "lead_name": "Ida", "ext_api_vars": {"plan": "gold"}, "campaign_id": 9, "tags": [], **changes,
    }  # fmt: skip


@pytest.fixture
def picked_up(rest: Rest) -> Rest:
    """A switch whose agents pick up."""
    rest.switch.answers |= {
        "start_agent_call": {"call_session_id": CALL},
        "wait_for_agent": {"state": "answered"},
        "list_agent_calls": [live()],
    }
    return rest


def started(rest: Rest) -> dict[str, Any]:
    """Parameters of the command that starts a call, without those of the caller."""
    [params] = [params for _, name, params in rest.switch.commands if name == "start_agent_call"]
    sent = {name: value for name, value in params.items() if value is not None}
    for name in ("user_id", "login", "api_request_id"):
        del sent[name]
    return sent


async def make_user(rest: Rest, name: str = "john", **more: Any) -> int:
    return int((await rest.post("/api/user", {**JOHN, "username": name, **more}))["id"])


async def test_example_of_originate(picked_up: Rest) -> None:
    rest = picked_up
    address = f"{ORIGINATE}?device_id=5&cid=97140000200&destination=12025550111&lead_id=04&api_key={rest.key}"
    answered = await rest.ask("GET", address, key=None)
    assert (answered.status, answered.content) == (200, {"success": True, "uuid": uuid_of(CALL)})
    assert started(rest) == {
        "contact": "12025550111", "virtual_phone_number": "97140000200", "sip_line_id": 5, "lead_id": "04",
        "auto_answer": False,
    }  # fmt: skip


async def test_every_parameter_of_originate(picked_up: Rest) -> None:
    rest = picked_up
    query = {
        "destination": "0501234567", "extension": "201", "cid": "+971 4 000 0200", "cnam": "Palm", "display_cid": "2001",
        "display_cnam": "Renewal", "lead_id": "4", "sip_auto_answer": "1",
    }  # fmt: skip
    assert (await rest.ask("GET", ORIGINATE, params=query)).status == 200
    assert started(rest) == {
        "contact": "0501234567", "extension": "201", "virtual_phone_number": "97140000200", "contact_shown_name": "Palm",
        "shown_number": "2001", "shown_name": "Renewal", "lead_id": "4", "auto_answer": True,
    }  # fmt: skip


async def test_originate_waits_until_the_agent_picks_up(picked_up: Rest) -> None:
    rest = picked_up
    states = iter([{"state": "ringing"}, {"state": "ringing"}, {"state": "answered"}])

    async def command(
        account_id: int, name: str, params: dict[str, Any], *, request_id: str = ""
    ) -> dict[str, Any]:
        return {"call_session_id": CALL} if name == "start_agent_call" else next(states)

    rest.switch.command = command  # type: ignore[method-assign]
    assert (await rest.ask("GET", f"{ORIGINATE}?destination=12025550111&user_id=1")).status == 200
    assert list(states) == []


async def test_a_call_that_the_agent_does_not_pick_up_ends(
    picked_up: Rest, monkeypatch: pytest.MonkeyPatch
) -> None:
    rest = picked_up
    monkeypatch.setattr(agents, "ORIGINATE_SECONDS", 0)
    rest.switch.answers |= {"wait_for_agent": {"state": "ringing"}, "release_call": {}}
    answered = await rest.ask("GET", f"{ORIGINATE}?destination=12025550111&user_id=1")
    assert (answered.status, answered.msg) == (409, "NO_ANSWER")
    [released] = [params for _, name, params in rest.switch.commands if name == "release_call"]
    assert released["call_session_id"] == CALL
    rest.switch.answers["release_call"] = NotFound("it has ended")
    answered = await rest.ask("GET", f"{ORIGINATE}?destination=12025550111&user_id=1")
    assert (answered.status, answered.msg) == (409, "NO_ANSWER")


@pytest.mark.parametrize(
    ("name", "answer", "msg"),
    [
        (
            "start_agent_call",
            InvalidState("no device", mnemonic="facility_not_subscribed"),
            "FACILITY_NOT_SUBSCRIBED",
        ),
        ("start_agent_call", InvalidState("in calls", mnemonic="user_busy"), "USER_BUSY"),
        ("wait_for_agent", {"state": "ended", "cause": "CALL_REJECTED"}, "CALL_REJECTED"),
        ("wait_for_agent", NotFound("gone"), "NO_ANSWER"),
    ],
)
async def test_an_agent_who_is_not_reached(picked_up: Rest, name: str, answer: Any, msg: str) -> None:
    picked_up.switch.answers[name] = answer
    answered = await picked_up.ask("GET", f"{ORIGINATE}?destination=12025550111&device_id=5")
    assert (answered.status, answered.msg) == (409, msg)


async def test_without_a_device_it_is_the_user_of_the_key(picked_up: Rest) -> None:
    rest = picked_up
    refused = await rest.ask("GET", f"{ORIGINATE}?destination=12025550111")
    assert (refused.status, refused.msg) == (404, "The log-in of the key belongs to no user: send user_id.")
    user = await make_user(rest)
    session = await rest.post("/api/user/login", {"username": "john", "password": JOHN["password"]}, key=None)
    assert (
        await rest.ask("GET", f"{ORIGINATE}?destination=12025550111", key=session["api_key"])
    ).status == 200
    assert started(rest)["employee_id"] == user


@pytest.mark.parametrize("device", ["device_id=5", "user_id=999", "extension=201"])
async def test_calls_for_others_need_the_permission(picked_up: Rest, device: str) -> None:
    rest = picked_up
    key = await rest.user_key("queues:update")
    address = f"{ORIGINATE}?destination=12025550111&{device}"
    refused = await rest.ask("GET", address, key=key)
    assert refused.status == 403
    assert "trunkline user permit --user clerk agents update" in refused.msg
    assert rest.switch.commands == []
    key = await rest.user_key("agents:update", login="second")
    assert (await rest.ask("GET", address, key=key)).status == 200


async def test_active_calls(picked_up: Rest) -> None:
    rest = picked_up
    user = await make_user(rest, ext_user_id="crm-7")
    assert await rest.get(ACTIVE) == [live()]
    assert await rest.get(f"{ACTIVE}?queue_id=3") == []
    for query in (f"user_id={user}", "ext_user_id=crm-7", f"user_id={user}&ext_user_id=crm-7&lead_id=04"):
        await rest.get(f"{ACTIVE}?{query}")
    await rest.get(f"{ACTIVE}?ext_user_id=nobody")
    asked = [params for _, name, params in rest.switch.commands if name == "list_agent_calls"]
    assert asked == [
        {"employee_ids": None, "lead_id": None},
        {"employee_ids": None, "lead_id": None},
        {"employee_ids": [user], "lead_id": None},
        {"employee_ids": [user], "lead_id": None},
        {"employee_ids": [user], "lead_id": "04"},
        {"employee_ids": [], "lead_id": None},
    ]


async def test_own_calls_need_no_permission_and_those_of_others_do(picked_up: Rest) -> None:
    rest = picked_up
    user = await make_user(rest)
    session = await rest.post("/api/user/login", {"username": "john", "password": JOHN["password"]}, key=None)
    key = session["api_key"]
    assert await rest.get(f"{ACTIVE}?user_id={user}", key=key) == [live()]
    for query in ("", f"?user_id={user + 1}", "?ext_user_id=a"):
        assert (await rest.ask("GET", f"{ACTIVE}{query}", key=key)).status == 403, query


async def test_a_file_is_played_into_the_newest_talk_of_the_user(picked_up: Rest) -> None:
    rest = picked_up
    user = await make_user(rest)
    rest.switch.answers["list_agent_calls"] = [
        live(uuid=uuid_of(1), ts=1), live(uuid=uuid_of(2), ts=2), live(uuid=uuid_of(3), ts=3, state="Ring")
    ]  # fmt: skip
    for query, media in ((f"user_id={user}&media_id=9", 9), (f"user_id={user}&stop=1", None)):
        rest.switch.commands.clear()
        answered = await rest.ask("GET", f"{BARGE}?{query}")
        assert (answered.status, answered.content) == (200, {"success": True})
        [params] = [params for _, name, params in rest.switch.commands if name == "barge_media"]
        assert (params["call_session_id"], params["media_file_id"]) == (2, media)


async def test_a_user_who_does_not_talk(picked_up: Rest) -> None:
    rest = picked_up
    user = await make_user(rest)
    rest.switch.answers["list_agent_calls"] = [live(state="Ring")]
    assert (await rest.ask("GET", f"{BARGE}?user_id={user}&media_id=9")).status == 409
    assert (await rest.ask("GET", f"{BARGE}?user_id={user}")).status == 400
    assert (await rest.ask("GET", f"{BARGE}?user_id=999999&media_id=9")).status == 404


async def test_the_switch_is_asked_for_the_own_account_only(picked_up: Rest) -> None:
    """Ids are the same in both companies; the account is that of the key."""
    rest = picked_up
    user = await make_user(rest)
    theirs = rest.other_key
    await rest.ask("GET", f"{ORIGINATE}?destination=12025550111&user_id={user}", key=theirs)
    await rest.ask("GET", f"{ACTIVE}?user_id={user}", key=theirs)
    assert {account for account, _, _ in rest.switch.commands} == {rest.other.account_id}
    rest.switch.commands.clear()
    assert (await rest.ask("GET", f"{BARGE}?user_id={user}&media_id=9", key=theirs)).status == 404
    assert rest.switch.commands == [], "a user of another company is no user"


# --- recordings -----------------------------------------------------------------------------------------------


async def make_recording(
    rest: Rest, account_id: int, folder: Path, call: int, sound: bytes, **changes: Any
) -> None:
    name = f"{account_id}-{call}-{changes.get('kind', 'talk')}.mp3"
    (folder / name).write_bytes(sound)
    row = {"kind": "talk", "status": "ready", "leg_id": None, **changes}
    await rest.db.execute(
        "insert into recordings (account_id, recording_id, call_session_id, leg_id, kind, status, mp3_path)"
        " values (%s, %s, %s, %s, %s, %s, %s)",
        (account_id, f"{name}{row['status']}", call, row["leg_id"], row["kind"], row["status"], name),
    )


async def test_recordings_of_calls(database: str, free_ports: Any, tmp_path: Path) -> None:
    [port] = free_ports(1)
    web = {"http_port": port, "https_port": 0}
    settings = Settings.model_validate({"data_dir": tmp_path, "web": web})
    folder = settings.recordings_dir
    folder.mkdir(parents=True)
    async with opened(database, port, settings) as rest:
        ours, theirs = rest.company.account_id, rest.other.account_id
        await make_recording(rest, ours, folder, CALL, b"voice mail", kind="voice_mail")
        await make_recording(rest, ours, folder, CALL, b"0123456789")
        await make_recording(rest, theirs, folder, CALL, b"theirs")
        await make_recording(rest, theirs, folder, CALL + 1, b"only theirs")
        await make_recording(rest, ours, folder, CALL + 2, b"not ready", status="pending")
        path = f"/api/cdr/recordings/{uuid_of(CALL)}.mp3"

        async def fetched(path: str, key: str = rest.key, **headers: str) -> tuple[int, bytes, Any]:
            async with rest.session.get(
                f"{rest.base}{path}", headers={"api_key": key, **headers}
            ) as response:
                return response.status, await response.read(), response.headers

        status, body, headers = await fetched(path)
        assert (status, body, headers["Content-Type"]) == (200, b"0123456789", "audio/mpeg")
        status, body, headers = await fetched(path, Range="bytes=2-4")
        assert (status, body, headers["Content-Range"]) == (206, b"234", "bytes 2-4/10")
        assert (await fetched(path, Range="bytes=20-"))[0] == 416
        assert (await fetched(path, rest.other_key))[1] == b"theirs", (
            "the same id in another company is another call"
        )
        for call in (CALL + 1, CALL + 2, CALL + 3):
            assert (await fetched(f"/api/cdr/recordings/{uuid_of(call)}.mp3"))[0] == 404
        for text in ("70b27a69-1363-42e1-9c37-4f9c159beb3b", "..%2f..%2fsecret", "x" * 200):
            assert identifier_of(text) is None
            assert (await fetched(f"/api/cdr/recordings/{text}.mp3"))[0] == 404, text
        assert (await fetched(path, "wrong"))[0] == 401
        assert (await fetched(path, await rest.user_key("agents:update")))[0] == 403
        assert (await fetched(path, await rest.user_key("reports:select", login="listener")))[0] == 200
