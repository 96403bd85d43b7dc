"""The first lines of ``trunkline status``: whether it works, since when, what is wrong and what to do. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from trunkline.core.disk import SPOOL_REMEDY
from trunkline.directory.trunks.identification import UNRESOLVED

_DISK_REMEDIES = {
    "alarm": "free space, or set retention days: trunkline retention list",
    "no_recordings": "calls are not recorded; free space",
    "no_calls": "new calls are refused, except to emergency numbers; free space",
}
_MEDIA_CAUSES = {
    "srtp": ("media encryption", "set SRTP of line and phone alike"),
    "codec": (
        "no common codec",
        "enable G.711 in the phone or at the carrier, and in `codecs` of the line or trunk",
    ),
}
"""Of calls with refused media: what is wrong, and what to do."""
_TRUNK_REMEDIES = {
    "refused": "check username and password of the trunk",
    "unreachable": "check host, port and transport of the trunk, and the firewall",
}


EVENTS_LATE, DELIVERIES_LATE, JOBS_LATE = 60.0, 300.0, 600.0
"""Seconds after which a backlog is a problem: the worker does less than arrives, or nothing."""

_RETRIED_LATE = {"recordings": 3600.0, "mails": 900.0, "account_mails": 900.0}
"""The same for jobs that failed: recordings may wait for the end of their call, and mails for another's server."""

_MAIL_EVENTS = {"mails": "mail_waits", "account_mails": "account_mail_waits"}
"""Queues of mails, and the line of the log of one that is not accepted."""

_RETRIED_LATE_OTHERS = 60.0

_CERTIFICATE_DAYS = timedelta(days=14)
"""Renewals of ACME clients come 30 days before the end."""

MEDIA_PORTS_FEW = 2
"""A call needs two pairs. With the limit of channels that follows from the range, calls of Trunkline alone leave more."""

_GROWS = "if it grows, run a second worker or give the machine more processors"


class Outage(str):
    """A problem with which a part of the service does not do its work: calls, recordings, requests or notifications."""

    __slots__ = ()


def works(report: Mapping[str, Any], now: datetime) -> bool:
    """Whether all parts do their work. Problems of one carrier, one row or one queue are no outage.

    :param report: as for :func:`summary`.
    """
    return report["up"] and not any(isinstance(problem, Outage) for problem in _problems(report, now))


def summary(report: Mapping[str, Any], now: datetime) -> list[str]:
    """The lines for people.

    :param report: of :func:`trunkline.runtime.status.collect`, of a running instance, with the sections ``disk``,
        ``switch``, ``upload_limits`` and ``backlog``.
    """
    wrong = list(_problems(report, now))
    if report.get("started_at"):
        since = datetime.fromisoformat(report["started_at"]).astimezone(UTC)
    else:
        since = now.astimezone(UTC) - timedelta(seconds=report.get("uptime") or 0.0)
    state = "is up" if report["up"] else "is NOT up"
    if report["up"] and any(isinstance(problem, Outage) for problem in wrong):
        state = "is up, and a part of it does NOT work"
    lines = [f"Trunkline {report['version']} {state}; it was started at {since:%Y-%m-%d %H:%M:%S} UTC."]
    switch = report.get("switch") or {}
    if "live_calls" in switch:
        lines.append(f"{switch['live_calls']} live calls, {switch['registered_lines']} registered lines.")
    if not wrong:
        return [*lines, "No problem is known."]
    return [*lines, "Problems:", *(f"  - {problem}" for problem in wrong)]


