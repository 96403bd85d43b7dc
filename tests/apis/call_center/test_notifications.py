"""Subscriptions to notifications and their deliveries."""

from __future__ import annotations

from typing import Any

from tests.apis.call_center.rest import Rest
from trunkline.notifications.catalogue import Mnemonic

PATH = "/api/notification"
LOG = "/api/notification_delivery"
HOOK: dict[str, Any] = {
    "url": "https://crm.example/hook?call={{call_session_id}}",
    "events": ["call_finish", "lost_call"],
}


async def test_a_subscription_from_creation_to_deletion(rest: Rest) -> None:
    made = await rest.post(PATH, {**HOOK, "secret": "a secret of sixteen", "conditions": {"direction": "in"}})
    one = f"{PATH}/{made['id']}"
    assert made == {
        "id": made["id"], "account_id": rest.company.account_id, "key": "crm.example/hook", "name": "crm.example/hook",
        **HOOK, "method": "POST", "body_template": None, "headers": {}, "conditions": {"direction": "in"}, "is_active": True,
        "is_signed": True, "switched_off_reason": None, "suspended_until": None, "created_at": made["created_at"],
    }  # fmt: skip
    assert await rest.get(PATH) == [await rest.get(one)] == [made]
    assert await rest.put(one, made) == made, "as it was read"
    changed = await rest.put(
        one, {"method": "PUT", "headers": {"X-Desk": "3"}, "conditions": None, "is_active": False}
    )
    assert changed == {
        **made,
        "method": "PUT",
        "headers": {"X-Desk": "3"},
        "conditions": {},
        "is_active": False,
    }
    assert (await rest.put(one, {"is_active": True, "secret": None}))["is_signed"] is False
    assert (await rest.ask("DELETE", one)).content == {"success": True}
    assert (await rest.ask("GET", one)).status == (await rest.ask("DELETE", one)).status == 404


async def test_values_that_cannot_be(rest: Rest) -> None:
    made = await rest.post(PATH, {**HOOK, "key": "crm"})
    other = await rest.post(PATH, {**HOOK, "key": "other"})
    for changes, status in (
        ({"key": "crm"}, 409), ({"url": "ftp://crm.example"}, 400), ({"url": "https://crm.example/{{nothing}}"}, 400),
        ({"events": []}, 400), ({"events": ["call_ends"]}, 400), ({"method": "PATCH"}, 400), ({"secret": "short"}, 400),
        ({"body_template": "{\"a\": {{call_session_id}}"}, 400), ({"headers": {"Host": "a"}}, 400),
        ({"headers": {"X": 1}}, 400),
        ({"headers": {"X": "a\r\nb"}}, 400), ({"conditions": {"moon": 1}}, 400), ({"conditions": {"direction": "up"}}, 400),
    ):  # fmt: skip
        for answered in (
            await rest.ask("POST", PATH, {**HOOK, "key": "new", **changes}),
            await rest.ask("PUT", f"{PATH}/{other['id']}", changes),
        ):
            assert answered.status == status, (changes, answered)
            assert answered.msg
    assert await rest.get(PATH) == [made, other]


async def test_a_sample_is_previewed_sent_and_sent_again(rest: Rest) -> None:
    made = await rest.post(PATH, {**HOOK, "body_template": '{"event": {{notification_mnemonic}}}'})
    one = f"{PATH}/{made['id']}"
    preview = await rest.get(f"{one}/preview?event=lost_call")
    assert (preview["event"], preview["method"], preview["body"]) == (
        "lost_call",
        "POST",
        '{"event": "lost_call"}',
    )
    assert preview["url"].startswith("https://crm.example/hook?call=")
    delivery = (await rest.post(f"{one}/test", {"event": "lost_call"}))["delivery_id"]
    second = (await rest.post(f"{one}/test", {}))["delivery_id"]
    listed = await rest.get(LOG)
    assert [(row["id"], row["event"], row["status"]) for row in listed] == [
        (second, "call_finish", "pending"), (delivery, "lost_call", "pending")
    ]  # fmt: skip
    assert [row["id"] for row in await rest.get(f"{LOG}?before={second}")] == [delivery]
    assert [row["id"] for row in await rest.get(f"{LOG}?limit=1")] == [second]
    assert await rest.get(f"{LOG}?status=failed") == []
    account_id = rest.company.account_id
    await rest.db.execute("update deliveries set status = 'failed' where account_id = %s", (account_id,))
    assert await rest.post(f"{LOG}/replay", {"notification_id": made["id"], "event": "lost_call"}) == {
        "queued": 1
    }
    assert [row["id"] for row in await rest.get(f"{LOG}?status=pending")] == [delivery]
    assert await rest.post(f"{LOG}/{second}/replay", {}) == {"queued": 1}
    assert len(await rest.get(f"{LOG}?status=pending")) == 2
    assert (await rest.post(f"{one}/rotate", {}))["secret"].startswith("whsec_")
    assert (await rest.get(one))["is_signed"] is True


async def test_each_event_can_be_chosen(rest: Rest) -> None:
    everything = [one.value for one in Mnemonic]
    assert (await rest.post(PATH, {**HOOK, "events": everything}))["events"] == everything


async def test_no_more_than_the_account_may_have(rest: Rest) -> None:
    rest.settings.limits.account_notifications = 2
    for key in ("one", "two"):
        await rest.post(PATH, {**HOOK, "key": key})
    assert (await rest.ask("POST", PATH, {**HOOK, "key": "three"})).status == 409
    await rest.post(PATH, HOOK, key=rest.other_key)


async def test_permissions_and_companies(rest: Rest) -> None:
    ours = await rest.post(PATH, HOOK)
    delivery = (await rest.post(f"{PATH}/{ours['id']}/test", {}))["delivery_id"]
    one = f"{PATH}/{ours['id']}"
    reading = await rest.user_key("administration:select", login="reads")
    nothing = await rest.user_key(login="nothing")
    for verb, path, body in (
        ("GET", one, None), ("GET", f"{one}/preview", None), ("PUT", one, {"name": "x"}), ("DELETE", one, None),
        ("POST", f"{one}/test", {}), ("POST", f"{one}/rotate", {}), ("POST", f"{LOG}/{delivery}/replay", {}),
    ):  # fmt: skip
        assert (await rest.ask(verb, path, body, key=rest.other_key)).status == 404, (verb, path)
        assert (await rest.ask(verb, path, body, key=nothing)).status == 403, (verb, path)
        assert (await rest.ask(verb, path, body, key=reading)).status == (200 if verb == "GET" else 403), (
            verb,
            path,
        )
    assert (await rest.ask("POST", PATH, HOOK, key=reading)).status == 403
    for path in (PATH, LOG):
        assert await rest.get(path, key=rest.other_key) == []
        assert (await rest.ask("GET", path, key=nothing)).status == 403
    replayed = {"notification_id": ours["id"]}
    assert await rest.post(f"{LOG}/replay", replayed, key=rest.other_key) == {"queued": 0}
