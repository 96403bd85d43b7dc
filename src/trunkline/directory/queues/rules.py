"""What a queue and a tier may be: the limits and defaults, for every interface. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_SECONDS = 86_400
MAX_COUNT = 2**31 - 1
MAX_NAME = 255
MAX_LABELS = 1000
MAX_STRUCTURE_BYTES = 16_384
"""Of ``exits`` and ``audio_playback``, as JSON."""

STRATEGIES = (
    "ring-all",
    "longest-idle-agent",
    "round-robin",
    "top-down",
    "agent-with-least-talk-time",
    "agent-with-fewest-calls",
    "sequentially-by-agent-order",
    "sequentially-by-next-agent-order",
    "random",
)
TIME_BASES = ("queue", "system")
STATUSES = ("Logged Out", "Available", "Available (On Demand)", "On Break")
SLA_STRATEGIES = (0, 1)

DEFAULTS: Mapping[str, Any] = {
    "strategy": "longest-idle-agent",
    "record": 0,
    "time_base_score": "queue",
    "max_wait_time": 0,
    "max_wait_time_with_no_agent": 0,
    "max_wait_time_with_no_agent_time_reached": 5,
    "tier_rules_apply": False,
    "tier_rule_wait_second": 0,
    "tier_rule_wait_multiply_level": False,
    "tier_rule_no_agent_no_wait": True,
    "discard_abandoned_after": 60,
    "abandoned_resume_allowed": False,
    "agent_no_answer_status": "On Break",
    "skip_agents_with_external_calls": True,
    "announce_frequency": 0,
    "announce_position": False,
    "announce_wait": False,
    "auto_answer": False,
    "sla_strategy": 0,
    "sla_answer_time": 20,
    "labels": [],
    "music_advanced": False,
}
"""Of the settings that always have a value; the others are null by default."""

MEDIA = ("announce_id", "moh_id", "join_announce", "pre_bridge_announce")
"""Settings that are media files."""

DEFAULT_MODE = 4
DEFAULT_POSITION = 1
DEFAULT_LEVEL = 1


@dataclass(frozen=True, slots=True)
class Tier:
    """The place of an agent in a queue.

    :ivar mode: kept for the Call Center API.
    :ivar schedule_id: when the tier counts; None: always.
    """

    queue_id: int
    employee_id: int
    mode: int = DEFAULT_MODE
    position: int = DEFAULT_POSITION
    level: int = DEFAULT_LEVEL
    schedule_id: int | None = None


def queue_name(text: str) -> str:
    """:raises ValueError: it is no name."""
    if not text.strip():
        raise ValueError("send a name with at least one character")
    return text.strip()
