"""Calls that verify numbers."""

from __future__ import annotations

from alembic import op

from trunkline.db.migrate import run_sql

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    run_sql(op.get_bind(), "0028_number_verification_calls.sql")
