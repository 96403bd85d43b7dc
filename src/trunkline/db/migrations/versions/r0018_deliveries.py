"""Deliveries without keys to subscriptions; callbacks of uploaded calls are deliveries."""

from __future__ import annotations

from alembic import op

from trunkline.db.migrate import run_sql

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    run_sql(op.get_bind(), "0018_deliveries.sql")
