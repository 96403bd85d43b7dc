"""The state of the processes, from the supervisor's state file and the kernel, in any state of the instance."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from trunkline import __version__
from trunkline.core.settings import Settings
from trunkline.runtime import asterisk
from trunkline.runtime.instance import DATABASE, ENGINE, ROLES
from trunkline.runtime.ports import Port, Transport, is_open, ports_of
from trunkline.runtime.processes import is_alive, started_at, uptime
from trunkline.runtime.supervisor import state_file

Hook = Callable[[], Any]
"""Gathers one more section (live calls, registered lines, lag); returns something JSON can hold."""


def collect(settings: Settings, hooks: Mapping[str, Hook] | None = None) -> dict[str, Any]:
    """The state of the instance::

        {"running": true, "up": true, "version": "0.1.0", "pid": 71, "uptime": 12.5, "data_dir": "/...",
         "processes": [{"name": "postgres", "state": "ready", "pid": 72, "restarts": 0, "uptime": 12.1,
                        "version": "18.4", "reason": ""}, ...],
         "ports": [{"setting": "web.http_port", "transport": "tcp", "address": "127.0.0.1", "port": 8080,
                    "open": true}, ...]}

    Times in seconds. ``missing`` has the processes of the configuration that are not ready. ``up`` is true when all
    processes are ready; ``reason`` is set for one that is not. Each hook adds a section by its name; one that fails gives
    ``{"error": "..."}``. Hooks are asked only while the instance runs.
    """
    state = _running_state(settings)
    ports = [_port(port, running=state is not None) for port in _ports(settings, state)]
    report: dict[str, Any] = {
        "running": state is not None,
        "up": bool(state and state["up"]),
        "version": __version__,
        "data_dir": str(settings.data),
        "processes": [],
        "missing": sorted(_configured(settings)),
        "ports": ports,
    }
    if state is None:
        install = asterisk.locate(settings)
        report["engine"] = (
            None if install is None else {"version": install.version, "origin": install.origin.value}
        )
        return report
    report |= {"pid": state["pid"], "uptime": _rounded(uptime(state["pid"]))}
    # A process that reports not ready, or is being restarted, is not up.
    report["up"] = report["up"] and all(service["state"] == "ready" for service in state["services"])
    ready = {service["name"] for service in state["services"] if service["state"] == "ready"}
    report["missing"] = sorted(_configured(settings) - ready)
    report["processes"] = _processes(state)
    for name, hook in (hooks or {}).items():
        report[name] = _ask(hook)
    return report


def is_running(settings: Settings) -> bool:
    """Whether an instance runs on the data folder of these settings."""
    return _running_state(settings) is not None


def processes(settings: Settings) -> list[dict[str, Any]]:
    """The processes alone, as :func:`collect` has them: cheap, because no port is checked. Empty while nothing runs."""
    state = _running_state(settings)
    return [] if state is None else _processes(state)


def _processes(state: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {**service, "uptime": _rounded(uptime(service["pid"])) if service["pid"] else None}
        for service in state["services"]
    ]


def _ports(settings: Settings, state: Mapping[str, Any] | None) -> list[Port]:
    """The ports of the running instance, which may have started with other settings; else those of the settings."""
    if state is None or "ports" not in state:
        return ports_of(settings)
    return [Port(**{**port, "transport": Transport(port["transport"])}) for port in state["ports"]]


def _configured(settings: Settings) -> set[str]:
    """Names of the processes that an instance with these settings consists of."""
    database = {DATABASE} if settings.database_url is None else set()
    return {*database, ENGINE, *ROLES}


def _running_state(settings: Settings) -> dict[str, Any] | None:
    """The state file of the supervisor, None when there is no supervisor (any more)."""
    try:
        state: dict[str, Any] = json.loads(state_file(settings.run_dir).read_text())
    except (OSError, ValueError):
        return None
    alive = is_alive(state["pid"]) and started_at(state["pid"]) == state["started"]
    return state if alive else None


def _port(port: Port, *, running: bool) -> dict[str, Any]:
    return {
        "setting": port.setting,
        "transport": port.transport.value,
        "address": port.address,
        "port": port.number,
        "open": running and is_open(port),
    }


def _ask(hook: Hook) -> Any:
    try:
        return hook()
    except Exception as error:
        return {"error": str(error) or type(error).__name__}


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
