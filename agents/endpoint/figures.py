"""What /metrics tells of this process, beside what every process reads from the database."""

from collections.abc import Callable

from django.db import connection
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from broker.core import probes

KNOWN = frozenset({"ca", "register", "events", "commands"})


class Figures:
    """Counters and gauges of the endpoint."""

    def __init__(self, held: Callable[[], int], connections: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self._calls = Counter("usher_agent_calls", "Calls by agents", ["call", "status"], registry=self._registry)
        self._events = Counter("usher_agent_events", "Events in calls that were taken", registry=self._registry)
        Gauge("usher_agent_polls_held", "Polls that wait", registry=self._registry).set_function(held)
        Gauge("usher_agent_connections", "Open connections", registry=self._registry).set_function(connections)

    def called(self, path: str, status: int, events: int) -> None:
        """One call was answered."""
        first = path.partition("/")[0]
        self._calls.labels(first if first in KNOWN else "other", str(status)).inc()
        self._events.inc(events)

    def text(self) -> bytes:
        """Everything, for Prometheus; asks the database, so not in the event loop."""
        try:
            return generate_latest(self._registry) + generate_latest(probes.measured())
        finally:
            connection.close()
