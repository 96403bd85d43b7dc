"""Metrics of a process for Prometheus. All of them are declared here, with the roles that have them.

Code that does the work only adds to counters and histograms, which are numbers in memory. Gauges are read when a scrape
comes, from state that the process has in memory anyway; figures of the database are read periodically by the worker.
A scrape therefore runs no SQL and sends no command to Asterisk.

The values of a label come from lists in the program (methods, finish reasons, effects), never from what a client sends: a
label for numbers, lines or accounts would let tenants create any amount of series. The one exception are the figures of
queues, by account and id, of :data:`MAX_QUEUES` queues at most.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

SWITCH, WEB, WORKER = "switch", "web", "worker"
ROLES = (SWITCH, WEB, WORKER)

PREFIX = "trunkline_"
OTHER = "other"
"""Label value in place of one that is not in the list of the program."""

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

_M = TypeVar("_M", bound=MetricWrapperBase)

MAX_QUEUES = 500
"""Queues of a switch that have series."""


class Declared(NamedTuple):
    """A metric as the documentation has it; a counter's ``name`` ends in ``_total``."""

    name: str
    kind: str
    labels: tuple[str, ...]
    roles: tuple[str, ...]


_all: list[tuple[Collector, Declared]] = []
disable_created_metrics()  # type: ignore[no-untyped-call]


def _declared(metric: _M, kind: str, labels: Sequence[str], roles: Sequence[str]) -> _M:
    name = next(iter(metric.describe())).name + ("_total" if kind == "counter" else "")
    _all.append((metric, Declared(name, kind, tuple(labels), tuple(roles))))
    return metric


def _counter(name: str, text: str, *roles: str, labels: Sequence[str] = ()) -> Counter:
    return _declared(Counter(PREFIX + name, text, labels, registry=None), "counter", labels, roles)


def _gauge(name: str, text: str, *roles: str, labels: Sequence[str] = ()) -> Gauge:
    return _declared(Gauge(PREFIX + name, text, labels, registry=None), "gauge", labels, roles)


def _histogram(
    name: str, text: str, *roles: str, labels: Sequence[str] = (), buckets: Sequence[float] = _SECONDS
) -> Histogram:
    made = Histogram(PREFIX + name, text, labels, buckets=buckets, registry=None)
    return _declared(made, "histogram", labels, roles)


class QueueGauge(Collector):
    """A figure of each queue, read when a scrape comes; a removed queue has no series any more.

    :ivar source: account, queue and value of each queue; None: there are none.
    """

    def __init__(self, name: str, text: str) -> None:
        self._name, self._text = PREFIX + name, text
        self.source: Callable[[], Iterable[tuple[int, int, float]]] | None = None

    def _family(self) -> GaugeMetricFamily:
        return GaugeMetricFamily(self._name, self._text, labels=_QUEUE_LABELS)

    def describe(self) -> Iterator[Metric]:
        yield self._family()

    def collect(self) -> Iterator[Metric]:
        family = self._family()
        for account_id, queue_id, value in self.source() if self.source is not None else ():
            family.add_metric([str(account_id), str(queue_id)], value)
        yield family


_QUEUE_LABELS = ("account", "queue")


def _of_queues(name: str, text: str) -> QueueGauge:
    made = QueueGauge(name, text)
    _all.append((made, Declared(PREFIX + name, "gauge", _QUEUE_LABELS, (SWITCH,))))
    return made


# Every role
READY = _gauge("ready", "1 when the process can do its work.", *ROLES)
FROM_STANDBY = _gauge("started_from_standby", "1 when the process was a standby before.", *ROLES)
LOOP_LAG = _histogram(
    "event_loop_lag_seconds",
    "How much later than due a timer of the event loop ran, once a second.",
    *ROLES,
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0),
)
POOL_SIZE = _gauge("database_connections", "Connections of a pool.", *ROLES, labels=["pool"])
POOL_IN_USE = _gauge("database_connections_in_use", "Connections in use.", *ROLES, labels=["pool"])
POOL_WAITING = _gauge(
    "database_requests_waiting", "Requests that wait for a connection.", *ROLES, labels=["pool"]
)

