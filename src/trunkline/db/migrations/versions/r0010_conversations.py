"""Communications beside calls: chats, offline messages, goals, visitor sessions."""

from __future__ import annotations

from alembic import op

from trunkline.db.migrate import run_sql

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    run_sql(op.get_bind(), "0010_conversations.sql")
