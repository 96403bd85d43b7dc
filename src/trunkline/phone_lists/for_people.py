"""Phone lists as pages show them."""

from __future__ import annotations

from trunkline.db.query import ColumnType, Listing
from trunkline.db.query.columns import column

PHONE_LISTS_FOR_PEOPLE = Listing(
    name="phone_lists_for_people",
    table="phone_lists p",
    where="p.account_id = %(account_id)s",
    order="p.phone_list_id",
    columns=(
        column(ColumnType.NUMBER, "id", "p.phone_list_id", "filter sort default"),
        column(ColumnType.STRING, "name", "p.name", "filter sort default"),
        column(
            ColumnType.NUMBER,
            "leads",
            "(select count(*) from leads d where d.account_id = p.account_id"
            " and d.phone_list_id = p.phone_list_id)",
            "default",
        ),
    ),
)
"""``leads``: how many leads the list has."""
