"""A deployment, from the written intent to an AVAILABLE desktop. The user keeps the assignment, however slow it is.

CreateWorkspaces knows no idempotency token: after a crash we look for (directory, user) before creating again, and a
WorkSpace that exists already is adopted (RULES 25; SPEC 13.5).
"""

from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction

from broker.connect.actions import gone, let_go
from broker.connect.happenings import Happening, happened
from broker.connect.inventory import save_observed
from broker.connect.power import number
from broker.core import audit
from broker.core.clock import now
from broker.core.jobs import Done, Failed, Kind, Later, Moot, Result, note
from broker.core.models import Job
from centers.models import Desktop
from centers.providers.base import (
    DeployRequest,
    DeployResult,
    Power,
    Provider,
    ProviderBusy,
    ProviderError,
    RemoteDesktop,
)
from centers.services import provider
from plans.engine import Event
from pools.models import Assignment
from pools.services import Terms, lend_this, lock_user

LOOK_AGAIN = timedelta(seconds=3)
SLOWLY = timedelta(seconds=60)
UNDER_WAY = frozenset({Power.STARTING, Power.UNKNOWN})


def run(job: Job) -> Result:
    """Create where nothing was created yet, then watch until AVAILABLE."""
    desktop = Desktop.objects.select_related("center__server", "image").filter(pk=number(job)).first()
    if desktop is None or desktop.availability == Desktop.Availability.DELETED:
        return Moot("The desktop is gone.")
    try:
        source = provider(desktop.center)
        if desktop.ref is None:
            refused = create(job, desktop, source)
            if refused is not None:
                return refused
        return watch(job, desktop, source)
    except ProviderBusy as busy:
        return Later(str(busy))
    except ProviderError as error:
        # Once AWS may have made it, trouble with keys or network is no reason to take it from its user (SPEC 13.5).
        return Later(str(error)) if begun(job, desktop) else failed(desktop, str(error))


def begun(job: Job, desktop: Desktop) -> bool:
    """Whether AWS has made it, or may have."""
    return desktop.ref is not None or "asked_at" in job.payload


@transaction.atomic
def called_off(job: Job) -> str:
    """A person cancelled a waiting deployment: its row and assignment go. "", or why it is too late (SPEC 13.5)."""
    desktop = Desktop.objects.select_related("center").filter(pk=number(job)).first()
    if desktop is None or desktop.availability == Desktop.Availability.DELETED:
        return ""
    if begun(job, desktop):
        return "AWS was asked to make this desktop already. Delete it from disk when it is there."
    gone(desktop, "deployment cancelled")
    return ""


def create(job: Job, desktop: Desktop, source: Provider) -> Result | None:
    """Ask AWS for it, or find it; None where its id is known now."""
    if "asked_at" in job.payload:  # by one who died between AWS's answer and our commit, or who got no answer
        answer = looked_for(job, desktop, source)
        if answer is not None or desktop.ref:
            return answer
    if not note(job, asked_at=now().isoformat()):
        return Moot("Another worker has taken it over.")
    try:
        result = source.deploy([request_of(desktop, job.payload)])[0]
    except ProviderError as error:
        if not (isinstance(error, ProviderBusy) and error.maybe_done):
            forget(job)
        raise
    if result.ref:
        return identified(desktop, result.ref)
    if not result.maybe_done:
        forget(job)
    return adopted(desktop, source, job.payload) if result.exists else told_no(desktop, result)


def looked_for(job: Job, desktop: Desktop, source: Provider) -> Result | None:
    """Find what was asked for before; None where it is found (the desktop has its ref) or was certainly never made."""
    found = source.find(user_name=job.payload["user_name"], workspace_name=job.payload.get("workspace_name", ""))
    if found is not None:
        return dying(found) or identified(desktop, found.ref)
    if now() < datetime.fromisoformat(job.payload["asked_at"]) + two_scans(desktop):
        return Later("AWS was asked, but does not show it yet.", now() + LOOK_AGAIN * 5)
    return None


def forget(job: Job) -> None:
    """AWS did certainly not do it: the next try need not look for it first."""
    job.payload.pop("asked_at", None)
    note(job)


def two_scans(desktop: Desktop) -> timedelta:
    """How long an id may stay unknown to Describe before it is asked for again (RULES 25)."""
    return timedelta(minutes=2 * (desktop.center.refresh_minutes or 2))


def dying(found: RemoteDesktop) -> Result | None:
    """A WorkSpace that is being deleted still takes its user's place, and is not to be adopted."""
    if found.power is not Power.DELETING:
        return None
    return Later("AWS is still deleting the former WorkSpace of this user.", now() + SLOWLY / 4)


