"""The machine's own clock: microseconds since it booted, time asleep included. Setting the date does not touch it."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone


def ticks() -> int:
    """Microseconds since the boot."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000
    return time.monotonic_ns() // 1000


def utc_now() -> datetime:
    """The date by the machine's clock, which may be wrong: the broker sees by how much (RULES 18)."""
    return datetime.now(timezone.utc)


def date_of(tick: int) -> datetime:
    """When something of this boot happened, by the clock as it is set now."""
    return utc_now() - timedelta(microseconds=ticks() - tick)
