"""Celery's tasks. A message carries no id, it means "work": rows decide which."""

import time
from threading import BoundedSemaphore, Lock

from celery import shared_task
from django.conf import settings
from django.db import transaction

from broker.connect import events
from broker.core import jobs
from broker.core.clock import now
from broker.core.models import Node
from broker.handlers import HANDLERS

# Half of a worker's four threads may do what takes long; the others stay free for what a person waits for.
LONG = frozenset({"poll", "deploy", "call_url", "session_start", "gateway_status"})
# A morning's sign-ins with a URL that hangs would hold both for hours. So those who may do what takes long tell of
# sign-ins only when nothing else is due, and one at a time: the other is always free for the next scan or deployment.
LAST = frozenset({"session_start"})
QUICK = {kind: handler for kind, handler in HANDLERS.items() if kind not in LONG}
FIRST = {kind: handler for kind, handler in HANDLERS.items() if kind not in LAST}
REST = {kind: handler for kind, handler in HANDLERS.items() if kind in LAST}
LONG_AT_ONCE = 2
SPEAKS_EVERY = 5.0  # seconds: a worker that is busy says that it is alive
slots = BoundedSemaphore(LONG_AT_ONCE)
last = Lock()


@shared_task(name="usher.work")
def work() -> None:
    """Hear what the agents told, and do what is due, until there is neither."""
    long = slots.acquire(blocking=False)
    spoke = float("-inf")
    try:
        while True:
            if time.monotonic() - spoke > SPEAKS_EVERY:
                say_alive()
                spoke = time.monotonic()
            if not one_round(long=long):
                break
    finally:
        if long:
            slots.release()


def one_round(*, long: bool) -> int:
    """A part of the inbox, and one job (or batch): neither keeps the other waiting."""
    return events.drain_round() + (jobs.step(FIRST) or rest() if long else jobs.step(QUICK))


def rest() -> int:
    """One job of those that can wait, unless another thread is at one."""
    if not last.acquire(blocking=False):
        return 0
    try:
        return jobs.step(REST)
    finally:
        last.release()


@transaction.atomic
def say_alive() -> None:
    """This worker's row, for /index.pl?action=is_alive."""
    Node.objects.bulk_create(
        [Node(name=settings.NODE, kind="worker", version=settings.VERSION, seen_at=now())],
        update_conflicts=True,
        unique_fields=["name", "kind"],
        update_fields=["version", "seen_at"],
    )
