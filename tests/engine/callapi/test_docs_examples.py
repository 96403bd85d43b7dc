"""The requests of the Call API's page, sent to a running product: each does what the page says, or is refused as it may."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from tests.docs.pages import DOCS, requests
from tests.engine.callapi.client import ANNAS_NUMBER, CLARA, CallApiClient
from trunkline.demo.installation import ApiError
from trunkline.demo.outside import Answer, Ignore

pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("setup"),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),  # the first one sets the setup, maybe on a busy machine
]

_PAGES_NUMBER = "97140000100"


async def test_the_requests_of_the_page(client: CallApiClient) -> None:
    setup = client.setup
    for phone in (setup.anna, setup.boris, setup.clara):
        phone.on_call(Ignore())
    sent: list[str] = []
    examples = [body for path, body in requests(DOCS / "api" / "call-api.md") if path == "/v4.0"]
    values = {
        "employee": {"id": await client.employee_id("Anna")},
        "employee_id": await client.employee_id("Anna"),
        "scenario_id": await client.scenario_id("Anna"),
        "tag_id": await client.tag_id(),
    }

    async def send(body: dict[str, Any], **more: Any) -> Any:
        params = {name: values.get(name, value) for name, value in body["params"].items()} | more
        params = {name: ANNAS_NUMBER if value == _PAGES_NUMBER else value for name, value in params.items()}
        if params.get("access_token") == "YOUR_KEY":
            params["access_token"] = setup.account.keys["call_api"]
        sent.append(body["method"])
        async with aiohttp.ClientSession() as http:
            url = f"{setup.installation.url}/v4.0"
            async with http.post(url, json={**body, "params": params}) as response:
                answer = await response.json(content_type=None)
        if "error" in answer:
            raise ApiError(body["method"], answer["error"])
        return answer["result"]["data"]

    for body in examples:
        method = body["method"]
        if method == "login.user":
            account = setup.account
            data = await send(body, login=account.login, password=account.password)
            assert data["access_token"]
        elif method.startswith("start."):
            party = await setup.customer()
            party.on_call(Ignore())
            own = {name: party.name for name in ("contact", "operator") if name in body["params"]}
            if own.get("operator"):
                own["operator"] = (await setup.customer()).name
            data = await send(body, **own)
            await client.do(data["call_session_id"], "release.call")
            await client.gone(data["call_session_id"])
        elif method.startswith("list."):
            assert isinstance(await send(body), list)

    # What needs a call: on one that is in the state which the page supposes.
    for phone in (setup.anna, setup.boris, setup.clara):
        phone.forget()  # the calls above
    talk = await client.talk_in()
    this = {"call_session_id": talk.call_session_id}
    for body in examples:
        method = body["method"]
        if "call_session_id" not in body["params"] or method == "release.call":
            continue
        more: dict[str, Any] = dict(this)
        if "to" in body["params"]:
            setup.boris.on_call(Answer())
            more["to"] = "202"
        if "phone_number" in body["params"]:
            more["phone_number"] = CLARA
        for name in ("contact_message", "to_message"):
            if body["params"].get(name, {}).get("type") == "media":
                more[name] = client.message("word_to_contact")
        try:
            assert await send(body, **more) == {"success": "true"}
        except ApiError as refused:
            if (method, refused.mnemonic) not in _MAY_BE_REFUSED:
                raise
        if method == "make.call":
            await (await setup.boris.next_call()).answered()
            await asyncio.sleep(0.3)
        elif method == "transfer.talk":
            await client.until_states(talk.call_session_id, contact="Conversation", Boris="Conversation")
    if await client.living(talk.call_session_id) is not None:
        assert await send(next(one for one in examples if one["method"] == "release.call"), **this) == {
            "success": "true"
        }
    await client.gone(talk.call_session_id)
    assert len(set(sent)) >= 20, sent


_MAY_BE_REFUSED = {
    # Of the talk with the third party, to whom the page's transfer has brought the contact.
    ("restore.talk", "invalid_state"),
    ("unhold.call", "invalid_state"),
    ("record.call", "record_already_started"),
    ("disconnect.leg", "leg_not_found"),
    # Key 1 is a talk option here, which sets the tag once more.
    ("send.dtmf", "duplicate_tag"),
    ("call.talk_option", "duplicate_tag"),
}
