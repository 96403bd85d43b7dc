"""Phone lists and leads."""

from __future__ import annotations

import asyncio
import time
import tracemalloc

import pytest

from tests.apis.call_center.rest import Rest

NUMBERS = [f"1202555{number:04d}" for number in range(100, 200)]


async def make_list(rest: Rest, name: str = "Spring", **more: str) -> int:
    made = await rest.post("/api/phone_list", {"name": name}, **more)
    return int(made["id"])


async def test_a_list_is_made_found_renamed_and_deleted(rest: Rest) -> None:
    made = await rest.post("/api/phone_list", {"name": "Spring"})
    list_id = made["id"]
    assert made == {
        "id": list_id, "account_id": rest.company.account_id, "name": "Spring", "list_rows": 0
    }  # fmt: skip
    await make_list(rest, "Do not call")
    assert [one["name"] for one in await rest.get("/api/phone_list")] == ["Spring", "Do not call"]
    assert [one["name"] for one in await rest.get("/api/phone_list/?q=NOT")] == ["Do not call"]
    assert [one["name"] for one in await rest.get("/api/phone_list?limit=1&offset=1")] == ["Do not call"]
    assert await rest.get(f"/api/phone_list/{list_id}") == made
    assert (await rest.put(f"/api/phone_list/{list_id}", {"name": "Autumn"}))["name"] == "Autumn"
    assert (await rest.put(f"/api/phone_list/{list_id}", {}))["name"] == "Autumn"
    taken = await rest.ask("PUT", f"/api/phone_list/{list_id}", {"name": "Do not call"})
    assert taken.status == 409
    assert (await rest.ask("DELETE", f"/api/phone_list/{list_id}")).content == {"success": True}
    for verb in ("GET", "PUT", "DELETE"):
        gone = await rest.ask(verb, f"/api/phone_list/{list_id}", {"name": "x"} if verb == "PUT" else None)
        assert gone.status == 404, verb


async def test_a_lead_is_in_a_list_once(rest: Rest) -> None:
    list_id = await make_list(rest)
    path = f"/api/phone_list/{list_id}/lead"
    lead = {"phone": "+1 (202) 555-0110", "name": "Ida", "lead_id": 7, "ext_api_vars": {"plan": "gold"}}
    assert await rest.post(path, lead) == {
        "id": "12025550110", "phone": "12025550110", "lead_id": "7", "priority": 0, "name": "Ida", "tags": None,
        "ext_api_vars": {"plan": "gold"},
    }  # fmt: skip
    again = await rest.post(path, {"phone": "0012025550110", "priority": 5, "tags": "vip"})
    assert (again["name"], again["priority"], again["tags"]) == ("Ida", 5, "vip"), "what is not sent stays"
    assert await rest.post(path, [{"phone": "12025550110"}, {"phone": "12025550111"}]) == {
        "added": 1, "changed": 1
    }  # fmt: skip
    assert await rest.post(path, [{"phone": "12025550112", "name": "A"}, {"phone": "12025550112", "name": "B"}]) == {
        "added": 1, "changed": 0
    }  # fmt: skip
    found = await rest.get(path)
    assert [(one["phone"], one["name"]) for one in found] == [
        ("12025550110", "Ida"), ("12025550111", None), ("12025550112", "B")
    ]  # fmt: skip
    assert (await rest.get(f"/api/phone_list/{list_id}"))["list_rows"] == 3


async def test_what_is_sent_is_kept_when_another_request_adds_the_lead_meanwhile(rest: Rest) -> None:
    list_id = await make_list(rest)
    path = f"/api/phone_list/{list_id}/lead"
    async with rest.db.connection() as connection:
        await connection.execute(
            "insert into leads (account_id, phone_list_id, phone, name) values (%s, %s, %s, 'first')",
            (rest.company.account_id, list_id, NUMBERS[0]),
        )
        leads = [{"phone": NUMBERS[0], "name": "second"}, {"phone": NUMBERS[1]}]
        adding = asyncio.create_task(rest.ask("POST", path, leads))
        async with asyncio.timeout(20):
            while not await waits_for_a_lock(rest):
                await asyncio.sleep(0.02)
    assert (await adding).data == {"added": 1, "changed": 1}
    assert [one["name"] for one in await rest.get(path)] == ["second", None]


async def waits_for_a_lock(rest: Rest) -> bool:
    row = await rest.db.fetch_one(
        "select exists (select from pg_stat_activity where datname = current_database()"
        " and wait_event_type = 'Lock') as found"
    )
    return bool(row and row["found"])


