"""Tasks of the worker process for voice analysis."""

from __future__ import annotations

from trunkline.analysis.jobs import JOB, QUEUE
from trunkline.analysis.service import Analyst, Engine
from trunkline.core.settings import Settings
from trunkline.db.jobs import Jobs
from trunkline.db.pool import Database

CONCURRENCY = {QUEUE: 1}
"""Concurrent jobs in a process: each keeps a processor busy."""


def analysing(db: Database, jobs: Jobs, settings: Settings, engine: Engine | None = None) -> None:
    """Register the job of analyses; to be called before ``jobs.run``."""
    jobs.register(JOB, Analyst(db, settings, engine).analyse_recording, queue=QUEUE)