def _problems(report: Mapping[str, Any], now: datetime) -> Iterator[str]:
    """Each as ``what is wrong: what to do``."""
    logs = f"{report['data_dir']}/logs"
    known = {process["name"] for process in report["processes"]}
    for process in report["processes"]:
        if process["state"] != "ready":
            reason = f" ({process['reason']})" if process.get("reason") else ""
            yield f"{process['name']} is {process['state']}{reason}: see {logs}/{process['name']}.log"
    if report.get("supervisor") == "stopped":
        pid = report["pid"]
        yield Outage(
            f"the supervisor (pid {pid}) is stopped by a signal: kill -CONT {pid}; nothing that fails is restarted"
        )
    if report.get("states_are_old"):
        yield Outage(
            "the states of the processes are old, because the supervisor cannot write them: free space in"
            f" {report['data_dir']}/run"
        )
    for name in report["missing"]:
        if name not in known:
            yield f"{name} does not run: see {logs}/supervisor.log"
    if report["up"] or not report["missing"]:
        for port in report["ports"]:
            if not port["open"] and port["setting"].startswith("sip."):
                yield (
                    f"port {port['port']} ({port['setting']}) is not open, so phones and carriers cannot use it: see the "
                    f"errors in {logs}/asterisk.log"
                )
            elif not port["open"]:
                yield f"port {port['port']} is not open: see {port['setting']} in the settings, and {logs}"
    yield from _disk(report.get("disk") or {})
    yield from _certificate(report.get("certificate") or {}, now)
    yield from _media_ports(report.get("media_ports") or {})
    yield from _switch(report.get("switch") or {}, logs)
    yield from _upload_limits(report.get("upload_limits") or {})
    yield from _backlog(report.get("backlog") or {}, logs)


def _disk(disk: Mapping[str, Any]) -> Iterator[str]:
    if "error" in disk:
        yield Outage(f"the free space of the disk cannot be read ({disk['error']}): check the data folder")
        return
    level = disk.get("level", "enough")
    if level != "enough":
        megabytes = disk.get("free_bytes", 0) // 1_000_000
        problem = (
            f"the disk is nearly full, {megabytes} MB are free: {_DISK_REMEDIES.get(level, 'free space')}"
        )
        yield problem if level == "alarm" else Outage(problem)


def _certificate(certificate: Mapping[str, Any], now: datetime) -> Iterator[str]:
    if "ends_at" not in certificate:
        return
    ends_at = datetime.fromisoformat(certificate["ends_at"])
    if ends_at <= now:
        yield Outage(
            f"the certificate of HTTPS, WSS and SIP over TLS has ended ({ends_at:%Y-%m-%d %H:%M} UTC), so browsers, API"
            " clients and phones with TLS refuse it: install a valid one (trunkline certificate install)"
        )
    elif ends_at - now < _CERTIFICATE_DAYS:
        yield (
            f"the certificate of HTTPS, WSS and SIP over TLS ends at {ends_at:%Y-%m-%d %H:%M} UTC: check its renewal, or"
            " install a new one (trunkline certificate install)"
        )


def _media_ports(media: Mapping[str, Any]) -> Iterator[str]:
    if media and media["free"] < MEDIA_PORTS_FEW:
        yield Outage(
            f"{media['free']} of the {media['pairs']} pairs of media ports {media['first']} to {media['last']} are free, so"
            " new calls get SIP 488: end programs that use ports of the range (ss -uanp), or set a larger range in"
            " sip.rtp_port_first and sip.rtp_port_last and restart"
        )
    if media and media["given_to_programs"]:
        yield (
            f"the kernel gives {media['given_to_programs']} of the media ports {media['first']} to {media['last']} to any"
            " program, so a call can have no sound or be noise: reserve them (sysctl -w"
            f" net.ipv4.ip_local_reserved_ports={media['first']}-{media['last']}), or set others in sip.rtp_port_first and"
            " sip.rtp_port_last and restart"
        )


