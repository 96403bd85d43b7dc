"""Commands that ask the switch do so at the address of the settings, and report a switch that does not respond."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from click.testing import CliRunner

from trunkline.cli.main import commands
from trunkline.core.errors import SwitchUnavailable, first_line
from trunkline.core.settings import Settings
from trunkline.runtime import secrets

ADDRESS = "127.0.0.2"
COMMANDS = [("ban", "list", "--json"), ("status", "--account", "1", "--json")]


class _Switch(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"result": [] if self.path == "/bans" else {"rows_left_out": []}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: requests are not printed."""


@pytest.fixture
def switch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer((ADDRESS, 0), _Switch)
    monkeypatch.setenv("TRUNKLINE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("TRUNKLINE_SWITCH__CONTROL_BIND", ADDRESS)
    monkeypatch.setenv("TRUNKLINE_SWITCH__CONTROL_PORT", str(server.server_port))
    secrets.ensure(Settings())
    with server:
        yield server


@pytest.mark.parametrize("words", COMMANDS)
def test_the_switch_is_asked_at_its_own_address(words: tuple[str, ...], switch: ThreadingHTTPServer) -> None:
    Thread(target=switch.serve_forever, daemon=True).start()
    try:
        result = CliRunner().invoke(commands, words)
    finally:
        switch.shutdown()
    assert (result.exit_code, json.loads(result.output)) == (0, [])


@pytest.mark.parametrize("words", COMMANDS)
def test_a_switch_that_is_down_is_one_sentence(words: tuple[str, ...], switch: ThreadingHTTPServer) -> None:
    switch.server_close()
    error = CliRunner().invoke(commands, words).exception
    assert isinstance(error, SwitchUnavailable)
    assert f"{ADDRESS}:{switch.server_port}" in error.message


@pytest.mark.parametrize(
    ("error", "line"), [(OSError(), "OSError"), (ValueError("\na\nb"), "a"), (ValueError("a"), "a")]
)
def test_the_first_line_of_an_error(error: Exception, line: str) -> None:
    assert first_line(error) == line
