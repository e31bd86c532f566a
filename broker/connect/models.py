"""What is going on now: portal sessions, launches, sessions on desktops, clients."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from centers.models import Desktop
from policies.models import Location, Policy, PoolAssignment, Role
from pools.models import Assignment


class Client(models.Model):
    """A device or browser that people sign in from. All of it is text that strangers wrote: escape it."""

    cookie = models.UUIDField(unique=True, default=uuid.uuid4)
    user_agent = models.CharField(max_length=500, blank=True)
    language = models.CharField(max_length=60, blank=True)
    address = models.GenericIPAddressField(null=True, blank=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="clients")
    location = models.ForeignKey(Location, models.SET_NULL, null=True, blank=True, related_name="clients")
    first_seen_at = models.DateTimeField()
    seen_at = models.DateTimeField()


class PortalSession(models.Model):
    """One sign-in to the broker: who, from where, with which role and policy (seed ch. 7)."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="portal_sessions")
    session_key = models.CharField(max_length=40, unique=True)
    client = models.ForeignKey(Client, models.SET_NULL, null=True, blank=True, related_name="portal_sessions")
    address = models.GenericIPAddressField(null=True, blank=True)
    role = models.ForeignKey(Role, models.SET_NULL, null=True, related_name="+")
    policy = models.ForeignKey(Policy, models.SET_NULL, null=True, related_name="+")
    location = models.ForeignKey(Location, models.SET_NULL, null=True, blank=True, related_name="+")
    opened_at = models.DateTimeField()
    active_at = models.DateTimeField(help_text="The last request of a person; written at most once a minute.")
    expires_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    close_reason = models.CharField(max_length=120, blank=True)
    vault = models.TextField(blank=True, editable=False, help_text="The sealed password (credentials.py).")
    time_zone = models.CharField(max_length=64, blank=True, help_text="Of the device, as its browser says.")

    half = ""  # the browser's half of the vault's key, in the request that made it; never stored

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(closed_at=None) | Q(vault=""), name="a_closed_sign_in_has_no_vault")
        ]
        indexes: ClassVar = [models.Index(fields=["user", "closed_at"], name="portal_open")]

    def __str__(self) -> str:
        return f"{self.user}, {self.opened_at:%Y-%m-%d %H:%M} UTC"


class DesktopSession(models.Model):
    """One session of an operating system, as the agent tells it (RULES 15). The epoch is (boot_id, os_session)."""

    class State(models.TextChoices):
        ACTIVE = "active", "Connected"
        DISCONNECTED = "disconnected", "Disconnected"
        ENDED = "ended", "Ended"

    desktop = models.ForeignKey(Desktop, models.CASCADE, related_name="sessions")
    boot_id = models.CharField(max_length=80)
    os_session = models.CharField(max_length=80)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="desktop_sessions"
    )
    user_name = models.CharField(max_length=255, help_text="As the agent wrote it.")
    assignment = models.ForeignKey(Assignment, models.SET_NULL, null=True, blank=True, related_name="sessions")
    rogue = models.BooleanField(default=False)
    state = models.CharField(max_length=14, choices=State, default=State.ACTIVE)
    locked = models.BooleanField(default=False)
    idle_since = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=120, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["desktop", "boot_id", "os_session"], condition=Q(ended_at=None), name="one_row_per_epoch"
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["desktop"], condition=Q(ended_at=None), name="session_live"),
            models.Index(fields=["user", "-started_at"], name="session_user"),
        ]

    def __str__(self) -> str:
        return f"{self.user or self.user_name} on {self.desktop}"


class Launch(models.Model):
    """One press of Connect, from the click to the file or the viewer; its steps are in `states.py`."""

    class Step(models.TextChoices):
        ASSIGNING = "assigning", "Assigning"
        STARTING = "starting", "Starting"
        WAITING = "waiting_for_agent", "Waiting for agent"
        OPENING = "opening", "Opening"
        CONNECTING = "connecting", "Connecting"
        DONE = "done", "Connected"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    ENDED: ClassVar = [Step.DONE, Step.FAILED, Step.CANCELLED]

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="launches")
    desktop = models.ForeignKey(Desktop, models.CASCADE, related_name="launches")
    assignment = models.ForeignKey(Assignment, models.CASCADE, related_name="launches")
    portal_session = models.ForeignKey(PortalSession, models.SET_NULL, null=True, blank=True, related_name="launches")
    client_ip = models.GenericIPAddressField(null=True, blank=True)
    protocol = models.CharField(max_length=20, blank=True)
    through = models.CharField(max_length=100, blank=True, help_text="The gateway or cluster, where one is used.")
    port = models.PositiveIntegerField(default=3389, help_text="Where the desktop listens for this protocol.")
    step = models.CharField(max_length=20, choices=Step, default=Step.ASSIGNING)
    step_at = models.DateTimeField()
    started_at = models.DateTimeField()
    deadline = models.DateTimeField()
    opened_at = models.DateTimeField(null=True, blank=True, help_text="Since when its file is handed out.")
    file_at = models.DateTimeField(null=True, blank=True, help_text="When the file was first taken.")
    ended_at = models.DateTimeField(null=True, blank=True)
    message = models.TextField(blank=True, help_text="What the person is told: a warning, or why it failed.")
    times = models.JSONField(default=dict, blank=True, help_text="step -> when it began")
    usual = models.JSONField(default=dict, blank=True, help_text="step -> how many seconds it usually takes")
    time_zone = models.CharField(max_length=64, blank=True, help_text="What its desktop's becomes; empty: as it is.")
    zone_asked_of = models.BigIntegerField(null=True, blank=True, help_text="The desktop that was asked for it.")
    refused_by = ArrayField(
        models.BigIntegerField(), default=list, blank=True, help_text="Desktops that would not let the user in."
    )

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["user", "desktop"], condition=Q(ended_at=None), name="one_launch_per_user_and_desktop"
            )
        ]
        indexes: ClassVar = [models.Index(fields=["desktop"], condition=Q(ended_at=None), name="launch_open")]


class Pin(models.Model):
    """The certificate that a desktop's port showed when it was first used, where no agent tells which (RULES 3)."""

    desktop = models.ForeignKey(Desktop, models.CASCADE, related_name="pins")
    port = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64, blank=True, help_text="Empty: whatever comes next is trusted.")
    other = models.CharField(max_length=64, blank=True, help_text="Another one, which was refused since.")
    since = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["desktop", "port"], name="one_pin_per_port")]


class QueuePlace(models.Model):
    """A place in the queue for a desktop of one line of a policy: first come, first served (queue.py)."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="queue_places")
    line = models.ForeignKey(PoolAssignment, models.CASCADE, related_name="queue_places")
    portal_session = models.ForeignKey(PortalSession, models.SET_NULL, null=True, blank=True, related_name="+")
    client_ip = models.GenericIPAddressField(null=True, blank=True)
    held = models.PositiveIntegerField(default=0, help_text="How many desktops of the line the user had at the click.")
    since = models.DateTimeField()
    seen_at = models.DateTimeField(help_text="When its page last asked; written at most every ten seconds.")
    usual = models.PositiveIntegerField(null=True, blank=True, help_text="Seconds that others waited, the median.")
    launch = models.ForeignKey(Launch, models.SET_NULL, null=True, blank=True, related_name="+")
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering: ClassVar = ["since", "id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["user", "line"], condition=Q(ended_at=None), name="one_place_per_user_and_line"
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["since"], condition=Q(ended_at=None), name="queue_open"),
            models.Index(fields=["line", "-ended_at"], name="queue_past"),
        ]
