"""Events of streams that belong to no call."""

from __future__ import annotations

from alembic import op

from trunkline.db.migrate import run_sql

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    run_sql(op.get_bind(), "0032_stream_events.sql")
