"""What others may ask of agents: is it there, and please do this."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import transaction

from agents.keys import key_hash, new_key
from agents.models import Agent, AgentCommand
from agents.protocol import FIRST_COMMANDS
from broker.core import audit
from broker.core.clock import now
from broker.core.jobs import URGENT, Wish, enqueue
from broker.core.messenger import publish
from broker.core.models import ref
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


def knows(agent: Agent, kind: str) -> bool:
    """Whether it can do this; old agents do not say what they can."""
    return kind in (agent.abilities or FIRST_COMMANDS)


def command(agent: Agent, kind: str, reason: str, data: Mapping[str, Any] | None = None) -> AgentCommand:
    """Put a command into the outbox. A held poll fetches it once this transaction is committed; others are woken."""
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
    if may_be_woken(agent):
        payload = {"agent": agent.pk, "reason": "it has a command"}
        subject, name = (ref(agent.desktop), str(agent.desktop)) if agent.desktop else ("", "")
        key = f"wake:{agent.pk}"
        enqueue(Wish("check_status", subject, name, payload=payload, key=key, cause="agent", priority=URGENT))
    return wanted


def may_be_woken(agent: Agent) -> bool:
    """Whether a wake call may help: the agent's port answered before, and the endpoint does not hold its poll."""
    polled = agent.polling_until is not None and agent.polling_until > now()
    return bool(agent.desktop_id and agent.reachable and not polled)


def forget(desktop: Desktop, before: datetime, why: str) -> None:
    """Its machine is made anew: the key is void, so that whoever comes with a baked token is its agent (RULES 3)."""
    old = Agent.objects.filter(desktop=desktop, registered_at__lt=before)
    old.update(desktop=None, approved=False, revoked_at=now(), why=why)


@transaction.atomic
def rotate_key(agent: Agent) -> None:
    """Void the key; the agent registers again with its enrolment token and gets a new one."""
    Agent.objects.filter(pk=agent.pk).update(key_digest=key_hash(new_key()))
    audit.record("agent.key_rotated", f"The key of the agent of {agent} is void.", desktop=agent.desktop, subject=agent)


@transaction.atomic
def revoke(agent: Agent, by: str) -> None:
    """End an agent. Whoever registers for its desktop from now on waits for an administrator, with a good token too."""
    why = f"Revoked by {by}."[:200]
    changed = Agent.objects.filter(pk=agent.pk, revoked_at=None).update(
        desktop=None, approved=False, revoked_at=now(), barred_from=agent.desktop, why=why
    )
    if changed:
        message = f"The agent of {agent} is revoked."
        audit.record("agent.revoked", message, desktop=agent.desktop, subject=agent, level="warning")


def watch() -> int:
    """Mark agents as silent that are; returns how many. Being heard clears the mark (agents/inbox.py)."""
    line = now() - SILENT_AFTER
    return Agent.objects.filter(silent=False, last_seen__lt=line).update(silent=True)
