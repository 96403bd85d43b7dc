"""Announcements of changed contacts and blacklists name the numbers."""

from __future__ import annotations

from alembic import op

from trunkline.db.migrate import run_sql

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    run_sql(op.get_bind(), "0027_changes_of_numbers.sql")
