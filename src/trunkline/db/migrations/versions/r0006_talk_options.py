"""Talk options, coaches, groups of numbers and of contacts, an account's default number."""

from __future__ import annotations

from alembic import op

from trunkline.db.migrate import run_sql

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    run_sql(op.get_bind(), "0006_talk_options.sql")
