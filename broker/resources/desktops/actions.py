"""What an administrator can do with a desktop. Each answers with a sentence, or raises Refused with why not."""

from collections.abc import Callable, Sequence
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.http import urlencode

from broker.connect import actions, facts, inventory, pins, power
from broker.connect.models import DesktopSession
from broker.core import audit, words
from broker.core.clock import now
from broker.core.filters import keys
from broker.core.jobs import URGENT, Wish, enqueue
from broker.core.models import Job, ref
from broker.core.pages import Refused, SeeOther
from broker.resources.desktops.rows import holding, listed, live
from centers.models import Desktop
from centers.providers.base import PowerOp, ProviderError
from centers.providers.states import passing, possible
from centers.services import provider
from pools.models import Assignment

Do = Callable[[HttpRequest, Desktop], str]
ALWAYS_ON = "ALWAYS_ON"
MANUAL = "MANUAL"


def present(row: Desktop) -> bool:
    """Whether there is a machine to do something with."""
    return row.availability != Desktop.Availability.DELETED and row.ref is not None


def power_action(op: PowerOp, label: str, *, hard: bool = False) -> Do:
    """Queue a power operation; said at once where AWS would refuse it (RULES 23, SPEC 13.3)."""

    def do(request: HttpRequest, row: Desktop) -> str:
        waits = op is PowerOp.STOP and passing(row.raw_state) and row.running_mode != ALWAYS_ON
        refusal = possible(op, row.raw_state, row.running_mode)
        if refusal and not waits:
            raise Refused(f"{row}: {refusal}")
        with transaction.atomic():
            power.ask(row, op, f"{request.user} asked for it", urgent=True, hard=hard)
            audit.record(f"power.{op}_requested", f"{label} asked for.", desktop=row, subject=row)
        return f"{label} of {row} is asked for." + (f" It waits: {refusal}" if refusal else "")

    return do


def release(request: HttpRequest, row: Desktop, reason: str = "") -> str:
    """End the assignment; the release plan says what follows."""
    owner = holding(row)
    why = f"released by {request.user}" + (f": {reason}" if reason else "")
    done = actions.release(owner.pk, why) if owner else None
    if done is None:
        raise Refused(f"{row} is assigned to nobody.")
    return f"{row} is released from {done.user}."


def trust(request: HttpRequest, row: Desktop) -> str:
    """Connections through gateways had been refused: the next one learns the certificate anew (RULES 3)."""
    with transaction.atomic():
        pins.forget(row)
        Desktop.objects.filter(pk=row.pk).update(rdp_cert_sha256="")
        audit.record("desktop.certificate_trusted", "Its next certificate is trusted.", desktop=row, subject=row)
    return f"Whatever certificate {row} shows at the next connection is trusted from then on."


def log_out(request: HttpRequest, row: Desktop) -> str:
    """Have the agent log out who is on it."""
    if not live(row):
        raise Refused(f"Nobody has a session on {row}.")
    if facts.reachable(row) is None:
        raise Refused(f"The Usher Agent of {row} does not answer, so nobody can be logged out.")
    reason = f"{request.user} asked for it"
    with transaction.atomic():
        enqueue(
            Wish(
                "logout",
                ref(row),
                str(row),
                payload={"reason": reason},
                key=f"logout:{row.pk}",
                cause="administrator",
                priority=URGENT,
            )
        )
        audit.record("session.logout_requested", f"Log-out of {listed(live(row))} asked for.", desktop=row, subject=row)
    return f"{listed(live(row))} will be logged out of {row}."


@transaction.atomic
def clear_session(request: HttpRequest, row: Desktop) -> str:
    """Forget the sessions of a desktop whose agent is gone, so that it can be offered again. No plan acts on this."""
    if facts.reachable(row) is not None:
        raise Refused(f"The Usher Agent of {row} answers: log the user out instead.")
    people = listed(live(row))
    stuck = DesktopSession.objects.filter(desktop=row, ended_at=None)
    stuck.update(ended_at=now(), state=DesktopSession.State.ENDED, end_reason=f"cleared by {request.user}"[:120])
    audit.record("session.cleared", f"The session of {people} is cleared.", desktop=row, subject=row, level="warning")
    return f"The session of {people} on {row} is cleared."


def make_available(request: HttpRequest, row: Desktop) -> str:
    """Put it back among the offers."""
    set_availability(row, Desktop.Availability.AVAILABLE, "")
    return f"{row} is available."


def set_availability(row: Desktop, availability: str, reason: str) -> None:
    """The third axis, with its log entry."""
    before = {"availability": row.availability, "unavailable_reason": row.unavailable_reason}
    after = {"availability": str(availability), "unavailable_reason": reason}
    change(row, before, after)


def change(row: Desktop, before: dict[str, Any], after: dict[str, Any]) -> None:
    """Update some columns and note what changed."""
    changes = {name: (before[name], after[name]) for name in after if before[name] != after[name]}
    if not changes:
        return
    with transaction.atomic():
        Desktop.objects.filter(pk=row.pk).update(**after)
        audit.record("admin.object_updated", f"Updated desktop “{row}”", desktop=row, subject=row, changes=changes)


