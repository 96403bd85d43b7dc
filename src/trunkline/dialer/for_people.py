"""Campaigns, and the numbers that no campaign calls, as pages show them."""

from __future__ import annotations

from trunkline.db.query import Column, ColumnType, Listing
from trunkline.db.query.columns import column
from trunkline.dialer.settings import CampaignSettings

_NUMBER, _STRING, _ISO = ColumnType.NUMBER, ColumnType.STRING, ColumnType.ISO8601

SHOWN_SETTINGS = (
    "mode", "hours", "detect_machines", "max_lines", "ring_seconds", "abandon_limit", "max_attempts", "max_per_day",
)  # fmt: skip
"""Settings of a campaign that a page has."""


def _setting(name: str) -> Column:
    usual = getattr(CampaignSettings(), name)
    stored = f"c.settings->>'{name}'"
    if isinstance(usual, bool):
        return column(
            ColumnType.BOOLEAN, name, f"coalesce(({stored})::boolean, {str(usual).lower()})", "default"
        )
    if isinstance(usual, int | float):
        return column(_NUMBER, name, f"coalesce(({stored})::numeric, {usual})", "default")
    return column(_STRING, name, f"coalesce({stored}, '{usual}')", "default")


CAMPAIGNS_FOR_PEOPLE = Listing(
    name="dial_campaigns_for_people",
    table="dial_campaigns c",
    where="c.account_id = %(account_id)s",
    order="c.campaign_id",
    columns=(
        column(_NUMBER, "id", "c.campaign_id", "filter sort default"),
        column(_STRING, "name", "c.name", "filter sort default"),
        column(_STRING, "state", "c.state", "filter sort default"),
        column(_NUMBER, "queue_id", "c.queue_id", "filter default"),
        column(
            _STRING,
            "queue_name",
            "(select q.name from queues q where q.account_id = c.account_id and q.queue_id = c.queue_id)",
            "filter default",
        ),
        column(_STRING, "virtual_phone_number", "c.virtual_phone_number", "filter default"),
        column(_NUMBER, "abandoned_scenario_id", "c.abandoned_scenario_id", "default"),
        column(
            ColumnType.ARRAY,
            "phone_list_ids",
            "(select jsonb_agg(l.phone_list_id order by l.phone_list_id) from dial_campaign_lists l"
            " where l.account_id = c.account_id and l.campaign_id = c.campaign_id)",
            "default",
        ),
        *(_setting(name) for name in SHOWN_SETTINGS),
    ),
)
"""Settings that a campaign does not have are shown with their defaults; ``abandon_limit``: a share, 0.03 = 3 %."""

FORBIDDEN_NUMBERS = Listing(
    name="do_not_call",
    table="do_not_call n",
    where="n.account_id = %(account_id)s",
    order="n.phone",
    columns=(
        column(_NUMBER, "id", "n.phone::bigint", "filter sort default"),
        column(_STRING, "phone", "n.phone", "filter sort default"),
        column(_STRING, "reason", "n.reason", "filter default"),
        column(_ISO, "added_at", "n.added_at", "sort default"),
    ),
)
"""``id``: the number as a number, which has at most 15 digits."""
