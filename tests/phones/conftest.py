"""Foreign phones use the same setup as the end-to-end tests."""

from __future__ import annotations

import pytest

from tests.engine.conftest import setup, whole_setup
from trunkline.core.settings import Settings
from trunkline.runtime.progress import PrintedProgress
from trunkline.testing import foreign
from trunkline.testing.foreign import ForeignPhones

__all__ = ["setup", "whole_setup"]


@pytest.fixture(scope="session")
def foreign_phones() -> ForeignPhones:
    """SIPp and baresip; fetched if this machine has none."""
    return foreign.ensure(Settings().runtime, PrintedProgress())
