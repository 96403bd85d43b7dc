"""Settings of queues and agents: their defaults, and which values are refused (section 15).

All times are whole seconds from 0 to 86400.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, Self

from trunkline.core.errors import InvalidInput
from trunkline.directory.model.queues import AGENT_SETTINGS
from trunkline.queues.states import AgentStatus

MAX_SECONDS = 86_400
KEYS = frozenset("0123456789*#")
"""Keys of a phone that can be exit keys (10.4)."""


class Strategy(StrEnum):
    """In which order agents are called (section 6)."""

    LONGEST_IDLE_AGENT = "longest-idle-agent"
    LEAST_TALK_TIME = "agent-with-least-talk-time"
    FEWEST_CALLS = "agent-with-fewest-calls"
    BY_AGENT_ORDER = "sequentially-by-agent-order"
    TOP_DOWN = "top-down"
    ROUND_ROBIN = "round-robin"
    BY_NEXT_AGENT_ORDER = "sequentially-by-next-agent-order"
    """The same as :attr:`ROUND_ROBIN`."""
    RANDOM = "random"
    RING_ALL = "ring-all"


class TimeBase(StrEnum):
    """Since when a caller's time counts for its score (4.2)."""

    QUEUE = "queue"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class SkillRequirement:
    """A skill that agents must have to get calls of a queue.

    :ivar level: the least level of the agent, 1 or more.
    :ivar score: added to the score of each caller of the queue (``skill_score``, 4.1).
    """

    level: int = 1
    score: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSettings:
    """Settings of one queue, by the names of the REST API (section 17).

    :ivar ring_timeout: None or 0: the agent's own applies (7.4f).
    :ivar announce_id: media file of the periodic announcement (10.2).
    :ivar announce_position: callers hear how many are served before them, after joining and with each announcement.
    :ivar announce_wait: callers hear the expected wait (:func:`trunkline.queues.announcements.expected_minutes`).
    :ivar exit_keys: key to the destination of who presses it (10.4); what a destination means, the caller of the
        rules decides.
    :ivar timeout_destination: where a call goes on after 9.1 and 9.3 (9.6).
    :ivar required_skills: by the name of the skill. An agent without them does not count as an agent of the queue.
    :ivar short_abandon_time: callers who hang up within this time are counted apart (service levels).
    :ivar callback_tries: how often the customer of a queue callback is called at most.
    :ivar callback_retry_time: between two such calls.
    :ivar callback_ring_time: within which the customer must have answered and confirmed.
    :ivar callback_expires_after: since the request; 0: never.
    """

    strategy: Strategy = Strategy.LONGEST_IDLE_AGENT
    time_base_score: TimeBase = TimeBase.QUEUE
    tier_rules_apply: bool = False
    tier_rule_wait_second: int = 0
    tier_rule_wait_multiply_level: bool = False
    tier_rule_no_agent_no_wait: bool = True
    max_wait_time: int = 0
    max_wait_time_with_no_agent: int = 0
    max_wait_time_with_no_agent_time_reached: int = 5
    discard_abandoned_after: int = 60
    abandoned_resume_allowed: bool = False
    agent_no_answer_status: AgentStatus = AgentStatus.ON_BREAK
    skip_agents_with_external_calls: bool = True
    ring_timeout: int | None = None
    announce_id: int | None = None
    announce_frequency: int = 0
    announce_position: bool = False
    announce_wait: bool = False
    moh_id: int | None = None
    join_announce: int | None = None
    pre_bridge_announce: int | None = None
    auto_answer: bool = False
    exit_keys: Mapping[str, str] = field(default_factory=dict)
    timeout_destination: str | None = None
    required_skills: Mapping[str, SkillRequirement] = field(default_factory=dict)
    sla_strategy: int = 0
    sla_answer_time: int = 20
    short_abandon_time: int = 5
    callback_tries: int = 3
    callback_retry_time: int = 300
    callback_ring_time: int = 60
    callback_expires_after: int = 0

    @property
    def announces_place(self) -> bool:
        """Whether callers hear their position or the expected wait."""
        return self.announce_position or self.announce_wait

    def __post_init__(self) -> None:
        for name in _QUEUE_TIMES:
            _check_seconds(name, getattr(self, name))
        for name in _QUEUE_FLAGS:
            _check_flag(name, getattr(self, name))
        _check_seconds("ring_timeout", self.ring_timeout or 0)
        if not 1 <= self.callback_tries <= 10:
            raise _refused("callback_tries", self.callback_tries, "must be 1 to 10")
        if self.sla_strategy not in (0, 1):
            raise _refused("sla_strategy", self.sla_strategy, "must be 0 or 1")
        if unknown := set(self.exit_keys) - KEYS:
            raise _refused("exit_keys", sorted(unknown), "only the keys 0 to 9, * and # exist")
        for skill, requirement in self.required_skills.items():
            if not _is_whole(requirement.level) or requirement.level < 1:
                raise _refused("required_skills", skill, "a level must be 1 or more")

    @property
    def skill_score(self) -> int:
        """What the required skills add to the score of a caller (4.1)."""
        return sum(one.score for one in self.required_skills.values())

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """From the values of a request or an event; what is not there has its default.

        :raises InvalidInput: an unknown name, strategy (6.6) or status, or a time that is not 0 to 86400 whole seconds.
        """
        _check_names(cls, values)
        known = dict(values)
        _convert(known, "strategy", Strategy)
        known["time_base_score"] = (
            known.get("time_base_score") or TimeBase.QUEUE
        )  # an empty value means queue
        _convert(known, "time_base_score", TimeBase)
        _convert(known, "agent_no_answer_status", AgentStatus)
        if "required_skills" in known:
            known["required_skills"] = {
                str(name): SkillRequirement(**one) if isinstance(one, Mapping) else one
                for name, one in known["required_skills"].items()
            }
        return cls(**known)

    @classmethod
    def stored(cls, values: Mapping[str, Any]) -> Self:
        """From an event: names that another version has written and this one does not have are left out."""
        return cls.of(_known(cls, values))

    def values(self) -> dict[str, Any]:
        """As JSON: what differs from the defaults."""
        found = _changed(self)
        if "required_skills" in found:
            found["required_skills"] = {
                name: {"level": one.level, "score": one.score} for name, one in self.required_skills.items()
            }
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """Settings of one agent.

    :ivar max_no_answer: a count of offers, not a time; 0: never (7.4c).
    :ivar ring_timeout: for how long an offer rings when the queue sets no time (7.4f).
    :ivar skills: level by the name of the skill.
    """

    max_no_answer: int = 0
    wrap_up_time: int = 0
    reject_delay_time: int = 0
    busy_delay_time: int = 0
    no_answer_delay_time: int = 0
    ring_timeout: int = 60
    skills: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in AGENT_SETTINGS:
            _check_seconds(name, getattr(self, name))

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """As :meth:`QueueSettings.of`.

        :raises InvalidInput: an unknown name, or a value out of its range.
        """
        _check_names(cls, values)
        return cls(**values)

    @classmethod
    def stored(cls, values: Mapping[str, Any]) -> Self:
        """As :meth:`QueueSettings.stored`."""
        return cls.of(_known(cls, values))

    def values(self) -> dict[str, Any]:
        """As JSON: what differs from the defaults."""
        return _changed(self)

    def has(self, required: Mapping[str, SkillRequirement]) -> bool:
        """Whether the agent has all these skills at the levels that are required."""
        return all(self.skills.get(name, 0) >= one.level for name, one in required.items())


