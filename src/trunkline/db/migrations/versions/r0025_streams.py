"""Streams of events with a version, and fencing tokens of leases."""

from __future__ import annotations

from alembic import op

from trunkline.db.migrate import run_sql

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    run_sql(op.get_bind(), "0025_streams.sql")
