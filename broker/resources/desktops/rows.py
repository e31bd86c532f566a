"""The desktops as the list and their page read them: whose, which agent, who is on it, what comes next."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db.models import CharField, FilteredRelation, OuterRef, Prefetch, Q, QuerySet, Subquery, Value
from django.db.models.functions import Cast, Concat, JSONObject

from agents.models import Agent
from agents.services import is_silent
from broker.connect import pins
from broker.connect.models import DesktopSession
from broker.connect.states import Axis, Session, State, axis
from broker.core import words
from broker.core.clock import now
from broker.core.models import Job
from centers.models import Desktop
from plans.engine import Due
from pools.models import Assignment

LIVE = DesktopSession.objects.filter(ended_at=None).exclude(user_name="").select_related("user").order_by("-started_at")


class AgentAxis(StrEnum):
    """The second of the five axes."""

    NEVER = "never"
    REACHABLE = "reachable"
    UNREACHABLE = "unreachable"


def desktops() -> QuerySet[Any]:
    """Every desktop with all that a row shows: two statements, however many rows.

    `holding` is the open assignment (at most one, by constraint), `live` the sessions on it, `next_job` the soonest of
    the plans' jobs as {run_at, due, reason}.
    """
    waiting = Job.objects.filter(
        subject=Concat(Value("desktop:"), Cast(OuterRef("pk"), CharField())),
        state=Job.State.PENDING,
        payload__has_key="due",
    ).order_by("run_at")
    found: QuerySet[Any] = Desktop.objects.annotate(
        holding=FilteredRelation("assignments", condition=Q(assignments__closed_at=None)),
        next_job=Subquery(waiting.values(said=JSONObject(due="payload__due", reason="reason"))[:1]),
        other_certificate=pins.changed(),
    )
    return found.select_related("center", "image", "agent", "holding__user").prefetch_related(
        Prefetch("sessions", LIVE, to_attr="live")
    )


def waiting_agents() -> QuerySet[Agent]:
    """The approval list: agents that match no desktop (RULES 2)."""
    return Agent.objects.filter(desktop=None, approved=False, revoked_at=None)


def holding(row: Desktop) -> Assignment | None:
    """The open assignment of a row, or None."""
    found: Assignment | None = getattr(row, "holding", None)
    return found


def agent_of(row: Desktop) -> Agent | None:
    """The agent that counts, or None where none was ever heard."""
    agent: Agent | None = getattr(row, "agent", None)
    return agent if agent and agent.approved and agent.revoked_at is None else None


def agent_axis(row: Desktop) -> AgentAxis:
    """Never seen, reachable, or unreachable (RULES 20: silent is not idle, not logged out, not stopped)."""
    agent = agent_of(row)
    if agent is None:
        return AgentAxis.NEVER
    return AgentAxis.UNREACHABLE if is_silent(agent) else AgentAxis.REACHABLE


def live(row: Desktop) -> list[DesktopSession]:
    """Who is on it now."""
    return list(getattr(row, "live", ()))


def session_axis(row: Desktop) -> Axis:
    """The fifth axis, derived from the live sessions (DESIGN 4)."""
    return axis(
        Session(each.boot_id, each.os_session, each.user_name, State(each.state), each.locked, each.idle_since)
        for each in live(row)
    )


def next_due(row: Desktop) -> tuple[Due, str] | None:
    """The plans' next action and why it is held ("" where it is not), or None."""
    job = getattr(row, "next_job", None)
    if not job or not job.get("due"):
        return None
    return Due.from_json(job["due"]), str(job.get("reason") or "")


def listed(sessions: list[DesktopSession]) -> str:
    """The people on a desktop, by name."""
    return ", ".join(dict.fromkeys(str(each.user or each.user_name) for each in sessions))


def lasting(moment: datetime | None) -> str:
    """ " for 10 minutes", counted from this moment; nothing where it is not known or only just now."""
    seconds = int((now() - moment).total_seconds()) if moment else 0
    unit = next((size for size in (86400, 3600, 60) if seconds >= size), 0)
    return f" for {words.duration(seconds - seconds % unit)}" if unit else ""
