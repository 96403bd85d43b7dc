"""Outside numbers with extensions."""

from __future__ import annotations

from alembic import op

from trunkline.db.migrate import run_sql

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    run_sql(op.get_bind(), "0016_outside_numbers.sql")
