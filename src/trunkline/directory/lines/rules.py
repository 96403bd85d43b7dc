"""What a SIP line may be: the limits, for every interface."""

from __future__ import annotations

MIN_CHANNELS, MAX_CHANNELS = 1, 20
"""Concurrent calls on a line."""
