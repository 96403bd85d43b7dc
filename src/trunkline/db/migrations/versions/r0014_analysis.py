"""Voice analysis of recordings."""

from __future__ import annotations

from alembic import op

from trunkline.db.migrate import run_sql

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    run_sql(op.get_bind(), "0014_analysis.sql")
