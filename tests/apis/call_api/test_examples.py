"""The requests of the Call API's page, run as they stand with curl against the real application."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp.test_utils import TestServer

from tests.apis.call_api.requests import ANSWERS
from tests.apis.support import LOGIN, PASSWORD, TOKEN, ApisOnFakes
from tests.docs.pages import DOCS, Block, blocks, requests
from trunkline.accounts.administration import AccountProfile, Administration
from trunkline.apis.catalogue import CALL_API
from trunkline.apis.web import build_app
from trunkline.db.pool import Database

PAGE = DOCS / "api" / "call-api.md"
EXAMPLES = [block for block in blocks(PAGE) if "curl" in block.text]


def _ready(example: Block, base: str) -> str:
    """The block with the reader's own things filled in."""
    text = example.text.replace("http://127.0.0.1:8080", base).replace("YOUR_KEY", TOKEN)
    return text.replace('"admin"', f'"{LOGIN}"').replace("YOUR_PASSWORD", PASSWORD)


def _answers(output: str) -> list[dict[str, Any]]:
    """JSON values that stand one behind the other."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while at < len(output):
        value, at = decoder.raw_decode(output, at)
        found.append(value)
    return found


def test_every_method_but_logout_has_an_example() -> None:
    shown = {body["method"] for _, body in requests(PAGE)}
    assert {method.name for method in CALL_API.methods} - shown == {"logout.user"}


@pytest.mark.parametrize(
    "example", EXAMPLES, ids=lambda block: block.text.split('"method": "')[1].split('"')[0]
)
async def test_an_example_works(example: Block, database: str) -> None:
    async with await Database.open(database) as db:
        await Administration(db).create_account(
            AccountProfile("Harbour Tours"), login="captain", password="a long password"
        )
        fakes = ApisOnFakes(database=db)
        fakes.switch.answers = dict(ANSWERS)
        async with TestServer(build_app(fakes.services, request_log=fakes.request_log)) as server:
            process = await asyncio.create_subprocess_exec(
                "bash",
                "-euo",
                "pipefail",
                "-c",
                _ready(example, f"http://127.0.0.1:{server.port}"),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            try:
                async with asyncio.timeout(60):
                    output, complaints = await process.communicate()
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
    assert process.returncode == 0, complaints.decode()
    answers = _answers(output.decode())
    assert len(answers) == example.text.count("curl ")
    for answer in answers:
        assert "error" not in answer, answer["error"]
        assert answer["result"]["data"] is not None