def request_of(desktop: Desktop, payload: dict[str, Any]) -> DeployRequest:
    """The job's payload as the provider wants it."""
    return DeployRequest(
        directory=desktop.center.directory_id,
        bundle=payload["bundle"],
        user_name=payload["user_name"],
        workspace_name=payload.get("workspace_name", ""),
        running_mode=payload["running_mode"],
        tags=payload.get("tags") or {},
        root_gb=payload.get("root_gb") or 0,
        user_gb=payload.get("user_gb") or 0,
        compute_type=payload.get("compute_type", ""),
        encryption_key=payload.get("encryption_key", ""),
    )


def told_no(desktop: Desktop, result: DeployResult) -> Result:
    """AWS refused this one, for now or for good."""
    if result.retry or result.maybe_done:
        return Later(result.error_message)
    return failed(desktop, result.error_message)


def adopted(desktop: Desktop, source: Provider, payload: dict[str, Any]) -> Result | None:
    """AWS has a WorkSpace for this user already: it is the one (RULES 25)."""
    try:
        found = source.find(user_name=payload["user_name"])
    except ProviderError as error:
        return Later(str(error))
    if found is None:
        return Later("AWS says that this user has a WorkSpace already, but does not show it yet.")
    waits = dying(found)
    if waits is not None:
        return waits
    audit.record("deploy.adopted", f"{payload['user_name']} has {found.ref} already: adopted.", desktop=desktop)
    return identified(desktop, found.ref)


def identified(desktop: Desktop, found_ref: str) -> Result | None:
    """Write the id down. Where a scan was faster and made a row of its own, this intent ends in favour of that row."""
    try:
        with transaction.atomic():
            if Desktop.objects.filter(pk=desktop.pk, ref=None).update(ref=found_ref):
                desktop.ref = found_ref
    except IntegrityError:
        return handed_over(desktop, found_ref)
    return None


@transaction.atomic
def handed_over(intent: Desktop, found_ref: str) -> Result:
    """The user's WorkSpace has a row already: it takes the place of the intent, and of its assignment. All or nothing.

    Locks the user, then both desktops in the order of a scan.
    """
    listed = Desktop.objects.select_related("center").get(center=intent.center, ref=found_ref)
    assignment = Assignment.objects.select_related("user").filter(desktop=intent, closed_at=None).first()
    if assignment is not None:
        lock_user(assignment.user_id)
    both = Desktop.objects.filter(pk__in=[intent.pk, listed.pk])
    list(both.select_for_update(no_key=True).only("pk").order_by("pk"))
    gone(intent, f"{found_ref} is listed already as {listed}"[:200])
    lent = lend_this(assignment.user, listed, Terms(origin="deploy", reason="adopted")) if assignment else None
    if assignment and lent is None:
        return Failed(f"{assignment.user} has {found_ref} at AWS already, but {listed} is lent to somebody else here.")
    return Done(f"{found_ref} was there already: {listed}.")


def watch(job: Job, desktop: Desktop, source: Provider) -> Result:
    """Look at AWS: AVAILABLE ends it well, ERROR ends it badly, anything else is a wait that keeps the assignment."""
    found = source.describe([str(desktop.ref)])
    if not found:
        return waiting(job, desktop, "AWS does not describe it yet.")
    desktop = save_observed(desktop, found[0])
    if found[0].power in {Power.ERROR, Power.DELETING}:
        return failed(desktop, found[0].error_message or f"AWS says {found[0].raw_state}.")
    if found[0].power in UNDER_WAY:
        return waiting(job, desktop, f"AWS says {found[0].raw_state}.")
    available(desktop)
    return Done(f"{desktop.ref} is there: AWS says {found[0].raw_state}.")


def waiting(job: Job, desktop: Desktop, why: str) -> Result:
    """Not yet. Past the center's deadline it is late: said so, looked at more slowly, never given up (SPEC 13.5)."""
    late = now() - job.created_at > timedelta(minutes=desktop.center.start_deadline_minutes)
    if late and not job.reason.startswith("Provisioning late"):
        audit.record("deploy.late", f"{desktop}: still not available. {why}", desktop=desktop, level="warning")
    return Later(f"Provisioning late. {why}" if late else why, now() + (SLOWLY if late else LOOK_AGAIN))


@transaction.atomic
def available(desktop: Desktop) -> None:
    """The desktop is there: log it, and start the clocks of its plans."""
    assignment = Assignment.objects.select_related("user__server").filter(desktop=desktop, closed_at=None).first()
    audit.record(
        "deploy.ready", f"{desktop} is available.", desktop=desktop, user=assignment.user if assignment else None
    )
    happened(Happening(desktop, Event.STARTED, now(), assignment))


def failed(desktop: Desktop, why: str) -> Result:
    """The only end that takes the assignment: AWS will not make this desktop (SPEC 13.5)."""
    audit.record("deploy.failed", f"{desktop}: {why}", desktop=desktop, subject=desktop, level="error")
    reason = f"AWS did not create it: {why}"[:200]
    if desktop.ref is None:
        gone(desktop, reason)
    else:
        let_go(desktop, reason)
    return Failed(why)


KIND = Kind(run=run, lease=timedelta(seconds=150), deadline=timedelta(hours=2))
