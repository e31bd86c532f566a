"""What an agent's call becomes: rows. The later endpoint process shares agents/protocol.py with this."""

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Q

from agents import protocol
from agents.models import Agent, AgentCommand, AgentEvent, EnrolmentToken
from agents.protocol import Batch, Boot, Claim, Machine, News, ProtocolError, Registration, Result
from agents.services import is_silent
from broker.core import audit
from broker.core.clock import now
from broker.core.jobs import wake
from centers.models import Center, Desktop

BOOTS_KEPT = 20
# Stands for a session list that may no longer be true: the next heartbeat differs from it, so it is filed and heals.
UNKNOWN_SESSIONS = ["?"]


def token_row(token: str) -> EnrolmentToken:
    """The enrolment token that somebody presents; raises ProtocolError bad_token where it is unknown or ended."""
    row = EnrolmentToken.objects.select_related("center").filter(digest=protocol.key_hash(token)).first()
    if row is None or row.revoked_at or (row.expires_at and row.expires_at <= now()):
        raise ProtocolError("bad_token", "The enrolment token is unknown, revoked or expired.")
    return row


def agent_by_key(key: str) -> Agent:
    """The agent that a key belongs to; raises ProtocolError. Looked up by hash: nothing to compare."""
    agent = Agent.objects.select_related("desktop").filter(key_digest=protocol.key_hash(key)).first()
    if agent is None:
        raise ProtocolError("bad_key", "The key is unknown. Register again.")
    if agent.revoked_at:
        raise ProtocolError("revoked", "This agent was revoked.")
    return agent


@transaction.atomic
def register(said: Registration, received: datetime) -> dict[str, Any]:
    """Take a machine in: a new one, a known one whose key is rotated, or a clone, which gets a new uuid (RULES 1)."""
    token = token_row(said.token)
    # Clones register in crowds: one at a time.
    Center.objects.select_for_update(no_key=True).only("pk").get(pk=token.center_id)
    agent = known(said, token.center) or Agent(uuid=fresh_uuid(said), center=token.center, registered_at=received)
    key = protocol.new_key()
    describe(agent, said, received)
    agent.key_digest = protocol.key_hash(key)
    settle_desktop(agent, said)
    begin_boot(agent, said.boot_id, said.booted_at, said.sent_at, received)
    agent.save()
    file_boot(agent, said.boot_id, received)
    EnrolmentToken.objects.filter(pk=token.pk).update(used_at=received)
    where = f"as {agent.desktop}" if agent.desktop else "and waits for approval"
    audit.record("agent.registered", f"{said.hostname} registered {where}.", desktop=agent.desktop)
    return {
        "agent": agent.pk,
        "uuid": str(agent.uuid),
        "key": key,
        "desktop": str(agent.desktop) if agent.desktop else None,
        "approved": agent.approved,
    }


def known(said: Registration, center: Center) -> Agent | None:
    """The same machine, registering again: uuid and fingerprint both as they were.

    A clone whose answer got lost knows nothing of its new uuid and asks again with the image's: it is the machine of
    this fingerprint whose key nobody has used yet. A used key is never taken over by a fingerprint, which is only said.
    """
    rows = Agent.objects.select_for_update(of=("self",), no_key=True).filter(center=center, revoked_at=None)
    rows = rows.filter(fingerprint=said.fingerprint)
    same = rows.filter(uuid=said.uuid).first() if said.uuid else None
    if same or not said.fingerprint:
        return same
    return rows.filter(last_seen=F("registered_at")).order_by("-pk").first()


def fresh_uuid(said: Registration) -> uuid.UUID:
    """The uuid that the machine brings, or a new one where that is taken: a clone."""
    taken = said.uuid is None or Agent.objects.filter(uuid=said.uuid).exists()
    return uuid.uuid4() if taken or said.uuid is None else said.uuid


def describe(agent: Agent, said: Registration, received: datetime) -> None:
    """What the machine says of itself."""
    agent.fingerprint, agent.hostname, agent.workspace_id = said.fingerprint, said.hostname, said.workspace_id
    agent.addresses, agent.macs, agent.protocols = list(said.addresses), list(said.macs), list(said.protocols)
    agent.os, agent.version, agent.port = said.os, said.version, said.port
    agent.rdp_cert_sha256 = said.rdp_cert_sha256
    agent.last_seen, agent.silent = received, False
    agent.skew_seconds = protocol.skew(received, said.sent_at).total_seconds()


