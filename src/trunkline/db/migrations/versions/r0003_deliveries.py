"""Put-aside events, state of deliveries and endpoints, open links and uniqueness of recordings."""

from __future__ import annotations

from alembic import op

from trunkline.db.migrate import run_sql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run_sql(op.get_bind(), "0003_deliveries.sql")