DEFAULT_LEVEL = 1
DEFAULT_POSITION = 1


def check_place(level: int, position: int) -> None:
    """Level and position of a tier.

    :raises InvalidInput: one of them is not a whole number from 0.
    """
    for name, value in (("level", level), ("position", position)):
        if not _is_whole(value) or value < 0:
            raise _refused(name, value, "must be a whole number, 0 or more")


def check_seconds(name: str, value: int) -> None:
    """A time of a command.

    :raises InvalidInput: it is not 0 to 86400 whole seconds.
    """
    _check_seconds(name, value)


_QUEUE_TIMES = (
    "tier_rule_wait_second", "max_wait_time", "max_wait_time_with_no_agent",
    "max_wait_time_with_no_agent_time_reached", "discard_abandoned_after", "announce_frequency",
    "sla_answer_time", "short_abandon_time", "callback_retry_time", "callback_ring_time", "callback_expires_after",
)  # fmt: skip
_QUEUE_FLAGS = (
    "tier_rules_apply", "tier_rule_wait_multiply_level", "tier_rule_no_agent_no_wait",
    "abandoned_resume_allowed", "skip_agents_with_external_calls", "auto_answer", "announce_position", "announce_wait",
)  # fmt: skip


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_seconds(name: str, value: Any) -> None:
    if not _is_whole(value) or not 0 <= value <= MAX_SECONDS:
        raise _refused(name, value, f"must be a whole number from 0 to {MAX_SECONDS}")


def _check_flag(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise _refused(name, value, "must be true or false")


def _check_names(cls: type[QueueSettings | AgentSettings], values: Mapping[str, Any]) -> None:
    if unknown := sorted(set(values) - {one.name for one in fields(cls)}):
        raise _refused(unknown[0], values[unknown[0]], "there is no such setting")


def _known(cls: type[QueueSettings | AgentSettings], values: Mapping[str, Any]) -> dict[str, Any]:
    names = {one.name for one in fields(cls)}
    return {name: value for name, value in values.items() if name in names}


def _convert(values: dict[str, Any], name: str, kind: type[StrEnum]) -> None:
    if name in values:
        try:
            values[name] = kind(values[name])
        except ValueError:
            allowed = ", ".join(one.value for one in kind)
            raise _refused(name, values[name], f"must be one of {allowed}") from None


def _changed(settings: QueueSettings | AgentSettings) -> dict[str, Any]:
    defaults = type(settings)()
    return {
        one.name: _plain(getattr(settings, one.name))
        for one in fields(settings)
        if getattr(settings, one.name) != getattr(defaults, one.name)
    }


def _plain(value: Any) -> Any:
    if isinstance(value, StrEnum):
        return value.value
    return dict(value) if isinstance(value, Mapping) else value


def _refused(name: str, value: Any, why: str) -> InvalidInput:
    return InvalidInput(f"{name}: {why}", field=name, value=value)