async def test_a_lead_is_changed_and_deleted_by_its_phone(rest: Rest) -> None:
    list_id = await make_list(rest)
    path = f"/api/phone_list/{list_id}/lead"
    await rest.post(path, [{"phone": number} for number in NUMBERS[:5]])
    assert (await rest.put(f"{path}/%2B{NUMBERS[0]}", {"name": "Ida", "priority": -3}))["priority"] == -3
    assert (await rest.put(f"{path}/{NUMBERS[0]}", {"name": None, "ext_api_vars": {}}))["name"] is None
    moved = await rest.put(f"{path}/{NUMBERS[0]}", {"phone": "+971500000001"})
    assert (moved["id"], moved["priority"]) == ("971500000001", -3)
    taken = await rest.ask("PUT", f"{path}/{NUMBERS[1]}", {"phone": NUMBERS[2]})
    assert taken.status == 409
    assert (await rest.ask("DELETE", f"{path}/{NUMBERS[1]}")).content == {"success": True}
    assert (await rest.ask("DELETE", f"{path}/{NUMBERS[1]}")).status == 404
    gone = await rest.ask("DELETE", path, [NUMBERS[1], f"+{NUMBERS[2]}", NUMBERS[3]])
    assert gone.data == {"deleted": 2}
    assert [one["phone"] for one in await rest.get(path)] == [NUMBERS[4], "971500000001"]


BAD: list[tuple[object, str]] = [
    ({}, "phone is missing"),
    ({"phone": "123"}, "send the number in full"),
    ({"phone": "12025550110", "priority": "high"}, "a whole number"),
    ({"phone": "12025550110", "ext_api_vars": "x"}, "send JSON"),
    ({"phone": "12025550110", "ext_api_vars": [1]}, "a JSON object"),
    ({"phone": "12025550110", "nmae": "Ida"}, "did you mean name"),
    ({"phone": "12025550110", "name": "a\0b"}, "without NUL"),
    ({"phone": "12025550110", "name": "x" * 256}, "0 to 255 characters"),
    ({"phone": "12025550110", "ext_api_vars": {"a": "x" * 9000}}, "8192 bytes"),
    ([{"phone": "12025550110"}, {"phone": "x"}], "[1].phone"),
    ([1], "send objects"),
]


async def test_a_bad_lead_is_refused_with_what_to_send(rest: Rest) -> None:
    path = f"/api/phone_list/{await make_list(rest)}/lead"
    for lead, part in BAD:
        refused = await rest.ask("POST", path, lead)
        assert refused.status == 400, lead
        assert part in refused.msg
        assert await rest.get(path) == [], "of an array with a bad lead none is added"


async def test_leads_of_a_list_that_does_not_exist(rest: Rest) -> None:
    for verb, path, body in (
        ("GET", "/api/phone_list/77/lead", None),
        ("POST", "/api/phone_list/77/lead", {"phone": NUMBERS[0]}),
        ("DELETE", "/api/phone_list/77/lead", [NUMBERS[0]]),
        ("GET", f"/api/phone_list/77/lead/{NUMBERS[0]}", None),
        ("PUT", f"/api/phone_list/77/lead/{NUMBERS[0]}", {}),
        ("DELETE", f"/api/phone_list/77/lead/{NUMBERS[0]}", None),
        ("GET", "/api/phone_list/x/lead", None),
    ):
        assert (await rest.ask(verb, path, body)).status == 404, (verb, path)


@pytest.mark.isolation
async def test_two_companies_with_equal_lists_never_meet(rest: Rest) -> None:
    own = await make_list(rest)
    await rest.db.execute(
        "insert into phone_lists (account_id, phone_list_id, name) values (%s, %s, 'Spring')",
        (rest.other.account_id, own),
    )
    path, theirs = f"/api/phone_list/{own}/lead", rest.other_key
    await rest.post(path, {"phone": NUMBERS[0], "name": "ours"})
    await rest.post(path, {"phone": NUMBERS[0], "name": "theirs"}, key=theirs)
    await rest.post(path, {"phone": NUMBERS[1]}, key=theirs)
    assert [one["name"] for one in await rest.get(path)] == ["ours"]
    assert (await rest.get(f"/api/phone_list/{own}", key=theirs))["list_rows"] == 2
    await rest.put(f"{path}/{NUMBERS[0]}", {"name": "changed"}, key=theirs)
    assert (await rest.ask("DELETE", path, NUMBERS, key=theirs)).data == {"deleted": 2}
    assert [one["name"] for one in await rest.get(path)] == ["ours"]
    assert (await rest.ask("DELETE", f"/api/phone_list/{own}", key=theirs)).status == 200
    assert len(await rest.get("/api/phone_list")) == 1
    assert await rest.get("/api/phone_list", key=theirs) == []
    only_ours = await make_list(rest, "Only ours")
    for verb in ("GET", "PUT", "DELETE"):
        refused = await rest.ask(
            verb, f"/api/phone_list/{only_ours}", {"name": "x"} if verb == "PUT" else None, key=theirs
        )
        assert refused.status == 404


