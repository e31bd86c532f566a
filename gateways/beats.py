"""A gateway speaks: how it is, what lives there, what has ended. Late, doubled and lost words do no harm.

Numbers only grow, an end stays an end, and what is decided by absence waits for longer than a call may be late.
"""

import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.db.models import Q

from broker.core import audit
from broker.core.clock import now
from broker.core.context import current, working
from gateways.checks import ask_for_check
from gateways.closing import ended, mark, write
from gateways.models import Gateway, Tunnel
from gateways.status import Status, Told
from gateways.wire import CALL_SECONDS, SKEW

By = Tunnel.By
LATE = timedelta(seconds=CALL_SECONDS + SKEW + 5)  # no word that is believed is older
FINGERPRINT = re.compile("[0-9a-f]{64}")
REFUSALS_LOGGED = 10  # of one heartbeat, each with how many there were
PROGRAMS = 2  # whose refusals we have counted: after a restart the last word of the one before may be late
UNKNOWN = "The broker does not know this session."
COLUMNS = (
    "used_at", "client_ip", "port", "bytes_in", "bytes_out", "connections", "left_at", "certificate", "last_traffic_at",
    "closed_at", "close_reason", "closed_by", "told_at",
)  # fmt: skip


@transaction.atomic
def heard(gateway: Gateway, status: Status, said_at: int, forward_to: str) -> dict[str, str]:
    """Take in what a gateway says, at `said_at` by its clock; the ids of sessions that it has to end, each with why."""
    row = Gateway.objects.select_for_update(no_key=True).get(pk=gateway.pk)
    newest = said_at >= row.beat_at
    ending = Sessions(row, now().timestamp() - said_at).take(status)
    if newest:
        gone(row, status)
        learn(row, status, said_at, forward_to)
    refusals(row, status)
    Gateway.objects.filter(pk=row.pk).update(heard_at=now())
    if row.state != Gateway.State.ONLINE:
        ask_for_check(row)  # it reaches us: does the other way work as well?
    return ending


def learn(row: Gateway, status: Status, said_at: int, forward_to: str) -> None:
    """Its own figures."""
    row.beat_at, row.started_at = said_at, status.started_at
    row.version, row.draining, row.ports_free = status.version, status.draining, status.ports_free
    renewed(row, status.certificate)
    row.sessions, row.forward_to = len(status.sessions), forward_to
    row.save(update_fields=[
        "beat_at", "started_at", "version", "draining", "ports_free", "sessions", "forward_to",
    ])  # fmt: skip


def renewed(row: Gateway, certificate: str) -> None:
    """A renewed certificate is pinned on the word of the gateway's own key, which has signed it with the rest."""
    if not FINGERPRINT.fullmatch(certificate) or certificate == row.certificate_sha256:
        return
    words = f"Gateway “{row}” has a new certificate: it is pinned, as the gateway's key has signed it."
    changes = {"certificate_sha256": (row.certificate_sha256, certificate)}
    row.certificate_sha256, row.certificate_shown = certificate, ""
    row.save(update_fields=["certificate_sha256", "certificate_shown"])
    audit.record("gateway.pinned", words, subject=row, changes=changes)


