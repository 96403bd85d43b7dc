"""Cheaper events, history and deliveries."""

from __future__ import annotations

from alembic import op

from trunkline.db.migrate import run_sql

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    run_sql(op.get_bind(), "0015_speed.sql")
