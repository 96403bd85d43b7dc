"""Agents known before they have a client; a brake on guessing passwords."""

from __future__ import annotations

from alembic import op

from trunkline.db.migrate import run_sql

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    run_sql(op.get_bind(), "0004_accounts.sql")