class Sessions:
    """The sessions of one status, against our rows. `late` is by how much the gateway's clock is behind ours."""

    def __init__(self, gateway: Gateway, late: float) -> None:
        self.gateway, self.late = gateway, late if abs(late) > 2 else 0.0
        self.changed: list[Tunnel] = []
        self.over: list[Tunnel] = []

    def take(self, status: Status) -> dict[str, str]:
        """Write what is new; the ids of those that must end, unknown to us or ended by us, each with why."""
        ids = {each.id for each in (*status.sessions, *status.closed)}
        mine = Tunnel.objects.filter(gateway=self.gateway, token_id__in=ids).select_for_update(no_key=True)
        rows = {row.token_id: row for row in mine.order_by("pk")}
        ending = [each.id for each in status.sessions if not self.lives(rows.get(each.id), each)]
        reasons = {id: rows[id].close_reason if id in rows else UNKNOWN for id in ending}
        for each in status.closed:
            self.ends(rows.get(each.id), each)
        write(self.changed, COLUMNS)
        for row in self.over:
            ended(row)
        return reasons

    def lives(self, row: Tunnel | None, told: Told) -> bool:
        """Count what a living session did; whether it may go on."""
        if row is None:
            return False
        before = {name: getattr(row, name) for name in COLUMNS}
        if row.closed_by == By.SILENCE and row.told_at is None:  # it was the gateway that was away, not the session
            row.closed_at, row.close_reason, row.closed_by = None, "", ""
        self.count(row, told)
        row.connections = told.connections
        if row.closed_at is None:
            row.left_at = None if told.connections or not row.used_at else row.left_at or now()
        if before != {name: getattr(row, name) for name in COLUMNS}:
            self.changed.append(row)
        return row.closed_at is None

    def ends(self, row: Tunnel | None, told: Told) -> None:
        """A session has ended there: by itself, or because we wanted it. Its last figures count either way."""
        if row is None:
            return
        self.count(row, told)
        row.connections, row.told_at = 0, row.told_at or now()
        if row.closed_at is None:
            row.closed_at = self.moment(told.closed_at, row)
            row.close_reason, row.closed_by = told.reason or "It ended.", told.by
            self.over.append(row)
        self.changed.append(row)

    def count(self, row: Tunnel, told: Told) -> None:
        """Figures that only grow, facts that are told once."""
        if told.bytes_in > row.bytes_in or told.bytes_out > row.bytes_out:
            row.last_traffic_at = now()
        row.bytes_in, row.bytes_out = max(row.bytes_in, told.bytes_in), max(row.bytes_out, told.bytes_out)
        if told.used_at and row.used_at is None:
            row.used_at = self.moment(told.used_at, row)
        row.client_ip = told.client_ip or row.client_ip
        row.port, row.certificate = told.port or row.port, told.certificate or row.certificate

    def moment(self, at: float, row: Tunnel) -> datetime:
        """A time of the gateway's by our clock: never before the opening, never in the future."""
        return min(max(datetime.fromtimestamp(at + self.late, UTC), row.opened_at), now())


def gone(row: Gateway, status: Status) -> None:
    """What the newest word does not mention is no more: at once where another program had opened it, else after a
    while, as the word may have been on its way when it was opened."""
    alive = {each.id for each in (*status.sessions, *status.closed)}
    before = ~Q(started_at__in=(0, status.started_at))
    missing = Tunnel.objects.filter(before | Q(opened_at__lt=now() - LATE), gateway=row).exclude(token_id__in=alive)
    missing.filter(closed_at__isnull=False, told_at=None).update(told_at=now())  # nothing is left to be ended
    for each in missing.filter(closed_at=None).select_for_update(no_key=True).order_by("pk"):
        again = each.started_at not in (0, status.started_at)
        each.closed_at = each.told_at = now()
        each.close_reason = "The gateway was started anew." if again else "The gateway does not know it any more."
        each.closed_by, each.connections = By.GATEWAY, 0
        each.save(update_fields=["closed_at", "told_at", "close_reason", "closed_by", "connections"])
        ended(each)


def refusals(row: Gateway, status: Status) -> None:
    """Who was not let in goes to the log, once, and in few lines however many tried.

    They are repeated until we have answered, and words may be late or come twice: what counts is their number in the
    program that refused them, and no clock.
    """
    seen: dict[float, int] = dict(row.refused_seen)
    last = seen.pop(status.started_at, 0)
    fresh = [each for each in status.refused if each.number > last]
    if not fresh:
        return
    seen[status.started_at] = max(each.number for each in fresh)
    row.refused_seen = list(seen.items())[-PROGRAMS:]
    row.save(update_fields=["refused_seen"])
    counted = Counter((each.client_ip, each.why) for each in fresh)
    for (client, why), count in counted.most_common(REFUSALS_LOGGED):
        times = f" ({count} times)" if count > 1 else ""
        with working(replace(current(), client_ip=client or None)):
            audit.record("gateway.refused", f"{row} let nobody in{times}: {why}", subject=row, level="warning")


def silent(gateway: Gateway) -> int:
    """End the rows of a gateway that said nothing for long; taken back where it returns with them. How many."""
    words = f"The gateway {gateway} does not answer any more."
    with transaction.atomic():
        return len(mark(Tunnel.objects.filter(gateway=gateway, closed_at=None), words, By.SILENCE))
