"""Drills need foreign phones and a seed."""

from __future__ import annotations

import pytest

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
