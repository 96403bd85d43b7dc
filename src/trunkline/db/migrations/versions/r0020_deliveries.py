"""Deliveries without keys to subscriptions; callbacks of uploaded calls are deliveries."""

from __future__ import annotations

from alembic import op

from trunkline.db.migrate import run_sql

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    run_sql(op.get_bind(), "0020_deliveries.sql")
