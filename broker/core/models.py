"""The floor's tables: work to do, what happened, settings, and who is alive. No foreign key points upwards."""

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q


class Job(models.Model):
    """Something that must happen later or may fail. This table is the queue (DESIGN 3)."""

    class State(models.TextChoices):
        PENDING = "pending", "Pending"
        RUNNING = "running", "Running"
        FINISHED = "finished", "Finished"
        CANCELLED = "cancelled", "Cancelled"
        ABORTED = "aborted", "Aborted"

    kind = models.CharField(max_length=40, help_text="One of SPEC A.5's job types.")
    subject = models.CharField(max_length=60, blank=True, help_text='What it is about, as "desktop:12".')
    subject_name = models.CharField(max_length=200, blank=True)
    context = models.CharField(max_length=60, blank=True, help_text='What it hangs on, as "assignment:7".')
    payload = models.JSONField(default=dict)
    cause = models.CharField(max_length=40, blank=True, help_text="The event that asked for it.")
    plan = models.CharField(max_length=120, blank=True, help_text="The plan that asked for it, by name.")
    key = models.CharField(max_length=120, blank=True, help_text="At most one Pending job per key.")
    batch = models.CharField(max_length=60, blank=True, help_text="Due jobs of one batch are done by one call.")
    priority = models.SmallIntegerField(default=0, help_text="Higher first among those that are due.")
    run_at = models.DateTimeField()
    deadline = models.DateTimeField(null=True, blank=True)
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    reason = models.TextField(blank=True, help_text="Why it waits, was cancelled or was aborted, in words.")
    message = models.TextField(blank=True, help_text="What came of it.")
    tries = models.PositiveIntegerField(default=0)
    setbacks = models.PositiveIntegerField(
        default=0, db_default=0, help_text="How often in a row it was put off without a time."
    )
    history = models.JSONField(default=list, help_text="What came of each try: {at, until, state, said, times}.")
    leased_until = models.DateTimeField(null=True, blank=True)
    node = models.CharField(max_length=80, blank=True)
    actor_id = models.BigIntegerField(null=True, blank=True)
    actor_name = models.CharField(max_length=200, blank=True)
    correlation_id = models.CharField(max_length=40, blank=True)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["key"], condition=Q(state="pending") & ~Q(key=""), name="one_pending_job_per_key"
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["cancelled", "aborted"]) | ~Q(reason=""), name="an_ended_job_says_why"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["run_at", "-priority"], condition=Q(state="pending"), name="job_due"),
            models.Index(fields=["leased_until"], condition=Q(state="running"), name="job_leases"),
            models.Index(fields=["key"], condition=Q(state="running"), name="job_running_key"),
            models.Index(fields=["batch", "run_at"], condition=Q(state__in=["pending", "running"]), name="job_batch"),
            models.Index(fields=["subject", "state"], name="job_subject"),
            models.Index(fields=["context", "state"], name="job_context"),
            models.Index(fields=["state", "finished_at"], name="job_retention"),
            models.Index(
                fields=["subject", "-finished_at"], condition=Q(finished_at__isnull=False), name="job_past_subject"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class LogEntry(models.Model):
    """What happened, who did it, to what, from where (SPEC 13.6)."""

    class Level(models.TextChoices):
        INFORMATION = "information", "Information"
        WARNING = "warning", "Warning"
        ERROR = "error", "Error"

    at = models.DateTimeField()
    level = models.CharField(max_length=12, choices=Level, default=Level.INFORMATION)
    event = models.CharField(max_length=60)
    message = models.TextField()
    actor_id = models.BigIntegerField(null=True, blank=True)
    actor_name = models.CharField(max_length=200, blank=True)
    subject = models.CharField(max_length=60, blank=True)
    subject_name = models.CharField(max_length=200, blank=True)
    user_ref = models.CharField(max_length=60, blank=True)
    user_name = models.CharField(max_length=200, blank=True)
    desktop_ref = models.CharField(max_length=60, blank=True)
    desktop_name = models.CharField(max_length=200, blank=True)
    pool_name = models.CharField(max_length=120, blank=True)
    changes = models.JSONField(default=dict, help_text="field -> [before, after]; never a secret.")
    client_ip = models.GenericIPAddressField(null=True, blank=True)
    node = models.CharField(max_length=80, blank=True)
    correlation_id = models.CharField(max_length=40, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        verbose_name_plural = "log entries"
        indexes: ClassVar = [
            models.Index(fields=["-at"], name="log_at"),
            models.Index(fields=["user_ref", "-at"], name="log_of_user"),
            models.Index(fields=["desktop_ref", "-at"], name="log_of_desktop"),
            models.Index(fields=["event", "-id"], name="log_event"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.event}"


class Setting(models.Model):
    """One setting of System > Settings that differs from its default."""

    key = models.CharField(max_length=60, primary_key=True)
    value = models.JSONField()
    changed_at = models.DateTimeField()


class Node(models.Model):
    """A broker process that says it is alive: the queue answers while a worker's row is younger than 60 s."""

    name = models.CharField(max_length=80)
    kind = models.CharField(max_length=10, help_text="web, worker or beat")
    version = models.CharField(max_length=20, blank=True)
    seen_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["name", "kind"], name="one_row_per_node")]


class Attempt(models.Model):
    """A failed sign-in, kept for as long as it counts (CONTRACTS 3: 5 per user and address, 50 per address)."""

    login = models.CharField(max_length=200)
    address = models.CharField(max_length=60)
    at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["address", "at"], name="attempt_address")]


def ref(row: models.Model | Any) -> str:
    """How the floor names a row of any table: "desktop:12"."""
    return f"{row._meta.model_name}:{row.pk}"
