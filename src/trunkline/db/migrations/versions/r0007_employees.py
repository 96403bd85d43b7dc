"""Positions, statuses and further settings of employees and SIP lines."""

from __future__ import annotations

from alembic import op

from trunkline.db.migrate import run_sql

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    run_sql(op.get_bind(), "0007_employees.sql")
