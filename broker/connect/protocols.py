"""Which protocol a connection uses: the first of the protocol plan, by priority, that can be had now (SPEC 1.4).

A gateway that is down is passed over, and so is a viewer without a gateway; each with its reason in words.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from agents.models import Agent
from broker.connect.models import Launch
from broker.connect.plans_in_force import InForce, default_protocol, for_assignment
from centers.models import Desktop
from gateways.models import Gateway
from gateways.services import Down, Way, choose
from plans.models import ProtocolChoice, ProtocolPlan
from plans.rdp import DEFAULT_RDP_TEMPLATE
from policies.models import Policy, PoolAssignment
from pools.models import Assignment

Protocol = ProtocolChoice.Protocol
NO_GATEWAY = "its viewer runs on a gateway, and the plan names none"
NO_DCV = "the desktop's agent reports no Amazon DCV"
NOTHING = "You cannot be connected just now: {}. Try again later, or ask your administrator."


@dataclass(frozen=True, slots=True)
class Taken:
    """A protocol that can be had, the way it goes, and why those before it cannot."""

    choice: ProtocolChoice
    way: Way | None = None
    skipped: tuple[str, ...] = ()


def used(plan: ProtocolPlan | None) -> list[ProtocolChoice]:
    """What a plan uses for the web client, first choice first; without any, RDP by a file."""
    rows = plan.choices.filter(client=ProtocolChoice.Client.WEB, priority__isnull=False) if plan else None
    found = list(rows.select_related("gateway", "cluster").order_by("priority")) if rows is not None else []
    return found or [ProtocolChoice(protocol=Protocol.RDP, priority=1, template=DEFAULT_RDP_TEMPLATE)]


def take(choices: Sequence[ProtocolChoice], desktop: Desktop, came_by: Gateway | None = None) -> Taken:
    """The first that can be had now. Raises Down, in words for the user."""
    skipped: list[str] = []
    for choice in choices:
        try:
            return Taken(choice, way_of(choice, desktop, came_by), tuple(skipped))
        except Down as why:
            skipped.append(f"{choice.get_protocol_display()}: {why}")
    raise Down(NOTHING.format("; ".join(skipped)))


def way_of(choice: ProtocolChoice, desktop: Desktop, came_by: Gateway | None) -> Way | None:
    """How a connection by this protocol goes, None for straight to the desktop. Raises Down."""
    if choice.viewer and choice.through is None:
        raise Down(NO_GATEWAY)
    if choice.protocol == Protocol.DCV and not reports_dcv(desktop):
        raise Down(NO_DCV)
    return choose(choice.through, came_by) if choice.through else None


def reports_dcv(desktop: Desktop) -> bool:
    """Whether the desktop's agent found Amazon DCV."""
    return Agent.objects.filter(desktop=desktop, approved=True, revoked_at=None, protocols__contains=["dcv"]).exists()


def intended(plan: ProtocolPlan | None, desktop: Desktop, wanted: str = "") -> ProtocolChoice:
    """What a launch sets out with; whether it can be had is asked again when the way is opened."""
    choices = first(used(plan), wanted)
    try:
        return take(choices, desktop).choice
    except Down:
        return choices[0]


def plan_of(policy: Policy, assignment: Assignment, line: PoolAssignment | None) -> ProtocolPlan | None:
    """The protocol plan of a click: of its policy's line, or of the hard section."""
    if assignment.kind == Assignment.Kind.HARD:
        return policy.hard_protocol_plan or default_protocol()
    return line.protocol_plan if line else default_protocol()


def first(choices: Sequence[ProtocolChoice], wanted: str) -> list[ProtocolChoice]:
    """The choices with the wanted protocol, where the plan uses it, before all others."""
    return sorted(choices, key=lambda each: each.protocol != wanted)


def settled(launch: Launch, choice: ProtocolChoice) -> None:
    """What was taken in the end is what the launch is connected by."""
    launch.protocol, launch.through, launch.port = choice.protocol, str(choice.through or ""), choice.reaches
    Launch.objects.filter(pk=launch.pk).update(protocol=launch.protocol, through=launch.through, port=launch.port)


def for_launch(launch: Launch, came_by: Gateway | None = None, in_force: InForce | None = None) -> Taken:
    """What a launch is connected by: its own protocol while that can be had, else the next of the plan in force now,
    which a caller may know already. Raises Down.
    """
    choices = used((in_force or for_assignment(launch.assignment)).protocol)
    return take(first(choices, launch.protocol), launch.desktop, came_by)
