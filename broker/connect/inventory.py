"""What a center reports becomes rows: scans, missing desktops, one assignment (DESIGN 4, 6; RULES 10, 24, 25)."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Lower

from agents.registration import settle_waiting
from agents.services import forget
from authservers.models import User
from broker.connect import pins
from broker.connect.actions import gone
from broker.connect.happenings import Happening, happened
from broker.core import audit
from broker.core.clock import now
from broker.core.jobs import Done, Kind, Result, beat, mine
from broker.core.models import Job
from centers.models import Center, Desktop, Image
from centers.providers.base import Power, ProviderError, RemoteDesktop, RemoteImage
from centers.providers.states import power_of
from centers.services import provider
from plans.engine import Event
from pools.services import Terms, lend_this

BELIEVE_AFTER = timedelta(seconds=60)  # an observation that contradicts an open wish counts from then on (RULES 24)
SCAN_LEASE = timedelta(seconds=120)
BEAT_EVERY = timedelta(seconds=15)  # a fast scan needs no heartbeat: two statements a page
BROKE_OFF = "The last scan broke off: an error in the broker, which the job queue and the log tell of."
EXPECTED: dict[str, frozenset[str]] = {
    "start": frozenset({Power.STARTING, Power.RUNNING}),
    "stop": frozenset({Power.STOPPING, Power.STOPPED}),
    "reboot": frozenset({Power.STARTING}),
    "rebuild": frozenset({Power.MAINTENANCE}),
    "delete": frozenset({Power.DELETING}),
}
ARRIVED: dict[str, str] = {"start": Power.RUNNING, "stop": Power.STOPPED}
NO_REST = frozenset({"reboot", "rebuild"})  # they end where they began: only what lies between shows them
OBSERVED = [
    "name",
    "display_name",
    "computer_name",
    "workspace_name",
    "bound_user",
    "address",
    "power",
    "raw_state",
    "error_code",
    "error_message",
    "power_at",
    "power_since",
    "wish",
    "wish_at",
    "wish_until",
    "availability",
    "scan_number",
    "sighted_at",
    "image",
    "bundle_ref",
    "running_mode",
    "compute_type",
    "root_gb",
    "user_gb",
    "subnet",
    "protocols",
    "rdp_cert_sha256",
    "deleted_at",
    "scan_assigned",
]
ADDRESS_CHANGES = frozenset({"REBUILDING", "RESTORING"})


def poll(job: Job) -> Result:
    """Scan one center, and insert the next scan. Only one runs per center (its key)."""
    center = Center.objects.select_related("server").filter(pk=int(job.subject.partition(":")[2])).first()
    if center is None:
        return Done("The center is gone.")
    again = now() + timedelta(minutes=center.refresh_minutes) if center.refresh_minutes else None
    Center.objects.filter(pk=center.pk).update(status=Center.Status.SCANNING)
    trouble = BROKE_OFF
    try:
        message = scan(center, job)
        trouble = ""
    except ProviderError as error:
        trouble = str(error)
        message, again = f"The scan failed: {error}", again or now() + timedelta(minutes=5)
    finally:
        ended(center, job, trouble)
    return Done(message, again)


@transaction.atomic
def ended(center: Center, job: Job, trouble: str) -> None:
    """What the center's page says after a scan; a scan that another worker has taken over says nothing.

    Where the center does not answer, nothing is deleted, and its page says why.
    """
    if mine(job).select_for_update(no_key=True).first() is None:
        return
    row = Center.objects.filter(pk=center.pk)
    if trouble:
        row.update(status=Center.Status.OFFLINE, status_reason=trouble)
        audit.record("center.scan_failed", f"{center}: {trouble}", subject=center, level="error")
    else:
        row.update(status=Center.Status.ONLINE, status_reason="", scanned_at=now())


def scan(center: Center, job: Job | None = None) -> str:
    """Read the whole inventory; raises ProviderError, and then nothing is missing. Returns what was found, in words."""
    source = provider(center)
    images = keep_images(center, source.images())
    seen, number, beaten = 0, center.scan_number + 1, now()
    for page in source.pages():
        keep_page(center, page, images, number)
        seen += len(page)
        if job is not None and now() - beaten > BEAT_EVERY:
            beaten = now()
            if not beat(job, KIND):
                return "Another worker has taken this scan over."
    Center.objects.filter(pk=center.pk, scan_number=center.scan_number).update(scan_number=number)
    lost = missing(center, number)
    assigned = assign_bound(center)
    settle_waiting(center)
    message = f"{seen} desktops and {len(images)} images found" + (f", {lost} missing" if lost else "")
    if assigned:
        message += f", {assigned} assigned to their AWS user"
    audit.record("center.scan_ok", f"{center}: {message}.", subject=center)
    return message + "."


def keep_images(center: Center, found: Sequence[RemoteImage]) -> dict[str, Image]:
    """Insert and update images, one statement; those not seen are marked. Returns them by ref."""
    moment = now()
    rows = [
        Image(
            center=center,
            ref=each.ref,
            name=each.name,
            description=each.description,
            image_ref=each.image_ref,
            compute_type=each.compute_type,
            root_gb=each.root_gb or None,
            user_gb=each.user_gb or None,
            state=each.state,
            owner=each.owner,
            updated_at=each.updated_at,
            seen_at=moment,
            is_core=looks_core(each.name),
        )
        for each in found
    ]
    Image.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["center", "ref"],
        update_fields=["name", "description", "image_ref", "compute_type", "root_gb", "user_gb", "state", "owner",
                       "updated_at", "seen_at", "missing"],
    )  # fmt: skip
    Image.objects.filter(center=center).exclude(ref__in=[each.ref for each in found]).update(missing=True)
    return {each.ref: each for each in Image.objects.filter(center=center)}


def looks_core(name: str) -> bool | None:
    """A name says what AWS does not (seed ch. 4: a naming convention); None where it says nothing."""
    text = name.lower()
    return True if "byop" in text or "core" in text else None


def keep_page(center: Center, page: Sequence[RemoteDesktop], images: dict[str, Image], number: int) -> None:
    """Insert and update one page of desktops: one statement to read, one to write."""
    with transaction.atomic():
        found = list(of_page(center, page))
        known = {each.ref: each for each in found if each.ref is not None}
        intents = {whose(each): each for each in found if each.ref is None}
        rows = []
        for remote in page:
            row = known.get(remote.ref)
            if row is None and remote.power != Power.DELETING and whose(remote) in intents:
                row = adopt(intents.pop(whose(remote)), remote.ref)
            row = row or fresh(center, remote)
            observed(row, remote, images.get(remote.bundle_ref))
            row.scan_number = number
            back_again(row, remote)
            rows.append(row)
        if rows:
            Desktop.objects.bulk_create(
                [copy(row) for row in rows],
                update_conflicts=True,
                unique_fields=["center", "ref"],
                update_fields=OBSERVED,
            )


def of_page(center: Center, page: Sequence[RemoteDesktop]) -> Iterable[Desktop]:
    """The rows that a page is about, and the deployments under way whose id is not known yet."""
    refs = [each.ref for each in page]
    return (
        Desktop.objects.select_for_update(no_key=True)
        .filter(center=center)
        .filter(Q(ref__in=refs) | Q(ref=None))
        .exclude(ref=None, availability=Desktop.Availability.DELETED)
        .order_by("pk")  # in one order, as everybody who locks two desktops
    )


def copy(row: Desktop) -> Desktop:
    """The row as an insert that the conflict turns into an update: bulk_create wants no primary key."""
    row.pk, row._state.adding = None, True
    return row


def whose(row: Desktop | RemoteDesktop) -> tuple[str, str]:
    """What tells a deployment under way from all others: its user, or the name of a user-decoupled one (RULES 25)."""
    return row.bound_user.lower(), "" if row.bound_user else row.workspace_name


def adopt(intent: Desktop, remote_ref: str) -> Desktop:
    """A deployment under way has shown up before its own job learned the id (RULES 25)."""
    Desktop.objects.filter(pk=intent.pk, ref=None).update(ref=remote_ref)
    intent.ref = remote_ref
    return intent


def back_again(row: Desktop, remote: RemoteDesktop) -> None:
    """A desktop that is listed again is not missing; one that was deleted and lives is taken back (unsaved).

    What an administrator made unavailable stays so. A deletion that we asked for a moment ago is not doubted.
    """
    revived = (
        row.availability == Desktop.Availability.DELETED
        and remote.power != Power.DELETING
        and (row.deleted_at is None or now() - row.deleted_at > BELIEVE_AFTER)
    )
    if revived:
        row.deleted_at, row.scan_assigned = None, False
    if revived or row.availability == Desktop.Availability.MISSING:
        away = bool(row.unavailable_reason)
        row.availability = Desktop.Availability.UNAVAILABLE if away else Desktop.Availability.AVAILABLE


def fresh(center: Center, remote: RemoteDesktop) -> Desktop:
    """A desktop that was never seen before, with the center's choices for new ones."""
    away = center.init_unavailable
    return Desktop(
        center=center,
        ref=remote.ref,
        first_seen_at=now(),
        deletable=center.new_deletable,
        availability=Desktop.Availability.UNAVAILABLE if away else Desktop.Availability.AVAILABLE,
        unavailable_reason="New desktops of this center start as unavailable." if away else "",
    )


