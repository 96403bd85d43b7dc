"""Queues, the agents in them, and the queues of a user."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from psycopg.types.json import Jsonb

from tests.apis.call_center.rest import Rest
from tests.apis.call_center.test_users import JOHN, OWN, SETTINGS
from tests.directory.account_contents import contents
from trunkline.accounts.secrets import Cipher
from trunkline.apis.call_center.queues import QUEUE_FIELDS
from trunkline.core.errors import ConfigurationError
from trunkline.directory.agents.form import AgentForm
from trunkline.directory.files.apply import DirectoryFiles
from trunkline.directory.files.file import parse, to_yaml
from trunkline.directory.files.prepare import Request
from trunkline.directory.queues import rules
from trunkline.directory.queues.form import QueueForm
from trunkline.queues.settings import AgentSettings, QueueSettings, Strategy, TimeBase
from trunkline.queues.states import AgentStatus
from trunkline.speech import NullSpeech

SALES = {"name": "Sales", "strategy": "longest-idle-agent", "time_base_score": "queue"}

FULL: dict[str, Any] = {
    "tv_name": "S", "record": 1, "max_wait_time": 600, "max_wait_time_with_no_agent": 60,
    "max_wait_time_with_no_agent_time_reached": 7, "tier_rules_apply": True, "tier_rule_wait_second": 30,
    "tier_rule_no_agent_no_wait": False, "discard_abandoned_after": 90, "abandoned_resume_allowed": True,
    "tier_rule_wait_multiply_level": True, "announce_frequency": 45, "sla_strategy": 1, "sla_answer_time": 15,
    "auto_answer": True, "exits": {"1": "hangup", "#": "number:+12025550110", "timeout": "voicemail"}, "ring_timeout": 20,
    "background_color": "#fff", "font_color": "#000", "labels": [1, 2], "avg_wait_range": 60,
    "audio_playback": [1, {"b": 1, "a": 2}], "music_advanced": True, "agent_no_answer_status": "Logged Out",
    "skip_agents_with_external_calls": False, "announce_position": True, "announce_wait": True,
}  # fmt: skip
MEDIA = ("announce_id", "moh_id", "join_announce", "pre_bridge_announce")


async def make_media(rest: Rest, account_id: int, key: str = "greeting") -> int:
    row = await rest.db.fetch_one(
        "insert into media_files (account_id, key, name, kind, sha256, duration_ms, size_bytes, spoken_text,"
        " spoken_language)"
        " values (%s, %s, 'Greeting', 'user', 'a', 1000, 16000, 'Hello', 'en') returning media_file_id",
        (account_id, key),
    )
    assert row is not None
    return int(row["media_file_id"])


async def make_users(rest: Rest, count: int) -> list[int]:
    made = []
    for number in range(count):
        more = {"name": f"User {number}", "username": f"user{number}"}
        made.append((await rest.post("/api/user", {**JOHN, **more}))["id"])
    return made


def test_defaults_are_those_of_the_rules_of_calls() -> None:
    """The rules of calls refuse nothing that the configuration accepts, and have the same defaults."""
    own, calls = {**rules.DEFAULTS, "ring_timeout": None}, QueueSettings()
    for name in own.keys() & set(QueueSettings.__dataclass_fields__):
        assert getattr(calls, name) == own[name], name
    assert set(rules.STRATEGIES) == set(Strategy)
    assert set(rules.TIME_BASES) == set(TimeBase)
    assert set(rules.STATUSES) == set(AgentStatus)
    shared = QueueSettings.__dataclass_fields__.keys() & FULL.keys()
    assert len(shared) > 12
    assert QueueSettings.of({name: FULL[name] for name in shared}).max_wait_time == 600
    AgentSettings.of({name: OWN[name] for name in AgentSettings.__dataclass_fields__.keys() & OWN.keys()})


async def test_a_queue_is_created_found_changed_and_deleted(rest: Rest) -> None:
    made = await rest.post("/api/cc_queue", SALES)
    assert {name: made[name] for name in rules.DEFAULTS} == rules.DEFAULTS
    assert (made["account_id"], made["site_id"], made["user_ids"]) == (rest.company.account_id, None, [])
    await rest.post(
        "/api/cc_queue", {**SALES, "name": "Support", "time_base_score": "", "strategy": "ring-all"}
    )
    for query, expected in (
        ("", ["Sales", "Support"]),
        ("/?q=SUPP", ["Support"]),
        ("?name=Sales", ["Sales"]),
        ("?strategy=ring-all", ["Support"]),
        ("?limit=1", ["Sales"]),
        ("?offset=1", ["Support"]),
    ):
        assert [one["name"] for one in await rest.get(f"/api/cc_queue{query}")] == expected, query
    path = f"/api/cc_queue/{made['id']}"
    changed = await rest.put(path, {"strategy": "top-down", "max_wait_time": "60"})
    assert changed == {**made, "strategy": "top-down", "max_wait_time": 60}
    assert await rest.put(path, changed) == changed
    assert (await rest.ask("PUT", path, {"name": "Support"})).status == 409
    assert (await rest.ask("DELETE", path)).content == {"success": True}
    for verb in ("GET", "PUT", "DELETE"):
        assert (await rest.ask(verb, path, {} if verb == "PUT" else None)).status == 404


async def test_every_property_is_kept_and_returned(rest: Rest) -> None:
    media = await make_media(rest, rest.company.account_id)
    full = {**FULL, **dict.fromkeys(MEDIA, media)}
    assert {one.name for one in QUEUE_FIELDS if not one.read_only} == full.keys() | SALES.keys() | {"users"}
    made = await rest.post("/api/cc_queue", {**SALES, **full})
    assert {name: made[name] for name in full} == full
    cleared = await rest.put(f"/api/cc_queue/{made['id']}", dict.fromkeys(full))
    for name in full:
        assert cleared[name] == rules.DEFAULTS.get(name), name


async def test_values_that_cannot_be(rest: Rest) -> None:
    made = await rest.post("/api/cc_queue", SALES)
    theirs = await make_media(rest, rest.other.account_id)
    for body, status in (
        ({"strategy": "fastest"}, 400), ({"time_base_score": "call"}, 400), ({"name": " "}, 400), ({"name": None}, 400),
        ({"max_wait_time": 86_401}, 400), ({"max_wait_time": -1}, 400), ({"max_wait_time": 1.5}, 400),
        ({"moh_id": 77}, 404), ({"moh_id": theirs}, 404), ({"exits": "x"}, 400), ({"exits": {"a": "x" * 17_000}}, 400),
        ({"users": [[77, 4, 10, 1]]}, 404), ({"users": [["x"]]}, 400), ({"users": [[]]}, 400), ({"users": 5.5}, 400),
        ({"agent_no_answer_status": "Gone"}, 400), ({"sla_strategy": 2}, 400), ({"labels": [-1]}, 400),
        ({"skip_agents_with_external_calls": "maybe"}, 400),
    ):  # fmt: skip
        refused = await rest.ask("PUT", f"/api/cc_queue/{made['id']}", body)
        assert refused.status == status, (body, refused)
        assert refused.msg
    assert (await rest.ask("POST", "/api/cc_queue", {"name": "x"})).status == 400, "strategy is required"
    assert (await rest.ask("POST", "/api/cc_queue", {"name": "x", "strategy": "random"})).status == 400
    assert await rest.get(f"/api/cc_queue/{made['id']}") == made


async def make_scenario(rest: Rest, queue_id: int) -> None:
    """A scenario whose first operation is this queue."""
    account_id = rest.company.account_id
    await rest.db.execute(
        """
        with made as (
            insert into scenarios (account_id, key, name) values (%(account_id)s, 'help', 'Help') returning scenario_id)
        insert into scenario_operations (account_id, scenario_id, key, name, kind, position, settings)
        select %(account_id)s, scenario_id, 'wait', 'Wait', 'queue', 0, %(settings)s from made""",
        {"account_id": account_id, "settings": Jsonb({"queue_id": queue_id, "exits": {}})},
    )


async def test_a_queue_that_is_used_is_not_deleted(rest: Rest) -> None:
    """By a scenario, or by the exit of another queue; its own exits do not keep it."""
    used = await rest.post("/api/cc_queue", SALES)
    path = f"/api/cc_queue/{used['id']}"
    await rest.put(path, {"exits": {"1": f"queue:{used['id']}"}})
    await make_scenario(rest, used["id"])
    refused = await rest.ask("DELETE", path)
    assert refused.status == 409
    assert 'operation "Wait" of the scenario "Help"' in str(refused.content)
    await rest.db.execute("delete from scenarios where account_id = %s", (rest.company.account_id,))
    other = await rest.post(
        "/api/cc_queue", {**SALES, "name": "Support", "exits": {"2": f" queue:{used['id']} ", "3": "hangup"}}
    )
    refused = await rest.ask("DELETE", path)
    assert refused.status == 409
    assert 'queue "Support"' in str(refused.content)
    await rest.put(f"/api/cc_queue/{other['id']}", {"exits": {}})
    assert (await rest.ask("DELETE", path)).content == {"success": True}


async def test_a_user_who_is_an_exit_of_a_queue_is_not_deleted(rest: Rest) -> None:
    [user] = await make_users(rest, 1)
    made = await rest.post("/api/cc_queue", {**SALES, "exits": {"1": f"employee:{user}"}})
    for exits in ({"1": f"employee:{user}"}, {"timeout": f"voicemail:{user}"}):
        await rest.put(f"/api/cc_queue/{made['id']}", {"exits": exits})
        assert (await rest.ask("DELETE", f"/api/user/{user}")).status == 409, exits
    await rest.put(f"/api/cc_queue/{made['id']}", {"exits": None})
    assert (await rest.ask("DELETE", f"/api/user/{user}")).status == 200


@pytest.mark.parametrize(
    ("exits", "message"),
    [
        ({"2": "scenario:99999"}, "exits: 2: there is no scenario 99999 in this account."),
        ({"4": "blah"}, "exits: 4: 'blah' is no destination: write scenario:"),
        ({"99": "hangup"}, "exits: 99: '99' is no exit: the names are one key of a phone"),
        ({"foo": "hangup"}, "'foo' is no exit"),
        ({"1": "employee:99999"}, "exits: 1: there is no employee 99999 in this account."),
        ({"1": "employee:anna"}, "there is no employee anna"),
        ({"timeout": "voicemail:99999"}, "there is no employee 99999"),
        ({"1": "group:1"}, "there is no group 1"),
        ({"1": "queue:1"}, "there is no queue 1"),
        ({"1": "number:12"}, "is no destination"),
        ({"1": "hangup:1"}, "is no destination"),
        ({"1": 5}, "is no destination"),
        (["hangup"], "exits: send an object"),
    ],
)
async def test_exits_are_checked_when_they_are_set(rest: Rest, exits: Any, message: str) -> None:
    made = await rest.post("/api/cc_queue", SALES)
    refused = await rest.ask("PUT", f"/api/cc_queue/{made['id']}", {"exits": exits})
    assert refused.status == 400
    assert message in refused.msg
    assert (await rest.ask("POST", "/api/cc_queue", {**SALES, "name": "B", "exits": exits})).status == 400
    assert (await rest.get(f"/api/cc_queue/{made['id']}"))["exits"] is None


async def test_an_exit_of_another_account_is_none(rest: Rest) -> None:
    theirs = (await rest.ask("POST", "/api/cc_queue", SALES, key=rest.other_key)).data["id"]
    made = await rest.post("/api/cc_queue", SALES)
    refused = await rest.ask("PUT", f"/api/cc_queue/{made['id']}", {"exits": {"1": f"queue:{theirs}"}})
    assert refused.status == 400


async def test_an_operation_whose_queue_is_gone_is_exported(rest: Rest, tmp_path: Path) -> None:
    """The file says what is missing, and a file mends it."""
    await make_scenario(rest, 77)
    files = DirectoryFiles(rest.db, Cipher(Fernet.generate_key()), NullSpeech(), tmp_path / "media")
    text = to_yaml(await files.export(rest.company.account_id))
    assert "queue: removed-77" in text
    with pytest.raises(ConfigurationError, match="no such queue: removed-77"):
        await files.prepare(Request(rest.company.account_id, parse("tags: {vip: {name: VIP}}", {}), tmp_path))
    mended = parse(
        "queues: {sales: {name: Sales}}\n"
        "scenarios: {help: {name: Help, operations: {wait: {kind: queue, queue: sales}}}}",
        {},
    )
    await files.apply(await files.prepare(Request(rest.company.account_id, mended, tmp_path)))
    assert "queue: sales" in to_yaml(await files.export(rest.company.account_id))


async def test_agents_are_added_replaced_and_removed(rest: Rest) -> None:
    first, second, third = await make_users(rest, 3)
    schedule = await rest.db.fetch_one(
        "insert into schedules (account_id, key, name) values (%s, 'days', 'Days') returning schedule_id as id",
        (rest.company.account_id,),
    )
    assert schedule is not None
    made = await rest.post("/api/cc_queue", {**SALES, "users": [[first, 3, 10, 2]]})
    assert made["user_ids"] == [first]
    path = f"/api/cc_queue/{made['id']}/users"
    assert await rest.get(path) == [[first, 3, 10, 2, "User 0", None, False]]
    assert await rest.post(path, {"users": [[second], [third, 4, 5, 0]]}) == [
        [third, 4, 5, 0, "User 2", None, False],
        [second, 4, 1, 1, "User 1", None, False],
        [first, 3, 10, 2, "User 0", None, False],
    ]
    moved = await rest.post(path, {"users": [[second, 4, 7, 3], [second, 4, 8, 3]]})
    assert moved[-1] == [second, 4, 8, 3, "User 1", None, False], (
        "position comes before level; the later counts"
    )
    assert await rest.put(path, {"users": moved}) == moved, "arrays can be sent back as they were read"
    assert await rest.put(path, {"users": [[first, 4, 1, 1], [third, 4, 2, 1]]}) == [
        [first, 4, 1, 1, "User 0", None, False],
        [third, 4, 2, 1, "User 2", None, False],
    ]
    with_time = await rest.put(path, {"users": [[first, 4, 1, 1, schedule["id"]]]})
    assert with_time == [[first, 4, 1, 1, "User 0", schedule["id"], False]]
    assert await rest.put(path, {"users": with_time}) == with_time
    assert (await rest.ask("PUT", path, {"users": [[first, 4, 1, 1, 77]]})).status == 404
    await rest.put(path, {"users": [[first], [third]]})
    form = {"users": f"[[{second}, 4, 1, 1]]"}
    assert len((await rest.ask("POST", path, data=form)).data) == 3
    for sent in ({"json": {"ids": [first]}}, {"json": [second]}, {"params": {"ids": f"{third},77"}}):
        assert (await rest.ask("DELETE", path, **sent)).content == {"success": True}
    assert await rest.get(path) == []
    refused = await rest.ask("POST", path, {"users": [[first], [77]]})
    assert (refused.status, "no user 77" in refused.msg) == (404, True)
    assert await rest.get(path) == [], "all or nothing"


async def test_queues_of_a_user(rest: Rest) -> None:
    [user] = await make_users(rest, 1)
    sales = (await rest.post("/api/cc_queue", SALES))["id"]
    support = (await rest.post("/api/cc_queue", {**SALES, "name": "Support"}))["id"]
    path = f"/api/user/{user}/queues"
    assert await rest.post(path, {"queues": [[sales, 4, 2, 3]]}) == [[sales, 4, 2, 3, "Sales", None, False]]
    seen = await rest.get(f"/api/user/{user}")
    assert (seen["queues"], seen["queue_perms"]) == ([sales], [[sales, 4, 2, 3, "Sales", None, False]])
    assert seen["is_agent"] is True, "who is in a queue takes its calls"
    assert user in [one["id"] for one in await rest.get("/api/user?is_agent=1")]
    assert await rest.put(path, {"queues": [[support]]}) == [[support, 4, 1, 1, "Support", None, False]]
    assert (await rest.get(f"/api/cc_queue/{support}"))["user_ids"] == [user]
    changed = await rest.put(f"/api/user/{user}", {"queue_perms": [[sales, 3, 1, 1], [support, 4, 9, 2]]})
    assert changed["queues"] == [sales, support]
    assert (await rest.put(f"/api/user/{user}", changed)) == changed
    assert (await rest.ask("DELETE", path, params={"ids": str(sales)})).status == 200
    assert [one[0] for one in await rest.get(path)] == [support]
    left = await rest.put(f"/api/user/{user}", {"queue_perms": []})
    assert (left["queues"], left["is_agent"]) == ([], False)
    assert (await rest.ask("POST", path, {"queues": [[77]]})).status == 404
    assert (await rest.ask("GET", "/api/user/77/queues")).status == 404


async def test_set_queues(rest: Rest) -> None:
    first, second = await make_users(rest, 2)
    sales = (await rest.post("/api/cc_queue", {**SALES, "users": [[first, 3, 10, 2]]}))["id"]
    support = (await rest.post("/api/cc_queue", {**SALES, "name": "Support"}))["id"]
    joined = await rest.get(f"/api/cc_agent/setQueues?queue_ids={sales},{support}&user_id={first}")
    assert [one["name"] for one in joined] == ["Sales", "Support"]
    assert joined[0]["users"] == [[first, 3, 10, 2, "User 0", None, False]], "a place that there is stays"
    one = await rest.get(f"/api/setQueues?queue_ids[]={support}&user_id={first}")
    assert (one["name"], one["users"]) == ("Support", [[first, 4, 1, 1, "User 0", None, False]])
    log_in = {"username": "user0", "password": "Ab123456"}
    key = (await rest.ask("POST", "/api/user/login", log_in, key=None)).data["api_key"]
    await rest.get(f"/api/cc_agent/setQueues?queue_ids={sales}", key=key)
    assert (await rest.get(f"/api/user/{first}"))["queues"] == [sales], "without user_id the user of the key"
    refused = await rest.ask("GET", f"/api/cc_agent/setQueues?queue_ids={sales}&user_id={second}", key=key)
    assert refused.status == 403
    assert await rest.get(f"/api/cc_agent/setQueues?queue_ids=&user_id={first}") == []
    assert (await rest.get(f"/api/user/{first}"))["queues"] == []
    assert (await rest.ask("GET", f"/api/cc_agent/setQueues?queue_ids={sales}")).status == 404, (
        "the owner is no user"
    )
    assert (await rest.ask("GET", "/api/cc_agent/setQueues")).status == 400
    assert (await rest.ask("GET", f"/api/cc_agent/setQueues?queue_ids=77&user_id={first}")).status == 404


async def test_who_may_manage_users_but_not_queues_puts_nobody_into_one(rest: Rest) -> None:
    key = await rest.user_key("users:select", "users:update", "users:insert")
    sales = (await rest.post("/api/cc_queue", SALES))["id"]
    [user] = await make_users(rest, 1)
    for verb, path, body in (
        ("PUT", f"/api/user/{user}", {"queue_perms": [[sales]]}),
        ("POST", f"/api/user/{user}/queues", {"queues": [[sales]]}),
        ("POST", "/api/user", {**JOHN, "queue_perms": [[sales]]}),
    ):
        assert (await rest.ask(verb, path, body, key=key)).status == 403
    reader = await rest.user_key("queues:select", login="reader")
    query = "name=New&strategy=random&time_base_score=queue"
    refused = await rest.ask("GET", f"/api/cc_queue?{query}", key=reader)
    assert (refused.status, "queues insert" in refused.msg) == (403, True)


@pytest.mark.isolation
async def test_two_companies_with_equal_queues_never_meet(rest: Rest) -> None:
    [user] = await make_users(rest, 1)
    ours = await rest.post("/api/cc_queue", {**SALES, "users": [[user]]})
    other, theirs = rest.other.account_id, rest.other_key
    await rest.db.execute(
        "insert into employees (account_id, employee_id, key, last_name) values (%s, %s, 'x', 'Smith')",
        (other, user),
    )
    await rest.db.execute(
        "insert into queues (account_id, queue_id, key, name) values (%s, %s, 'api-1', 'Sales')",
        (other, ours["id"]),
    )
    path = f"/api/cc_queue/{ours['id']}"
    assert await rest.get(f"{path}/users", key=theirs) == []
    await rest.put(f"{path}/users", {"users": [[user, 1, 9, 9]]}, key=theirs)
    await rest.put(path, {"strategy": "random", "max_wait_time": 5}, key=theirs)
    assert await rest.get(path) == ours
    assert await rest.get(f"{path}/users") == [[user, 4, 1, 1, "User 0", None, False]]
    assert [one["strategy"] for one in await rest.get("/api/cc_queue", key=theirs)] == ["random"]
    only_ours = await rest.post("/api/cc_queue", {**SALES, "name": "Only ours"})
    hidden = f"/api/cc_queue/{only_ours['id']}"
    for verb, where in (("GET", hidden), ("PUT", hidden), ("DELETE", hidden), ("GET", f"{hidden}/users")):
        assert (await rest.ask(verb, where, {} if verb == "PUT" else None, key=theirs)).status == 404
    refused = await rest.ask("POST", f"/api/user/{user}/queues", {"queues": [[only_ours["id"]]]}, key=theirs)
    assert refused.status == 404
    query = f"queue_ids={only_ours['id']}&user_id={user}"
    assert (await rest.ask("GET", f"/api/cc_agent/setQueues?{query}", key=theirs)).status == 404
    assert (await rest.ask("DELETE", path, key=theirs)).status == 200
    assert (await rest.get(f"/api/user/{user}"))["queues"] == [ours["id"]]


async def test_an_export_has_queues_and_agents_and_makes_an_equal_account(rest: Rest, tmp_path: Path) -> None:
    """What the API makes is in a directory file, which changes nothing here and makes the same elsewhere."""
    media = await make_media(rest, rest.company.account_id)
    users = await make_users(rest, 2)
    await rest.put(f"/api/user/{users[0]}", {**SETTINGS, **OWN, "active": 1})
    full = {**FULL, **dict.fromkeys(MEDIA, media), "users": [[users[0], 3, 10, 2], [users[1], 4, 5, 0]]}
    await rest.post("/api/cc_queue", {**SALES, **full})
    await rest.post("/api/cc_queue", {**SALES, "name": "Support", "time_base_score": "system"})
    files = DirectoryFiles(rest.db, Cipher(Fernet.generate_key()), NullSpeech(), tmp_path / "media")
    text = to_yaml(await files.export(rest.company.account_id))
    form = parse(text, {})
    plan = await files.prepare(Request(rest.company.account_id, form, tmp_path, delete=True))
    assert [one for one in plan.plan.changes if one.section != "media"] == [], "the sound is made up"
    sections = form.model_copy(update={"account": None})
    await files.apply(await files.prepare(Request(rest.other.account_id, sections, tmp_path, delete=True)))
    ours, theirs = (
        await contents(rest.db, rest.company.account_id),
        await contents(rest.db, rest.other.account_id),
    )
    for table in ("queues", "queue_tiers", "agents", "employees"):
        assert ours[table], table
        assert ours[table] == theirs[table], table


def test_forms_of_files_have_the_fields_of_the_api() -> None:
    names = {one.name for one in QUEUE_FIELDS if not one.read_only} - {"users"}
    own = {"announce": "announce_id", "music": "moh_id", "agents": "users"}
    # The API only shows the extensions of a queue.
    assert names == {own.get(name, name) for name in QueueForm.model_fields} - {"users", "extension"}
    assert set(AgentForm.model_fields) - {"settings", "ring_timeout"} <= OWN.keys()
