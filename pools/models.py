"""Pools and assignments."""

from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from centers.models import Center, Desktop


class Pool(models.Model):
    """Any group of desktops. `rules.py` compiles it to one queryset (SPEC 3.1)."""

    class By(models.TextChoices):
        CENTERS = "centers", "Centers"
        ATTRIBUTES = "attributes", "Desktop attributes"
        TAGS = "tags", "Tags"
        SELECTION = "selection", "Selection from parent pool"
        ALL = "all", "All desktops"

    class Distribute(models.IntegerChoices):
        RANDOM = 0, "Randomly"
        LEAST_ASSIGNED = 1, "Center with least assignments"
        MOST_AVAILABLE = 2, "Center with most available"

    name = models.CharField("Name", max_length=100, unique=True)
    display_name = models.CharField("Display name", max_length=100, blank=True)
    parent = models.ForeignKey(
        "self", models.PROTECT, verbose_name="Subset of pool", null=True, blank=True, related_name="children"
    )
    defined_by = models.CharField("Define pool using", max_length=12, choices=By, default=By.CENTERS)
    centers = models.ManyToManyField(Center, related_name="pools", blank=True)
    desktops = models.ManyToManyField(Desktop, related_name="picked_by", blank=True)
    match_all = models.BooleanField("Match all rules", default=True)
    rules = models.JSONField(default=list, blank=True, help_text="[{attribute, condition, value}]")
    tags = models.JSONField(default=list, blank=True)
    never_rogue = models.BooleanField("Treat any logged-in user as the assigned user", default=False)
    distribute = models.PositiveSmallIntegerField(
        "Distribute offers over centers", choices=Distribute, default=Distribute.RANDOM
    )
    is_root = models.BooleanField(default=False, editable=False)
    notes = models.TextField("Notes", max_length=4095, blank=True)

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["is_root"], condition=Q(is_root=True), name="one_root_pool"),
            models.CheckConstraint(condition=Q(is_root=True) | Q(parent__isnull=False), name="a_pool_has_a_parent"),
        ]

    def __str__(self) -> str:
        return self.name


class Drain(models.Model):
    """A pool that is being emptied: offered to nobody at once, its people told, and logged out at the deadline.

    `emptied` are the desktops that the drain took out of the offers; its end puts them back.
    """

    pool = models.ForeignKey(Pool, models.CASCADE, related_name="drains")
    message = models.TextField("Message", max_length=1000)
    deadline = models.DateTimeField("Log out at")
    emptied = ArrayField(models.BigIntegerField(), default=list, blank=True)
    begun_at = models.DateTimeField()
    begun_by = models.CharField(max_length=255)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["pool"], condition=Q(ended_at=None), name="one_drain_per_pool")
        ]

    def __str__(self) -> str:
        return f"Drain of {self.pool}"


class Assignment(models.Model):
    """A desktop lent to a user. Only `services.lend()` and `services.release()` write here (CONTRACTS 5.1)."""

    class Kind(models.TextChoices):
        POLICY = "policy", "Policy-assigned"
        HARD = "hard", "Hard-assigned"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="assignments")
    desktop = models.ForeignKey(Desktop, models.PROTECT, related_name="assignments")
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.POLICY)
    pool = models.ForeignKey(Pool, models.SET_NULL, null=True, blank=True, related_name="assignments")
    line = models.BigIntegerField(null=True, blank=True, help_text="The policy row (PoolAssignment) that offered it.")
    origin = models.CharField(max_length=12, help_text="connect, deploy, scan or admin")
    opened_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True, help_text="When the user first logged in to it.")
    closed_at = models.DateTimeField(null=True, blank=True)
    close_reason = models.CharField(max_length=255, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["desktop"], condition=Q(closed_at=None), name="one_desktop_one_user"),
            models.CheckConstraint(condition=Q(closed_at=None) | ~Q(close_reason=""), name="a_release_says_why"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["user"], condition=Q(closed_at=None), name="assignment_open_user"),
            models.Index(fields=["desktop", "-id"], name="assignment_history"),
            models.Index(fields=["user", "-closed_at"], name="assignment_past"),
        ]

    def __str__(self) -> str:
        return f"{self.desktop} – {self.user}"