def observed(row: Desktop, remote: RemoteDesktop, image: Image | None) -> None:
    """Put what the provider says into a row (unsaved). Facts about power go through the open wish first."""
    moment = now()
    row.name, row.computer_name, row.workspace_name = remote.name, remote.computer_name, remote.workspace_name
    row.bound_user, row.bundle_ref, row.running_mode = remote.bound_user, remote.bundle_ref, remote.running_mode
    row.compute_type, row.subnet, row.protocols = remote.compute_type, remote.subnet, list(remote.protocols)
    row.root_gb, row.user_gb = remote.root_gb or None, remote.user_gb or None
    row.image = image or row.image
    row.error_code, row.error_message = remote.error_code, remote.error_message
    row.sighted_at = row.sighted_at or moment
    if not row.own_display_name:
        row.display_name = default_name(row, remote)
    moved(row, remote, moment)
    if remote.raw_state in ADDRESS_CHANGES:
        row.address, row.rdp_cert_sha256 = "", ""  # a rebuild gives a new address (RULES 3)
        if row.pk:
            pins.forget(row)
            forget(row, row.power_since or moment, f"{row} is {remote.raw_state.lower()}: its machine is made anew.")
    else:
        row.address = remote.address


def default_name(row: Desktop, remote: RemoteDesktop) -> str:
    """ "<bundle name> – <user>", or the WorkspaceName; never ws-... (RULES 5)."""
    if remote.workspace_name:
        return remote.workspace_name
    bundle = row.image.name if row.image else "WorkSpace"
    return f"{bundle} – {remote.bound_user}" if remote.bound_user else f"{bundle} – {remote.computer_name or 'new'}"


