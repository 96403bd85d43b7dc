"""Sounds of an account as pages show them; texts of scenarios belong to their scenarios and are left out."""

from __future__ import annotations

from trunkline.db.query import ColumnType, Listing
from trunkline.db.query.columns import column

_NUMBER, _STRING = ColumnType.NUMBER, ColumnType.STRING

MEDIA_FOR_PEOPLE = Listing(
    name="media_for_people",
    table="media_files m",
    where="m.account_id = %(account_id)s and not starts_with(m.key, 'say-')",
    order="m.media_file_id",
    columns=(
        column(_NUMBER, "id", "m.media_file_id", "filter sort default"),
        column(_STRING, "key", "m.key", "filter sort default"),
        column(_STRING, "name", "coalesce(nullif(m.name, ''), m.key)", "filter sort default"),
        column(_STRING, "text", "m.spoken_text", "filter default"),
        column(_STRING, "language", "m.spoken_language", "filter default"),
        column(ColumnType.DURATION, "duration", "round(m.duration_ms / 1000.0)::int", "sort default"),
    ),
)
"""``text`` and ``language``: of a sound that is synthesized; null: it came from a file or a phone."""
