"""``trunkline calls --last`` explains a call that failed because its trunk was not registered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from trunkline.cli import trunks
from trunkline.cli.main import commands
from trunkline.core.ids import IdGenerator
from trunkline.db import partitions
from trunkline.reports.call_explanation import MEDIA_REFUSED, explained
from trunkline.reports.causes import CAUSE_DESCRIPTIONS

BASE = {"call_session_id": 1, "finish_reason": "caller_number_problems"}
TRUNK = {
    "trunk_name": "carrier", "trunk_mode": "register", "cause": 34, "data": {}, "seconds": 1.0, "is_internal": False,
    "leg_reasons": ["caller_number_problems"], "vanished_is_operator": None, "leg_causes": [34], "message_seconds": None,
    "silent_legs": None, "by_command": False,
}  # fmt: skip
NO_TRUNK = {**dict.fromkeys(TRUNK), "vanished_is_operator": None, "leg_causes": None}
WAS_REFUSED = (
    "The customer's number could not be reached; trunk carrier was not registered: refused, 403 Forbidden"
    " (cause 34, No free channel)"
)
DID_NOT_CONNECT = WAS_REFUSED.replace(
    "was not registered: refused, 403 Forbidden", "did not connect the call"
)


def registration(state: str, reason: str = "") -> dict[str, Any]:
    return {"trunk": {"name": "carrier", "mode": "register", "state": state, "reason": reason}}


@pytest.mark.parametrize(
    ("trunk", "text"),
    [
        (TRUNK, DID_NOT_CONNECT),
        ({**TRUNK, "data": None}, DID_NOT_CONNECT),
        ({**TRUNK, "data": registration("refused", "403 Forbidden")}, WAS_REFUSED),
        ({**TRUNK, "data": registration("registered")}, DID_NOT_CONNECT),
        (NO_TRUNK, "The customer's number could not be reached"),
        ({**TRUNK, "data": {**registration("refused", "403 Forbidden"), "no_response": True}}, WAS_REFUSED),
        (
            {**TRUNK, "trunk_mode": "address"},
            DID_NOT_CONNECT.replace(
                " did not connect the call",
                ": the carrier refused the call or cannot be reached; check host, port and transport",
            ),
        ),
        (
            {**TRUNK, "data": {**registration("registered"), "sip_code": 403}, "cause": 21},
            "The customer's number could not be reached; trunk carrier: the carrier refused the call with SIP 403; check"
            " username and password of the trunk, and ask the carrier whether it permits the call"
            " (cause 21, The call was declined)",
        ),
        (
            {**TRUNK, "data": {"no_response": True}, "seconds": 32.1, "cause": 18},
            "The customer's number could not be reached; trunk carrier: the carrier did not respond, no ringing and no"
            " answer for 32 s; check host, port and transport, the firewall, and whether its server runs"
            " (cause 18, The party's equipment does not respond)",
        ),
    ],
)
def test_the_sentence(trunk: dict[str, Any], text: str) -> None:
    assert explained({**BASE, **trunk}) == {**BASE, "explanation": text}


def test_a_caller_who_hangs_up_before_the_carrier_has_responded() -> None:
    row = {**BASE, **TRUNK, "finish_reason": "operator_disconnects", "cause": 127, "seconds": 12.0}
    assert explained({**row, "data": {"no_response": True}})["explanation"] == (
        "The employee hung up; trunk carrier: the carrier did not respond, no ringing and no answer for 12 s; check host,"
        " port and transport, the firewall, and whether its server runs"
    )
    assert explained({**row, "data": {"too_short": True}, "seconds": 4.0})["explanation"] == (
        "The employee hung up; trunk carrier: the carrier had not responded when the call ended after 4 s (no ringing, no"
        " sound); call again and wait"
    )


@pytest.mark.parametrize(
    ("reason", "causes", "text"),
    [
        ("caller_disconnects", [58], "The called employee hung up"),
        ("operator_disconnects", [1], "The calling employee hung up"),
        ("operator_disconnects", [21], "The called employee declined the call"),
        ("operator_busy", [17], "The employee was busy"),
        (
            "disconnect_before_call_processing",
            None,
            "The calling employee hung up before the call was handled",
        ),
    ],
)
def test_a_call_between_employees_has_no_customer(reason: str, causes: list[int] | None, text: str) -> None:
    row = {**BASE, **NO_TRUNK, "finish_reason": reason, "is_internal": True, "leg_causes": causes}
    assert explained(row)["explanation"] == text


def test_who_hung_up_is_not_explained_by_the_cause_of_another_device() -> None:
    row = {**BASE, **NO_TRUNK, "finish_reason": "operator_disconnects", "leg_causes": [58]}
    assert explained(row)["explanation"] == "The employee hung up"


def test_a_call_that_reached_nobody_has_the_reasons_of_its_legs() -> None:
    row = {**BASE, **NO_TRUNK, "finish_reason": "no_success_operator_call"}
    one = explained({**row, "leg_reasons": ["operator_busy", "sip_offline"]})
    assert (
        one["explanation"]
        == "No employee was reached: The employee was busy, The SIP line was not registered"
    )
    assert explained({**row, "leg_reasons": None})["explanation"] == "No employee was reached"
    same = explained({**row, "leg_reasons": ["no_success_operator_call"]})
    assert same["explanation"] == "No employee was reached"


@pytest.mark.parametrize(
    ("is_operator", "is_internal", "who"),
    [(False, False, "customer"), (True, False, "employee"), (False, True, "employee")],
)
def test_a_call_without_sound_from_a_side(is_operator: bool, is_internal: bool, who: str) -> None:
    leg = {"is_operator": is_operator, "device": {"kind": "trunk", "name": "carrier"}}
    row = {
        **BASE,
        **NO_TRUNK,
        "finish_reason": "caller_disconnects",
        "is_internal": is_internal,
        "silent_legs": [leg],
    }
    assert explained(row)["explanation"].endswith(
        f" hung up; no sound (RTP) arrived from the {who} in the whole call (trunk carrier): open sip.rtp_port_first to"
        " sip.rtp_port_last (UDP) in the firewall, behind NAT set sip.external_address and sip.local_networks"
    )


def test_a_call_that_a_command_ended() -> None:
    row = {**BASE, **NO_TRUNK, "finish_reason": "operator_disconnects"}
    assert explained(row)["explanation"] == "The employee hung up"
    assert explained({**row, "by_command": True})["explanation"].startswith(
        "A command ended the call: release.call"
    )


def test_a_call_that_ended_with_asterisk() -> None:
    row = {**BASE, **NO_TRUNK, "finish_reason": "internal_error"}
    assert explained({**row, "ended_with_engine": True})["explanation"].startswith("Asterisk ended")
    of_its_own = explained({**row, "ended_with_engine": False})["explanation"]
    assert of_its_own == "The call failed for a reason inside the system"


@pytest.mark.parametrize("reason", ["no_operation", "caller_disconnects"])
def test_a_voice_message_is_what_became_of_the_call(reason: str) -> None:
    row = {**BASE, **NO_TRUNK, "finish_reason": reason, "message_seconds": 5.7}
    assert explained(row)["explanation"] == "The customer left a voice message of 6 s"


@pytest.mark.parametrize(("is_operator", "side"), [(True, "employee"), (False, "customer")])
def test_a_party_that_vanished_during_the_talk(is_operator: bool, side: str) -> None:
    reason = "operator_number_problems" if is_operator else "caller_number_problems"
    row = {
        **BASE,
        **NO_TRUNK,
        "finish_reason": reason,
        "vanished_is_operator": is_operator,
        "leg_causes": None,
    }
    assert explained(row)["explanation"] == (
        f"The connection to the {side} was lost during the talk: no sound arrived from that side for sip.media_timeout"
        " (a device or network that failed; cause 44)"
    )


@pytest.mark.parametrize("cause", [0, *range(1, 128)])
def test_each_cause_of_a_failed_call_has_a_sentence(cause: int) -> None:
    row = {**BASE, **TRUNK, "cause": cause}
    remedy = MEDIA_REFUSED if cause == 58 else ""
    assert explained(row)["explanation"].endswith(
        f"(cause {cause}, {CAUSE_DESCRIPTIONS[str(cause)]}){remedy}"
    )
    row = {**BASE, **NO_TRUNK, "leg_causes": [17, cause]}
    text = explained(row)["explanation"]
    assert "unknown)" not in text
    assert ("cause" in text) is (cause not in (0, 16, 17, 18, 19, 20, 21, 26))


def test_a_phone_that_accepts_no_codec_or_no_plain_sound() -> None:
    row = {**BASE, **NO_TRUNK, "finish_reason": "operator_number_problems", "leg_causes": [58]}
    text = explained(row)["explanation"]
    assert "codec" in text
    assert "SRTP" in text


@pytest.fixture
def call(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call over a trunk that registers, which failed five minutes ago with cause 34."""
    monkeypatch.setenv("TRUNKLINE_DATABASE_URL", database)
    monkeypatch.setenv("TRUNKLINE_DATA_DIR", str(tmp_path / "data"))
    session = IdGenerator(0).next()
    with psycopg.connect(database) as connection:
        made = partitions.statement([partitions.month_of_id(session)])
        assert made is not None
        connection.execute(made)
        connection.execute(
            "with account as (insert into accounts (name) values ('Palm') returning account_id), trunk as ("
            " insert into trunks (account_id, key, name, mode, host, username)"
            " select account_id, 'carrier', 'carrier', 'register', 'sip.example', 'u' from account"
            " returning account_id, trunk_id), session as ("
            " insert into call_sessions (account_id, call_session_id, node, start_time, finish_time, direction, source,"
            " finish_reason) select account_id, %(id)s, 0, now() - interval '6 minutes', now() - interval '5 minutes',"
            " 'out', 'va', 'caller_number_problems' from account)"
            " insert into call_legs (account_id, call_session_id, leg_id, start_time, finish_time, direction, trunk_id,"
            " release_cause_code) select account_id, %(id)s, 1, now() - interval '6 minutes',"
            " now() - interval '5 minutes', 'out', trunk_id, 34 from trunk",
            {"id": session},
        )


