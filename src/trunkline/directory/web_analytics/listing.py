"""What the visits of a company's websites are measured by: segments of visitors and events (goals)."""

from __future__ import annotations

from typing import Literal

from trunkline.contract.columns import FieldSql, field, listed, optional_field
from trunkline.db.query import Column, ColumnType, Listing
from trunkline.db.query.columns import nested, structure

SiteEventType = Literal[
    "comagic",
    "track_event",
    "ppc_goal",
    "link",
    "time_on_site",
    "time_on_page",
    "click",
    "scroll",
    "segment",
]
Engine = Literal["yandex.metrika", "google.analytics"]

_ARRAY = ColumnType.ARRAY
_CONDITION = nested(
    type=Column("", ColumnType.ENUM, enum=("include", "exclude")),
    segment_parameter=ColumnType.ENUM,
    value=ColumnType.STRING,
    operator=Column("", ColumnType.ENUM, enum=("=", "sub", "~")),
)
_GROUPS = nested(
    group_conditions=Column("", _ARRAY, nested=nested(conditions=Column("", _ARRAY, nested=_CONDITION)))
)
_CONDITIONS = "jsonb_build_object('group_conditions', s.group_conditions)"
_SITE = "left join sites w on w.account_id = s.account_id and w.site_id = s.site_id"

SEGMENTS = Listing(
    name="segments",
    table="segments s",
    joins=_SITE,
    where="s.account_id = %(account_id)s",
    order="s.segment_id",
    columns=listed(
        "get.segments",
        field("id", "s.segment_id"),
        field("name", "s.name"),
        optional_field("description", "s.description"),
        field("site_id", "s.site_id"),
        field("site_domain_name", "w.domain_name"),
        # The reference's table has the one name, its sample the other.
        field("segments_conditions", _CONDITIONS, nested=_GROUPS),
        structure("segment_conditions", _CONDITIONS, "default", nested=_GROUPS),
    ),
)

_TEXTS_BEFORE = ("category", "action", "label", "value", "url")
_TEXTS_BEHIND = ("ga_category", "ga_action", "ga_label", "ga_value", "ym_goal_id")


def _texts(names: tuple[str, ...]) -> tuple[FieldSql, ...]:
    return tuple(field(name, f"s.{name}") for name in names)


SITE_EVENTS = Listing(
    name="events",
    table="site_events s",
    joins=_SITE,
    where="s.account_id = %(account_id)s",
    order="s.event_id",
    columns=listed(
        "get.events",
        field("id", "s.event_id"),
        field("name", "s.name"),
        optional_field("description", "s.description"),
        field("site_id", "s.site_id"),
        field("site_domain_name", "w.domain_name"),
        field("type", "s.type"),
        *_texts(_TEXTS_BEFORE),
        field("segment_id", "s.segment_id"),
        field("is_goal", "(s.is_goal or s.type = 'ppc_goal')"),
        field("goal_name", "s.goal_name"),
        field("engine", "s.engine"),
        field("ext_id", "s.ext_id"),
        field("is_active", "s.is_active"),
        *_texts(_TEXTS_BEHIND),
    ),
)
