"""Notices of limits."""

from __future__ import annotations

from alembic import op

from trunkline.db.migrate import run_sql

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    run_sql(op.get_bind(), "0017_limit_notices.sql")
