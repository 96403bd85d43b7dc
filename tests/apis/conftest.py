"""No test of an API is about the time that the check of a password takes."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def quick(quick_passwords: None) -> None:
    """See ``quick_passwords``."""
