"""``trunkline status`` shows the running instance, not the settings of the command."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

from trunkline.core.settings import Settings, WebSettings
from trunkline.runtime import status
from trunkline.runtime.ports import ports_of
from trunkline.runtime.processes import started_at
from trunkline.runtime.supervisor import state_file


def _http_port(settings: Settings) -> int:
    [port] = [one["port"] for one in status.collect(settings)["ports"] if one["setting"] == "web.http_port"]
    assert isinstance(port, int)
    return port


def test_the_ports_are_those_of_the_running_instance(tmp_path: Path) -> None:
    started = Settings(data_dir=tmp_path, web=WebSettings(http_port=8123))
    changed = Settings(data_dir=tmp_path, web=WebSettings(http_port=8124))
    assert _http_port(changed) == 8124
    started.run_dir.mkdir(parents=True)
    state = {
        "pid": os.getpid(),
        "started": started_at(os.getpid()),
        "up": True,
        "ports": [asdict(port) for port in ports_of(started)],
        "services": [],
    }
    state_file(started.run_dir).write_text(json.dumps(state))
    assert _http_port(changed) == 8123