# Switch
STANDBY_READY = _gauge("standby_ready", "1 when a standby of the switch waits to be started.", SWITCH)
CALLS_LIVE = _gauge("calls_live", "Live calls.", SWITCH)
LEGS_LIVE = _gauge("legs_live", "Participants' channels of live calls.", SWITCH)
CALLS_STARTED = _counter("calls_started", "Calls that began.", SWITCH, labels=["direction"])
CALLS_ENDED = _counter("calls_ended", "Calls that ended.", SWITCH, labels=["finish_reason"])
CALLS_REFUSED = _counter("calls_refused", "Calls refused before they began.", SWITCH, labels=["reason"])
UNKNOWN_CHANNELS = _counter(
    "unknown_channels_ended", "Channels that were ended because no call contained them.", SWITCH
)
SETUP = _histogram(
    "call_setup_seconds",
    "From the arrival of a call in Asterisk until Asterisk has the command that makes a phone ring; only calls that ring"
    " a phone at once.",
    SWITCH,
)
EFFECTS = _counter("effects", "Commands to Asterisk, by outcome.", SWITCH, labels=["effect", "outcome"])
EVENTS_UNWRITTEN = _gauge("events_unwritten", "Events of calls that wait for the database.", SWITCH)
EVENTS_OLDEST = _gauge(
    "events_oldest_seconds", "Age of the oldest event that waits for the database.", SWITCH
)
EVENTS_FULL = _gauge("events_buffer_full", "1 while new calls are refused because too many wait.", SWITCH)
DEAD_LETTERS = _gauge("dead_letters", "Events of calls that could not be stored.", SWITCH)
REGISTERED_LINES = _gauge("registered_lines", "Lines with a reachable device.", SWITCH)
REGISTERED_DEVICES = _gauge("registered_devices", "Registered devices.", SWITCH)
LOGIN_BANS = _gauge("login_bans", "Bans of addresses and lines in force.", SWITCH)
TRUNK_REGISTRATIONS = _gauge(
    "trunk_registrations", "Trunks that register, by state, read every 30 s.", SWITCH, labels=["state"]
)
SIGNAL_PATH = _gauge("signal_path_ready", "1 while the signals of Asterisk arrive.", SWITCH)
DISK_LEVEL = _gauge("disk_level", "0 enough, 1 alarm, 2 no recordings, 3 no calls.", SWITCH)
DISK_FREE = _gauge("disk_free_bytes", "Free bytes of the fullest disk of the data folder.", SWITCH)
QUEUE_WAITING = _of_queues("queue_waiting", "Callers who wait in a queue.")
QUEUE_LONGEST_WAIT = _of_queues(
    "queue_longest_wait_seconds", "How long the caller waits who joined first; 0: nobody waits."
)
QUEUE_TALKING = _of_queues("queue_talking", "Callers of a queue who talk with an agent.")
QUEUE_AGENTS = _of_queues("queue_agents_present", "Agents of a queue who are not logged out.")
QUEUE_FREE_AGENTS = _of_queues("queue_agents_free", "Agents of a queue who have neither a call nor a break.")
QUEUE_ANSWERED = _of_queues(
    "queue_answered_today", "Callers who were answered since midnight in the zone of the account."
)
QUEUE_ABANDONED = _of_queues(
    "queue_abandoned_today", "Callers who left a queue unserved since midnight in the zone of the account."
)
QUEUE_LEVEL = _of_queues(
    "queue_service_level_today", "Service level since then, 0 to 1; only of queues that have one."
)

# Web
API_REQUESTS = _counter(
    "api_requests", "Requests, by method and result.", WEB, labels=["api", "method", "status"]
)
API_SECONDS = _histogram("api_request_seconds", "Time of a request.", WEB, labels=["api", "method"])
POINTS_REFUSED = _counter(
    "points_refused", "Requests refused because points are used up.", WEB, labels=["api"]
)

# Worker
OUTBOX = _gauge("outbox_events", "Events that are not passed to the listeners yet.", WORKER)
OUTBOX_OLDEST = _gauge("outbox_oldest_seconds", "Age of the oldest event in the outbox.", WORKER)
DELIVERIES = _gauge("deliveries_pending", "Notifications that are not delivered yet.", WORKER)
DELIVERIES_LATE = _gauge(
    "deliveries_late_seconds",
    "Seconds since the oldest due delivery became due, of endpoints that do not fail.",
    WORKER,
)
JOBS = _gauge(
    "jobs", "Jobs that wait, run, or were tried and wait for the next try.", WORKER, labels=["queue", "state"]
)
JOBS_OLDEST = _gauge(
    "jobs_oldest_seconds",
    "Seconds since the oldest of these jobs was enqueued.",
    WORKER,
    labels=["queue", "state"],
)
EVENT_FAILURES = _gauge(
    "event_failures", "Events that a listener could not handle.", WORKER, labels=["state"]
)
BACKLOG_READ = _gauge(
    "backlog_read_timestamp_seconds",
    "Time at which the metrics of the outbox, deliveries and jobs were read.",
    WORKER,
)


def declared() -> list[Declared]:
    """All metrics of the product, in the order of this module."""
    return [one for _, one in _all]


def registry_of(role: str) -> CollectorRegistry:
    """The metrics of a role, with those of its process (``process_*``)."""
    registry = CollectorRegistry()
    for metric, one in _all:
        if role in one.roles:
            registry.register(metric)
    ProcessCollector(registry=registry)
    return registry


async def measure_loop_lag(period: float = 1.0) -> None:
    """Measure until cancelled. One timer for each ``period`` (seconds)."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + period
        await asyncio.sleep(period)
        LOOP_LAG.observe(max(0.0, loop.time() - due))
