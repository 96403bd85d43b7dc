"""Jobs that may run are announced."""

from __future__ import annotations

from alembic import op

from trunkline.db.migrate import run_sql

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    run_sql(op.get_bind(), "0023_jobs_wake.sql")
