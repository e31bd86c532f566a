"""What a card of the web client says: one sentence of state, one button, what will happen next (SPEC A.8)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from broker.connect import card_ways, outlook
from broker.connect.card_ways import Ways
from broker.connect.future import YOU, Outlook, at_release
from broker.connect.future import outlook as in_words
from broker.connect.models import DesktopSession, PortalSession
from broker.connect.offers import Offer, Offers
from broker.connect.plans_in_force import steps_for
from broker.connect.reach import NOT_STARTED, OFF
from broker.core.models import Job, ref
from centers.models import Desktop
from policies.models import Policy, PoolAssignment
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
ACTIONS = {"start": "Start", "stop": "Shut down", "restart": "Restart", "release": "Release"}
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
    future: Outlook = field(default_factory=Outlook)
    ways: Ways = field(default_factory=Ways)

    @property
    def button(self) -> str:
        """Connect, or Reconnect where it is the user's already (seed ch. 7)."""
        return "Reconnect" if self.offer.assigned else "Connect"


def state(desktop: Desktop, session: str | None, *, starts: bool = True) -> tuple[str, str]:
    """Shape and sentence for a desktop's state; `session` is that of the user's own session there, None without one.

    `starts` is whether Connect would start it.
    """
    if desktop.availability == Desktop.Availability.MISSING:
        return "problem", "AWS does not list this desktop just now."
    kind, sentence = SENTENCES[Power(desktop.power)]
    if desktop.power in OFF and not starts:
        return kind, NOT_STARTED
    if desktop.power == Power.STARTING and desktop.ref is None:
        return "moving", "Being created for you. This can take 20 minutes and more."
    if desktop.power == Power.RUNNING and session is not None:
        if session == DesktopSession.State.DISCONNECTED:
            return kind, "Running. Your session is waiting for you."
        return kind, "Running. You are connected, perhaps on another device."
    return kind, f"{sentence}{'' if sentence.endswith('.') else '.'}"


def build(found: Offers, portal: PortalSession) -> list[Card]:
    """The cards of an offer list; three statements for all of them."""
    assert portal.policy  # noqa: S101 - portal_of() saw to it
    desktops = [offer.desktop.pk for offer in found.offers]
    own = DesktopSession.objects.filter(desktop__in=desktops, ended_at=None, user_id=portal.user_id)
    sessions = {each.desktop_id: each for each in own.order_by("changed_at")}
    assigned = [ref(offer.desktop) for offer in found.offers if offer.assigned]
    waiting: dict[str, list[Job]] = {}
    for job in Job.objects.filter(subject__in=assigned, state=Job.State.PENDING, payload__has_key="due").order_by(
        "run_at"
    ):
        waiting.setdefault(job.subject, []).append(job)
    ways = card_ways.of(found.offers, portal.policy) if found.offers else {}
    made = [
        card(offer, found, portal, sessions.get(offer.desktop.pk), waiting.get(ref(offer.desktop), []))
        for offer in found.offers
    ]
    return [replace(each, ways=ways[each.offer.desktop.pk]) for each in made]


def card(
    offer: Offer, found: Offers, portal: PortalSession, session: DesktopSession | None, jobs: Sequence[Job]
) -> Card:
    """One card."""
    kind, sentence = state(offer.desktop, session.state if session else None)
    return Card(
        offer=offer,
        held=found.held.get(offer.line.slot, 0) if offer.line else 0,
        kind=kind,
        sentence=offer.withheld or sentence,
        connectable=not offer.withheld and may_connect(offer.desktop),
        actions=actions(offer, portal),
        future=coming(offer, portal, jobs),
    )


def may_connect(desktop: Desktop) -> bool:
    """Whether a press of Connect could come to anything; a machine in error never says Connect (SPEC 13.3)."""
    listed = desktop.ref is not None and desktop.availability != Desktop.Availability.MISSING
    return listed and desktop.power not in NO_CONNECT


def coming(offer: Offer, portal: PortalSession, jobs: Sequence[Job]) -> Outlook:
    """What happens to the user's desktop and when, told to the user; of a mere offer there is nothing to tell."""
    if offer.assignment is None:
        return Outlook()
    steps = steps_for(offer.assignment, portal.policy, offer.line)
    return in_words(outlook.situation(offer.desktop, offer.assignment, steps, jobs), YOU)


def when_released(offer: Offer, portal: PortalSession) -> list[str]:
    """What a release by the user brings about at once or later, told before it (SPEC A.8); above all a deletion."""
    if offer.assignment is None:
        return []
    steps = steps_for(offer.assignment, portal.policy, offer.line)
    return at_release(outlook.situation(offer.desktop, offer.assignment, steps, []))


def actions(offer: Offer, portal: PortalSession) -> dict[str, str]:
    """What the user may do to a desktop: the role and the policy must both allow it (SPEC A.2)."""
    role, policy = portal.role, portal.policy
    if offer.assignment is None or role is None or policy is None:
        return {}
    desktop, line = offer.desktop, offer.line
    hard = offer.assignment.kind == Assignment.Kind.HARD
    stop, restart = allowed(policy, line, hard=hard)
    manual = desktop.running_mode != "ALWAYS_ON"
    found = {
        "start": role.may_start and desktop.power == Power.STOPPED and manual,
        "stop": role.may_stop and stop and desktop.power == Power.RUNNING and manual,
        "restart": role.may_restart and restart and desktop.power in {Power.RUNNING, Power.UNHEALTHY},
        "release": role.may_release and not hard and not (line and line.prevent_release),
    }
    return {name: ACTIONS[name] for name, possible in found.items() if possible}


def allowed(policy: Policy, line: PoolAssignment | None, *, hard: bool) -> tuple[int, int]:
    """How the policy lets the user stop and restart the desktop: 0 not at all, 1 gently, 2 hard."""
    if hard:
        return policy.hard_allow_stop, policy.hard_allow_restart
    return (line.allow_stop, line.allow_restart) if line else (0, 0)
