"""What the visits of a company's websites are measured by: segments of visitors and events (goals)."""

from __future__ import annotations

from typing import Literal, get_args

from trunkline.db.query import Column, ColumnType, Listing
from trunkline.db.query.columns import boolean, enum, nested, number, optional_text, string, structure

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
    columns=(
        number("id", "s.segment_id", "filter sort default"),
        string("name", "s.name", "filter sort default"),
        optional_text("description", "s.description", "filter sort default"),
        number("site_id", "s.site_id", "filter sort default"),
        string("site_domain_name", "w.domain_name", "filter sort default"),
        # The reference's table has the one name, its sample the other.
        structure("segments_conditions", _CONDITIONS, "default", nested=_GROUPS),
        structure("segment_conditions", _CONDITIONS, "default", nested=_GROUPS),
    ),
)

_TEXTS_BEFORE = ("category", "action", "label", "value", "url")
_TEXTS_BEHIND = ("ga_category", "ga_action", "ga_label", "ga_value", "ym_goal_id")


def _texts(names: tuple[str, ...]) -> tuple[Column, ...]:
    return tuple(string(name, f"s.{name}", "filter sort default") for name in names)


SITE_EVENTS = Listing(
    name="events",
    table="site_events s",
    joins=_SITE,
    where="s.account_id = %(account_id)s",
    order="s.event_id",
    columns=(
        number("id", "s.event_id", "filter sort default"),
        string("name", "s.name", "filter sort default"),
        optional_text("description", "s.description", "filter sort default"),
        number("site_id", "s.site_id", "filter sort default"),
        string("site_domain_name", "w.domain_name", "filter sort default"),
        enum("type", "s.type", "filter sort default", enum=get_args(SiteEventType)),
        *_texts(_TEXTS_BEFORE),
        number("segment_id", "s.segment_id", "filter sort default"),
        boolean("is_goal", "(s.is_goal or s.type = 'ppc_goal')", "filter sort default"),
        string("goal_name", "s.goal_name", "filter sort default"),
        enum("engine", "s.engine", "filter sort default", enum=get_args(Engine)),
        string("ext_id", "s.ext_id", "filter sort default"),
        boolean("is_active", "s.is_active", "filter sort default"),
        *_texts(_TEXTS_BEHIND),
    ),
)
