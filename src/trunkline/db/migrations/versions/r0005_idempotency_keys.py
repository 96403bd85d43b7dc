"""Keys under which clients repeat requests that start a call."""

from __future__ import annotations

from alembic import op

from trunkline.db.migrate import run_sql

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    run_sql(op.get_bind(), "0005_idempotency_keys.sql")
