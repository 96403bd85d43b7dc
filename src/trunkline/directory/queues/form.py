"""A queue in a directory file, with its agents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Self

import orjson
from psycopg.types.json import Jsonb
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from trunkline.db.pool import Row
from trunkline.directory.exclusive import QUEUE_NAME, SHORT_NUMBER
from trunkline.directory.forms.entity import Elsewhere, Entity, ReadContext, Refers
from trunkline.directory.forms.fields import Extension, Item, Key, distinct, one_of
from trunkline.directory.queues import exits, rules

if TYPE_CHECKING:
    from trunkline.directory.forms.write_context import WriteContext

_Seconds = Annotated[int, Field(ge=0, le=rules.MAX_SECONDS)]
_Count = Annotated[int, Field(ge=0, le=rules.MAX_COUNT)]

_Text = Annotated[str, Field(max_length=rules.MAX_NAME)]


def _json_text(text: str) -> str:
    """JSON in one form: scalars of a directory file are texts, so a structure of any kind is one text."""
    try:
        value = orjson.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict | list) or len(text) > rules.MAX_STRUCTURE_BYTES:
        raise ValueError('write an object or array of JSON as text, for example \'{"1": "support"}\'')
    return _as_text(value)


def _as_text(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


JsonText = Annotated[str, AfterValidator(_json_text)]


def _unpacked(value: Any) -> Any:
    """Exits may also be written as JSON in one text."""
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except ValueError:
        raise ValueError('write names and destinations, for example {"1": scenario:closed}') from None


def _exits(value: dict[str, str]) -> dict[str, str]:
    problems = [
        problem
        for name, destination in value.items()
        if (problem := exits.name_problem(name) or exits.problem_of(destination)) is not None
    ]
    if problems:
        raise ValueError("; ".join(problems))
    return {name: destination.strip() for name, destination in sorted(value.items())}


Exits = Annotated[dict[str, str], BeforeValidator(_unpacked), AfterValidator(_exits)]


class TierForm(Item):
    """An agent of the queue."""

    employee: Annotated[Key, Refers("employees", "employee_id")]
    level: _Count = rules.DEFAULT_LEVEL
    position: _Count = rules.DEFAULT_POSITION
    mode: _Count = rules.DEFAULT_MODE
    schedule: Annotated[Key | None, Refers("schedules", "schedule_id")] = None


class QueueForm(Item):
    """Names are those of the Call Center API; media files are named by their keys."""

    name: Annotated[str, QUEUE_NAME] = ""
    extension: Annotated[Extension | None, SHORT_NUMBER] = None
    tv_name: _Text | None = None
    strategy: Annotated[str, one_of(*rules.STRATEGIES)] = "longest-idle-agent"
    record: _Count = 0
    time_base_score: Annotated[str, one_of(*rules.TIME_BASES)] = "queue"
    max_wait_time: _Seconds = 0
    max_wait_time_with_no_agent: _Seconds = 0
    max_wait_time_with_no_agent_time_reached: _Seconds = 5
    tier_rules_apply: bool = False
    tier_rule_wait_second: _Seconds = 0
    tier_rule_wait_multiply_level: bool = False
    tier_rule_no_agent_no_wait: bool = True
    discard_abandoned_after: _Seconds = 60
    abandoned_resume_allowed: bool = False
    agent_no_answer_status: Annotated[str, one_of(*rules.STATUSES)] = "On Break"
    skip_agents_with_external_calls: bool = True
    ring_timeout: _Seconds | None = None
    announce: Annotated[Key | None, Refers("media", "announce_id")] = None
    announce_frequency: _Seconds = 0
    announce_position: bool = False
    announce_wait: bool = False
    music: Annotated[Key | None, Refers("media", "moh_id")] = None
    join_announce: Annotated[Key | None, Refers("media", "join_announce")] = None
    pre_bridge_announce: Annotated[Key | None, Refers("media", "pre_bridge_announce")] = None
    auto_answer: bool = False
    exits: Annotated[Exits, Elsewhere()] = Field(default_factory=dict)
    sla_strategy: Annotated[int, Field(ge=0, le=1)] = 0
    sla_answer_time: _Seconds = 20
    background_color: _Text | None = None
    font_color: _Text | None = None
    labels: tuple[int, ...] = ()
    avg_wait_range: _Count | None = None
    audio_playback: Annotated[JsonText | None, Elsewhere()] = None
    music_advanced: bool = False
    agents: Annotated[tuple[TierForm, ...], Elsewhere()] = ()

    @model_validator(mode="after")
    def _agents_once(self) -> Self:
        distinct(tuple(agent.employee for agent in self.agents))
        return self


def _read(context: ReadContext, row: Row) -> Mapping[str, Any]:
    tiers = context.parts("queue_tiers", "queue_id", row["queue_id"])
    return {
        "agents": [context.fields(TierForm, tier) for tier in tiers],
        "audio_playback": None if row["audio_playback"] is None else _as_text(row["audio_playback"]),
        "exits": _exits_by_key(context, row["exits"]),
    }


def _exits_by_key(context: ReadContext, kept: Any) -> dict[str, str]:
    """The exits of a row, with keys of items in place of their ids. Those that lead nowhere are left out."""
    found: dict[str, str] = {}
    for name, destination in exits.usable(kept).items():
        named = exits.target(destination)
        if named is None:
            found[name] = destination.strip()
            continue
        kind, what = named
        key = context.key(exits.SECTIONS[kind], int(what))
        if key is not None:
            found[name] = f"{kind}:{key}"
    return found


def _exits_by_id(context: WriteContext, wanted: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, destination in wanted.items():
        named = exits.target(destination)
        found[name] = (
            destination if named is None else f"{named[0]}:{context.id(exits.SECTIONS[named[0]], named[1])}"
        )
    return found


def _values(context: WriteContext, key: str) -> Mapping[str, Any]:
    item: QueueForm = context.item("queues", key)
    text = item.audio_playback
    return {"audio_playback": None if text is None else Jsonb(orjson.loads(text))}


async def _link(context: WriteContext, key: str) -> None:
    item: QueueForm = context.item("queues", key)
    queue_id = context.ids["queues"][key]
    await context.run(
        "update queues set exits = %(exits)s where account_id = %(account_id)s and queue_id = %(queue_id)s",
        queue_id=queue_id,
        exits=Jsonb(_exits_by_id(context, item.exits)) if item.exits else None,
    )
    await context.run(
        "delete from queue_tiers where account_id = %(account_id)s and queue_id = %(queue_id)s",
        queue_id=queue_id,
    )
    for agent in item.agents:
        await context.insert("queue_tiers", {"queue_id": queue_id, **context.columns(agent)}, "queue_id")


ENTITIES = (
    Entity(
        "queues",
        QueueForm,
        "queues",
        "queue_id",
        parts={
            "queue_tiers": """
                select * from queue_tiers where account_id = %(account_id)s order by level, position, employee_id""",
        },
        read=_read,
        values=_values,
        link=_link,
        unique=("name",),
    ),
)
