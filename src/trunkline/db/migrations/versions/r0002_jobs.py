"""The job queue's schema, see :mod:`trunkline.db.jobs_schema`."""

from __future__ import annotations

from alembic import op

from trunkline.db import jobs_schema
from trunkline.db.migrate import run_script

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run_script(op.get_bind(), jobs_schema.whole_schema())
    op.execute(
        "create table job_schema_changes "
        "(name text primary key, applied_at timestamptz not null default now())"
    )
    for file in jobs_schema.change_files():
        op.execute(f"insert into job_schema_changes (name) values ('{file.name}')")  # noqa: S608 - our own files
