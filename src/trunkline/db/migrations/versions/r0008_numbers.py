"""Number inventory, private numbers, auto call campaigns, CRM accounts and what else surrounds the numbers."""

from __future__ import annotations

from alembic import op

from trunkline.db.migrate import run_sql

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    run_sql(op.get_bind(), "0008_numbers.sql")
