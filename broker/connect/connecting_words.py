"""What Connect would do with an offered desktop, in words: protocol, start, plans, timers (SPEC A.4, part 10)."""

from dataclasses import dataclass

from broker.connect import plans_in_force, protocols
from broker.connect.models import QueuePlace
from broker.connect.offers import Offer
from broker.connect.plans_in_force import InForce
from broker.connect.queue_cards import usually
from broker.connect.usual import for_queue
from broker.core.words import count
from centers.models import Desktop
from gateways.services import Down
from plans.models import ProtocolChoice, ProtocolPlan
from plans.words import steps_in_words
from policies.models import Policy, PoolAssignment

OFF = frozenset({Desktop.Power.STOPPED, Desktop.Power.STOPPING})


@dataclass(frozen=True, slots=True)
class Connecting:
    """One card of the offer list, and what its button would do."""

    desktop: int
    name: str
    button: str
    why: str
    protocol: str
    skipped: list[str]
    start: str
    protocol_plan: str
    power_plan: str
    release_plan: str
    timers: list[str]


def on_connect(offer: Offer, policy: Policy) -> Connecting:
    """What a click on this card would do now. Reads, and changes nothing."""
    in_force = in_force_of(offer, policy)
    protocol, skipped = protocol_of(in_force.protocol, offer.desktop)
    return Connecting(
        desktop=offer.desktop.pk,
        name=offer.name,
        button="Reconnect" if offer.assigned else "Connect",
        why=in_force.why,
        protocol=protocol,
        skipped=skipped,
        start=start_of(offer),
        protocol_plan=str(in_force.protocol or "None"),
        power_plan=str(in_force.power or "None"),
        release_plan=str(in_force.release or "None"),
        timers=steps_in_words(in_force.steps),
    )


def in_force_of(offer: Offer, policy: Policy) -> InForce:
    """The plans that would act: those of the assignment, or of the line that offers the desktop."""
    line = offer.line
    if offer.assignment is not None or line is None:
        return plans_in_force.of(offer.desktop, offer.assignment)
    why = f"policy {policy}, {'backup pool' if line.is_backup else 'pool'} {line.pool}"
    return InForce(why, line.protocol_plan, line.power_plan, line.release_plan, policy, line)


def protocol_of(plan: ProtocolPlan | None, desktop: Desktop) -> tuple[str, list[str]]:
    """The protocol that the web client would use, and why the others would not be."""
    if plan is None:
        return "None: there is no protocol plan", []
    idle = plan.choices.filter(client=ProtocolChoice.Client.WEB, priority=None)
    unused = [f"{row.get_protocol_display()}: not used by this plan" for row in idle]
    try:
        taken = protocols.take(protocols.used(plan), desktop)
    except Down as down:
        return f"None: {down}", unused
    choice = taken.choice
    how = "in the browser" if choice.viewer else "as a file"
    through = f" through {choice.through._meta.verbose_name} {choice.through}" if choice.through else ""
    return f"{choice.get_protocol_display()}, {how}{through}", [*taken.skipped, *unused]


def start_of(offer: Offer) -> str:
    """Whether it has to be started first."""
    desktop = offer.desktop
    if offer.withheld:
        return f"There is no button just now: {offer.withheld[:1].lower()}{offer.withheld[1:]}"
    if desktop.power in OFF:
        return "It is stopped: it would be started first."
    if desktop.power == Desktop.Power.STARTING:
        return "It is starting: the person would wait until it runs."
    return "It is running: the connection opens as soon as its port has answered."


def in_queue(line: PoolAssignment) -> str:
    """What Connect would do where a pool has nothing free: a place in its queue."""
    waiting = QueuePlace.objects.filter(line__pool=line.pool_id, ended_at=None).count()
    many = count(waiting, "person waits", "people wait") if waiting else "nobody waits"
    return (
        f"Pool {line.pool}: nothing is free. The person would wait in the queue; now {many}{usually(for_queue(line))}."
    )