@pytest.mark.shells
async def test_a_hundred_thousand_leads_in_one_list(rest: Rest) -> None:
    """Added by arrays of 2 500, read at once and by pages: in seconds, and in memory of some pages."""
    list_id = await make_list(rest)
    path = f"/api/phone_list/{list_id}/lead"
    phones = [str(971500000000 + number) for number in range(100_000)]
    began = time.monotonic()
    for begin in range(0, len(phones), 2500):
        part = [
            {"phone": phone, "priority": 1, "name": f"Lead {phone}"} for phone in phones[begin : begin + 2500]
        ]
        assert await rest.post(path, part) == {"added": 2500, "changed": 0}
    added = time.monotonic() - began
    assert (await rest.get(f"/api/phone_list/{list_id}"))["list_rows"] == 100_000
    tracemalloc.start()
    began, count, size = time.monotonic(), 0, 0
    async with rest.session.get(f"{rest.base}{path}", headers={"api_key": rest.key}) as response:
        assert response.status == 200
        async for chunk in response.content.iter_any():
            size += len(chunk)
            count += chunk.count(b'"phone":')
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(f"added in {added:.1f} s, read {size} bytes in {time.monotonic() - began:.1f} s, peak {peak} bytes")
    assert abs(count - 100_000) < 200  # a name may be cut by the end of a chunk
    assert peak < 20_000_000
    page = await rest.get(f"{path}?limit=1000&after={phones[49_999]}")
    assert [one["phone"] for one in page] == phones[50_000:51_000]
    assert len(await rest.get(f"{path}?limit=2345")) == 2345
    everything = await rest.get(path)
    assert [one["phone"] for one in everything] == phones
    assert (await rest.ask("DELETE", f"/api/phone_list/{list_id}")).status == 200


async def test_an_account_has_as_many_leads_as_it_may_have(rest: Rest) -> None:
    rest.settings.limits.account_leads = 10
    first, second = await make_list(rest), await make_list(rest, "Autumn")
    await rest.post(f"/api/phone_list/{first}/lead", [{"phone": one} for one in NUMBERS[:6]])
    sent = [{"phone": one} for one in NUMBERS[:5]]
    refused = await rest.ask("POST", f"/api/phone_list/{second}/lead", sent)
    assert (refused.status, "10 leads" in refused.content["msg"]) == (409, True)
    assert await rest.get(f"/api/phone_list/{second}/lead") == [], "none is added"
    await rest.post(f"/api/phone_list/{second}/lead", sent[:4])
    assert (await rest.ask("POST", f"/api/phone_list/{second}/lead", sent[:4])).status == 200, "changes none"
    assert (await rest.ask("DELETE", f"/api/phone_list/{first}")).status == 200
    await rest.post(f"/api/phone_list/{second}/lead", [{"phone": one} for one in NUMBERS[10:16]])
    assert (await rest.ask("POST", f"/api/phone_list/{second}/lead", {"phone": NUMBERS[20]})).status == 409


async def test_the_leads_of_an_account_take_as_many_bytes_as_they_may(rest: Rest) -> None:
    rest.settings.limits.account_leads_bytes = 20_000
    list_id = await make_list(rest)
    path = f"/api/phone_list/{list_id}/lead"
    large = {"ext_api_vars": {"note": "x" * 7000}}
    await rest.post(path, [{"phone": one, **large} for one in NUMBERS[:2]])
    assert (await rest.ask("POST", path, {"phone": NUMBERS[2], **large})).status == 409
    await rest.post(path, {"phone": NUMBERS[2]})
    assert (await rest.ask("PUT", f"{path}/{NUMBERS[2]}", large)).status == 409, "a change counts as well"
    assert (await rest.get(f"{path}/{NUMBERS[2]}"))["ext_api_vars"] is None
    await rest.put(f"{path}/{NUMBERS[0]}", {"ext_api_vars": None})
    await rest.put(f"{path}/{NUMBERS[2]}", large)


async def test_requests_at_one_moment_do_not_exceed_the_quota_together(rest: Rest) -> None:
    rest.settings.limits.account_leads = 10
    lists = [await make_list(rest, f"List {number}") for number in range(4)]
    answers = await asyncio.gather(
        *(
            rest.ask("POST", f"/api/phone_list/{one}/lead", [{"phone": phone} for phone in NUMBERS[:4]])
            for one in lists
        )
    )
    assert sorted(answer.status for answer in answers) == [200, 200, 409, 409]
