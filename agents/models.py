"""Agents, their inbox and their outbox."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from centers.models import Center, Desktop


class EnrolmentToken(models.Model):
    """What an image is baked with: lets a machine of this center register. Stored hashed, shown once."""

    center = models.ForeignKey(Center, models.CASCADE, related_name="enrolment_tokens")
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the token.")
    hint = models.CharField(max_length=8, help_text="Its first characters, to tell tokens apart.")
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200, blank=True)
    note = models.CharField(max_length=200, blank=True, help_text="What it is for: which image it is baked into.")
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    used_at = models.DateTimeField(null=True, blank=True)


class Agent(models.Model):
    """An agent program on one machine (RULES 1-3)."""

    uuid = models.UUIDField(unique=True)
    fingerprint = models.CharField(max_length=200, blank=True)
    key_digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of its key.")
    center = models.ForeignKey(Center, models.CASCADE, related_name="agents")
    token = models.ForeignKey(EnrolmentToken, models.SET_NULL, null=True, blank=True, related_name="machines")
    desktop = models.OneToOneField(Desktop, models.SET_NULL, null=True, blank=True, related_name="agent")
    approved = models.BooleanField(default=False)
    hostname = models.CharField(max_length=255, blank=True)
    workspace_id = models.CharField(max_length=80, blank=True)
    addresses = ArrayField(models.CharField(max_length=60), default=list, blank=True)
    macs = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    protocols = ArrayField(models.CharField(max_length=20), default=list, blank=True)
    abilities = ArrayField(
        models.CharField(max_length=40), default=list, blank=True, help_text="Commands it knows; empty: the first ones."
    )
    os = models.CharField(max_length=120, blank=True)
    version = models.CharField(max_length=40, blank=True)
    port = models.PositiveIntegerField(default=8080)
    rdp_cert_sha256 = models.CharField(max_length=64, blank=True)
    boot_id = models.CharField(max_length=80, blank=True)
    booted_at = models.DateTimeField(null=True, blank=True)
    boots = ArrayField(
        models.CharField(max_length=80), default=list, blank=True, help_text="Boot ids seen, newest last."
    )
    sessions = models.JSONField(default=list, blank=True, help_text="The session list of the last heartbeat.")
    skew_seconds = models.FloatField(default=0, help_text="How far its clock is off; over 60 s is shown.")
    registered_at = models.DateTimeField()
    last_seen = models.DateTimeField(null=True, blank=True)
    silent = models.BooleanField(default=False, help_text="Not heard for 95 s; set and cleared by the watch.")
    lost_at = models.DateTimeField(null=True, blank=True, help_text="Since when it is missed, as the log says it.")
    revoked_at = models.DateTimeField(null=True, blank=True)
    why = models.CharField(max_length=200, blank=True, help_text="Why it waits for approval, or was revoked, in words.")
    barred_from = models.ForeignKey(
        Desktop,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="barred_agents",
        help_text="An administrator revoked it as this desktop's agent: the next one waits for approval.",
    )
    polling_until = models.DateTimeField(null=True, blank=True, help_text="Until when the endpoint holds its poll.")
    checked_at = models.DateTimeField(null=True, blank=True, help_text="When we last called its port.")
    reachable = models.BooleanField(null=True, blank=True, help_text="Whether its port answered our call.")
    check_detail = models.CharField(max_length=200, blank=True)
    waiting = models.BooleanField(default=False, help_text="Its inbox holds events that are not handled yet.")

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["last_seen"], name="agent_last_seen"),
            models.Index(fields=["id"], condition=Q(waiting=True), name="agent_waiting"),
        ]

    def __str__(self) -> str:
        return self.hostname or str(self.uuid)


class AgentEvent(models.Model):
    """What an agent told us. Handled in order, one desktop through one worker at a time."""

    # Its own index would be one more to write for each event; "event_timeline" serves as well.
    agent = models.ForeignKey(Agent, models.CASCADE, related_name="events", db_index=False)
    boot_id = models.CharField(max_length=80)
    seq = models.BigIntegerField()
    type = models.CharField(max_length=20)
    user = models.CharField(max_length=255, blank=True)
    sid = models.CharField(max_length=190, blank=True)
    local = models.BooleanField(null=True, blank=True)
    os_session = models.CharField(max_length=80, blank=True)
    at = models.DateTimeField(help_text="When it happened by our clock (RULES 18).")
    told_at = models.DateTimeField(null=True, help_text="When it happened by the agent's clock.")
    received_at = models.DateTimeField()
    data = models.JSONField(default=dict)
    handled_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=200, blank=True, help_text="What came of it, or why it was ignored.")
    error = models.TextField(blank=True)

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["agent", "boot_id", "seq"], name="one_event_per_seq")]
        indexes: ClassVar = [
            models.Index(fields=["agent", "id"], condition=Q(handled_at=None), name="event_inbox"),
            models.Index(fields=["handled_at"], name="event_retention"),
            models.Index(fields=["agent", "-at"], name="event_timeline"),
        ]


class AgentCommand(models.Model):
    """What we ask of an agent; fetched by its poll, answered by `POST commands/{id}`."""

    agent = models.ForeignKey(Agent, models.CASCADE, related_name="commands")
    type = models.CharField(max_length=20)
    data = models.JSONField(default=dict)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    fetched_at = models.DateTimeField(null=True, blank=True)
    done_at = models.DateTimeField(null=True, blank=True)
    ok = models.BooleanField(null=True, blank=True)
    detail = models.TextField(blank=True)
    reason = models.CharField(max_length=200, blank=True, help_text="Why we asked.")

    class Meta:
        ordering: ClassVar = ["id"]
        indexes: ClassVar = [models.Index(fields=["agent", "id"], condition=Q(done_at=None), name="command_outbox")]
