"""Mails to the operator about events of the installation."""

from __future__ import annotations

from alembic import op

from trunkline.db.migrate import run_sql

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    run_sql(op.get_bind(), "0031_operator_mails.sql")
