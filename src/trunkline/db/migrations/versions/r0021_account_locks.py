"""Locks of accounts: the operator's and the agent's."""

from __future__ import annotations

from alembic import op

from trunkline.db.migrate import run_sql

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    run_sql(op.get_bind(), "0021_account_locks.sql")
