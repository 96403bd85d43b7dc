"""Trunks as a list for people; no method of an API has it."""

from __future__ import annotations

from trunkline.db.query import ColumnType, Listing
from trunkline.db.query.columns import column

_NUMBER, _STRING, _BOOLEAN = ColumnType.NUMBER, ColumnType.STRING, ColumnType.BOOLEAN

TRUNKS = Listing(
    name="trunks",
    table="trunks t",
    where="t.account_id = %(account_id)s",
    order="t.trunk_id",
    columns=(
        column(_NUMBER, "id", "t.trunk_id", "filter sort default"),
        column(_STRING, "key", "t.key", "filter sort default"),
        column(_STRING, "name", "coalesce(nullif(t.name, ''), t.key)", "filter sort default"),
        column(_STRING, "mode", "t.mode", "filter sort default"),
        column(_STRING, "host", "t.host", "filter sort default"),
        column(_NUMBER, "port", "t.port", "default"),
        column(_STRING, "transport", "t.transport", "default"),
        column(_STRING, "username", "t.username", "default"),
        column(_STRING, "addresses", "array_to_string(t.addresses, E'\\n')", "default"),
        column(_NUMBER, "max_channels", "t.max_channels", "default"),
        column(_STRING, "number_format", "t.number_format", "default"),
        column(_BOOLEAN, "active", "t.is_active", "default"),
        column(
            _STRING,
            "numbers",
            "(select string_agg(v.phone_number, E'\\n' order by v.phone_number) from virtual_numbers v"
            " where v.account_id = t.account_id and v.trunk_id = t.trunk_id)",
            "default",
        ),
    ),
)
"""Without passwords."""
