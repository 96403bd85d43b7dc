"""Metrics and health of the roles: what is registered, who may read it, what a scrape costs."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psycopg
import pytest
import yaml
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr, ValidationError

from tests.apis.jsonrpc.test_order import PROBE
from tests.apis.support import ApisOnFakes
from tests.calls import company as c
from tests.calls.fake_engine import FakeEngine, a_trunk
from tests.calls.restarted_node import FakeWriter
from tests.calls.test_effect_failures import FailingEngine
from tests.docs.pages import DOCS, blocks
from trunkline.apis.jsonrpc import Api
from trunkline.calls.switch.executor import OUTCOMES, EffectExecutor
from trunkline.calls.switch.switch import Switch
from trunkline.core import metrics
from trunkline.core.clock import Instant
from trunkline.core.errors import ChannelGone, ConfigurationError, EngineError, EngineUnavailable
from trunkline.core.settings import MetricsSettings, Settings
from trunkline.db.pool import Database
from trunkline.directory.model import Directory
from trunkline.events.reasons import Reason
from trunkline.roles import backlog, common
from trunkline.roles.health import Health, StartPhases
from trunkline.roles.observation import observation_app, observed
from trunkline.telephony.port import Ended

pytestmark = pytest.mark.shells

PAGE = DOCS / "operations" / "metrics.md"
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| ([^|]*)\| ([^|]*)\|", re.MULTILINE)


def _health(role: str = "worker") -> Health:
    return Health(role, is_watched=False, phases=StartPhases(0.0), was_standby=False)


@asynccontextmanager
async def _client(role: str, token: str | None = None) -> AsyncIterator[tuple[Any, Health]]:
    health = _health(role)
    async with TestClient(TestServer(observation_app(role, health, token))) as client:
        yield client, health


def test_the_page_lists_the_metrics() -> None:
    table = PAGE.read_text().partition("<!-- metrics -->")[2].partition("<!-- /metrics -->")[0]
    listed = [
        metrics.Declared(name, kind, tuple(re.findall(r"\w+", labels)), tuple(re.findall(r"\w+", roles)))
        for name, kind, labels, roles in ROW.findall(table)
    ]
    assert listed == metrics.declared()


def test_alert_rules_of_the_page_use_metrics_that_exist() -> None:
    names = {one.name for one in metrics.declared()}
    [rules] = [yaml.safe_load(block.text) for block in blocks(PAGE) if "alert:" in block.text]
    used = {
        name.removesuffix("_bucket")
        for rule in rules["groups"][0]["rules"]
        for name in re.findall(r"trunkline_\w+", rule["expr"])
    }
    assert used
    assert used <= names


@pytest.mark.parametrize("role", metrics.ROLES)
async def test_a_role_exposes_its_metrics_and_no_others(role: str) -> None:
    async with _client(role) as (client, _):
        response = await client.get("/metrics")
        text = await response.text()
    assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    found = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in text_string_to_metric_families(text)
        if family.name.startswith(metrics.PREFIX)
    }
    assert found == {one.name for one in metrics.declared() if role in one.roles}


def test_no_label_has_values_of_tenants() -> None:
    """But the ids of queues, of a limited number (:data:`metrics.MAX_QUEUES`)."""
    labels = {
        label
        for one in metrics.declared()
        if not one.name.startswith("trunkline_queue_")
        for label in one.labels
    }
    assert labels == {
        "api", "direction", "effect", "finish_reason", "method", "outcome", "pool", "queue", "reason", "state", "status",
    }  # fmt: skip


async def test_liveness_and_readiness_differ() -> None:
    async with _client("worker") as (client, health):
        assert (await client.get("/health/live")).status == 200
        starting = await client.get("/health/ready")
        assert (starting.status, (await starting.json())["reason"]) == (503, "the process starts")
        health.ready()
        assert (await client.get("/health/ready")).status == 200
        health.not_ready("the heartbeat does not return")
        away = await client.get("/health/ready")
        assert (away.status, (await away.json())["reason"]) == (503, "the heartbeat does not return")
        assert (await client.get("/health/live")).status == 200


async def test_with_a_token_nothing_is_served_without_it() -> None:
    async with _client("web", "a-token-of-the-operator") as (client, _):
        for path in ("/metrics", "/health/live", "/health/ready"):
            for given in ("", "Bearer wrong", "Bearer é"):
                assert (await client.get(path, headers={"Authorization": given})).status == 401
        right = {"Authorization": "Bearer a-token-of-the-operator"}
        assert (await client.get("/metrics", headers=right)).status == 200


@pytest.mark.parametrize("token", [None, "short"])
def test_another_address_than_loopback_needs_a_token(token: str | None) -> None:
    secret = None if token is None else SecretStr(token)
    with pytest.raises(ValidationError, match=r"set metrics\.token"):
        MetricsSettings(bind="0.0.0.0", token=secret)
    assert MetricsSettings(bind="0.0.0.0", token=SecretStr("sixteen characters")).port_of("web") == 9162


def test_webhooks_of_tenants_cannot_reach_the_ports() -> None:
    assert {9161, 9162, 9163} <= Settings().loopback_ports


async def test_the_port_serves_and_a_taken_port_is_refused_with_its_setting(
    tmp_path: Path, free_ports: Callable[[int], list[int]]
) -> None:
    [port] = free_ports(1)
    settings = Settings(data_dir=tmp_path, metrics=MetricsSettings(worker_port=port))
    async with observed("worker", settings, _health()), aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{port}/health/live") as response:
            assert response.status == 200
        with pytest.raises(ConfigurationError, match=r"metrics\.worker_port"):
            async with observed("worker", settings, _health()):
                pass


async def test_a_scrape_uses_no_connection_of_the_database(database: str) -> None:
    async with (
        common.database(database, "trunkline-test", max_size=2) as db,
        _client("worker") as (client, _),
    ):
        await db.fetch_one("select 1")
        before = db._pool.get_stats()["requests_num"]
        for _ in range(5):
            text = await (await client.get("/metrics")).text()
        assert db._pool.get_stats()["requests_num"] == before
        assert 'trunkline_database_connections_in_use{pool="trunkline-test"} 0.0' in text


async def test_the_worker_reads_backlogs(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("insert into accounts (account_id, name) values (1, 'One')")
        connection.execute(
            "insert into outbox (account_id, stream, seq, type, occurred_at, data)"
            " values (1, 'call/1', 1, 'session_started', now() - interval '90 s', '{}')"
        )
        for queue in ("uploads", "recordings:1", "a queue of a newer version"):
            connection.execute(
                "insert into procrastinate_jobs (queue_name, task_name, args) values (%s, 'one', '{}')",
                (queue,),
            )
        connection.execute(
            "insert into procrastinate_jobs (queue_name, task_name, args, attempts) values ('mails', 'one', '{}', 3)"
        )
    async with await Database.open(database) as db:
        await backlog.read_backlog(db)
    value = metrics.registry_of("worker").get_sample_value
    assert value("trunkline_outbox_events") == 1
    assert (value("trunkline_outbox_oldest_seconds") or 0) >= 90
    queues = {queue: value("trunkline_jobs", {"queue": queue, "state": "waits"}) for queue in backlog.QUEUES}
    assert queues == {"account_mails": 0, "analysis": 0, "mails": 0, "recordings": 1, "uploads": 1}
    assert value("trunkline_jobs", {"queue": "other", "state": "waits"}) == 1
    assert value("trunkline_jobs", {"queue": "mails", "state": "retried"}) == 1
    assert value("trunkline_event_failures", {"state": "given_up"}) == 0


async def test_ages_of_backlogs(database: str) -> None:
    """Deliveries to an endpoint that fails, or of a subscription that is not active, are not late: nobody sends them."""
    with psycopg.connect(database) as connection:
        connection.execute("insert into accounts (account_id, name) values (1, 'One')")
        for subscription_id, is_active, hours in ((1, True, 1), (2, True, 2), (3, False, 3)):
            connection.execute(
                "insert into subscriptions (account_id, subscription_id, key, name, events, url, method, is_active)"
                " overriding system value values (1, %s, %s, 'a', '{}', 'https://a.example', 'POST', %s)",
                (subscription_id, str(subscription_id), is_active),
            )
            connection.execute(
                "insert into deliveries (account_id, subscription_id, stream, seq, mnemonic, occurred_at, next_attempt_at)"
                " values (1, %s, 'call/1', 1, 'one', now(), now() - make_interval(hours => %s))",
                (subscription_id, hours),
            )
        connection.execute(
            "insert into endpoint_states (account_id, subscription_id, failures) values (1, 2, 1)"
        )
        for attempts in (0, 2):
            connection.execute(
                "insert into procrastinate_jobs (queue_name, task_name, args, attempts) values ('uploads', 'one', '{}', %s)",
                (attempts,),
            )
        connection.execute("update procrastinate_events set at = now() - interval '20 min'")
        for key, failure, days in (
            ("a", "550 old", 2),
            ("b", "550 first", 0.5),
            ("c", "550 last", 0),
            ("d", None, 0),
        ):
            connection.execute(
                "insert into account_mails (account_id, mail_key, email, subject, body, failure, created_at)"
                " values (1, %s, 'a@example.com', '', '', %s, now() - make_interval(secs => %s))",
                (key, failure, days * 86_400),
            )
    async with await Database.open(database) as db:
        section = (await backlog.backlog_of(db)).section()
        await backlog.read_backlog(db)
    assert section["failed_mails"] == [{"account_id": 1, "count": 2, "failure": "550 last"}]
    deliveries, jobs = section["deliveries"], section["jobs"]
    assert (deliveries["count"], deliveries["oldest_seconds"] // 60) == (3, 60)
    assert (jobs["count"], jobs["retried"], jobs["oldest_seconds"] // 60) == (2, 1, 20)
    assert {
        queue: {state: (one["count"], one["oldest_seconds"] // 60) for state, one in states.items()}
        for queue, states in jobs["queues"].items()
    } == {"uploads": {"waits": (1, 20), "retried": (1, 20)}}
    assert _value("trunkline_jobs_oldest_seconds", queue="uploads", state="retried") // 60 == 20
    assert _value("trunkline_deliveries_late_seconds") // 60 == 60


def _value(name: str, **labels: str) -> float:
    """Of a counter of this test process, which other tests add to, too."""
    role = next(one.roles[0] for one in metrics.declared() if name.startswith(one.name))
    return metrics.registry_of(role).get_sample_value(name, labels) or 0.0


class _Changes:
    """How much samples change from here on."""

    def __init__(self, *samples: tuple[str, dict[str, str]]) -> None:
        self._before = [(name, labels, _value(name, **labels)) for name, labels in samples]

    def seen(self) -> list[float]:
        return [_value(name, **labels) - before for name, labels, before in self._before]


@pytest.mark.parametrize(
    ("failure", "outcome", "setups"),
    [(None, "done", 1), (ChannelGone("gone"), "gone", 0), (EngineUnavailable("away"), "unavailable", 0)],
)
async def test_a_call_is_counted(
    failure: EngineError | None, outcome: str, setups: int, tmp_path: Path
) -> None:
    clock = 1_772_366_400.0
    fake = FakeEngine(lambda: clock)
    switch = Switch(
        node=1,
        directory=lambda: Directory({c.ACCOUNT: c.company()}),
        writer=FakeWriter(),  # type: ignore[arg-type]
        executor=lambda one: EffectExecutor(FailingEngine(failure), tmp_path, one.effect_failed),
        clock=lambda: clock + 0.03,
    )
    changes = _Changes(
        ("trunkline_calls_started_total", {"direction": "in"}),
        ("trunkline_calls_ended_total", {"finish_reason": Reason.CALLER_DISCONNECTS.value}),
        ("trunkline_effects_total", {"effect": "ConnectTargets", "outcome": outcome}),
        ("trunkline_call_setup_seconds_count", {}),
    )
    channel = fake.arrive(a_trunk(), c.number_of(c.OUTSIDE), c.CUSTOMER)
    switch.handle(fake.pending.pop())
    await switch._executor.drain()
    switch.handle(Ended(channel, Instant(clock + 1), cause=16, by_party=True))
    assert changes.seen()[0] == 1
    assert changes.seen()[2:] == [1, setups]
    if failure is None:
        assert changes.seen()[1] == 1
    assert switch.arrivals._setups == {}


def test_each_kind_of_failure_of_an_effect_has_its_own_outcome() -> None:
    kinds = set(EngineError.__subclasses__())
    assert kinds <= OUTCOMES.keys()


async def test_requests_are_counted_by_method_and_result() -> None:
    fakes = ApisOnFakes(extra=[dataclasses.replace(PROBE, permissions=())])
    fakes.accounts.minute_limit = 2
    changes = _Changes(
        ("trunkline_api_requests_total", {"api": "call_api", "method": "get.probe", "status": "ok"}),
        (
            "trunkline_api_requests_total",
            {"api": "call_api", "method": "get.probe", "status": "limit_exceeded"},
        ),
        (
            "trunkline_api_requests_total",
            {"api": "call_api", "method": "other", "status": "method_not_found"},
        ),
        ("trunkline_api_request_seconds_count", {"api": "call_api", "method": "get.probe"}),
        ("trunkline_points_refused_total", {"api": "call_api"}),
    )
    for _ in range(3):
        await fakes.ask(Api.CALL, "get.probe", {"count": 2})
    await fakes.ask(Api.CALL, "12025550110.example", {})
    assert changes.seen() == [2, 1, 1, 3, 1]
