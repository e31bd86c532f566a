"""The one clock. Tests stop it with time-machine; pure code takes the time as an argument instead."""

from datetime import UTC, datetime


def now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)
