"""Centers, desktops and images."""

import uuid
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower

from authservers.models import AuthenticationServer
from broker.core.fields import EncryptedJSONField


class Center(models.Model):
    """An external system that says which desktops and images exist (seed ch. 5)."""

    class Auth(models.TextChoices):
        ACCESS_KEY = "access_key", "Enter IAM Access Key"
        DEFAULT = "default", "Use the broker's own role or credential chain"
        ASSUME_ROLE = "assume_role", "Assume an IAM role"

    class Rogue(models.TextChoices):
        IGNORE = "ignore", "Do not assign"
        ASSIGN = "assign", "Always assign"
        PREVENT = "prevent", "Prevent rogue login"

    class Status(models.TextChoices):
        NEW = "new", "Not scanned yet"
        ONLINE = "online", "Online"
        SCANNING = "scanning", "Scanning"
        OFFLINE = "offline", "Offline"

    class Bound(models.TextChoices):
        OWNER = "owner", "Their AWS user"
        ANYONE = "anyone", "Anyone in the pool"

    uid = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    name = models.CharField("Name", max_length=100, unique=True)
    kind = models.CharField("Type", max_length=30, default="workspaces")
    server = models.ForeignKey(
        AuthenticationServer, models.PROTECT, verbose_name="Authentication Server", related_name="centers"
    )
    region = models.CharField("Region", max_length=30, blank=True)
    directory_id = models.CharField("AWS Directory ID", max_length=70, blank=True)
    auth = models.CharField("Authentication", max_length=20, choices=Auth, default=Auth.ACCESS_KEY)
    config = models.JSONField(default=dict, blank=True, help_text="access key id, role, proxy, deploy defaults")
    secrets = EncryptedJSONField()
    offer_desktops = models.BooleanField("Offer desktops from this center", default=True)
    refresh_minutes = models.PositiveIntegerField("Refresh interval", default=2)
    init_unavailable = models.BooleanField("Initialise new desktops as unavailable", default=False)
    new_deletable = models.BooleanField("New desktops are deletable", default=False)
    offer_bound = models.CharField("Offer bound WorkSpaces to", max_length=10, choices=Bound, default=Bound.OWNER)
    observe_only = models.BooleanField("Observe only", default=False)
    freeze_plans = models.BooleanField("Freeze plans", default=False)
    # who logs in past the broker (SPEC 2.1.2, 3.5.5)
    rogue = models.CharField("Assign rogue users", max_length=10, choices=Rogue, default=Rogue.IGNORE)
    # Policies stand above centers: this is a row that is named here and read there.
    rogue_policy = models.ForeignKey(
        "policies.Policy", models.PROTECT, verbose_name="Rogue policy", null=True, blank=True, related_name="+"
    )
    rogue_wait = models.PositiveIntegerField("Log out after", default=60, help_text="seconds")
    rogue_text = models.TextField("Warning", max_length=1000, blank=True)
    rogue_ignores_local = models.BooleanField("Ignore local accounts", default=True)
    rogue_ignored = models.TextField("Ignore these accounts", max_length=4095, blank=True)
    # machines that run for nobody while their agent is silent (RULES 21); 0 is never
    silent_warn_hours = models.PositiveSmallIntegerField("Warn when unused and silent for", default=12)
    silent_stop_hours = models.PositiveSmallIntegerField("Then shut down after", default=0)
    start_deadline_minutes = models.PositiveIntegerField("A deployment is late after", default=60)
    status = models.CharField(max_length=10, choices=Status, default=Status.NEW)
    status_reason = models.TextField(blank=True)
    scanned_at = models.DateTimeField(null=True, blank=True)
    scan_number = models.PositiveBigIntegerField(default=0, help_text="Counts complete scans.")
    notes = models.TextField("Notes", max_length=4095, blank=True)

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["region", "directory_id"],
                condition=Q(kind="workspaces"),
                name="one_center_per_region_and_directory",
                violation_error_message="Another center already manages this directory in this region.",
            )
        ]

    def __str__(self) -> str:
        return self.name


class Image(models.Model):
    """A template that desktops are deployed from; for WorkSpaces a custom bundle (seed ch. 4)."""

    center = models.ForeignKey(Center, models.CASCADE, related_name="images")
    ref = models.CharField("Bundle id", max_length=80)
    name = models.CharField("Name", max_length=255)
    description = models.TextField(blank=True)
    image_ref = models.CharField("Image id", max_length=80, blank=True)
    compute_type = models.CharField("Compute type", max_length=40, blank=True)
    root_gb = models.PositiveIntegerField("Root volume", null=True, blank=True)
    user_gb = models.PositiveIntegerField("User volume", null=True, blank=True)
    state = models.CharField("State", max_length=30, blank=True)
    owner = models.CharField("Owner", max_length=40, blank=True)
    is_core = models.BooleanField("Core (BYOP)", null=True, blank=True)
    updated_at = models.DateTimeField("Updated", null=True, blank=True)
    seen_at = models.DateTimeField(null=True, blank=True)
    missing = models.BooleanField(default=False)

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["center", "ref"], name="one_image_per_ref")]

    def __str__(self) -> str:
        return self.name


