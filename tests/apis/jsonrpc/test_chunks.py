"""Large answers: JSON in pieces, the same on the wire as in one."""

from __future__ import annotations

import aiohttp
import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.apis.support import TOKEN, ApisOnFakes
from trunkline.apis.jsonrpc import ACCESS_TOKEN, Api, Envelope, Method, Params, RequestContext, Result
from trunkline.apis.jsonrpc.chunks import Chunks
from trunkline.apis.jsonrpc.http import JsonRpcEndpoint


def large_method(chunks: int, envelope: Envelope = Envelope.DATA_ARRAY) -> Method:
    """Answers with that many rows, one in each piece."""

    async def handler(request: RequestContext, params: Params) -> Result:
        rows = [orjson.dumps({"number": number, "text": "x" * 1000}) for number in range(chunks)]
        return Result(
            Chunks((b"[", b",".join(rows[:1]), *(b"," + row for row in rows[1:]), b"]")), total_items=chunks
        )

    return Method(Api.DATA, "get.large", "Large.", (ACCESS_TOKEN,), (), envelope, handler)


@pytest.mark.parametrize("count", [1, 3, 2000])
async def test_over_http(count: int) -> None:
    fakes = ApisOnFakes(extra=(large_method(count),))
    endpoint = JsonRpcEndpoint(
        fakes.dispatcher(Api.DATA), body_max=10_000, address_of=lambda _request: "127.0.0.1"
    )
    app = web.Application()
    app.add_routes(endpoint.routes())
    message = {"jsonrpc": "2.0", "id": 'a"b', "method": "get.large", "params": {"access_token": TOKEN}}
    async with TestServer(app) as server, aiohttp.ClientSession() as client:
        for _ in range(2):  # on one connection: the first answer ended where it said
            async with client.post(server.make_url("/v2.0"), json=message) as response:
                body = await response.read()
                assert response.headers["Content-Type"] == "application/json; charset=utf-8"
                assert int(response.headers["Content-Length"]) == len(body)
    answer = orjson.loads(body)
    assert answer["id"] == 'a"b'
    assert [row["number"] for row in answer["result"]["data"]] == list(range(count))
    assert answer["result"]["metadata"]["total_items"] == count
    assert answer["result"]["metadata"]["limits"]["minute_limit"] == 100


async def test_an_envelope_that_is_the_array() -> None:
    answer = await ApisOnFakes(extra=(large_method(3, Envelope.ARRAY),)).ask(Api.DATA, "get.large")
    assert [row["number"] for row in answer["result"]] == [0, 1, 2]


def test_pieces() -> None:
    chunks = Chunks((b"1", b"2")).within(b"[", b"]")
    assert (chunks.joined(), chunks.size) == (b"[12]", 4)
