"""What a card of the web client says: one sentence of state, one button, what will happen next (SPEC A.8)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from broker.connect.models import DesktopSession
from broker.connect.offers import Offer, Offers
from broker.connect.plans_in_force import power_steps, release_steps
from broker.core.models import Job, ref
from centers.models import Desktop
from plans.engine import Due
from plans.words import steps_in_words, words
from policies.models import PoolAssignment, Role
from pools.models import Assignment

Power = Desktop.Power
SENTENCES: dict[str, tuple[str, str]] = {
    Power.RUNNING: ("running", "Running"),
    Power.STOPPED: ("stopped", "Stopped. It starts when you connect."),
    Power.STARTING: ("moving", "Starting"),
    Power.STOPPING: ("moving", "Shutting down. It starts again when you connect."),
    Power.MAINTENANCE: ("warning", "In maintenance. Try again later."),
    Power.UNHEALTHY: ("warning", "Running, but AWS reports that it is unhealthy. A restart may help."),
    Power.SUSPENDED: ("warning", "Suspended: an image is being made of it."),
    Power.ERROR: ("problem", "There is a problem with this desktop. Your administrator can see it."),
    Power.DELETING: ("problem", "Being deleted."),
    Power.UNKNOWN: ("unknown", "Its state is not known yet."),
}
NO_CONNECT = {Power.ERROR, Power.DELETING, Power.SUSPENDED, Power.MAINTENANCE}


@dataclass(frozen=True, slots=True)
class Card:
    """One desktop as its user sees it."""

    offer: Offer
    held: int
    kind: str
    sentence: str
    connectable: bool
    actions: Mapping[str, str]
    timers: Sequence[str] = ()
    coming: Sequence[tuple[datetime, str]] = field(default_factory=tuple)

    @property
    def button(self) -> str:
        """Connect, or Reconnect where it is the user's already (seed ch. 7)."""
        return "Reconnect" if self.offer.assigned else "Connect"


def state(desktop: Desktop, session: DesktopSession | None = None) -> tuple[str, str]:
    """Shape and sentence for a desktop's state."""
    if desktop.availability == Desktop.Availability.MISSING:
        return "problem", "AWS does not list this desktop just now."
    kind, sentence = SENTENCES[Power(desktop.power)]
    if desktop.power == Power.STARTING and desktop.ref is None:
        return "moving", "Being created for you. This can take 20 minutes and more."
    if desktop.power == Power.RUNNING and session is not None:
        if session.state == DesktopSession.State.DISCONNECTED:
            return kind, "Running. Your session is waiting for you."
        return kind, "Running. You are connected, perhaps on another device."
    return kind, f"{sentence}{'' if sentence.endswith('.') else '.'}"


def build(found: Offers, role: Role, user_id: int) -> list[Card]:
    """The cards of an offer list; two statements for all of them."""
    desktops = [offer.desktop.pk for offer in found.offers]
    own = DesktopSession.objects.filter(desktop__in=desktops, ended_at=None, user_id=user_id)
    sessions = {each.desktop_id: each for each in own.order_by("changed_at")}
    assigned = [ref(offer.desktop) for offer in found.offers if offer.assigned]
    waiting: dict[str, list[Job]] = {}
    for job in Job.objects.filter(subject__in=assigned, state=Job.State.PENDING, payload__has_key="due").order_by(
        "run_at"
    ):
        waiting.setdefault(job.subject, []).append(job)
    return [
        card(offer, found, role, sessions.get(offer.desktop.pk), waiting.get(ref(offer.desktop), []))
        for offer in found.offers
    ]


def card(offer: Offer, found: Offers, role: Role, session: DesktopSession | None, jobs: Sequence[Job]) -> Card:
    """One card."""
    kind, sentence = state(offer.desktop, session)
    due = [Due.from_json(job.payload["due"]) for job in jobs]
    return Card(
        offer=offer,
        held=found.held.get(offer.line.pk, 0) if offer.line else 0,
        kind=kind,
        sentence=sentence,
        connectable=offer.desktop.power not in NO_CONNECT and offer.desktop.ref is not None,
        actions=actions(offer, role),
        timers=timers(offer.line) if offer.assigned else (),
        coming=[(each.at, words(each)) for each in due],
    )


def timers(line: PoolAssignment | None) -> list[str]:
    """What the plans of a line do, in words."""
    return steps_in_words([*power_steps(line.power_plan), *release_steps(line.release_plan)]) if line else []


def actions(offer: Offer, role: Role) -> dict[str, str]:
    """What the user may do to a desktop: the role and the policy must both allow it (SPEC A.2)."""
    if offer.assignment is None:
        return {}
    desktop, line = offer.desktop, offer.line
    found: dict[str, str] = {}
    fixed = desktop.running_mode == "ALWAYS_ON"
    if role.may_start and desktop.power == Power.STOPPED and not fixed:
        found["start"] = "Start"
    if role.may_stop and line and line.allow_stop and desktop.power == Power.RUNNING and not fixed:
        found["stop"] = "Shut down"
    if role.may_restart and line and line.allow_restart and desktop.power in {Power.RUNNING, Power.UNHEALTHY}:
        found["restart"] = "Restart"
    policy_assigned = offer.assignment.kind == Assignment.Kind.POLICY
    if role.may_release and policy_assigned and not (line and line.prevent_release):
        found["release"] = "Release"
    return found