class Desktop(models.Model):
    """One machine. Five axes are kept apart and never merged into one word (DESIGN 4).

    Power is here, beside the wish; the agent's row tells the agent axis; `availability` is here; the open Assignment
    and `lent` tell whose it is; DesktopSession rows tell the session axis.
    """

    class Power(models.TextChoices):
        RUNNING = "running", "Running"
        STOPPED = "stopped", "Stopped"
        STARTING = "starting", "Starting"
        STOPPING = "stopping", "Stopping"
        MAINTENANCE = "maintenance", "Maintenance"
        UNHEALTHY = "unhealthy", "Running – unhealthy"
        SUSPENDED = "suspended", "Suspended"
        ERROR = "error", "Error"
        DELETING = "deleting", "Deleting"
        UNKNOWN = "unknown", "Unknown"

    class Availability(models.TextChoices):
        AVAILABLE = "available", "Available"
        UNAVAILABLE = "unavailable", "Unavailable"
        MISSING = "missing", "Missing"
        DELETED = "deleted", "Deleted"

    center = models.ForeignKey(Center, models.PROTECT, related_name="desktops")
    # None is "no id yet": "" would break the unique constraint.
    ref = models.CharField(  # noqa: DJ001
        "Id", max_length=80, null=True, blank=True, help_text="None while a deployment has no id yet."
    )
    name = models.CharField("Name", max_length=255)
    display_name = models.CharField("Display name", max_length=255, blank=True)
    own_display_name = models.BooleanField(default=False, help_text="An administrator chose the display name.")
    computer_name = models.CharField("Machine name", max_length=63, blank=True)
    workspace_name = models.CharField("WorkSpace name", max_length=64, blank=True)
    bound_user = models.CharField("AWS user", max_length=255, blank=True)
    address = models.CharField("Address", max_length=255, blank=True)
    address_override = models.CharField("Use this address instead", max_length=255, blank=True)
    # axis 1: power, what AWS calls it, and what we asked for (RULES 24)
    power = models.CharField("Power", max_length=12, choices=Power, default=Power.UNKNOWN)
    raw_state = models.CharField("State at AWS", max_length=30, blank=True)
    error_code = models.CharField(max_length=80, blank=True)
    error_message = models.TextField(blank=True)
    power_at = models.DateTimeField(null=True, blank=True, help_text="When the power state was last observed.")
    power_since = models.DateTimeField(null=True, blank=True, help_text="Since when it has been in this state.")
    wish = models.CharField(
        max_length=12, blank=True, help_text="What we asked for: start, stop, reboot, rebuild, delete."
    )
    wish_at = models.DateTimeField(null=True, blank=True)
    wish_until = models.DateTimeField(null=True, blank=True)
    # whether its viewer port answered when somebody last connected
    port_checked_at = models.DateTimeField(null=True, blank=True)
    port_trouble = models.CharField(max_length=255, blank=True, help_text="Empty: it answered, or was never tried.")
    # axis 3: availability
    availability = models.CharField("Availability", max_length=12, choices=Availability, default=Availability.AVAILABLE)
    unavailable_reason = models.CharField("Why it is unavailable", max_length=255, blank=True)
    scan_number = models.PositiveBigIntegerField(default=0, help_text="The last complete scan that saw it.")
    first_seen_at = models.DateTimeField("First seen")
    sighted_at = models.DateTimeField(null=True, blank=True, help_text="When AWS first described it (RULES 25).")
    deleted_at = models.DateTimeField(null=True, blank=True)
    # axis 4 in short: flips in the transaction that opens or closes the assignment (CONTRACTS 5.1)
    lent = models.BooleanField(default=False)
    scan_assigned = models.BooleanField(
        default=False, help_text="A scan assigns once; a release is remembered (RULES 10)."
    )
    # what it is
    image = models.ForeignKey(Image, models.SET_NULL, null=True, blank=True, related_name="desktops")
    bundle_ref = models.CharField(max_length=80, blank=True)
    running_mode = models.CharField("Running mode", max_length=20, blank=True)
    compute_type = models.CharField("Compute type", max_length=40, blank=True)
    root_gb = models.PositiveIntegerField("Root volume", null=True, blank=True)
    user_gb = models.PositiveIntegerField("User volume", null=True, blank=True)
    subnet = models.CharField(max_length=40, blank=True)
    protocols = ArrayField(models.CharField(max_length=20), default=list, blank=True)
    os = models.CharField("Operating system", max_length=120, blank=True)
    rdp_cert_sha256 = models.CharField(max_length=64, blank=True, help_text="The pin; cleared by rebuild (RULES 3).")
    # what we decided about it
    deletable = models.BooleanField("Allow this desktop to be permanently deleted from disk", default=False)
    plans_off = models.BooleanField("Plans do not act here", default=False)
    tags = ArrayField(models.CharField(max_length=60), default=list, blank=True)
    notes = models.TextField("Notes", max_length=4095, blank=True)
    last_used_at = models.DateTimeField("Last used", null=True, blank=True)
    offered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["center", "ref"], name="one_desktop_per_ref"),
            models.UniqueConstraint(
                F("center"),
                Lower("bound_user"),
                condition=Q(ref=None) & ~Q(bound_user="") & ~Q(availability="deleted"),
                name="one_deployment_under_way_per_user",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["center", "id"], condition=Q(lent=False, availability="available"), name="desktop_free"
            ),
            models.Index(fields=["center", "scan_number"], name="desktop_scan"),
            models.Index(Lower("computer_name"), name="desktop_computer"),
            GinIndex(fields=["tags"], name="desktop_tags"),
        ]

    def __str__(self) -> str:
        return self.display_name or self.name

    @property
    def destination(self) -> str:
        """The address that connections go to (RULES 3): never DNS of the computer name."""
        return self.address_override or self.address
