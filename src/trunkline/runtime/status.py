"""The state of the processes, from the supervisor's state file and the kernel, in any state of the instance."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from trunkline import __version__
from trunkline.core.settings import Settings
from trunkline.runtime import asterisk
from trunkline.runtime.instance import DATABASE, ENGINE, ROLES
from trunkline.runtime.last_report import report_age
from trunkline.runtime.ports import Port, Transport, is_open, ports_of
from trunkline.runtime.processes import is_alive, started_at, state_of, uptime
from trunkline.runtime.service import ServiceState
from trunkline.runtime.supervisor import STATE_IS_OLD, state_file

RESPONDS_SECONDS = 12.0
"""A role whose last report is older is not responding; it reports every few seconds (``roles.health.ALIVE_SECONDS``)."""

_READ_ATTEMPTS, _READ_PAUSE = 5, 0.02

_STOPPED = frozenset("Tt")
"""States of a process in the kernel in which it does not run: SIGSTOP, or a debugger."""

Hook = Callable[[], Any]
"""Gathers one more section (live calls, registered lines, lag); returns something JSON can hold."""


def collect(settings: Settings, hooks: Mapping[str, Hook] | None = None) -> dict[str, Any]:
    """The state of the instance::

        {"running": true, "up": true, "version": "0.1.0", "pid": 71, "uptime": 12.5, "data_dir": "/...",
         "started_at": "2026-03-01T08:12:40+00:00",
         "processes": [{"name": "postgres", "state": "ready", "pid": 72, "restarts": 0, "uptime": 12.1,
                        "version": "18.4", "reason": "", "report_age": null}, ...],
         "ports": [{"setting": "web.http_port", "transport": "tcp", "address": "127.0.0.1", "port": 8080,
                    "open": true}, ...]}

    Times in seconds. ``missing`` has the processes of the configuration that are not ready. ``up`` is true when all
    processes are ready and all SIP ports of the settings are open; ``reason`` is set for a process that is not ready.
    ``report_age`` is null for a process that makes no reports. ``supervisor`` is ``stopped`` when it does not run, so that
    nothing is watched. ``states_are_old``: it cannot write the states, which may be others now.
    Each hook adds a section by its name; one that fails gives ``{"error": "..."}``. Hooks are asked only while the instance
    runs.
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
    report["started_at"] = state.get("started_at")
    # A process that reports not ready, or is being restarted, is not up.
    report["processes"] = _processes(settings, state)
    ready = {process["name"] for process in report["processes"] if process["state"] == ServiceState.READY}
    is_closed = any(port["setting"].startswith("sip.") and not port["open"] for port in ports)
    report["up"] = report["up"] and len(ready) == len(report["processes"]) and not is_closed
    report["missing"] = sorted(_configured(settings) - ready)
    report["supervisor"] = "stopped" if _is_stopped(state["pid"]) else "runs"
    report["states_are_old"] = _is_old(settings)
    for name, hook in (hooks or {}).items():
        report[name] = _ask(hook)
    return report


def is_running(settings: Settings) -> bool:
    """Whether an instance runs on the data folder of these settings."""
    return _running_state(settings) is not None


def processes(settings: Settings) -> list[dict[str, Any]]:
    """The processes alone, as :func:`collect` has them: cheap, because no port is checked. Empty while nothing runs."""
    state = _running_state(settings)
    return [] if state is None else _processes(settings, state)


def _processes(settings: Settings, state: Mapping[str, Any]) -> list[dict[str, Any]]:
    # Ages are those of the supervisor's notes: while it is stopped itself, they say nothing of the roles.
    is_watched = not _is_stopped(state["pid"])
    return [_process(settings, service, is_watched=is_watched) for service in state["services"]]


def _process(settings: Settings, service: Mapping[str, Any], *, is_watched: bool) -> dict[str, Any]:
    pid = service["pid"]
    age = report_age(settings.run_dir, service["name"]) if pid and is_watched else None
    found = {
        **service,
        "uptime": _rounded(uptime(pid)) if pid else None,
        "report_age": _rounded(age),
    }
    if service["state"] in (ServiceState.READY, ServiceState.NOT_READY):
        if pid and _is_stopped(pid):
            found |= {
                "state": ServiceState.NOT_RESPONDING.value,
                "reason": "the process is stopped by a signal",
            }
        elif age is not None and age > RESPONDS_SECONDS:
            found |= {
                "state": ServiceState.NOT_RESPONDING.value,
                "reason": f"no report for {age:.0f} s",
            }
    return found


def _is_stopped(pid: int) -> bool:
    return state_of(pid) in _STOPPED


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
    for attempt in range(_READ_ATTEMPTS):
        try:
            state: dict[str, Any] = json.loads(state_file(settings.run_dir).read_text())
            break
        except OSError:
            return None
        except ValueError:  # on a full disk it is overwritten in its place
            if attempt == _READ_ATTEMPTS - 1:
                return None
            time.sleep(_READ_PAUSE)
    alive = is_alive(state["pid"]) and started_at(state["pid"]) == state["started"]
    return state if alive else None


def _is_old(settings: Settings) -> bool:
    """Whether the supervisor could not write its last state."""
    try:
        return int(state_file(settings.run_dir).stat().st_mtime) == STATE_IS_OLD
    except OSError:
        return False


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
