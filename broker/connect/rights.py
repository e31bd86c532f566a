"""The right to log on to a desktop that AWS bound to nobody (RULES 29): granted before a file, revoked at release.

What a machine has is known by what its agent answered; what it should have is its holder. The difference is asked for,
again and again until it is confirmed: at Connect, at release, after a boot, and every minute.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.db import transaction
from django.db.models import Q

from agents.models import Agent, AgentCommand
from agents.services import command
from broker.connect import facts, log_in_as
from broker.connect.verdicts import UNDEFINED
from broker.core.clock import now
from centers.models import Desktop
from pools.models import Assignment

GROUP = "Remote Desktop Users"
LASTS = timedelta(hours=24)  # by then the machine may take the right away by itself
RENEWED = timedelta(hours=12)  # what has less left is granted anew
KINDS = ("grant", "revoke")


@dataclass(frozen=True, slots=True)
class Said:
    """A grant or revoke as it stands: `ok` None while it is not answered; `lapsed` where it will never be."""

    kind: str
    name: str
    sid: str = ""
    ok: bool | None = None
    lapsed: bool = False
    asked_at: datetime | None = None
    until: datetime | None = None
    detail: str = ""


def decoupled(desktop: Desktop) -> bool:
    """Whether it belongs to no AWS user, so that nobody may log on to it of himself."""
    return desktop.bound_user == UNDEFINED or (not desktop.bound_user and bool(desktop.workspace_name))


def name_of(assignment: Assignment) -> str:
    """As the machine knows the user: of the domain, or by an account of its own."""
    user, domain = assignment.user, log_in_as.domain(assignment.desktop, assignment)
    return f"{domain}\\{log_in_as.plain_name(user)}" if domain else user.sam or user.login


def latest(said: Iterable[Said]) -> dict[str, Said]:
    """name -> the last word about it; `said` in the order in which it was asked."""
    return {each.name.casefold(): each for each in said}


def superfluous(said: Iterable[Said], holder: str) -> list[Said]:
    """Whose right is to be taken away: granted, perhaps, and no revoke is answered or under way.

    A revoke that the agent refuses is not asked again: the right runs out by itself.
    """
    others = [each for name, each in latest(said).items() if name != holder.casefold()]
    return [each for each in others if each.lapsed or (each.kind == "grant" and each.ok is not False)]


def standing(said: Iterable[Said], name: str, since: datetime) -> Said | None:
    """The last word about somebody, if it is a grant that was asked for since then; else None."""
    last = latest(said).get(name.casefold())
    return last if last and last.kind == "grant" and last.asked_at and last.asked_at >= since else None


def said_to(agent: Agent) -> list[Said]:
    """What the agent was asked about rights, oldest first."""
    rows = AgentCommand.objects.filter(agent=agent, type__in=KINDS).order_by("pk")
    return [as_said(row) for row in rows]


def as_said(row: AgentCommand) -> Said:
    """A row of the outbox as the rules see it."""
    until = row.data.get("until")
    return Said(
        row.type, str(row.data.get("name", "")), str(row.data.get("sid", "")), row.ok,
        row.done_at is None and row.expires_at <= now(), row.created_at,
        datetime.fromisoformat(until) if until else None, row.detail,
    )  # fmt: skip


def since_when(agent: Agent, assignment: Assignment) -> datetime:
    """A grant from before the machine's boot, or from before this assignment, says nothing."""
    return max(each for each in (agent.booted_at, agent.registered_at, assignment.opened_at) if each)


def grant(agent: Agent, assignment: Assignment) -> None:
    """Ask the agent to let the user log on."""
    sid = "" if log_in_as.locally(assignment) else assignment.user.sid
    wanted = {"sid": sid, "name": name_of(assignment), "group": GROUP, "until": (now() + LASTS).isoformat()}
    command(agent, "grant", f"assigned to {assignment.user}", wanted)


def confirmed(desktop: Desktop, assignment: Assignment) -> bool:
    """Whether the assigned user may log on, as far as anybody can say: without an agent nobody can."""
    agent = Agent.objects.filter(desktop=desktop, approved=True, revoked_at=None).first()
    if agent is None or not decoupled(desktop):
        return True
    last = standing(said_to(agent), name_of(assignment), since_when(agent, assignment))
    return bool(last and last.ok)


def asked(desktop: Desktop, assignment: Assignment) -> tuple[bool, str]:
    """See that the assigned user is granted the right: (confirmed, why it is refused for good)."""
    if confirmed(desktop, assignment):
        return True, ""
    agent = facts.reachable(desktop)
    if agent is None:
        return False, ""
    last = standing(said_to(agent), name_of(assignment), since_when(agent, assignment))
    if last and last.ok is False:
        return False, last.detail or "its agent refuses, and gives no reason"
    if last is None or last.lapsed:
        grant(agent, assignment)
    return False, ""


def released(assignment: Assignment) -> None:
    """After the release is stored: take the right away. What cannot be asked now is asked later (`settle_all`)."""
    if decoupled(assignment.desktop):
        transaction.on_commit(partial(settle, assignment.desktop_id))


def settle(desktop_id: int) -> None:
    """Ask the desktop's agent for what is missing between the rights it has and those it should have."""
    desktop = Desktop.objects.filter(pk=desktop_id).first()
    agent = facts.reachable(desktop) if desktop else None
    if desktop is None or agent is None or not decoupled(desktop):
        return
    assignment = (
        Assignment.objects.filter(desktop=desktop, closed_at=None)
        .select_related("user__server", "desktop__center")
        .first()
    )
    said = said_to(agent)
    for each in superfluous(said, name_of(assignment) if assignment else ""):
        command(agent, "revoke", "released", {"sid": each.sid, "name": each.name, "group": GROUP})
    if assignment is not None:
        renew(agent, assignment, said)


def renew(agent: Agent, assignment: Assignment, said: Iterable[Said]) -> None:
    """Grant again what a boot or the time has taken away; a refusal stands until the next Connect asks."""
    last = standing(said, name_of(assignment), since_when(agent, assignment))
    if last and last.ok is False:
        return
    worn = last is not None and last.until is not None and last.until - now() < RENEWED
    if last is None or last.lapsed or worn:
        grant(agent, assignment)


def settle_all() -> None:
    """Every minute: after boots, lost revokes, and rights that run out."""
    heard = Agent.objects.filter(approved=True, revoked_at=None, silent=False)
    free = Q(desktop__bound_user=UNDEFINED) | (Q(desktop__bound_user="") & ~Q(desktop__workspace_name=""))
    concerned = Q(desktop__lent=True) | Q(commands__type__in=KINDS)
    for pk in heard.filter(free, concerned).values_list("desktop", flat=True).distinct():
        settle(pk)