def settle_desktop(agent: Agent, said: Registration) -> None:
    """Find the machine's desktop within the token's center (RULES 2), and whose agent it has now (CONTRACTS 3)."""
    desktop = desktop_of(agent.center, Claim(said.workspace_id, said.hostname, said.addresses))
    if desktop is None:
        if agent.desktop is None:
            agent.approved = False
        return
    before = Agent.objects.filter(desktop=desktop).exclude(pk=agent.pk).first()
    same = bool(before and said.fingerprint and before.fingerprint == said.fingerprint)
    heard = before is not None and not is_silent(before)
    if agent.desktop_id != desktop.pk and not same and (heard or doubtful(desktop, said.hostname)):
        # A baked token is readable by every user of the image: it must not take over a neighbour's desktop.
        agent.desktop, agent.approved = None, False
        return
    if before:
        before.desktop, before.approved, before.revoked_at = None, False, now()
        before.save(update_fields=["desktop", "approved", "revoked_at"])
        why = "of the same machine" if same else "that fell silent"
        audit.record("agent.replaced", f"{agent.hostname} takes over from an agent {why}.", desktop=desktop)
    agent.desktop, agent.approved = desktop, True
    Desktop.objects.filter(pk=desktop.pk).update(os=said.os[:120], rdp_cert_sha256=said.rdp_cert_sha256)


def doubtful(desktop: Desktop, hostname: str) -> bool:
    """Whether a machine can hardly be this desktop: another name, or switched off by all that AWS says (RULES 2)."""
    if desktop.computer_name and not protocol.is_called(hostname, desktop.computer_name):
        return True
    wished = desktop.wish not in {"", "stop", "delete"} and desktop.wish_until and desktop.wish_until > now()
    return desktop.power == Desktop.Power.STOPPED and not wished


def desktop_of(center: Center, claim: Claim) -> Desktop | None:
    """The desktop of this center that registers, or None: then it waits for approval."""
    name = claim.hostname.partition(".")[0]
    wanted = Q(ref__iexact=claim.workspace_id) if claim.workspace_id else Q(computer_name__iexact=name)
    rows = {each.pk: each for each in Desktop.objects.filter(wanted, center=center).exclude(availability="deleted")}
    machines = [Machine(each.pk, each.ref or "", each.computer_name, each.address) for each in rows.values()]
    key = protocol.matches_desktop(claim, machines)
    return rows.get(key) if key is not None else None


def settle_waiting(center: Center) -> int:
    """After a scan: machines that registered before AWS had described them get their desktop; returns how many.

    Who registered for a desktop that was known by then was set aside with a reason, and waits for a person.
    """
    count = 0
    for agent in Agent.objects.filter(center=center, desktop=None, approved=False, revoked_at=None):
        desktop = desktop_of(center, Claim(agent.workspace_id, agent.hostname, agent.addresses))
        if desktop is None or desktop.sighted_at is None or desktop.sighted_at < agent.registered_at:
            continue
        if not doubtful(desktop, agent.hostname) and not Agent.objects.filter(desktop=desktop).exists():
            count += settled(agent, desktop)
    return count


def settled(agent: Agent, desktop: Desktop) -> bool:
    """Give a waiting agent its desktop; False where that has an agent, or gets one at this very moment."""
    try:
        with transaction.atomic():
            mine = Agent.objects.filter(pk=agent.pk, desktop=None, revoked_at=None)
            if not mine.update(desktop=desktop, approved=True):
                return False
            audit.record("agent.registered", f"{agent.hostname} waited, and is {desktop}.", desktop=desktop)
    except IntegrityError:
        return False
    return True


def begin_boot(agent: Agent, boot_id: str, booted: datetime | None, sent: datetime | None, received: datetime) -> None:
    """Remember a boot as known; events of it are taken from now on (CONTRACTS 2.4)."""
    if boot_id not in agent.boots:
        agent.boots = [*agent.boots, boot_id][-BOOTS_KEPT:]
        agent.sessions = UNKNOWN_SESSIONS
        agent.booted_at = protocol.event_time(received, sent, booted, None) if booted else received


def file_boot(agent: Agent, boot_id: str, received: datetime) -> None:
    """A registration tells of a boot, too: filed before any event, so that sessions of the older boot end."""
    row = AgentEvent(agent=agent, boot_id=boot_id, seq=-1, type="register", at=received, received_at=received)
    AgentEvent.objects.bulk_create([row], ignore_conflicts=True)
    Agent.objects.filter(pk=agent.pk).update(waiting=True)
    transaction.on_commit(wake)


