"""What a card says of protocols: what the viewer in the browser cannot do, and what else there is (SPEC A.8)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db.models import Q

from broker.connect.offers import Offer
from centers.models import Desktop
from plans.models import ProtocolChoice
from policies.models import Policy
from pools.models import Assignment

Protocol = ProtocolChoice.Protocol
NOTES: dict[str, str] = {
    "rdp": "It opens in this browser, without sound, printers, drives and USB devices.",
    "screen": "It opens in this browser, without sound, printers, drives and USB devices.",
    "vnc": "It opens in this browser, without sound and printers.",
    "ssh": "A terminal opens in this browser.",
}
BUTTONS: dict[str, str] = {
    Protocol.RDP: "Connect by an RDP file",
    Protocol.HTML5_RDP: "Connect in this browser",
    Protocol.HTML5_SCREEN: "Connect in this browser, compatible",
    Protocol.HTML5_VNC: "Connect by VNC in this browser",
    Protocol.HTML5_SSH: "Open a terminal in this browser",
    Protocol.DCV: "Connect by a DCV file",
}


@dataclass(frozen=True, slots=True)
class Ways:
    """A sentence on what the button opens, and the other protocols: (protocol, button). `viewer`: what the gateway
    serves for the button, "" for a file."""

    note: str = ""
    others: tuple[tuple[str, str], ...] = ()
    viewer: str = ""


def of(offers: Iterable[Offer], policy: Policy) -> Mapping[int, Ways]:
    """Desktop -> what its card says; one statement for all of them."""
    plans = {offer.desktop.pk: plan_of(offer, policy) for offer in offers}
    named = Q(plan__in={key for key in plans.values() if key}) | Q(plan__is_default=True)
    used = ProtocolChoice.objects.filter(named, client=ProtocolChoice.Client.WEB, priority__isnull=False)
    by_plan: dict[int | None, list[ProtocolChoice]] = {}
    for choice in used.select_related("plan").order_by("priority"):
        by_plan.setdefault(choice.plan_id, []).append(choice)
        if choice.plan.is_default:
            by_plan.setdefault(None, by_plan[choice.plan_id])
    return {offer.desktop.pk: said(by_plan.get(plans[offer.desktop.pk], []), offer.desktop) for offer in offers}


def plan_of(offer: Offer, policy: Policy) -> int | None:
    """The protocol plan by which it is connected, None for the Default."""
    if offer.assignment is not None and offer.assignment.kind == Assignment.Kind.HARD:
        return policy.hard_protocol_plan_id
    return offer.line.protocol_plan_id if offer.line else None


def said(choices: list[ProtocolChoice], desktop: Desktop) -> Ways:
    """What there is to say of these protocols, first choice first."""
    agent = getattr(desktop, "agent", None)
    dcv = agent is not None and "dcv" in agent.protocols
    there = [each for each in choices if each.protocol != Protocol.DCV or dcv]
    there = [each for each in there if not each.viewer or each.through_id]
    if not there:
        return Ways()
    others = tuple((each.protocol, BUTTONS[each.protocol]) for each in there[1:])
    return Ways(NOTES.get(there[0].viewer, ""), others, there[0].viewer)