def _switch(switch: Mapping[str, Any], logs: str) -> Iterator[str]:
    if "error" in switch:
        yield Outage(f"the switch does not respond ({switch['error']}): see {logs}/switch.log")
        return
    path = switch.get("signal_path") or {}
    if path.get("state", "ready") != "ready":
        yield Outage(
            f"signals of Asterisk do not arrive ({path.get('reason')}): the switch reconnects automatically; see "
            f"{logs}/switch.log"
        )
    dead = switch.get("dead_letters") or 0
    if switch.get("events_alarm") and (switch.get("unwritten_events") or not dead):
        yield Outage(
            f"events of calls are not stored ({switch['events_alarm']}): see {logs}/postgres.log and the disk of "
            "PostgreSQL; calls continue"
        )
    if dead:
        yield (
            f"{dead} events of calls could not be stored and are in the table dead_letters: see its column error and "
            f"event_not_storable in {logs}/switch.log; after a repair delete the rows and restart the switch"
        )
    if switch.get("spool_error"):
        yield Outage(
            f"calls are not recorded and voice mail takes no message ({switch['spool_error']}): {SPOOL_REMEDY}; see "
            f"{logs}/switch.log"
        )
    yield from _accounts_not_recorded(switch.get("accounts_not_recorded") or {})
    configuration = switch.get("configuration") or {}
    if configuration.get("error"):
        error = configuration["error"]
        yield Outage(
            f"Asterisk does not have the configuration ({error}): it is tried again; see {logs}/switch.log"
        )
    for row in configuration.get("rows_left_out") or ():
        yield (
            f"{row['entity']} {row['name']} of account {row['account_id']} is not used in calls ({row['reason']}): "
            f"{_row_remedy(row['reason'])}"
        )
    for one in switch.get("registrations_at_carriers") or ():
        if one["state"] in _TRUNK_REMEDIES:
            yield f"{_registration(one)}: {_TRUNK_REMEDIES[one['state']]}"
    for one in switch.get("trunks_without_response") or ():
        calls = "last call" if one["calls"] == 1 else f"last {one['calls']} calls"
        yield (
            f"the server of {_trunk(one)} did not respond to the {calls}: {_TRUNK_REMEDIES['unreachable']}"
        )
    for one in switch.get("requests_not_identified") or ():
        yield not_identified(one)
    for one in switch.get("calls_with_refused_media") or ():
        calls = "1 call" if one["count"] == 1 else f"{one['count']} calls"
        was = "was" if one["count"] == 1 else "were"
        cause, remedy = _MEDIA_CAUSES[one.get("cause", "srtp")]
        yield (
            f"{calls} of {one['kind']} {one['name']} {was} refused since the start (SIP 488, {cause}): {remedy}; see"
            " call_media_refused in the log of the switch"
        )
    for one in switch.get("calls_without_sound") or ():
        calls = "1 call" if one["count"] == 1 else f"{one['count']} calls"
        yield (
            f"no sound (RTP) arrived from {one['kind']} {one['name']} in {calls} since the start: open the UDP ports"
            " sip.rtp_port_first to sip.rtp_port_last in the firewall, behind NAT set sip.external_address and"
            " sip.local_networks; see call_without_sound in the log of the switch"
        )
    if bans := (switch.get("login_bans") or {}).get("in_force"):
        which = (
            "1 ban of SIP lines and addresses is"
            if bans == 1
            else f"{bans} bans of SIP lines and addresses are"
        )
        yield f"{which} in force: trunkline ban list"


def _row_remedy(reason: str) -> str:
    host, is_unresolved, _ = reason.partition(UNRESOLVED)
    if is_unresolved:
        return f"check the DNS of {host}, or enter an address as the host of the trunk"
    return "correct it and run trunkline apply"


def _accounts_not_recorded(accounts: Mapping[str, Any]) -> Iterator[str]:
    for one in accounts.get("first") or ():
        which = f"calls of account {one['account_id']} ({one['account_name']}) are not recorded:"
        if one["limit"] == "bytes":
            yield (
                f"{which} it has {one['recorded_bytes']} bytes of recordings (limit: {one['limit_max_value']}): raise it"
                " with trunkline account recordings, or shorten the retention"
            )
        else:
            yield (
                f"{which} the disk is nearly full, and it has recorded {one['recorded_bytes']} bytes lately (its share:"
                f" {one['limit_max_value']}): free space, or give it a limit with trunkline account recordings"
            )
    if (more := accounts.get("count", 0) - len(accounts.get("first") or ())) > 0:
        yield f"{more} further accounts are not recorded: see recordings_limit_reached in the log of the switch"


