"""Fixtures of the engine's own tests, for attacks that need no more than an engine."""

from tests.telephony.conftest import pbx, setup

__all__ = ["pbx", "setup"]
