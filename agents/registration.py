"""Registration: who a machine is, and whose agent it becomes (RULES 1-3). The other calls are in agents/calls.py."""

import uuid
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Q

from agents import protocol
from agents.filing import begin_boot
from agents.models import Agent, AgentEvent, EnrolmentToken
from agents.protocol import Claim, Machine, ProtocolError, Registration
from agents.services import is_silent
from broker.core import audit
from broker.core.clock import now
from broker.core.jobs import wake
from centers.models import Center, Desktop

REJECTED = "Rejected by"  # begins the words of those whom a person rejected
UNMATCHED = "No desktop"  # begins the words of those who may be settled by a later scan


def token_row(token: str) -> EnrolmentToken:
    """The enrolment token that somebody presents; raises ProtocolError bad_token where it is unknown or ended."""
    row = EnrolmentToken.objects.select_related("center").filter(digest=protocol.key_hash(token)).first()
    if row is None or row.revoked_at or (row.expires_at and row.expires_at <= now()):
        raise ProtocolError("bad_token", "The enrolment token is unknown, revoked or expired.")
    return row


@transaction.atomic
def register(said: Registration, received: datetime) -> dict[str, Any]:
    """Take a machine in: a new one, a known one whose key is rotated, or a clone, which gets a new uuid (RULES 1)."""
    token = token_row(said.token)
    # Clones register in crowds: one at a time.
    Center.objects.select_for_update(no_key=True).only("pk").get(pk=token.center_id)
    refuse_rejected(said, token.center)
    agent = known(said, token.center) or Agent(uuid=fresh_uuid(said), center=token.center, registered_at=received)
    key = protocol.new_key()
    describe(agent, said, received)
    agent.key_digest, agent.token = protocol.key_hash(key), token
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


def refuse_rejected(said: Registration, center: Center) -> None:
    """Raises ProtocolError revoked for the very machine that somebody rejected: else it would wait again at once."""
    rejected = Agent.objects.filter(center=center, revoked_at__isnull=False, why__startswith=REJECTED)
    if said.uuid and rejected.filter(uuid=said.uuid, fingerprint=said.fingerprint).exists():
        raise ProtocolError("revoked", "An administrator rejected this machine.")


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
    agent.abilities = list(said.commands)
    agent.os, agent.version, agent.port = said.os, said.version, said.port
    agent.rdp_cert_sha256 = said.rdp_cert_sha256
    agent.last_seen, agent.silent = received, False
    agent.skew_seconds = protocol.skew(received, said.sent_at).total_seconds()


def settle_desktop(agent: Agent, said: Registration) -> None:
    """Find the machine's desktop within the token's center (RULES 2), and whose agent it has now (CONTRACTS 3)."""
    desktop = desktop_of(agent.center, Claim(said.workspace_id, said.hostname, said.addresses))
    if desktop is None:
        if agent.desktop is None:
            agent.approved, agent.why = False, unmatched(agent.center, said.workspace_id)
        return
    before = Agent.objects.filter(desktop=desktop).exclude(pk=agent.pk).first()
    same = bool(before and said.fingerprint and before.fingerprint == said.fingerprint)
    why = "" if agent.desktop_id == desktop.pk else why_not(desktop, said.hostname, before, same)
    if why:
        agent.desktop, agent.approved, agent.why = None, False, why[:200]
        return
    if before:
        why = "of the same machine" if same else "that fell silent"
        before.desktop, before.approved, before.revoked_at = None, False, now()
        before.why = f"{agent.hostname} took over from this agent {why}."[:200]
        before.save(update_fields=["desktop", "approved", "revoked_at", "why"])
        audit.record("agent.replaced", f"{agent.hostname} takes over from an agent {why}.", desktop=desktop)
    agent.desktop, agent.approved, agent.why = desktop, True, ""
    introduce(agent, desktop)


def introduce(agent: Agent, desktop: Desktop) -> None:
    """What a desktop learns from its agent: which system it runs, and the pin of its RDP certificate (RULES 3)."""
    Desktop.objects.filter(pk=desktop.pk).update(os=agent.os, rdp_cert_sha256=agent.rdp_cert_sha256)


def unmatched(center: Center, workspace_id: str) -> str:
    """Why a machine waits that is no desktop of its center."""
    if workspace_id:
        return f"{UNMATCHED} of {center}: {workspace_id} is not in its last scan."
    return f"{UNMATCHED} of {center} with this computer name and one of these addresses."


def why_not(desktop: Desktop, hostname: str, before: Agent | None, same: bool) -> str:
    """Why a machine must wait for a person before it is this desktop's agent; "" where it need not.

    A baked token is readable by every user of the image: it must not take over a neighbour's desktop.
    """
    if desktop.barred_agents.exists():
        return f"An administrator revoked the agent of {desktop}."
    if same:
        return ""
    if before is not None and not is_silent(before):
        return f"Another machine is the agent of {desktop}, and was heard just now."
    return doubtful(desktop, hostname)


def doubtful(desktop: Desktop, hostname: str) -> str:
    """Why a machine can hardly be this desktop: another name, or switched off by all that AWS says (RULES 2)."""
    if desktop.computer_name and not protocol.is_called(hostname, desktop.computer_name):
        return f"Its computer name is {hostname}, and that of {desktop} is {desktop.computer_name}."
    wished = desktop.wish not in {"", "stop", "delete"} and desktop.wish_until and desktop.wish_until > now()
    return f"AWS says that {desktop} is stopped." if desktop.power == Desktop.Power.STOPPED and not wished else ""


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

    So does a rebuilt one, whose new address was not known. Who was set aside for another reason waits for a person.
    """
    count = 0
    for agent in Agent.objects.filter(center=center, desktop=None, approved=False, revoked_at=None):
        desktop = desktop_of(center, Claim(agent.workspace_id, agent.hostname, agent.addresses))
        if desktop is None or not agent.why.startswith(UNMATCHED):
            continue
        before = Agent.objects.filter(desktop=desktop).first()
        if before is None and not why_not(desktop, agent.hostname, None, same=False):
            count += settled(agent, desktop)
    return count


def settled(agent: Agent, desktop: Desktop) -> bool:
    """Give a waiting agent its desktop; False where that has an agent, or gets one at this very moment."""
    try:
        with transaction.atomic():
            mine = Agent.objects.filter(pk=agent.pk, desktop=None, revoked_at=None)
            if not mine.update(desktop=desktop, approved=True, why=""):
                return False
            introduce(agent, desktop)
            audit.record("agent.registered", f"{agent.hostname} waited, and is {desktop}.", desktop=desktop)
    except IntegrityError:
        return False
    return True


def file_boot(agent: Agent, boot_id: str, received: datetime) -> None:
    """A registration tells of a boot, too: filed before any event, so that sessions of the older boot end."""
    row = AgentEvent(agent=agent, boot_id=boot_id, seq=-1, type="register", at=received, received_at=received)
    AgentEvent.objects.bulk_create([row], ignore_conflicts=True)
    Agent.objects.filter(pk=agent.pk).update(waiting=True)
    transaction.on_commit(wake)