def _upload_limits(limits: Mapping[str, Any]) -> Iterator[str]:
    for one in limits.get("first") or ():
        yield (
            f"account {one['account_id']} ({one['account_name']}) has {one['stored_bytes']} bytes of recordings of uploaded"
            f" calls (limit {one['limit']}: {one['limit_max_value']}), so more are refused: raise it with trunkline account"
            " uploads, or shorten the retention"
        )
    if (more := limits.get("reached", 0) - len(limits.get("first") or ())) > 0:
        yield f"{more} further limits of uploaded calls are reached: see uploads_limit_reached in the log of the worker"


def _backlog(backlog: Mapping[str, Any], logs: str) -> Iterator[str]:
    see = f"see {logs}/worker.log"
    if "error" in backlog:
        yield Outage(f"the work that waits cannot be read ({backlog['error']}): see {logs}/postgres.log")
        return
    if not backlog:
        return
    events, deliveries, jobs = backlog["events"], backlog["deliveries"], backlog["jobs"]
    if events["oldest_seconds"] > EVENTS_LATE:
        yield (
            f"{events['count']} events of calls are not in notifications, charges and recordings yet, the oldest for "
            f"{_time(events['oldest_seconds'])}: {see}; {_GROWS}"
        )
    if events["given_up"]:
        yield (
            f"{events['given_up']} events of calls could not be handled and are not tried again: {see} "
            "(event_given_up) and the table event_failures"
        )
    if deliveries["oldest_seconds"] > DELIVERIES_LATE:
        yield (
            f"notifications are late, the oldest for {_time(deliveries['oldest_seconds'])} "
            f"({deliveries['count']} wait): {see}; {_GROWS}"
        )
    for queue, states in jobs["queues"].items():
        waits, retried = states.get("waits"), states.get("retried")
        if waits and waits["oldest_seconds"] > JOBS_LATE:
            yield (
                f"queue {queue}: {_count(waits, 'job')} not started, the oldest waits for "
                f"{_time(waits['oldest_seconds'])}: {see}; {_GROWS}"
            )
        if retried and retried["oldest_seconds"] > _RETRIED_LATE.get(queue, _RETRIED_LATE_OTHERS):
            event = _MAIL_EVENTS.get(queue)
            if event is not None:
                yield (
                    f"queue {queue}: {_count(retried, 'mail')} not accepted by the mail server {backlog.get('mail_server')}"
                    f" (mail.host, mail.port), the oldest for {_time(retried['oldest_seconds'])}: {see} ({event})"
                )
                continue
            yield (
                f"queue {queue}: {_count(retried, 'job')} failed and will be tried again, the oldest is enqueued for "
                f"{_time(retried['oldest_seconds'])}: remove the cause, {see} (job_failed)"
            )
    for one in backlog.get("failed_mails") or ():
        yield (
            f"{_count(one, 'mail')} of account {one['account_id']} could not be sent within 24 hours"
            f" ({one['failure']}): check the address, `trunkline account mail-domains` and mail.*; {see}"
            " (account_mail_failed)"
        )


def _count(waiting: Mapping[str, Any], noun: str) -> str:
    count = waiting["count"]
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _time(seconds: float) -> str:
    """In words: ``40 s``, ``12 min``, ``3 h``, ``4 days``."""
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def not_identified(one: Mapping[str, Any]) -> str:
    """Of a trunk whose carrier sends requests that do not identify it.

    :param one: of ``requests_not_identified`` of the switch's status.
    """
    requests = "1 request" if one["requests"] == 1 else f"{one['requests']} requests"
    was, they = ("was", "it does") if one["requests"] == 1 else ("were", "they do")
    return (
        f"{requests} from {one['ip']}, the server of {_trunk(one)}, {was} refused with SIP 401 (the last at {one['last']}),"
        f" because {they} not identify the trunk: if no calls come in, add addresses: [{one['ip']}] to"
        " the trunk"
    )


def _trunk(one: Mapping[str, Any]) -> str:
    name = f"trunk {one.get('trunk_name') or one['trunk_id']}"
    if one.get("account_id") is not None:
        name += f" of account {one['account_id']} ({one['account_name']})"
    return name


def _registration(one: Mapping[str, Any]) -> str:
    name = _trunk(one)
    answer = one["reason"] or one["code"]
    return f"{name} is not registered at {one['server']} ({one['state']}{f', {answer}' if answer else ''})"
