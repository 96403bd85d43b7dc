"""The first lines of ``trunkline status``: what is wrong, and what to do."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.calls.company import company
from tests.directory.test_trunk_addresses import trunk
from trunkline.cli.status_summary import summary, works
from trunkline.directory.model import Directory
from trunkline.directory.trunks.identification import identification

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def report(**changes: Any) -> dict[str, Any]:
    processes = [
        {"name": name, "state": "ready", "reason": ""} for name in ("postgres", "asterisk", "switch")
    ]
    return {
        "up": True,
        "version": "0.1.0",
        "data_dir": "/data",
        "uptime": 65.0,
        "processes": processes,
        "missing": [],
        "ports": [{"setting": "sip.udp_port", "port": 5060, "open": True}],
        "disk": {"level": "enough", "free_bytes": 9},
        "switch": switch(),
        **changes,
    }


def switch(**changes: Any) -> dict[str, Any]:
    return {
        "live_calls": 2,
        "registered_lines": 12,
        "signal_path": {"state": "ready", "reason": None},
        "events_alarm": None,
        "configuration": {"applied": True, "error": "", "rows_left_out": []},
        "login_bans": {"in_force": 0},
        "registrations_at_carriers": [],
        **changes,
    }


def problems(**changes: Any) -> list[str]:
    lines = summary(report(**changes), NOW)
    assert lines[2] == "Problems:"
    return [line.removeprefix("  - ") for line in lines[3:]]


def test_without_a_problem() -> None:
    assert summary(report(), NOW) == [
        "Trunkline 0.1.0 is up; it was started at 2026-03-01 11:58:55 UTC.",
        "2 live calls, 12 registered lines.",
        "No problem is known.",
    ]


def test_a_certificate_that_ends() -> None:
    [soon] = problems(certificate={"ends_at": "2026-03-12T10:00:00+00:00"})
    assert soon.startswith(
        "the certificate of HTTPS, WSS and SIP over TLS ends at 2026-03-12 10:00 UTC: check its renewal"
    )
    over = report(certificate={"ends_at": "2026-03-01T11:00:00+00:00"})
    assert not works(over, NOW)
    assert "has ended (2026-03-01 11:00 UTC)" in summary(over, NOW)[3]
    assert (
        summary(report(certificate={"ends_at": "2026-03-16T10:00:00+00:00"}), NOW)[-1]
        == "No problem is known."
    )


def test_processes_and_ports() -> None:
    processes = [{"name": "web", "state": "not_ready", "reason": "no database"}]
    lines = summary(
        report(up=False, processes=processes, missing=["web", "worker"], switch={"error": "no answer"}), NOW
    )
    assert lines == [
        "Trunkline 0.1.0 is NOT up; it was started at 2026-03-01 11:58:55 UTC.",
        "Problems:",
        "  - web is not_ready (no database): see /data/logs/web.log",
        "  - worker does not run: see /data/logs/supervisor.log",
        "  - the switch does not respond (no answer): see /data/logs/switch.log",
    ]
    [port] = problems(ports=[{"setting": "web.http_port", "port": 8080, "open": False}])
    assert port == "port 8080 is not open: see web.http_port in the settings, and /data/logs"
    [port] = problems(up=False, ports=[{"setting": "sip.udp_port", "port": 5060, "open": False}])
    assert port == (
        "port 5060 (sip.udp_port) is not open, so phones and carriers cannot use it: see the errors in"
        " /data/logs/asterisk.log"
    )


def test_a_spool_that_cannot_be_written() -> None:
    [problem] = problems(switch=switch(spool_error="/data/spool cannot be written"))
    assert problem.startswith(
        "calls are not recorded and voice mail takes no message (/data/spool cannot be written): make the user"
    )


@pytest.mark.durability
@pytest.mark.parametrize(
    "changes",
    [
        {"disk": {"level": "no_calls", "free_bytes": 8000}},
        {"disk": {"level": "no_recordings", "free_bytes": 8000}},
        {"disk": {"error": "[Errno 5] Input/output error"}},
        {"backlog": {"error": "the database does not answer"}},
        {"switch": {"error": "no answer"}},
        {"switch": {"spool_error": "/data/spool cannot be written"}},
        {"switch": {"events_alarm": "7 events wait", "unwritten_events": 7}},
        {"switch": {"signal_path": {"state": "silent", "reason": "ami"}}},
        {"switch": {"configuration": {"error": "not loaded"}}},
        {"supervisor": "stopped", "pid": 71},
        {"media_ports": {"first": 20000, "last": 20099, "pairs": 50, "free": 1, "given_to_programs": 0}},
    ],
)
def test_an_installation_of_which_a_part_does_not_work(changes: dict[str, Any]) -> None:
    made = report(**changes)
    assert works(report(), NOW)
    assert not works(made, NOW)
    assert summary(made, NOW)[0].startswith("Trunkline 0.1.0 is up, and a part of it does NOT work; it was")


@pytest.mark.parametrize(
    "changes",
    [
        {"disk": {"level": "alarm", "free_bytes": 8000}},
        {"media_ports": {"first": 20000, "last": 20099, "pairs": 50, "free": 50, "given_to_programs": 100}},
        {"switch": switch(login_bans={"in_force": 3})},
        {"switch": switch(dead_letters=2, events_alarm="2 events could not be stored", unwritten_events=0)},
    ],
)
def test_a_problem_with_which_all_parts_work(changes: dict[str, Any]) -> None:
    assert works(report(**changes), NOW)
    assert len(problems(**changes)) == 1


def test_the_start_is_the_time_that_was_noted_then() -> None:
    """The uptime is by the clock of the kernel, from which the time of day may differ by some seconds."""
    assert (
        "started at 2026-03-01 11:40:00 UTC"
        in summary(report(started_at="2026-03-01T11:40:00+00:00"), NOW)[0]
    )


def test_the_switch() -> None:
    row = {"account_id": 1001, "entity": "trunk", "id": 100, "name": "carrier", "reason": "no address"}
    found = problems(
        disk={"level": "no_calls", "free_bytes": 5_000_000},
        switch=switch(
            signal_path={"state": "silent", "reason": "ami"},
            events_alarm="disk full",
            configuration={"applied": False, "error": "not loaded", "rows_left_out": [row]},
            login_bans={"in_force": 3},
        ),
    )
    assert found == [
        "the disk is nearly full, 5 MB are free: new calls are refused, except to emergency numbers; free space",
        "signals of Asterisk do not arrive (ami): the switch reconnects automatically; see /data/logs/switch.log",
        "events of calls are not stored (disk full): see /data/logs/postgres.log and the disk of PostgreSQL; calls"
        " continue",
        "Asterisk does not have the configuration (not loaded): it is tried again; see /data/logs/switch.log",
        "trunk carrier of account 1001 is not used in calls (no address): correct it and run trunkline apply",
        "3 bans of SIP lines and addresses are in force: trunkline ban list",
    ]


def test_dead_letters_are_not_events_that_wait() -> None:
    alarm = "4 events could not be stored: see table dead_letters"
    dead = (
        "4 events of calls could not be stored and are in the table dead_letters: see its column error and "
        "event_not_storable in /data/logs/switch.log; after a repair delete the rows and restart the switch"
    )
    assert problems(switch=switch(events_alarm=alarm, dead_letters=4, unwritten_events=0)) == [dead]
    waiting = switch(events_alarm="2 events wait: disk full", dead_letters=4, unwritten_events=2)
    first, second = problems(switch=waiting)
    assert first.startswith(
        "events of calls are not stored (2 events wait: disk full): see /data/logs/postgres.log"
    )
    assert second == dead


def test_a_host_name_without_address_is_a_matter_of_dns() -> None:
    trunks = {100: trunk(1001, 100, "sip.carrier.example")}
    reasons = identification(
        Directory({1001: company(trunks=trunks)}), {"sip.carrier.example": ()}
    ).unresolved
    row = {"account_id": 1001, "entity": "trunk", "id": 100, "name": "carrier", "reason": reasons[100]}
    assert problems(switch=switch(configuration={"applied": True, "error": "", "rows_left_out": [row]})) == [
        "trunk carrier of account 1001 is not used in calls (sip.carrier.example resolves to no IPv4 address; the"
        " look-up is repeated): check the DNS of sip.carrier.example, or enter an address as the host of the trunk"
    ]


def test_trunks_by_name() -> None:
    one = {
        "account_id": 1001,
        "account_name": "Palm",
        "trunk_id": 100,
        "trunk_name": "carrier",
        "server": "sip:192.0.2.1:5060",
        "code": None,
        "reason": "",
    }
    trunks = [
        {**one, "state": "refused", "code": 403, "reason": "403 Forbidden fatal response"},
        {**one, "state": "registered"},
        {**one, "state": "waiting"},
        {**one, "state": "unreachable", "account_id": None, "trunk_name": None},
    ]
    assert problems(switch=switch(registrations_at_carriers=trunks)) == [
        "trunk carrier of account 1001 (Palm) is not registered at sip:192.0.2.1:5060 (refused, 403 Forbidden fatal"
        " response): check username and password of the trunk",
        "trunk 100 is not registered at sip:192.0.2.1:5060 (unreachable): check host, port and transport of the trunk,"
        " and the firewall",
    ]
    assert "No problem is known." in summary(report(switch=switch(registrations_at_carriers=None)), NOW)


def test_a_carrier_that_does_not_respond_or_is_not_identified() -> None:
    one = {"account_id": 1001, "account_name": "Palm", "trunk_id": 100, "trunk_name": "carrier"}
    found = problems(
        switch=switch(
            trunks_without_response=[{**one, "calls": 1}, {**one, "calls": 3}],
            requests_not_identified=[
                {**one, "ip": "192.0.2.1", "requests": 1, "last": "2026-03-01T11:59:00+00:00"}
            ],
        )
    )
    remedy = "check host, port and transport of the trunk, and the firewall"
    assert found == [
        f"the server of trunk carrier of account 1001 (Palm) did not respond to the last call: {remedy}",
        f"the server of trunk carrier of account 1001 (Palm) did not respond to the last 3 calls: {remedy}",
        "1 request from 192.0.2.1, the server of trunk carrier of account 1001 (Palm), was refused with SIP 401 (the last at"
        " 2026-03-01T11:59:00+00:00), because it does not identify the trunk: if no calls come in, add"
        " addresses: [192.0.2.1] to the trunk",
    ]


def test_one_call_with_refused_media() -> None:
    [found] = problems(
        switch=switch(calls_with_refused_media=[{"kind": "line", "name": "0160004", "count": 1}])
    )
    assert found.startswith("1 call of line 0160004 was refused since the start")


def test_calls_with_refused_media() -> None:
    refused = [{"kind": "line", "name": "0160004", "count": 2}]
    assert problems(switch=switch(calls_with_refused_media=refused)) == [
        "2 calls of line 0160004 were refused since the start (SIP 488, media encryption): set SRTP of line and phone"
        " alike; see call_media_refused in the log of the switch"
    ]


def test_calls_without_a_common_codec() -> None:
    refused = [{"kind": "line", "name": "0160004", "cause": "codec", "count": 2}]
    assert problems(switch=switch(calls_with_refused_media=refused)) == [
        "2 calls of line 0160004 were refused since the start (SIP 488, no common codec): enable G.711 in the phone or at"
        " the carrier, and in `codecs` of the line or trunk; see call_media_refused in the log of the switch"
    ]


def test_calls_without_sound() -> None:
    silent = [
        {"kind": "trunk", "name": "carrier", "count": 1},
        {"kind": "line", "name": "0160004", "count": 2},
    ]
    remedy = (
        "open the UDP ports sip.rtp_port_first to sip.rtp_port_last in the firewall, behind NAT set sip.external_address and"
        " sip.local_networks; see call_without_sound in the log of the switch"
    )
    assert problems(switch=switch(calls_without_sound=silent)) == [
        f"no sound (RTP) arrived from trunk carrier in 1 call since the start: {remedy}",
        f"no sound (RTP) arrived from line 0160004 in 2 calls since the start: {remedy}",
    ]


def backlog(**changes: Any) -> dict[str, Any]:
    none = {"count": 0, "retried": 0, "oldest_seconds": 0.0}
    found: dict[str, Any] = {
        "events": {**none, "given_up": 0},
        "deliveries": dict(none),
        "jobs": {**none, "queues": {}},
    }
    for name, values in changes.items():
        found[name] = values if name in ("mail_server", "failed_mails") else found[name] | values
    return found


def test_limits_of_uploaded_calls() -> None:
    one = {
        "account_id": 1,
        "account_name": "Sample Ltd",
        "limit": "bytes",
        "limit_max_value": 100,
        "stored_bytes": 90,
    }
    assert problems(upload_limits={"reached": 3, "first": [one]}) == [
        "account 1 (Sample Ltd) has 90 bytes of recordings of uploaded calls (limit bytes: 100), so more are refused: raise"
        " it with trunkline account uploads, or shorten the retention",
        "2 further limits of uploaded calls are reached: see uploads_limit_reached in the log of the worker",
    ]


def test_accounts_that_are_not_recorded() -> None:
    one = {"account_id": 1, "account_name": "Sample Ltd", "limit_max_value": 100, "recorded_bytes": 101}
    first = [{**one, "limit": "bytes"}, {**one, "limit": "share"}]
    found = problems(switch=switch(accounts_not_recorded={"count": 3, "first": first}))
    assert [one.rpartition(": ")[0] for one in found] == [
        "calls of account 1 (Sample Ltd) are not recorded: it has 101 bytes of recordings (limit: 100)",
        "calls of account 1 (Sample Ltd) are not recorded: the disk is nearly full, and it has recorded 101 bytes lately"
        " (its share: 100)",
        "1 further accounts are not recorded",
    ]


def test_a_process_that_does_not_respond_and_a_stopped_supervisor() -> None:
    silent = {"name": "worker", "state": "not_responding", "reason": "no report for 31 s"}
    assert problems(up=False, processes=[silent], missing=["worker"]) == [
        "worker is not_responding (no report for 31 s): see /data/logs/worker.log"
    ]
    [stopped] = problems(supervisor="stopped", pid=71)
    assert stopped == (
        "the supervisor (pid 71) is stopped by a signal: kill -CONT 71; nothing that fails is restarted"
    )


def test_a_small_backlog_is_no_problem() -> None:
    queues = {"uploads": {"waits": {"count": 900, "oldest_seconds": 20.0}}}
    found = backlog(
        events={"count": 3, "oldest_seconds": 2.0},
        jobs={"count": 900, "oldest_seconds": 20.0, "queues": queues},
    )
    assert "No problem is known." in summary(report(backlog=found), NOW)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"events": {"count": 40, "oldest_seconds": 90.0}},
            "40 events of calls are not in notifications, charges and recordings yet, the oldest for 90 s: see"
            " /data/logs/worker.log; if it grows, run a second worker or give the machine more processors",
        ),
        (
            {"events": {"given_up": 2}},
            "2 events of calls could not be handled and are not tried again: see /data/logs/worker.log"
            " (event_given_up) and the table event_failures",
        ),
        (
            {"deliveries": {"count": 7, "oldest_seconds": 900.0}},
            "notifications are late, the oldest for 15 min (7 wait): see /data/logs/worker.log; if it grows, run a second"
            " worker or give the machine more processors",
        ),
        (
            {"jobs": {"queues": {"analysis": {"waits": {"count": 5, "oldest_seconds": 7200.0}}}}},
            "queue analysis: 5 jobs not started, the oldest waits for 2 h: see /data/logs/worker.log; if it grows, run"
            " a second worker or give the machine more processors",
        ),
        (
            {"jobs": {"queues": {"uploads": {"retried": {"count": 1, "oldest_seconds": 260_000.0}}}}},
            "queue uploads: 1 job failed and will be tried again, the oldest is enqueued for 3 days: remove the cause,"
            " see /data/logs/worker.log (job_failed)",
        ),
        (
            {
                "jobs": {
                    "queues": {
                        "account_mails": {"retried": {"count": 4, "oldest_seconds": 1000.0}},
                        "mails": {"retried": {"count": 1, "oldest_seconds": 800.0}},
                    }
                },
                "mail_server": "mail.example:25",
            },
            "queue account_mails: 4 mails not accepted by the mail server mail.example:25 (mail.host, mail.port), the oldest"
            " for 17 min: see /data/logs/worker.log (account_mail_waits)",
        ),
        (
            {"failed_mails": [{"account_id": 1, "count": 2, "failure": "550 no such box"}]},
            "2 mails of account 1 could not be sent within 24 hours (550 no such box): check the address, `trunkline account"
            " mail-domains` and mail.*; see /data/logs/worker.log (account_mail_failed)",
        ),
    ],
)
def test_a_backlog_that_grows(changes: dict[str, Any], sentence: str) -> None:
    assert problems(backlog=backlog(**changes)) == [sentence]


def test_a_backlog_that_cannot_be_read() -> None:
    [found] = problems(backlog={"error": "the database does not answer"})
    assert (
        found
        == "the work that waits cannot be read (the database does not answer): see /data/logs/postgres.log"
    )
