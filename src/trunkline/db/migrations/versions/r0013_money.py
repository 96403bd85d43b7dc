"""Customers of an agent, tariffs and what calls cost."""

from __future__ import annotations

from alembic import op

from trunkline.db.migrate import run_sql

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    run_sql(op.get_bind(), "0013_money.sql")
