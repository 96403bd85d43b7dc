"""The commands and requests of "Migrating your clients", run against a database and the web application."""

from __future__ import annotations

import asyncio
import json
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from click.testing import CliRunner

from tests.apis.support import NotedSwitch
from tests.docs.pages import DOCS, blocks, requests
from trunkline.accounts import Accounts
from trunkline.apis.jsonrpc import Services
from trunkline.apis.service.request_log import MemoryRequestLog
from trunkline.apis.web import build_app
from trunkline.cli.main import commands
from trunkline.core.settings import Settings
from trunkline.db.pool import Database

PAGE = DOCS / "migrating.md"


def _command(*words: str) -> str:
    result = CliRunner().invoke(commands, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def _prepare() -> str:
    """Runs the commands of the page in an installation with an account; the key that they make."""
    _command("account", "create", "--name", "Palm Office Furniture")
    _command("allow", "add", "127.0.0.0/8")
    key = ""
    for block in blocks(PAGE):
        for line in block.text.splitlines() if block.language == "sh" else ():
            words = shlex.split(line) if line.startswith("trunkline ") else []
            if words[1:3] == ["key", "create"]:
                key = json.loads(_command(*words[1:], "--json"))["token"]
            elif words:
                _command(*words[1:])
    return key


async def test_commands_and_requests(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick_passwords: None
) -> None:
    monkeypatch.setenv("TRUNKLINE_DATABASE_URL", database)
    monkeypatch.setenv("TRUNKLINE_DATA_DIR", str(tmp_path))
    key = await asyncio.to_thread(_prepare)
    [settings] = [tomllib.loads(block.text) for block in blocks(PAGE) if block.language == "toml"]
    found = Settings(data_dir=tmp_path, **settings)
    async with await Database.open(database) as db:
        services = Services(Accounts(db), NotedSwitch(), found, db)
        app = build_app(services, request_log=MemoryRequestLog())
        async with TestClient(TestServer(app)) as client:
            answers: dict[str, Any] = {}
            for path, body in requests(PAGE):
                params = body.get("params", {})
                if "access_token" in params:
                    params["access_token"] = key
                async with client.post(
                    path, json=body, headers={"Origin": "https://crm.example"}
                ) as response:
                    answers[body["method"]] = await response.json()
                    assert response.headers["Access-Control-Allow-Origin"] == "https://crm.example"
    assert set(answers) == {"get.employees", "get.calls_report", "list.calls", "rpc.discover"}
    for method, answer in answers.items():
        assert "result" in answer, (method, answer)
