"""Accounts, directory, calls, notifications."""

from __future__ import annotations

from alembic import op

from trunkline.db.migrate import run_sql

revision = "0001"
down_revision = None


def upgrade() -> None:
    run_sql(op.get_bind(), "0001_ground.sql")
