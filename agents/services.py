"""What others may ask of agents: is it there, and please do this."""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from django.db import transaction

from agents.models import Agent, AgentCommand
from broker.core.clock import now
from broker.core.messenger import publish
from centers.models import Desktop

SILENT_AFTER = timedelta(seconds=95)  # three missed heartbeats (DESIGN 8)
COMMAND_LASTS = timedelta(minutes=5)
CHANNEL = "usher:outbox"  # in Redis: the number of an agent that has a new command


def agent_of(desktop: Desktop) -> Agent | None:
    """The approved agent of a desktop, or None where none was ever heard."""
    return Agent.objects.filter(desktop=desktop, approved=True, revoked_at=None).first()


def is_silent(agent: Agent) -> bool:
    """Whether it was not heard for 95 seconds. That is neither idle, nor logged out, nor stopped."""
    return agent.last_seen is None or now() - agent.last_seen > SILENT_AFTER


def command(agent: Agent, kind: str, reason: str, data: Mapping[str, Any] | None = None) -> AgentCommand:
    """Put a command into the outbox; a held poll fetches it the moment this transaction is committed."""
    made = now()
    wanted = AgentCommand.objects.create(
        agent=agent,
        type=kind,
        data=dict(data or {}),
        created_at=made,
        expires_at=made + COMMAND_LASTS,
        reason=reason[:200],
    )
    transaction.on_commit(partial(publish, CHANNEL, str(agent.pk)))
    return wanted


def watch() -> int:
    """Mark agents as silent that are; returns how many. Being heard clears the mark (agents/inbox.py)."""
    line = now() - SILENT_AFTER
    return Agent.objects.filter(silent=False, last_seen__lt=line).update(silent=True)
