"""Contact organisations, history of tags, sites, site blocks and campaigns."""

from __future__ import annotations

from alembic import op

from trunkline.db.migrate import run_sql

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    run_sql(op.get_bind(), "0009_contacts_and_sites.sql")