def moved(row: Desktop, remote: RemoteDesktop, moment: datetime) -> None:
    """Believe an observed power state, unless it contradicts what we asked for less than a minute ago (RULES 24)."""
    row.power_at = moment
    if row.wish and row.wish_at:
        expected = EXPECTED.get(row.wish, frozenset())
        contrary, begun = remote.power not in expected, power_of(row.raw_state) in expected
        if contrary and not begun and moment - row.wish_at < BELIEVE_AFTER:
            return
        over = remote.power == ARRIVED.get(row.wish) or (contrary and (begun or row.wish in NO_REST))
        if over or (row.wish_until is not None and moment >= row.wish_until):
            row.wish, row.wish_at, row.wish_until = "", None, None
    if row.power != remote.power:
        row.power_since = moment
    row.power, row.raw_state = remote.power, remote.raw_state


def save_observed(desktop: Desktop, remote: RemoteDesktop) -> Desktop:
    """Store one desktop as described just now; returns the row as it stands."""
    with transaction.atomic():
        locked = Desktop.objects.select_for_update(of=("self",), no_key=True).select_related("center", "image")
        row = locked.get(pk=desktop.pk)
        observed(row, remote, None)
        # Seen now: a scan that read its pages before this machine was there shall not call it missing.
        row.scan_number = max(row.scan_number, row.center.scan_number + 1)
        row.save(update_fields=OBSERVED)
    return row


def missing(center: Center, number: int) -> int:
    """Absent from this complete scan: missing. Absent from the one before, too: deleted (CONTRACTS 2.10)."""
    overdue = now() - timedelta(minutes=center.start_deadline_minutes)
    listed_once = Q(sighted_at__isnull=False) | Q(ref__isnull=False, first_seen_at__lt=overdue)  # RULES 25
    unseen = Desktop.objects.filter(listed_once, center=center, scan_number__lt=number).exclude(
        availability=Desktop.Availability.DELETED
    )
    for desktop in unseen.filter(scan_number__lt=number - 1).select_related("center"):
        gone(desktop, "absent from two complete scans")
    lost = unseen.filter(scan_number=number - 1).exclude(availability=Desktop.Availability.MISSING)
    for desktop in lost:
        audit.record("center.desktop_missing", f"{desktop} is not in the scan.", desktop=desktop, level="warning")
    return lost.update(availability=Desktop.Availability.MISSING)


def assign_bound(center: Center) -> int:
    """Assign bound WorkSpaces to their AWS user: once, when WorkSpace and user are both known (RULES 10)."""
    new = (
        Desktop.objects.filter(center=center, scan_assigned=False, lent=False)
        .exclude(bound_user="")
        .exclude(availability=Desktop.Availability.DELETED)
        .annotate(bare=Lower("bound_user"))
    )
    people = User.objects.filter(server=center.server_id, is_active=True).annotate(bare=Lower("sam"))
    known = {user.sam.lower(): user for user in people.filter(bare__in=new.values("bare"))}
    if not known:
        return 0
    found = new.filter(bare__in=list(known))
    return sum(assigned_once(known[desktop.bound_user.lower()], desktop) for desktop in found)


@transaction.atomic
def assigned_once(user: User, desktop: Desktop) -> bool:
    """Lend the desktop to its AWS user and remember that the scan has had its say: both or neither."""
    lent = lend_this(user, desktop, Terms(origin="scan", reason="AWS bound it to this user"))
    if lent is not None:
        happened(Happening(lent.desktop, Event.ASSIGNED, lent.opened_at, lent))
    Desktop.objects.filter(pk=desktop.pk).update(scan_assigned=True)
    return lent is not None


KIND = Kind(run=poll, lease=SCAN_LEASE)
