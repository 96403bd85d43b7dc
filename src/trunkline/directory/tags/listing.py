"""The account's tags, in the old form of ``get.tags`` and the new one: one list serves both.

``rating`` (communications that people gave the tag in the last seven days) and ``state`` are returned only when requested
for (``is_include_rating``). The product sets no tags by rules
of its own: ``is_auto`` is false, ``condition`` empty and ``state`` ``off``.
"""

from __future__ import annotations

from trunkline.contract.columns import field, listed
from trunkline.db.query import Listing
from trunkline.db.query.columns import enum

TAGS = Listing(
    name="tags",
    table="tags t",
    where="t.account_id = %(account_id)s",
    order="t.tag_id",
    columns=listed(
        "get.tags",
        field("id", "t.tag_id"),
        field("name", "t.name"),
        field("is_system", "t.is_system"),
        field(
            "rating",
            "case when %(include_rating)s then (select count(distinct (h.communication_type,"
            " h.communication_id)) from tag_history h where h.account_id = t.account_id"
            " and h.tag_id = t.tag_id and h.action = 'set' and not h.is_auto"
            " and h.occurred_at > now() - interval '7 days') end",
        ),
        field("is_auto", "false"),
        enum(
            "state",
            "case when %(include_rating)s then 'off' end",
            "filter sort",
            enum=("active", "not_active", "off"),
        ),
        field("creation_datetime", "t.created_at"),
        field("color", "t.color"),
        field("condition", "null::jsonb"),
    ),
)
