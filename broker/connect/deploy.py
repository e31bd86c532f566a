"""A deployment, from the written intent to an AVAILABLE desktop. The user keeps the assignment, however slow it is.

CreateWorkspaces knows no idempotency token: after a crash we look for (directory, user) before creating again, and a
WorkSpace that exists already is adopted (RULES 25; SPEC 13.5).
"""

from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction

from broker.connect.actions import gone
from broker.connect.happenings import Happening, happened
from broker.connect.inventory import save_observed
from broker.connect.power import number
from broker.core import audit
from broker.core.clock import now
from broker.core.jobs import Done, Failed, Kind, Later, Moot, Result
from broker.core.models import Job
from centers.models import Desktop
from centers.providers.base import DeployRequest, DeployResult, Power, Provider, ProviderBusy, ProviderError
from centers.services import provider
from plans.engine import Event
from pools.models import Assignment

LOOK_AGAIN = timedelta(seconds=3)
SLOWLY = timedelta(seconds=60)


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
        return failed(desktop, str(error))


def create(job: Job, desktop: Desktop, source: Provider) -> Result | None:
    """Ask AWS for it, or find it; None where its id is known now."""
    payload = job.payload
    if job.tries > 1:  # we may have died between AWS's answer and our commit
        found = source.find(user_name=payload["user_name"], workspace_name=payload.get("workspace_name", ""))
        if found is not None:
            return identified(desktop, found.ref)
    result = source.deploy([request_of(desktop, payload)])[0]
    if result.ref:
        return identified(desktop, result.ref)
    if result.exists:
        return adopted(desktop, source, payload)
    return told_no(desktop, result)


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
    found = source.find(user_name=payload["user_name"])
    if found is None:
        return Later("AWS says that this user has a WorkSpace already, but does not show it yet.")
    audit.record("deploy.adopted", f"{payload['user_name']} has {found.ref} already: adopted.", desktop=desktop)
    return identified(desktop, found.ref)


def identified(desktop: Desktop, found_ref: str) -> Result | None:
    """Write the id down. Where a scan was faster and made a row of its own, this intent ends in favour of that row."""
    try:
        with transaction.atomic():
            if Desktop.objects.filter(pk=desktop.pk, ref=None).update(ref=found_ref):
                desktop.ref = found_ref
    except IntegrityError:
        gone(desktop, f"{found_ref} is listed already")
        return Done(f"{found_ref} is listed already.")
    return None


def watch(job: Job, desktop: Desktop, source: Provider) -> Result:
    """Look at AWS: AVAILABLE ends it well, ERROR ends it badly, anything else is a wait that keeps the assignment."""
    found = source.describe([str(desktop.ref)])
    if not found:
        return waiting(job, desktop, "AWS does not describe it yet.")
    desktop = save_observed(desktop, found[0])
    if found[0].power is Power.RUNNING:
        available(desktop)
        return Done(f"{desktop.ref} is available.")
    if found[0].power in {Power.ERROR, Power.DELETING}:
        return failed(desktop, found[0].error_message or f"AWS says {found[0].raw_state}.")
    return waiting(job, desktop, f"AWS says {found[0].raw_state}.")


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
    """The only end that takes the assignment: AWS will not make this desktop."""
    audit.record("deploy.failed", f"{desktop}: {why}", desktop=desktop, subject=desktop, level="error")
    if desktop.ref is None:
        gone(desktop, f"AWS did not create it: {why}"[:200])
    return Failed(why)


KIND = Kind(run=run, lease=timedelta(seconds=90), deadline=timedelta(hours=2))
