"""Limits of outgoing calls."""

from __future__ import annotations

from alembic import op

from trunkline.db.migrate import run_sql

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    run_sql(op.get_bind(), "0029_outgoing_limits.sql")
