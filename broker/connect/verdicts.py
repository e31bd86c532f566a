"""Why a desktop is, or is not, offered. One expression in SQL serves the offers and their explanation alike."""

from typing import Any

from django.db.models import Case, CharField, Exists, OuterRef, Q, QuerySet, Value, When
from django.db.models.functions import Cast, Concat, Lower

from agents.models import Agent
from broker.connect.askers import Asker as Asker
from broker.connect.desktop_filters import filtered
from broker.connect.models import DesktopSession
from broker.core.models import Job
from centers.models import Center, Desktop
from policies.models import PoolAssignment
from policies.offer_filters import refusal

OFFERED = "OFFERED"
QUANTITY_REACHED = "QUANTITY_REACHED"
MAX_DESKTOPS = "MAX_DESKTOPS"
FILTERED = "FILTERED"

# CONTRACTS 2.13's one list, in words for Test Login and for "why is it not offered".
WORDS: dict[str, str] = {
    OFFERED: "offered",
    "ASSIGNED_TO_OTHER": "assigned to somebody else",
    "BOUND_TO_OTHER": "bound by AWS to another user",
    "SESSION_OF_OTHER": "somebody else has a session on it",
    "UNAVAILABLE": "marked as unavailable",
    "MISSING": "missing: the last scan did not find it",
    "MAINTENANCE": "in maintenance, or being changed by AWS",
    "ERROR": "in error",
    "STOPPED_NOT_OFFERED": "stopped, and this policy does not offer stopped desktops",
    "NO_AGENT": "no Usher Agent has been heard, and this policy wants one",
    "AGENT_UNREACHABLE": "its Usher Agent is silent",
    "PENDING_REBOOT": "a reboot is pending",
    "PENDING_STOP": "it is being stopped",
    "FILTERED": "filtered out by the policy",
    "TIME_WINDOW": "outside the policy's hours",
    "CENTER_OFF": "its center offers no desktops now",
    "IMAGE_BASE": "plans do not act on it: it is used to build an image",
    QUANTITY_REACHED: "the number of desktops to offer is reached",
    MAX_DESKTOPS: "the policy's maximum of desktops is reached",
}
UNDEFINED = "[UNDEFINED]"


Power = Desktop.Power
OFF = [Power.STOPPED, Power.STOPPING]
CHANGING = [Power.MAINTENANCE, Power.SUSPENDED]
BROKEN = [Power.ERROR, Power.UNHEALTHY, Power.UNKNOWN, Power.DELETING]


def bound_to_other(asker: Asker) -> Q:
    """AWS holds it for somebody else, and its center offers bound desktops to their AWS user only (RULES 10)."""
    unbound = Q(bound_user="") | Q(bound_user=UNDEFINED)
    own = Q(bound_lower=asker.sam, center__server_id=asker.server_id)
    return Q(center__offer_bound=Center.Bound.OWNER) & ~unbound & ~own


def session_of_other(asker: Asker) -> Exists:
    """Somebody else's session lives on it (RULES 15)."""
    live = DesktopSession.objects.filter(desktop=OuterRef("pk"), ended_at=None)
    return Exists(live.exclude(user_id=asker.user_id) if asker.user_id else live)


def reboot_wanted() -> Q:
    """A reboot is asked for, planned or under way."""
    subject = Concat(Value("desktop:"), Cast(OuterRef("pk"), CharField()))
    waits = Job.objects.filter(subject=subject, state__in=[Job.State.PENDING, Job.State.RUNNING], kind="power")
    return Q(wish="reboot") | Q(Exists(waits.filter(payload__op="reboot")))


def stopping_now(asker: Asker) -> Q:
    """A stop is under way, or due this moment: it is sent before the desktop can be lent (RULES 12)."""
    subject = Concat(Value("desktop:"), Cast(OuterRef("pk"), CharField()))
    due = Job.objects.filter(subject=subject, kind="power", payload__op="stop", run_at__lte=asker.moment)
    return Q(wish="stop") | Q(Exists(due.filter(state__in=[Job.State.PENDING, Job.State.RUNNING])))


def stopped_refused(line: PoolAssignment) -> Q:
    """It is off, and this line does not offer such desktops, or only those with an agent."""
    off = Q(power__in=OFF)
    if line.offer_stopped == PoolAssignment.Stopped.ANY:
        return Q(pk__in=[])
    if line.offer_stopped == PoolAssignment.Stopped.NO:
        return off
    return off & ~Q(Exists(Agent.objects.filter(desktop=OuterRef("pk"), approved=True)))


def agent_whens(line: PoolAssignment) -> list[When]:
    """Without an agent, or with a silent one, only where the line takes such desktops."""
    if line.offer_without_agent:
        return []
    agent = Agent.objects.filter(desktop=OuterRef("pk"), approved=True)
    running = Q(power=Power.RUNNING)
    return [
        When(running & ~Exists(agent), then=Value("NO_AGENT")),
        When(running & Exists(agent.filter(silent=True)), then=Value("AGENT_UNREACHABLE")),
    ]


def case(line: PoolAssignment, asker: Asker) -> Case:
    """The verdict of one desktop for one line of a policy: the first reason that holds.

    A line that is not for this person, or not at this hour, has one verdict for all its desktops.
    """
    closed = refusal(line.offer_filter, asker.person, asker.moment)
    if closed is not None:
        return Case(
            When(lent=True, then=Value("ASSIGNED_TO_OTHER")), default=Value(closed.code), output_field=CharField()
        )
    whens = [
        When(lent=True, then=Value("ASSIGNED_TO_OTHER")),
        When(center__offer_desktops=False, then=Value("CENTER_OFF")),
        When(availability=Desktop.Availability.MISSING, then=Value("MISSING")),
        When(~Q(availability=Desktop.Availability.AVAILABLE), then=Value("UNAVAILABLE")),
        When(bound_to_other(asker), then=Value("BOUND_TO_OTHER")),
        When(plans_off=True, then=Value("IMAGE_BASE")),
        When(power__in=CHANGING, then=Value("MAINTENANCE")),
        When(power__in=BROKEN, then=Value("ERROR")),
        When(stopping_now(asker), then=Value("PENDING_STOP")),
        When(stopped_refused(line), then=Value("STOPPED_NOT_OFFERED")),
        *agent_whens(line),
        When(filtered(line, asker), then=Value("FILTERED")),
    ]
    if not line.offer_pending_reboot:
        whens.append(When(reboot_wanted(), then=Value("PENDING_REBOOT")))
    if not line.log_out_rogue:
        whens.append(When(session_of_other(asker), then=Value("SESSION_OF_OTHER")))
    return Case(*whens, default=Value(OFFERED), output_field=CharField())


def judged(found: QuerySet[Desktop], line: PoolAssignment, asker: Asker) -> QuerySet[Any]:
    """The desktops with their `verdict` for this line and person."""
    return found.annotate(bound_lower=Lower("bound_user")).annotate(verdict=case(line, asker))