def _last(*options: str) -> str:
    result = CliRunner().invoke(commands, ["calls", "--last", "5", *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def _ended(database: str, data: dict[str, Any]) -> None:
    """The event of the end of the leg over the trunk."""
    with psycopg.connect(database) as connection:
        connection.execute(
            "insert into call_events (account_id, call_session_id, seq, type, occurred_at, data)"
            " select account_id, call_session_id, 3, 'leg_ended', now(), %s from call_sessions",
            (json.dumps({"leg_id": 1, **data}),),
        )


def test_a_call_is_explained_by_the_trunk_of_its_time(call: None, database: str) -> None:
    [row] = json.loads(_last("--json"))
    assert row["explanation"] == DID_NOT_CONNECT
    _ended(database, registration("unreachable", "No response"))
    before = _last()
    assert "trunk carrier was not registered: unreachable, No response (cause 34" in before
    with psycopg.connect(database) as connection:
        connection.execute("update trunks set mode = 'address', username = null, name = 'other'")
        connection.execute(
            "insert into installation_events (node, type, data) select 0, 'trunk_registration',"
            " jsonb_build_object('trunk_id', trunk_id, 'state', 'refused', 'reason', '') from trunks"
        )
    assert _last() == before
    with psycopg.connect(database) as connection:
        connection.execute("update call_legs set trunk_id = trunk_id + 1")  # the trunk was deleted
    assert _last() == before


def test_a_customer_who_declines_is_no_matter_of_the_trunk(call: None, database: str) -> None:
    _ended(database, {"rang": True})
    with psycopg.connect(database) as connection:
        connection.execute("update call_legs set release_cause_code = 21")
        connection.execute("update call_sessions set finish_reason = 'caller_disconnects'")
    [row] = json.loads(_last("--json"))
    assert row["explanation"] == "The customer hung up"


def test_how_a_call_ended_and_which_side_was_silent_is_in_its_events(call: None, database: str) -> None:
    _ended(database, {"rang": True, "no_sound": {"kind": "trunk", "name": "carrier"}})
    with psycopg.connect(database) as connection:
        connection.execute("update call_sessions set finish_reason = 'operator_disconnects'")
        connection.execute(
            "insert into call_events (account_id, call_session_id, seq, type, occurred_at, data)"
            " select account_id, call_session_id, 4, 'session_ending', now(), '{\"by_command\": true}' from call_sessions"
        )
    [row] = json.loads(_last("--json"))
    assert row["explanation"].startswith("A command ended the call")
    assert "arrived from the customer in the whole call (trunk carrier)" in row["explanation"]


def test_the_causes_of_those_who_did_not_decide_the_end(call: None, database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(
            "update call_legs set trunk_id = null, is_failed = true, release_cause_code = 58,"
            " finish_reason = 'operator_number_problems'"
        )
    for reason, has_cause in (
        ("operator_number_problems", True),
        ("no_success_operator_call", True),
        ("operator_busy", False),
    ):
        with psycopg.connect(database) as connection:
            connection.execute("update call_sessions set finish_reason = %s", (reason,))
        [row] = json.loads(_last("--json"))
        assert ("cause 58" in row["explanation"]) is has_cause, reason


def _not_answered(database: str, *, no_response: bool) -> None:
    """The call went over a trunk in mode ``address``, and ended with cause 18 after 32 s."""
    with psycopg.connect(database) as connection:
        connection.execute("update trunks set mode = 'address', username = null")
        connection.execute(
            "update call_legs set release_cause_code = 18, finish_reason = 'caller_not_responsive',"
            " finish_time = start_time + interval '32 s'"
        )
        connection.execute("update call_sessions set finish_reason = 'caller_not_responsive'")
    _ended(database, {"release_cause_code": 18, **({"no_response": True} if no_response else {})})


@pytest.mark.parametrize("no_response", [True, False])
def test_a_carrier_that_does_not_respond_is_no_customer_who_does_not_answer(
    call: None, database: str, monkeypatch: pytest.MonkeyPatch, no_response: bool
) -> None:
    _not_answered(database, no_response=no_response)
    [row] = json.loads(_last("--json"))
    assert ("trunk carrier: the carrier did not respond" in row["explanation"]) is no_response
    monkeypatch.setattr(trunks, "_status", lambda: {"registrations_at_carriers": []})
    result = CliRunner().invoke(commands, ["trunk", "status", "--json"], catch_exceptions=False)
    [shown] = json.loads(result.output)
    assert (shown["last_call"], shown["state"]) == (
        "no response" if no_response else "connected",
        "no registration",
    )
    assert result.exit_code == (3 if no_response else 0)


def test_the_last_call_of_a_trunk_that_refuses_calls(
    call: None, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("update trunks set mode = 'address', username = null")
    monkeypatch.setattr(trunks, "_status", lambda: {"registrations_at_carriers": []})
    result = CliRunner().invoke(commands, ["trunk", "status"], catch_exceptions=False)
    assert "not connected" in result.output


@pytest.mark.parametrize(
    ("data", "cause", "shown", "code"),
    [
        ({"no_response": True}, 127, "no response", 3),
        ({"too_short": True}, 127, "too short", 0),
        ({"sip_code": 403}, 21, "not connected", 0),
        ({"sip_code": 603}, 21, "connected", 0),
        ({"rang": True}, 21, "connected", 0),
        ({}, 127, "connected", 0),
    ],
)
def test_the_last_call_of_a_trunk(
    call: None,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    data: dict[str, Any],
    cause: int,
    shown: str,
    code: int,
) -> None:
    _ended(database, data)
    with psycopg.connect(database) as connection:
        connection.execute("update trunks set mode = 'address', username = null")
        connection.execute("update call_legs set release_cause_code = %s", (cause,))
    monkeypatch.setattr(trunks, "_status", lambda: {"registrations_at_carriers": []})
    result = CliRunner().invoke(commands, ["trunk", "status", "--json"], catch_exceptions=False)
    [row] = json.loads(result.output)
    assert (row["last_call"], result.exit_code) == (shown, code)


def test_a_vanished_party_is_found_by_its_leg(call: None, database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(
            "update call_legs set answer_time = start_time, release_cause_code = 44, trunk_id = null"
        )
    [row] = json.loads(_last("--json"))
    assert row["explanation"].startswith("The connection to the customer was lost during the talk")


def test_the_cause_of_a_line_that_was_not_reached(call: None, database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(
            "update call_legs set trunk_id = null, is_failed = true, release_cause_code = 88,"
            " finish_reason = 'caller_number_problems'"
        )
    [row] = json.loads(_last("--json"))
    assert row["explanation"].endswith("(cause 88, Incompatible destination, for example no common codec)")


def test_a_line_whose_calls_are_taken_names_the_setting() -> None:
    """A second call while the first is on hold is one call more than a line may have by default."""
    row = {
        "call_session_id": 1,
        "finish_reason": "max_out_call_reached",
        **NO_TRUNK,
        "ended_with_engine": False,
    }
    assert "channels of the line" in explained(row)["explanation"]


def test_the_status_of_a_trunk_whose_carrier_is_not_identified(
    call: None, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(database) as connection:
        [trunk_id] = connection.execute("select trunk_id from trunks").fetchone() or ()
    request = {
        "account_id": 1001, "account_name": "Palm", "trunk_id": trunk_id, "trunk_name": "carrier", "ip": "192.0.2.9",
        "requests": 2, "last": "2026-03-01T12:00:00+00:00",
    }  # fmt: skip
    status = {"registrations_at_carriers": [], "requests_not_identified": [request]}
    monkeypatch.setattr(trunks, "_status", lambda: status)
    result = CliRunner().invoke(commands, ["trunk", "status"], catch_exceptions=False)
    assert "2 requests from 192.0.2.9" in result.output
    assert "add addresses: [192.0.2.9] to the trunk" in result.output
    result = CliRunner().invoke(commands, ["trunk", "status", "--json"], catch_exceptions=False)
    assert json.loads(result.output)[0]["requests_not_identified"] == request
