"""Agents that fall silent and come back, as the log tells it (SPEC 13.6): silence is news, though nobody sends it."""

from collections.abc import Iterable

from django.db import transaction

from agents import services as agents
from agents.models import Agent
from broker.core import audit
from broker.core.clock import now
from broker.core.words import duration

AT_ONCE = 1_000


def watch() -> int:
    """Mark agents as silent that are, and say in the log who fell silent or came back; returns how many are new."""
    count = agents.watch()
    counted = Agent.objects.filter(approved=True, revoked_at=None, desktop__isnull=False).select_related("desktop")
    line = now() - agents.SILENT_AFTER
    lost(counted.filter(lost_at=None, last_seen__lt=line)[:AT_ONCE])
    back(counted.filter(lost_at__isnull=False, last_seen__gte=line)[:AT_ONCE])
    return count


def lost(found: Iterable[Agent]) -> None:
    """Those that are missed from now on."""
    for agent in found:
        with transaction.atomic():
            if Agent.objects.filter(pk=agent.pk, lost_at=None).update(lost_at=agent.last_seen):
                said = f"The Usher Agent is silent: last heard {agent.last_seen:%Y-%m-%d %H:%M:%S} UTC."
                audit.record("agent.lost", said, desktop=agent.desktop, subject=agent, level="warning")


def back(found: Iterable[Agent]) -> None:
    """Those that are heard again."""
    for agent in found:
        away = (now() - agent.lost_at).total_seconds() if agent.lost_at else 0
        with transaction.atomic():
            if Agent.objects.filter(pk=agent.pk, lost_at=agent.lost_at).update(lost_at=None):
                said = f"The Usher Agent is heard again, after {duration(away)}."
                audit.record("agent.back", said, desktop=agent.desktop, subject=agent)
