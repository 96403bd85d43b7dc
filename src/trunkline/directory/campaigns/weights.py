"""Weights of the kinds of conditions when a visit matches several campaigns of a site."""

from __future__ import annotations

from collections.abc import Mapping

from psycopg.types.json import Jsonb

from trunkline.contract.columns import field, listed
from trunkline.core.errors import NotFound
from trunkline.db.pool import Database
from trunkline.db.query import Listing
from trunkline.db.rows import transaction

DEFAULTS: Mapping[str, int] = {
    "entrance_page": 10,
    "referrer_domain": 20,
    "search_engine": 20,
    "search_query": 40,
    "engine": 25,
    "referrer": 30,
    "channel": 15,
    "location": 5,
    "utm_tags": 60,
    "os_tags": 50,
    "other_tags": 60,
}

PARAMETER_WEIGHTS = Listing(
    name="campaign_parameter_weights",
    table="sites s",
    where="s.account_id = %(account_id)s",
    order="s.site_id",
    columns=listed(
        "get.campaign_parameter_weights",
        field("site_id", "s.site_id"),
        field("site_domain_name", "s.domain_name"),
        *(
            field(name, f"coalesce((s.parameter_weights ->> '{name}')::int, {default})")
            for name, default in DEFAULTS.items()
        ),
    ),
)


async def update_weights(
    db: Database, account_id: int, site_id: int, weights: Mapping[str, int | None]
) -> None:
    """Change the weights in ``weights``, the rest stays; None means the default.

    :raises NotFound: no such site.
    """
    chosen = {name: weight for name, weight in weights.items() if weight is not None}
    reset = [name for name, weight in weights.items() if weight is None]
    async with transaction(db) as connection:
        done = await connection.execute(
            """update sites set parameter_weights = (parameter_weights || %s) - %s::text[]
               where account_id = %s and site_id = %s""",
            (Jsonb(chosen), reset, account_id, site_id),
        )
        if not done.rowcount:
            raise NotFound("There is no such site: look it up with get.sites", field="site_id", value=site_id)