@transaction.atomic
def take(agent_id: int, batch: Batch, received: datetime) -> dict[str, Any]:
    """File a batch of events; raises ProtocolError not_approved or unknown_boot. Repeats are told as duplicates."""
    agent = Agent.objects.select_for_update(no_key=True).get(pk=agent_id)
    if not agent.approved or agent.desktop_id is None:
        raise ProtocolError("not_approved", "This machine waits for an administrator's approval.")
    boot = protocol.boot_rule(agent.boots, batch.boot_id, batch.first_type)
    if boot is Boot.UNKNOWN:
        raise ProtocolError("unknown_boot", "Begin with agent_start, or register.")
    if boot is Boot.NEW:
        begin_boot(agent, batch.boot_id, batch.booted_at or batch.events[0].at, batch.sent_at, received)
    agent.last_seen, agent.silent = received, False
    agent.skew_seconds = protocol.skew(received, batch.sent_at).total_seconds()
    rows = [row(agent, batch, news, received) for news in batch.events if filed(agent, batch, news)]
    known = AgentEvent.objects.filter(agent=agent, boot_id=batch.boot_id, seq__in=[each.seq for each in rows])
    duplicate = set(known.values_list("seq", flat=True))
    AgentEvent.objects.bulk_create([each for each in rows if each.seq not in duplicate], ignore_conflicts=True)
    if len(rows) > len(duplicate):
        agent.waiting = True
        transaction.on_commit(wake)
    agent.save(update_fields=["boots", "booted_at", "last_seen", "silent", "skew_seconds", "sessions", "waiting"])
    return {
        "accepted": [news.seq for news in batch.events if news.seq not in duplicate],
        "duplicate": sorted(duplicate),
        "rejected": [{"seq": each.seq, "reason": each.reason} for each in batch.rejected],
    }


def filed(agent: Agent, batch: Batch, news: News) -> bool:
    """Heartbeats update the agent in place; a row is filed only when its session list changed (CONTRACTS 2.5).

    Changed since the last list or since an event: else a lost event would never be made up for.
    """
    if news.type != "heartbeat":
        agent.sessions = UNKNOWN_SESSIONS if news.type in protocol.SESSION_EVENTS else agent.sessions
        return True
    told = news.data.get("sessions")
    if told is None:
        return False
    changed = agent.sessions == UNKNOWN_SESSIONS or steady(told) != steady(agent.sessions)
    # A boot that is not handled yet may turn out to be an older one, whose list says nothing of now.
    agent.sessions = dated(agent, batch, news) if batch.boot_id == agent.boot_id else UNKNOWN_SESSIONS
    return changed


def dated(agent: Agent, batch: Batch, news: News) -> list[dict[str, Any]]:
    """A heartbeat's session list, with the time by our clock since when each is idle (RULES 18)."""
    received = agent.last_seen or now()
    at = protocol.event_time(received, batch.sent_at, news.at, agent.booted_at)
    since = [None if each.idle is None else at - timedelta(seconds=each.idle) for each in news.sessions or ()]
    return [
        {**told, "idle_since": idle.isoformat() if idle else None}
        for told, idle in zip(news.data["sessions"], since, strict=True)
    ]


def steady(sessions: list[Any]) -> list[Any]:
    """A session list without what changes with every heartbeat."""
    return sorted(
        (
            {name: value for name, value in each.items() if name not in {"idle", "idle_since"}}
            for each in sessions
            if isinstance(each, dict)
        ),
        key=lambda each: str(each.get("session", "")),
    )


def row(agent: Agent, batch: Batch, news: News, received: datetime) -> AgentEvent:
    """An event as a row, its time by our clock."""
    return AgentEvent(
        agent=agent,
        boot_id=batch.boot_id,
        seq=news.seq,
        type=news.type,
        user=news.user,
        sid=news.sid,
        local=news.local,
        os_session=news.session,
        at=protocol.event_time(received, batch.sent_at, news.at, agent.booted_at),
        told_at=news.at,
        received_at=received,
        data=news.data,
    )


def commands(agent: Agent, received: datetime) -> list[dict[str, Any]]:
    """What is asked of the agent; a poll is a sign of life. Fetched commands come again until they are answered."""
    Agent.objects.filter(pk=agent.pk).update(last_seen=received, silent=False)
    if not agent.approved:
        return []
    waiting = AgentCommand.objects.filter(agent=agent, done_at=None, expires_at__gt=received)
    found = [{"id": each.pk, "type": each.type, "data": each.data} for each in waiting]
    if found:
        waiting.filter(fetched_at=None).update(fetched_at=received)
    return found


def answered(agent: Agent, command_id: int, result: Result, received: datetime) -> bool:
    """Store the answer to a command; False where it is not this agent's. A second answer changes nothing."""
    mine = AgentCommand.objects.filter(pk=command_id, agent=agent)
    mine.filter(done_at=None).update(done_at=received, ok=result.ok, detail=result.detail)
    return mine.exists()
