"""Limits of outgoing calls."""

from __future__ import annotations

from alembic import op

from trunkline.db.migrate import run_sql

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    run_sql(op.get_bind(), "0030_outgoing_limits.sql")
