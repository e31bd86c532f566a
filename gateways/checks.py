"""Is a gateway there? It speaks every 10 s; we ask it every half minute, and whenever somebody wants to know."""

from datetime import timedelta

from django.db import transaction

from broker.core import audit
from broker.core.clock import now
from broker.core.db import assert_outside
from broker.core.jobs import Wish, enqueue
from broker.core.models import Job, ref
from gateways.client import Trouble
from gateways.models import SILENT_AFTER, Gateway
from gateways.registration import register

EVERY = timedelta(seconds=30)
ON, OFF = Gateway.State.ONLINE, Gateway.State.OFFLINE


def check(gateway: Gateway) -> str:
    """Ask the gateway now and keep the outcome; returns it in words.

    The question is the first word of a registration: it proves key and certificate, pins them where none are, and
    heals a gateway that has forgotten us.
    """
    assert_outside()
    try:
        register(gateway)
    except (Trouble, ValueError) as error:
        return lost(gateway, str(error))
    return found(gateway)


@transaction.atomic
def lost(gateway: Gateway, why: str) -> str:
    """It did not answer as it should: offline, with the reason. A change of the state is logged."""
    row = Gateway.objects.select_for_update(no_key=True).get(pk=gateway.pk)
    return becomes(row, OFF, why)


@transaction.atomic
def found(gateway: Gateway) -> str:
    """It answered. Where it does not speak to us by itself, it is offline all the same: it would tell of nothing."""
    row = Gateway.objects.select_for_update(no_key=True).get(pk=gateway.pk)
    heard = row.heard_at or row.registered_at
    if heard and heard > now() - SILENT_AFTER:
        return becomes(row, ON, "")
    told = f" at {row.forward_to}" if row.forward_to else ""
    return becomes(row, OFF, f"It answers, but does not report by itself: it does not reach the broker{told}.")


def becomes(row: Gateway, state: Gateway.State, why: str) -> str:
    """Store the state of a locked row; returns it in words."""
    before, row.state, row.reason, row.checked_at = row.state, state, why, now()
    row.save(update_fields=["state", "reason", "checked_at"])
    said = why or f"{row} answers."
    if state != before:
        event, level = ("gateway.up", "information") if state == ON else ("gateway.down", "warning")
        audit.record(event, f"{row}: {why or 'it answers.'}", subject=row, level=level)
    return said


def keep_checking() -> None:
    """Ask for a check of each gateway that has none waiting or running: a chain must not break."""
    asked = Job.objects.filter(kind="gateway_status", state__in=[Job.State.PENDING, Job.State.RUNNING])
    known = set(asked.values_list("subject", flat=True))
    for gateway in Gateway.objects.all():
        if ref(gateway) not in known:
            ask_for_check(gateway)


def ask_for_check(gateway: Gateway, *, soon: bool = True) -> Job:
    """A check as soon as a worker is free, or in half a minute; it repeats itself."""
    at = None if soon else now() + EVERY
    return enqueue(Wish("gateway_status", ref(gateway), gateway.name, run_at=at, key=f"gateway_status:{gateway.pk}"))
