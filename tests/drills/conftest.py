"""Drills need foreign phones and a seed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.drills.kills_table import KillsTable
from tests.drills.proxied_setup import ProxiedSetup
from tests.telephony.conftest import pbx
from trunkline.core.settings import Settings
from trunkline.runtime.asterisk import AsteriskInstall
from trunkline.runtime.progress import PrintedProgress
from trunkline.testing import foreign
from trunkline.testing.foreign import ForeignPhones

__all__ = ["pbx"]


@pytest.fixture(scope="session")
def drill_phones(asterisk_install: AsteriskInstall) -> ForeignPhones:
    """SIPp as carrier and phones; fetched, with Asterisk, if this machine has none."""
    return foreign.ensure(Settings().runtime, PrintedProgress())


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    """How many processes to kill."""
    return int(request.config.getoption("--kills"))


@pytest.fixture
def share_of_rate(request: pytest.FixtureRequest) -> float:
    """What the short form has of a drill's calls per second: tests of real calls beside it need the processors, too."""
    return 1.0 if request.config.getoption("--long-drills") else 0.3


@pytest.fixture(scope="session")
def kills_table(request: pytest.FixtureRequest) -> Iterator[KillsTable]:
    """What became of the calls of each drill with kills; printed at the end."""
    report = request.config.getoption("--kills-report")
    table = KillsTable(Path(report) if report else None)
    yield table
    print("\n" + table.text)


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def whole(
    asterisk_install: AsteriskInstall, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ProxiedSetup]:
    async with ProxiedSetup(asterisk_install, tmp_path_factory.mktemp("cut")) as setup:
        yield setup


@pytest_asyncio.fixture(loop_scope="package")
async def setup(whole: ProxiedSetup) -> AsyncIterator[ProxiedSetup]:
    await whole.clear()
    await whole.until("ready")
    yield whole
    whole.heal()
    await whole.until("ready")
    await whole.clear()
