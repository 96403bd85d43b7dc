"""The first lines of ``trunkline status``: whether it works, since when, what is wrong and what to do. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

_DISK_REMEDIES = {
    "alarm": "free space, or set retention days: trunkline retention list",
    "no_recordings": "calls are not recorded; free space",
    "no_calls": "new calls are refused, except to emergency numbers; free space",
}
_TRUNK_REMEDIES = {
    "refused": "check username and password of the trunk",
    "unreachable": "check host, port and transport of the trunk, and the firewall",
}


def summary(report: Mapping[str, Any], now: datetime) -> list[str]:
    """The lines for people.

    :param report: of :func:`trunkline.runtime.status.collect`, of a running instance, with the sections ``disk`` and
        ``switch``.
    """
    wrong = list(_problems(report))
    since = now.astimezone(UTC) - timedelta(seconds=report.get("uptime") or 0.0)
    state = "is up" if report["up"] else "is NOT up"
    lines = [f"Trunkline {report['version']} {state}; it was started at {since:%Y-%m-%d %H:%M:%S} UTC."]
    switch = report.get("switch") or {}
    if "live_calls" in switch:
        lines.append(f"{switch['live_calls']} live calls, {switch['registered_lines']} registered lines.")
    if not wrong:
        return [*lines, "No problem is known."]
    return [*lines, "Problems:", *(f"  - {problem}" for problem in wrong)]


def _problems(report: Mapping[str, Any]) -> Iterator[str]:
    """Each as ``what is wrong: what to do``."""
    logs = f"{report['data_dir']}/logs"
    known = {process["name"] for process in report["processes"]}
    for process in report["processes"]:
        if process["state"] != "ready":
            reason = f" ({process['reason']})" if process.get("reason") else ""
            yield f"{process['name']} is {process['state']}{reason}: see {logs}/{process['name']}.log"
    for name in report["missing"]:
        if name not in known:
            yield f"{name} does not run: see {logs}/supervisor.log"
    if report["up"]:
        for port in report["ports"]:
            if not port["open"]:
                yield f"port {port['port']} is not open: see {port['setting']} in the settings, and {logs}"
    yield from _disk(report.get("disk") or {})
    yield from _switch(report.get("switch") or {}, logs)


def _disk(disk: Mapping[str, Any]) -> Iterator[str]:
    level = disk.get("level", "enough")
    if level != "enough":
        megabytes = disk.get("free_bytes", 0) // 1_000_000
        yield f"the disk is nearly full, {megabytes} MB are free: {_DISK_REMEDIES.get(level, 'free space')}"


def _switch(switch: Mapping[str, Any], logs: str) -> Iterator[str]:
    if "error" in switch:
        yield f"the switch does not respond ({switch['error']}): see {logs}/switch.log"
        return
    path = switch.get("signal_path") or {}
    if path.get("state", "ready") != "ready":
        yield f"signals of Asterisk do not arrive ({path.get('reason')}): it reconnects by itself; see {logs}/switch.log"
    if switch.get("events_alarm"):
        yield f"events of calls are not stored ({switch['events_alarm']}): remove the cause; calls go on"
    configuration = switch.get("configuration") or {}
    if configuration.get("error"):
        error = configuration["error"]
        yield f"Asterisk does not have the configuration ({error}): it is tried again; see {logs}/switch.log"
    for row in configuration.get("rows_left_out") or ():
        yield (
            f"{row['entity']} {row['name']} of account {row['account_id']} is not used in calls ({row['reason']}): "
            "correct it and run trunkline apply"
        )
    for one in switch.get("registrations_at_carriers") or ():
        if one["state"] in _TRUNK_REMEDIES:
            yield f"{_registration(one)}: {_TRUNK_REMEDIES[one['state']]}"
    if bans := (switch.get("login_bans") or {}).get("in_force"):
        yield f"{bans} bans for wrong passwords of SIP lines are in force: trunkline ban list"


def _registration(one: Mapping[str, Any]) -> str:
    name = f"trunk {one.get('trunk_name') or one['trunk_id']}"
    if one.get("account_id") is not None:
        name += f" of account {one['account_id']} ({one['account_name']})"
    answer = one["reason"] or one["code"]
    return f"{name} is not registered at {one['server']} ({one['state']}{f', {answer}' if answer else ''})"
