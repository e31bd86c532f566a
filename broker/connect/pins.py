"""Which certificate a desktop has to show: the one that its agent tells, else the one of the first use (RULES 3).

The gateway compares, and tells what it saw. A changed certificate is refused, and an administrator is told.
"""

from django.db import transaction
from django.db.models import Exists, F, OuterRef

from broker.connect import tunnels
from broker.connect.models import Launch, Pin
from broker.core import audit
from broker.core.clock import now
from centers.models import Desktop
from gateways.models import Tunnel
from plans.models import ProtocolChoice

RDP = ("rdp", "screen")  # viewers whose certificate an agent knows
# Not where the agent told the new one afterwards: it was renewed.
CHANGES = Pin.objects.exclude(other="").exclude(other=F("desktop__rdp_cert_sha256"))
CHANGED = "{desktop} shows another certificate at port {port} than before: connections are refused."


def pin_of(desktop: Desktop, choice: ProtocolChoice) -> str:
    """The SHA-256 in hex, "" where this is the first use."""
    return known(desktop, choice.reaches, choice.viewer)


def known(desktop: Desktop, port: int, viewer: str) -> str:
    """The same by port, and by the viewer's name on the gateways' wire."""
    return (desktop.rdp_cert_sha256 if viewer in RDP else "") or learned(desktop, port)


def learned(desktop: Desktop, port: int) -> str:
    """The certificate of the first use since the desktop is what it is, taken from what gateways told."""
    pin = Pin.objects.filter(desktop=desktop, port=port).first()
    if pin is not None and pin.sha256:
        return pin.sha256
    mine = tunnels.subjects(Launch.objects.filter(desktop=desktop))  # its address may have been another's before
    seen = Tunnel.objects.filter(subject__in=mine, destination__endswith=f":{port}").exclude(certificate="")
    since = pin.since if pin else desktop.first_seen_at
    first = seen.filter(used_at__gte=since).order_by("used_at").first() if since else None
    if first is None:
        return ""
    made = {"sha256": first.certificate, "since": first.used_at or now()}
    kept, _ = Pin.objects.get_or_create(desktop=desktop, port=port, defaults=made)
    Pin.objects.filter(pk=kept.pk, sha256="").update(**made)
    return kept.sha256 or first.certificate


@transaction.atomic
def differs(desktop: Desktop, port: int, seen: str, expected: str) -> None:
    """A gateway saw another certificate than the pinned one: told once."""
    kept, _ = Pin.objects.get_or_create(desktop=desktop, port=port, defaults={"sha256": expected, "since": now()})
    if kept.other == seen:
        return
    Pin.objects.filter(pk=kept.pk).update(sha256=expected, other=seen)
    audit.record(
        "conn.certificate_changed", CHANGED.format(desktop=desktop, port=port), desktop=desktop, subject=desktop,
        changes={"certificate": (expected, seen)}, level="error",
    )  # fmt: skip


def shown_again(desktop: Desktop, port: int, tunnel: Tunnel) -> None:
    """The expected certificate was seen by this one, and no other by a later one: whatever else was, is over."""
    there = Tunnel.objects.filter(destination=tunnel.destination, used_at__gt=tunnel.used_at or now())
    if not there.exclude(certificate__in=("", tunnel.certificate)).exists():
        Pin.objects.filter(desktop=desktop, port=port).exclude(other="").update(other="")


def changed() -> Exists:
    """Of a queryset of desktops: whether one of its ports shows another certificate than the expected one."""
    return Exists(CHANGES.filter(desktop=OuterRef("pk")))


def changes(desktop: Desktop) -> list[tuple[int, str, str]]:
    """Port, expected and seen certificate of each."""
    return list(CHANGES.filter(desktop=desktop).order_by("port").values_list("port", "sha256", "other"))


def forget(desktop: Desktop) -> int:
    """Whatever its ports show next is trusted: it was made anew, or an administrator has looked at it."""
    return Pin.objects.filter(desktop=desktop).update(sha256="", other="", since=now())
