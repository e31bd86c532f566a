"""Ways are closed: rows first, then the gateway is told at once, and again by a job until it has heard."""

import logging
from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import partial

from django.db import transaction
from django.db.models import Q, QuerySet

from broker.core import audit
from broker.core.clock import now
from broker.core.jobs import URGENT, Done, Later, Moot, Result, Wish, enqueue
from broker.core.models import Job, ref
from gateways.client import Trouble, control
from gateways.keys import broker_key
from gateways.models import Gateway, Tunnel
from gateways.registration import place_of

log = logging.getLogger(__name__)
AT_ONCE = 1_000
AWAY = timedelta(seconds=30)  # until a gateway that is away is told again
By = Tunnel.By

# What the broker may still end. A gateway that fell silent may come back with its sessions, so these count as well.
LIVING = Q(closed_at=None) | Q(closed_by=By.SILENCE, told_at=None)


@transaction.atomic
def close_tunnels(
    reason: str, *, subjects: Iterable[str] = (), users: Iterable[str] = (), by: Tunnel.By = By.BROKER
) -> int:
    """End what is open for these subjects ("launch:4") or users ("user:5"); returns how many.

    Rows in the caller's transaction; when that is committed the gateways are told at once, and by a job until they
    have heard. `reason` is a sentence for the person whose session it is.
    """
    mine = Tunnel.objects.filter(LIVING & (Q(subject__in=list(subjects)) | Q(user__in=list(users))))
    return len(close(mine, reason, by))


def users() -> set[str]:
    """Who may still be using something, as "user:5"."""
    return set(Tunnel.objects.filter(LIVING).exclude(user="").values_list("user", flat=True))


def close(rows: QuerySet[Tunnel], reason: str, by: Tunnel.By) -> list[Tunnel]:
    """Close rows inside a transaction; their gateways hear of it right after it."""
    ending = mark(rows, reason, by)
    for key in sorted({row.gateway_id for row in ending if row.gateway_id}):
        transaction.on_commit(partial(tell_now, key), robust=True)
    return ending


def mark(rows: QuerySet[Tunnel], reason: str, by: Tunnel.By) -> list[Tunnel]:
    """Close rows inside a transaction; a job tells their gateways."""
    ending = list(rows.select_for_update(no_key=True).order_by("pk"))
    for row in ending:
        row.closed_at, row.close_reason, row.closed_by = row.closed_at or now(), reason[:200], by
        row.connections = 0
    write(ending, ("closed_at", "close_reason", "closed_by", "connections"))
    for row in ending:
        ended(row)
        if by != By.SILENCE:
            ask_to_tell(row)
    return ending


def write(rows: Sequence[Tunnel], columns: Sequence[str]) -> None:
    """Write columns of locked rows: an upsert that always finds its row takes a fortieth of bulk_update()'s time."""
    Tunnel.objects.bulk_create(rows, update_conflicts=True, unique_fields=["id"], update_fields=columns)


def ended(row: Tunnel) -> None:
    """What follows the end of a way that somebody used: the log, and the job by which others hear of it."""
    audit.record("gateway.port_closed", f"{row.gateway_name} closed the way to {row.destination}: {row.close_reason}")
    if row.used_at:
        told = {"tunnel": row.pk, "at": str(row.closed_at and row.closed_at.isoformat()), "by": row.closed_by}
        key = f"tunnel_closed:{row.pk}"
        enqueue(Wish("tunnel_closed", row.subject, row.destination, payload=told, key=key, priority=URGENT))


def ask_to_tell(row: Tunnel) -> None:
    """The job that tells the gateway, and again until it has heard.

    One a way, not one a gateway: who holds the row asks for it, so nobody waits for a key while holding rows.
    """
    key = f"port_close:{row.pk}"
    enqueue(Wish("port_close", ref(row), row.destination, key=key, priority=URGENT, cause="close"))


def untold(gateway: Gateway) -> QuerySet[Tunnel]:
    """What a gateway has still to be told."""
    return gateway.tunnels.filter(closed_at__isnull=False, told_at=None).exclude(closed_by=By.SILENCE)


def tell_now(gateway: int) -> None:
    """Right after the commit: a live session ends within a second. What fails here is the job's."""
    row = Gateway.objects.filter(pk=gateway).first()
    if row is None or not row.is_up:
        return
    try:
        tell(row)
    except Trouble as error:
        log.warning("%s could not be told at once what is closed: %s", row, error)


def tell(gateway: Gateway) -> int:
    """Tell a gateway what is closed; returns how much. Raises Trouble."""
    count = 0
    while rows := list(untold(gateway).order_by("pk")[:AT_ONCE]):
        for reason in sorted({row.close_reason for row in rows}):
            ids = [row.token_id for row in rows if row.close_reason == reason]
            told = {"ids": ids, "reason": reason}
            control(place_of(gateway), str(gateway.uid), broker_key(), "close", told)
            Tunnel.objects.filter(gateway=gateway, token_id__in=ids).update(told_at=now())
        count += len(rows)
    return count


def run(job: Job) -> Result:
    """The job: once told, done. While the gateway is away it waits; what it returns with is ended by its heartbeat."""
    row = Tunnel.objects.select_related("gateway").filter(pk=int(job.subject.partition(":")[2])).first()
    if row is None or row.gateway is None:
        return Moot("The gateway is gone.")
    if row.told_at or row.closed_at is None:
        return Done("It has heard already.")
    if not row.gateway.is_up:
        return Later(f"The gateway {row.gateway} is away: it hears what is closed when it is back.", now() + AWAY)
    try:
        tell(row.gateway)
    except Trouble as error:
        return Later(f"The gateway has not heard yet what is closed: {error}")
    return Done(f"{row.gateway} has heard.")
