"""Classes of requests, and how many of each class one account may have under way.

Commands of calls, changes, reports and uploads have connections to the database of their own, and an account has a share
of those, so that slow reports of a tenant delay only its own reports. A request beyond the share waits a bounded time in a
bounded queue; free places go to the waiting accounts in turn.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from trunkline.core.concurrency_limit import ConcurrencyLimit
from trunkline.core.settings import WebSettings


class Workload(StrEnum):
    """Class of a request, by its cost and its urgency."""

    COMMAND = "commands"
    """Commands on calls, log-in and log-out: never wait for another request."""
    CHANGE = "changes"
    """Changes of configuration; on the connections of commands."""
    REPORT = "reports"
    UPLOAD = "uploads"


def limits_of(settings: WebSettings) -> Mapping[Workload, ConcurrencyLimit]:
    """The limits of one process. Commands have none, and changes of all accounts leave half of the connections to commands,
    so that no command waits for another request."""
    queue, wait = settings.queued_per_account, settings.queue_wait
    totals = {
        Workload.CHANGE: (settings.command_connections // 2, settings.changes_per_account),
        Workload.REPORT: (settings.report_connections, settings.reports_per_account),
        Workload.UPLOAD: (settings.upload_connections, settings.uploads_per_account),
    }
    return {
        workload: ConcurrencyLimit(workload, total=total, per_account=share, queue=queue, wait=wait)
        for workload, (total, share) in totals.items()
    }
