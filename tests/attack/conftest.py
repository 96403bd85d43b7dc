"""Fixtures of the engine's own tests, for attacks that need no more than an engine."""

from tests.telephony.conftest import house, pbx

__all__ = ["house", "pbx"]
