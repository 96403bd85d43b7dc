"""Announcements of changed contacts and blacklists name the numbers."""

from __future__ import annotations

from alembic import op

from trunkline.db.migrate import run_sql

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    run_sql(op.get_bind(), "0026_changes_of_numbers.sql")
