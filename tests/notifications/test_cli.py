"""``trunkline notification`` against a real database."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result

from trunkline.cli.main import commands
from trunkline.core.errors import TrunklineError
from trunkline.core.settings import Settings
from trunkline.runtime import secrets


@pytest.fixture
def run(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("TRUNKLINE_DATABASE_URL", database)
    monkeypatch.setenv("TRUNKLINE_DATA_DIR", str(tmp_path))
    secrets.ensure(Settings())
    with psycopg.connect(database) as connection:
        connection.execute("insert into accounts (name) values ('Sample Ltd')")
    return CliRunner()


def call(run: CliRunner, *words: str) -> Result:
    return run.invoke(commands, ["notification", *words])


def test_add_list_test_log_replay_remove(run: CliRunner, tmp_path: Path) -> None:
    assert "no subscription yet" in call(run, "list").output
    template = tmp_path / "body.json"
    template.write_text('{"id": {{call_session_id}}}')
    words = ["--url", "https://receiver.example/hook", "--event", "call_finish", "--event", "lost_call"]
    extras = ["--template", str(template), "--header", "X-A: b", "--secret", "0123456789abcdef"]
    made = json.loads(call(run, "add", *words, *extras, "--json").output)
    again = json.loads(call(run, "add", *words, "--json").output)
    assert again == {**made, "is_replaced": True}, "the same key replaces"
    assert not made["is_replaced"]
    (listed,) = json.loads(call(run, "list", "--json").output)
    assert listed["key"] == "receiver.example/hook"
    assert listed["events"] == ["call_finish", "lost_call"]
    assert listed["is_signed"] is False
    sent = json.loads(call(run, "test", str(made["subscription_id"]), "--json").output)
    (entry,) = json.loads(call(run, "log", "--json").output)
    assert (entry["delivery_id"], entry["mnemonic"]) == (sent["delivery_id"], "call_finish")
    assert "not tried yet" in call(run, "log").output
    assert "again" in call(run, "replay", str(sent["delivery_id"])).output
    assert "is deleted" in call(run, "remove", str(made["subscription_id"])).output
    assert json.loads(call(run, "log", "--json").output) == []


def test_faults_are_reported(run: CliRunner, tmp_path: Path) -> None:
    template = tmp_path / "body.json"
    template.write_text('{"id": {{nonsense}}}')
    words = ["--url", "https://receiver.example/", "--event", "call_finish", "--template", str(template)]
    refused = call(run, "add", *words)
    assert isinstance(refused.exception, TrunklineError)
    assert "nonsense" in refused.exception.message
    refused = call(run, "add", "--url", "receiver.example", "--event", "call_finish")
    assert isinstance(refused.exception, TrunklineError)
    assert "http://" in refused.exception.message
    assert "no such delivery" in call(run, "log", "--status", "failed").output
    assert isinstance(call(run, "replay", "99").exception, TrunklineError)
    assert isinstance(call(run, "test", "99").exception, TrunklineError)


def test_variables_are_listed(run: CliRunner) -> None:
    assert "call_session_id" in call(run, "variables").output


def test_log_and_list_show_url_next_attempt_and_suspension_and_a_test_is_tried_at_once(
    run: CliRunner, database: str
) -> None:
    words = ["--url", "https://receiver.example/hook", "--event", "call_finish"]
    made = json.loads(call(run, "add", *words, "--json").output)["subscription_id"]
    call(run, "test", str(made))
    shown = call(run, "log").output
    assert re.search(
        rf"20\d\d-\S+ \S+ +{made} \(receiver\.example/hook\) +https://receiver\.example/hook", shown
    )

    def suspend() -> None:
        with psycopg.connect(database) as connection:
            connection.execute("update deliveries set next_attempt_at = now() + interval '1 hour'")
            connection.execute(
                "insert into endpoint_states (account_id, subscription_id, failures, suspended_until)"
                " select account_id, subscription_id, 5, now() + interval '1 hour' from subscriptions"
                " on conflict (account_id, subscription_id) do update set suspended_until = excluded.suspended_until"
            )

    def waits() -> int:
        with psycopg.connect(database) as connection:
            row = connection.execute(
                "select (select count(*) from endpoint_states where suspended_until > now())"
                " + (select count(*) from deliveries where next_attempt_at > now())"
            ).fetchone()
        assert row is not None
        return int(row[0])

    suspend()
    assert "  suspended until 20" in call(run, "log").output
    assert "  suspended until 20" in call(run, "list").output
    assert waits() == 2
    call(run, "test", str(made))
    assert waits() == 0
    suspend()
    call(run, "add", *words)  # the same key: changed settings
    assert waits() == 0
    assert "suspended" not in call(run, "list").output


def test_conditions_preview_and_replay_of_many(run: CliRunner) -> None:
    words = [
        "--url",
        "https://receiver.example/{{call_session_id}}",
        "--event",
        "call_finish",
        "--key",
        "crm",
    ]
    chosen = [
        "--direction",
        "in",
        "--number",
        "+971 50 000 0010",
        "--tag",
        "3",
        "--tag",
        "4",
        "--min-talk",
        "30",
    ]
    made = json.loads(call(run, "add", *words, *chosen, "--json").output)["subscription_id"]
    assert "direction in, virtual_phone_numbers 971500000010, tag_ids 3 or 4, talk_seconds_min 30" in (
        " ".join(call(run, "list").output.split())
    )
    refused = call(run, "add", *words, "--number", "nothing").exception
    assert isinstance(refused, TrunklineError)
    assert "country code" in str(refused)
    shown = json.loads(call(run, "test", str(made), "--preview", "--json").output)
    assert (shown["method"], shown["url"]) == ("POST", "https://receiver.example/1")
    assert json.loads(shown["body"])["notification_mnemonic"] == "call_finish"
    assert json.loads(call(run, "log", "--json").output) == [], "a preview sends nothing"
    ids = [json.loads(call(run, "test", str(made), "--json").output)["delivery_id"] for _ in range(3)]
    with psycopg.connect(os.environ["TRUNKLINE_DATABASE_URL"]) as connection:
        for given, status in zip(ids, ("delivered", "failed", "pending"), strict=True):
            connection.execute("update deliveries set status = %s where delivery_id = %s", (status, given))

    def pending() -> int:
        return sum(one["status"] == "pending" for one in json.loads(call(run, "log", "--json").output))

    assert "0 deliveries" in call(run, "replay", "--event", "lost_call").output
    assert "0 deliveries" in call(run, "replay", "--until", "2026-01-02T03:04Z").output
    assert "0 deliveries" in call(run, "replay", "--subscription", str(made + 1)).output
    assert "1 deliveries" in call(run, "replay", "--status", "failed").output
    assert pending() == 2
    assert "1 deliveries" in call(run, "replay", "--since", "2026-01-02T03:04Z").output
    assert pending() == 3
    for bad in ([], [str(ids[0]), "--status", "failed"], ["--since", "yesterday"], ["--since", "2026-01-02"]):
        assert isinstance(call(run, "replay", *bad).exception, TrunklineError)
