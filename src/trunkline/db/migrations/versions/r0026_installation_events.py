"""Events of the installation."""

from __future__ import annotations

from alembic import op

from trunkline.db.migrate import run_sql

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    run_sql(op.get_bind(), "0026_installation_events.sql")
