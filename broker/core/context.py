"""Who is at work, from where, and under which correlation id: set once per request or job, read by the log."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Work:
    """One request or one job."""

    correlation_id: str = field(default_factory=lambda: secrets.token_hex(8))
    client_ip: str | None = None
    actor_id: int | None = None
    actor_name: str = ""


_current: ContextVar[Work | None] = ContextVar("work", default=None)


def current() -> Work:
    """The work being done, or a nameless one where nobody said."""
    return _current.get() or Work(correlation_id="")


@contextmanager
def working(work: Work) -> Iterator[Work]:
    """Everything inside is done for this request or job."""
    token = _current.set(work)
    try:
        yield work
    finally:
        _current.reset(token)
