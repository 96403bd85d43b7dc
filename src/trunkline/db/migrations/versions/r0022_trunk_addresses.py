"""Addresses that trunks may have."""

from __future__ import annotations

from alembic import op

from trunkline.db.migrate import run_sql

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    run_sql(op.get_bind(), "0022_trunk_addresses.sql")
