"""Indexes that keep reports quick in an account of many calls."""

from __future__ import annotations

from alembic import op

from trunkline.db.migrate import run_sql

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    run_sql(op.get_bind(), "0012_reports_at_size.sql")
