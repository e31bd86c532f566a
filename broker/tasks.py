"""Celery's tasks. A message carries no id, it means "work": rows decide which."""

from celery import shared_task
from django.conf import settings
from django.db import transaction

from broker.connect import events
from broker.core import jobs
from broker.core.clock import now
from broker.core.models import Node
from broker.handlers import HANDLERS


@shared_task(name="usher.work")
def work() -> None:
    """Drain the inbox, then do what is due until nothing is."""
    say_alive()
    events.drain()
    jobs.work(HANDLERS)


@transaction.atomic
def say_alive() -> None:
    """This worker's row, for /index.pl?action=is_alive."""
    Node.objects.bulk_create(
        [Node(name=settings.NODE, kind="worker", version=settings.VERSION, seen_at=now())],
        update_conflicts=True,
        unique_fields=["name", "kind"],
        update_fields=["version", "seen_at"],
    )