def on_a_form(key: str) -> Callable[[HttpRequest, Desktop], HttpResponse]:
    """Go on on a form (a reason, tags, a note) with this row, or with every ticked one."""

    def do(request: HttpRequest, row: Desktop) -> HttpResponse:
        ids = keys(request.POST.getlist("ids")) or [row.pk]
        address = reverse("desktops:change", args=[key])
        return SeeOther(f"{address}?{urlencode({'ids': ','.join(map(str, ids))})}")

    return do


def to_bulk_assign(request: HttpRequest, row: Desktop) -> HttpResponse:
    """Go on on the page where many are assigned, with a line for every ticked row."""
    ids = keys(request.POST.getlist("ids")) or [row.pk]
    return SeeOther(f"{reverse('desktops:bulk_assign')}?{urlencode({'ids': ','.join(map(str, ids))})}")


def delete_from_disk(request: HttpRequest, row: Desktop) -> str:
    """Terminate it for ever, where it is allowed (seed ch. 6)."""
    if not row.deletable:
        raise Refused(f"{row} is not allowed to be permanently deleted from disk. Its own page has the switch.")
    reason = f"{request.user} asked for it"
    with transaction.atomic():
        enqueue(
            Wish("delete_desktop", ref(row), str(row), payload={"reason": reason}, key=f"delete:{row.pk}",
                 cause="administrator", priority=URGENT)
        )  # fmt: skip
        audit.record(
            "center.delete_requested", "Delete from disk asked for.", desktop=row, subject=row, level="warning"
        )
    return f"{row} will be deleted from disk."


def losses(rows: Sequence[Desktop]) -> str:
    """What is lost with those of these desktops that may be deleted, in numbers."""
    kept = [row for row in rows if not row.deletable]
    rows = [row for row in rows if row.deletable]
    count = words.count(len(rows), "WorkSpace")
    volumes = sum((row.root_gb or 0) + (row.user_gb or 0) for row in rows)
    people = list(dict.fromkeys(str(owner.user) for row in rows if (owner := holding(row))))
    lost = f"This terminates {count}: root and user volumes ({volumes:,} GB) are lost for ever."
    lost += f" Assigned now to {words.listed(people)}." if people else ""
    return lost + (f" {words.count(len(kept), 'desktop')} may not be deleted, and stays." if kept else "")


def never_made(row: Desktop) -> bool:
    """A deployment that no job works on any more: there is nothing at AWS to wait for."""
    open_states = [Job.State.PENDING, Job.State.RUNNING]
    return row.ref is None and not Job.objects.filter(subject=ref(row), kind="deploy", state__in=open_states).exists()


def delete_from_list(request: HttpRequest, row: Desktop) -> str:
    """Forget a desktop that is gone at AWS; the log keeps its history."""
    if Assignment.objects.filter(desktop=row, closed_at=None).exists():
        raise Refused(f"{row} is still assigned. Release it first.")
    with transaction.atomic():
        audit.record("admin.object_deleted", f"Deleted desktop “{row}” from the list", desktop=row, subject=row)
        Assignment.objects.filter(desktop=row).exclude(closed_at=None).delete()
        row.delete()
    return f"{row} is removed from the list."


def refresh(request: HttpRequest, row: Desktop) -> str:
    """Ask AWS about this one desktop now, outside any transaction."""
    try:
        found = provider(row.center).describe([str(row.ref)])
    except ProviderError as error:
        raise Refused(f"{row.center} does not answer: {error}") from error
    if not found:
        raise Refused(f"AWS does not list {row.ref}. The next complete scans decide whether it is gone.")
    seen = inventory.save_observed(row, found[0])
    return f"{seen} is {seen.get_power_display().lower()} ({seen.raw_state})."


def to_manual(request: HttpRequest, row: Desktop) -> str:
    """Have AWS neither stop it by itself nor run it always, so that power plans decide (RULES 27)."""
    try:
        provider(row.center).set_running_mode(str(row.ref), MANUAL)
    except ProviderError as error:
        raise Refused(f"{row}: {error}") from error
    change(row, {"running_mode": row.running_mode}, {"running_mode": MANUAL})
    return f"The running mode of {row} is Manual now."


def question(what: str) -> Callable[[Sequence[Desktop]], str]:
    """What is asked before several desktops, and the people on them, are touched."""

    def ask(rows: Sequence[Desktop]) -> str:
        people = [listed(live(row)) for row in rows if live(row)]
        there = f" Now on them: {words.listed(people)}." if people else " Nobody is on them now."
        return f"This {what} {words.count(len(rows), 'desktop')}.{there}"

    return ask


def release_question(rows: Sequence[Desktop]) -> str:
    """What a release means, before it is done."""
    rows = [row for row in rows if holding(row)]
    people = list(dict.fromkeys(str(owner.user) for row in rows if (owner := holding(row))))
    taken = words.listed(people) or "Nobody"
    return (
        f"{taken} will no longer have {words.count(len(rows), 'desktop')}. What the release plan says then happens: "
        "its user may be logged out, and it may be shut down or deleted."
    )
