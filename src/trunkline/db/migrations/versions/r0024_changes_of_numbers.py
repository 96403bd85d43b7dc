"""Announcements of changed contacts and blacklists name the numbers."""

from __future__ import annotations

from alembic import op

from trunkline.db.migrate import run_sql

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    run_sql(op.get_bind(), "0024_changes_of_numbers.sql")
