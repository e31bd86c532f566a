"""Whether a desktop can be reached, as far as is known without asking: its agent is heard, its port answered."""

from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, Q

from agents.models import Agent
from agents.services import is_silent
from centers.models import Desktop
from policies.models import Policy, PoolAssignment
from pools.models import Assignment

PORT_REMEMBERED = timedelta(minutes=10)  # after this a port that did not answer is worth another try
NOT_STARTED = "It is stopped, and your policy does not start it when you connect."
OFF = {Desktop.Power.STOPPED, Desktop.Power.STOPPING, Desktop.Power.SUSPENDED}


def has_agent(desktop: Desktop) -> Agent | None:
    """The approved agent of a desktop that was read with it."""
    agent: Agent | None = getattr(desktop, "agent", None)
    return agent if agent and agent.approved and agent.revoked_at is None else None


def unreachable(desktop: Desktop, moment: datetime, *, silent: bool, closed: bool) -> bool:
    """Whether a running desktop (read with its agent) cannot be reached by what counts: the agent, the viewer port."""
    agent = has_agent(desktop)
    if desktop.power != Desktop.Power.RUNNING:
        return False
    if silent and agent is not None and is_silent(agent):
        return True
    checked = desktop.port_checked_at
    return closed and bool(desktop.port_trouble) and checked is not None and moment - checked < PORT_REMEMBERED


def failing(line: PoolAssignment, moment: datetime) -> Q | None:
    """The same in SQL by what a line's backup pool is for; None where no reach counts."""
    if line.backup_pool_id is None or not (line.backup_if_silent or line.backup_if_closed):
        return None
    found = Q(pk__in=[])
    if line.backup_if_silent:
        found |= Q(Exists(Agent.objects.filter(desktop=OuterRef("pk"), approved=True, silent=True)))
    if line.backup_if_closed:
        found |= ~Q(port_trouble="") & Q(port_checked_at__gt=moment - PORT_REMEMBERED)
    return found & Q(power=Desktop.Power.RUNNING)


def starts(line: PoolAssignment | None) -> bool:
    """Whether Connect can come to something while the desktop is off (SPEC 3.5.2): it is started, or AWS is asked."""
    return line is None or line.start_if_stopped or line.confirm_power


def not_started(desktop: Desktop, line: PoolAssignment | None) -> str:
    """Why a press of Connect would come to nothing, or ""."""
    return NOT_STARTED if desktop.power in OFF and not starts(line) else ""


def withheld(policy: Policy, assignment: Assignment) -> str:
    """Why a hard-assigned desktop (read with its agent) is not offered just now, or "" (SPEC 3.5.3)."""
    if assignment.kind != Assignment.Kind.HARD:
        return ""
    desktop, agent = assignment.desktop, has_agent(assignment.desktop)
    choices = PoolAssignment.Stopped
    if desktop.power in OFF and policy.hard_offer_stopped == choices.NO:
        return "It is stopped, and your policy does not offer it then."
    if desktop.power in OFF and policy.hard_offer_stopped == choices.AGENT and agent is None:
        return "It is stopped, and your policy offers it then only with the Usher Agent."
    if (
        desktop.power == Desktop.Power.RUNNING
        and not policy.hard_offer_without_agent
        and (agent is None or is_silent(agent))
    ):
        return "Its Usher Agent is not heard, and your policy does not offer it then."
    return ""
