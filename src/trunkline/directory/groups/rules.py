"""What a group of employees may be: the limits, for every interface."""

from __future__ import annotations

MIN_CHANNELS, MAX_CHANNELS = 1, 199
"""Concurrent calls of a group."""

MAX_NAME = 255
