"""Timing: medians of repeated runs."""

import statistics
import time
from collections.abc import Callable
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext


def median_ms(work: Callable[[], Any], times: int = 9) -> float:
    """The median wall time of the work, in milliseconds."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        taken.append((time.perf_counter() - begun) * 1000)
    return statistics.median(taken)


def database_ms(work: Callable[[], Any], times: int = 9) -> float:
    """The median time that the database spent on the work's statements, in milliseconds."""
    taken = []
    for _ in range(times):
        with CaptureQueriesContext(connection) as queries:
            work()
        taken.append(sum(float(query["time"]) for query in queries.captured_queries) * 1000)
    return statistics.median(taken)
