"""Uploaded calls and what is told of them."""

from __future__ import annotations

from alembic import op

from trunkline.db.migrate import run_sql

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    run_sql(op.get_bind(), "0011_uploads.sql")
