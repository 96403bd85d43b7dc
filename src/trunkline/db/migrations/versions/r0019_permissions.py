"""Permissions of every method, and roles that have some."""

from __future__ import annotations

from alembic import op

from trunkline.db.migrate import run_sql

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    run_sql(op.get_bind(), "0019_permissions.sql")
