"""Presets: the eight bodies of Planfix from a call, field by field, and from hostile values; the command."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from tests.notifications.receiver import Receiver
from tests.notifications.rig import Rig, call_events, open_rig, worker
from trunkline.cli.main import commands
from trunkline.core.settings import Settings
from trunkline.notifications.catalogue import Mnemonic
from trunkline.notifications.presets import PLANFIX, PRESETS, PresetNotification, body, drafts
from trunkline.notifications.subscriptions import check
from trunkline.notifications.templates import parse_body
from trunkline.runtime import secrets

SOURCE = Path(__file__).parent / "templates"


def test_the_presets_can_be_saved() -> None:
    for name in PRESETS:
        for draft in drafts(name, "https://receiver.example/hook"):
            check(draft)
    assert {one.mnemonic for one in PRESETS["everything"]} == set(Mnemonic)
    assert len(PRESETS["calls"]) == 6


def test_the_eight_bodies_have_the_fields_of_the_source() -> None:
    by_source = {
        "inbound_call": Mnemonic.IN_CALL_SESSION, "call_finished": Mnemonic.CALL_SESSION_FINISHED,
        "recording_completed": Mnemonic.CALL_RECORD_COMPLETED, "waiting_for_answer": Mnemonic.CALL_WAITING_ANSWER,
        "outbound_call": Mnemonic.OUT_CALL_SESSION, "talk_started": Mnemonic.CALL_CONNECTED,
        "talk_finished": Mnemonic.TALK_FINISHED, "lost_call": Mnemonic.LOST_CALL,
    }  # fmt: skip
    assert {path.stem for path in SOURCE.glob("*.json")} == by_source.keys()
    ours = {one.mnemonic: one for one in PLANFIX}
    for stem, mnemonic in by_source.items():
        expected = parse_body((SOURCE / f"{stem}.json").read_text()).names
        assert set(ours[mnemonic].fields) == expected, stem


hostile = st.one_of(
    st.none(),
    st.integers(),
    st.text(st.characters(codec="utf-8")),
    st.sampled_from(
        [
            '"',
            "\\",
            "a\nb\r\n\t",
            "\u202eשלום عربى",
            "{{contact_id}}",
            "</script>",
            "\x00",
            "\ud7ff\U0001f4de",
        ]
    ),
    st.lists(st.text(max_size=5), max_size=3),
    st.lists(st.integers(), max_size=3),
)


@given(st.sampled_from(PLANFIX), st.data())
def test_the_bodies_are_valid_json_in_every_situation(
    notification: PresetNotification, data: st.DataObject
) -> None:
    values = {name: data.draw(hostile, name) for name in notification.fields}
    text = body(notification)
    assert text is not None
    read = json.loads(parse_body(text).render(values))
    assert list(read) == list(notification.fields)
    for name, value in values.items():
        if value is None or isinstance(value, int) or (isinstance(value, str) and "\x00" not in value):
            assert read[name] == value
    assert json.loads(parse_body(text).render({})) == dict.fromkeys(notification.fields)


@pytest.fixture
async def rig(database: str) -> AsyncIterator[Rig]:
    async with open_rig(database) as rig:
        yield rig


async def test_planfix_receives_a_call(rig: Rig) -> None:
    async with Receiver() as receiver, worker(rig):
        for draft in drafts("planfix", receiver.url):
            await rig.subscriptions.save(rig.account_id, draft)
        events = call_events(rig.account_id)
        await rig.happened(*events)
        await rig.until_settled()
        got = {one.json["notification_mnemonic"]: one.json for one in receiver.received}
    assert got.keys() == {
        "in_call_session", "call_waiting_answer", "call_connected", "talk_finished", "call_session_finished",
    }  # fmt: skip
    call: dict[str, Any] = {
        "virtual_phone_number": "971500000010",
        "call_session_id": events[0].call_session_id,
        "contact_phone_number": "12025550110",
    }
    for mnemonic, sent in got.items():
        fields = next(one.fields for one in PLANFIX if one.mnemonic == mnemonic)
        assert list(sent) == list(fields)
        assert {name: sent[name] for name in call} == call
    finished = got["call_session_finished"]
    assert finished["notification_name"] == "Call finished"
    assert (
        finished["talk_time_duration"],
        finished["total_time_duration"],
        finished["wait_time_duration"],
    ) == (3, 9, 6)
    assert (finished["employee_full_name"], finished["employee_id"]) == ("Ruiz Ana", 4001)
    assert (finished["direction"], finished["call_source"], finished["tag_names"]) == ("in", "va", [])
    assert finished["external_id"] is None
    assert got["in_call_session"]["contact_full_name"] == 'Lee "Sam"'
    assert got["call_waiting_answer"]["leg_id"] == events[0].call_session_id * 2 + 1  # type: ignore[operator]


# --- the command


@pytest.fixture
def run(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("TRUNKLINE_DATABASE_URL", database)
    monkeypatch.setenv("TRUNKLINE_DATA_DIR", str(tmp_path))
    secrets.ensure(Settings())
    with psycopg.connect(database) as connection:
        connection.execute("insert into accounts (name) values ('Sample Ltd')")
    return CliRunner()


def planfix(run: CliRunner, *words: str) -> Result:
    return run.invoke(commands, ["planfix", *words])


def test_one_command_connects_planfix_and_a_check_names_what_is_missing(run: CliRunner) -> None:
    before = planfix(run, "check", "--json")
    assert before.exit_code == 1
    assert not any(
        one["is_met"] for one in json.loads(before.output) if one["what"].startswith("notification")
    )
    words = ["--url", "https://planfix.example/notify?key=1", "--allow", "203.0.113.0/24", "--json"]
    made = json.loads(planfix(run, "connect", *words).output)
    assert made["login"] == "planfix"
    assert len(made["password"]) >= 12
    assert all(one["is_met"] for one in made["checks"]), made["checks"]
    revoked = ["user", "permit", "--user", "planfix", "call_control", "update", "--revoke"]
    assert run.invoke(commands, revoked).exit_code == 0
    assert "no   permission call_control:update of user planfix" in planfix(run, "check").output
    again = json.loads(planfix(run, "connect", *words).output)
    assert all(one["is_met"] for one in again["checks"]), again["checks"]
    assert again["password"] is None, "the user is there already"
    listed = json.loads(run.invoke(commands, ["notification", "list", "--json"]).output)
    assert len(listed) == len(PLANFIX)
    off = listed[0]["subscription_id"]
    assert "is off" in run.invoke(commands, ["notification", "off", str(off)]).output
    after = planfix(run, "check")
    assert after.exit_code == 1
    assert "no   notification Inbound call" in after.output
    assert "is on" in run.invoke(commands, ["notification", "on", str(off)]).output
    assert planfix(run, "check").exit_code == 0


def test_presets_and_secrets_by_command(run: CliRunner) -> None:
    words = ["notification", "preset", "calls", "--url", "https://receiver.example/hook", "--json"]
    made = json.loads(run.invoke(commands, words).output)
    assert len(made) == 6
    assert json.loads(run.invoke(commands, words).output) == made, "a second run replaces"
    first = str(next(iter(made.values())))
    rotated = json.loads(run.invoke(commands, ["notification", "rotate", first, "--json"]).output)
    assert rotated["secret"].startswith("whsec_")
    listed = json.loads(run.invoke(commands, ["notification", "list", "--json"]).output)
    assert next(one for one in listed if str(one["subscription_id"]) == first)["is_signed"]
