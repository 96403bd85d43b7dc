"""Real things for tests: a PostgreSQL server, a fresh database, an Asterisk, free ports."""

from __future__ import annotations

import gc
import itertools
import os
from collections.abc import Callable, Iterator

import pytest
import structlog
from argon2 import PasswordHasher
from hypothesis import HealthCheck, settings

from tests.distribution import Controller, distribute
from tests.shared_database import Databases, administer
from trunkline.accounts import passwords
from trunkline.core.settings import Settings
from trunkline.runtime import asterisk
from trunkline.runtime.asterisk import AsteriskInstall
from trunkline.runtime.ports import free_ports as find_free_ports
from trunkline.runtime.postgres import EmbeddedPostgres
from trunkline.runtime.progress import PrintedProgress

_TEMPLATE = "migrated"
_REAL_TIME_SECONDS = 300
"""How long a test with real processes (marker ``engine`` or ``phones``, or in :data:`_REAL_TIME`) may take together with
what it sets up: the first one starts the whole product, maybe on a busy machine."""
_REAL_TIME = ("analysis", "notifications", "recordings", "runtime", "testing", "uploads", "attack", "drills")
"""Folders whose tests start processes although not all of them need Asterisk."""
_numbers = itertools.count(1)

# The threads of numpy's library wait for each other without a pause: sums of tones took three times as long with two.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Until all is collected: nearly all of the objects made meanwhile stay, and to look through them takes a sixth of the time.
gc.disable()

# The default draws a frame with the variables of each level around a logged traceback, which takes a second.
structlog.dev.ConsoleRenderer.get_active().exception_formatter = structlog.dev.plain_traceback

# A busy machine is no fault of what is tested.
settings.register_profile("trunkline", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("trunkline")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--kills", type=int, default=5, help="how many processes a drill kills (default: %(default)s)"
    )
    parser.addoption("--long-drills", action="store_true", help="run the drills that take minutes, too")
    parser.addoption("--kills-report", metavar="FILE", help="where the drill writes its table, as JSON")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Controller(), "controller of test groups")


# After what leaves tests out: without a test of real calls there is nothing to make way for.
@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--long-drills"):
        long = [item for item in items if item.get_closest_marker("long_drill")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]
    folders = tuple(f"tests/{name}/" for name in _REAL_TIME)
    for item in items:
        marked = any(item.get_closest_marker(name) for name in ("engine", "phones"))
        real_time = marked or item.nodeid.startswith(folders)
        if real_time and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(_REAL_TIME_SECONDS))
    distribute(config, items)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """What was collected, some hundred thousand objects, stays until the end: the collector of garbage need not look through
    it again and again (a second of a processor each time)."""
    gc.freeze()
    gc.enable()
    gc.set_threshold(10_000, 20, 50)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """One server per test process, without crash safety; it ends with the process."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres") / "data", durable=False)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def migrated_template(postgres_server: EmbeddedPostgres) -> str:
    """Name of a database with the whole schema and no rows; to be copied, not used."""
    from trunkline.db.migrate import upgrade

    administer(postgres_server, f"CREATE DATABASE {_TEMPLATE}")
    upgrade(postgres_server.dsn_of(_TEMPLATE))
    return _TEMPLATE


@pytest.fixture(scope="session")
def databases(postgres_server: EmbeddedPostgres, migrated_template: str) -> Databases:
    """Lends the migrated databases of the fixture ``database``."""
    return Databases(postgres_server, migrated_template)


@pytest.fixture
def database(databases: Databases) -> Iterator[str]:
    """Connection URI of a migrated database, equal to a new one."""
    with databases.lend() as dsn:
        yield dsn


@pytest.fixture
def empty_database(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    """Connection URI of a database without any table, dropped afterwards."""
    name = f"test_{next(_numbers)}"
    # Takes a tenth of the time that logging each page does, and nothing here outlives a crash.
    administer(postgres_server, f"create database {name} strategy file_copy")
    try:
        yield postgres_server.dsn_of(name)
    finally:
        administer(postgres_server, f"drop database if exists {name} with (force)")


@pytest.fixture(scope="session")
def asterisk_install() -> AsteriskInstall:
    """An Asterisk to start; fetched if this machine has none."""
    return asterisk.ensure(Settings(), PrintedProgress())


@pytest.fixture
def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Passwords that are set and checked in this process take a hundredth of the time.

    ``tests/accounts/test_rules.py``, the attacks and all processes of the product have the real parameters.
    """
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    passwords._nobody.cache_clear()
    yield
    passwords._nobody.cache_clear()


@pytest.fixture
def free_ports() -> Callable[[int], list[int]]:
    """``free_ports(n)``: n ports free for TCP and UDP."""
    return find_free_ports
