"""Gateways, their clusters, and the record of every way that was opened through them."""

import uuid
from datetime import timedelta
from typing import ClassVar

from django.db import models
from django.db.models import Q

from broker.core.clock import now
from broker.core.fields import EncryptedJSONField

SILENT_AFTER = timedelta(seconds=35)  # three heartbeats of 10 s that did not come


class SourceFilter(models.IntegerChoices):
    """Which clients may use a forwarded port, and which port that is (SPEC 2.3, use_src_ip)."""

    RANDOM_PORT = 0, "Random gateway port, no source-IP filter"
    SAME_PORT = 1, "Source-IP filter, same port number as the desktop"
    FILTERED = 2, "Source-IP filter, random gateway port"


class GatewayCluster(models.Model):
    """Several gateways of which one, or any, carries a connection (SPEC 2.3)."""

    class Balance(models.TextChoices):
        ALL = "E", "All gateways (an external load balancer picks one)"
        SIGN_IN = "P", "The gateway used for the sign-in"
        FEWEST = "L", "The gateway with the fewest active connections"

    name = models.CharField("Name", max_length=100, unique=True)
    address = models.CharField("Public IP address or FQDN", max_length=255, blank=True)
    use_src_ip = models.PositiveSmallIntegerField(
        "Method of source-IP filtering", choices=SourceFilter, default=SourceFilter.RANDOM_PORT
    )
    balance = models.CharField("Load balance via", max_length=1, choices=Balance, default=Balance.FEWEST)
    notes = models.TextField("Notes", max_length=4095, blank=True)

    class Meta:
        ordering: ClassVar = ["name"]
        verbose_name = "gateway cluster"

    def __str__(self) -> str:
        return self.name


class Gateway(models.Model):
    """A reverse proxy, port forwarder and in-browser viewer in front of private desktops (seed ch. 5)."""

    class State(models.TextChoices):
        UNKNOWN = "unknown", "Unknown"
        ONLINE = "online", "Online"
        OFFLINE = "offline", "Offline"

    uid = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    name = models.CharField("Name", max_length=100, unique=True)
    address = models.CharField("Public IP address or FQDN for use in Protocol Plans", max_length=255)
    address_private = models.CharField(
        "IP address or FQDN used for Connection Broker communications to this Gateway", max_length=255, blank=True
    )
    use_src_ip = models.PositiveSmallIntegerField(
        "Method of source-IP filtering", choices=SourceFilter, default=SourceFilter.RANDOM_PORT
    )
    cluster = models.ForeignKey(
        GatewayCluster, models.PROTECT, verbose_name="Gateway cluster", null=True, blank=True, related_name="gateways"
    )
    notes = models.TextField("Notes", max_length=4095, blank=True)
    secrets = EncryptedJSONField()
    # Whom we trust:
    public_key = models.CharField(max_length=60, blank=True, help_text="Ed25519, base64; pinned on Save.")
    certificate_sha256 = models.CharField(max_length=64, blank=True, help_text="Pinned on Save.")
    key_shown = models.CharField(max_length=60, blank=True, help_text="Another key, which it showed since.")
    certificate_shown = models.CharField(max_length=64, blank=True, help_text="Another certificate, likewise.")
    registered_at = models.DateTimeField(null=True, blank=True)
    # How it is:
    state = models.CharField(max_length=10, choices=State, default=State.UNKNOWN)
    reason = models.TextField(blank=True, help_text="Why it is offline, in words.")
    checked_at = models.DateTimeField(null=True, blank=True, help_text="When we last asked it.")
    seen_at = models.DateTimeField(null=True, blank=True, help_text="When it last answered us.")
    heard_at = models.DateTimeField(null=True, blank=True, help_text="When it last spoke of itself.")
    beat_at = models.BigIntegerField(default=0, help_text="Time of its newest heartbeat, by its own clock.")
    started_at = models.FloatField(default=0, help_text="Since when its program runs, by its own clock.")
    refused_seen = models.JSONField(
        default=list,
        blank=True,
        help_text="[start of a program, number of its last refusal in our log], the newest two.",
    )
    version = models.CharField(max_length=40, blank=True)
    forward_to = models.CharField("Forwarding to", max_length=255, blank=True)
    draining = models.BooleanField(default=False)
    sessions = models.PositiveIntegerField(default=0)
    ports_free = models.PositiveIntegerField(default=0)
    ports_first = models.PositiveIntegerField(default=0)
    ports_last = models.PositiveIntegerField(default=0)

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["public_key"], condition=~Q(public_key=""), name="one_row_per_gateway_key",
                violation_error_message="This gateway is registered already, under another name.",
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return self.name

    @property
    def is_up(self) -> bool:
        """Whether it is there and speaks to us: three heartbeats missed count as gone, before any check says so."""
        heard = self.heard_at is not None and self.heard_at > now() - SILENT_AFTER
        return bool(self.public_key) and self.state == self.State.ONLINE and heard


class Tunnel(models.Model):
    """An opening at one gateway, from the broker's call to its end: the record that stays.

    Where several gateways may be used, each has its row with the same `token_id`; the one that redeems it goes on.
    """

    class By(models.TextChoices):
        USER = "user", "User"
        DESKTOP = "desktop", "Desktop"
        GATEWAY = "gateway", "Gateway"
        BROKER = "broker", "Broker"
        LIMIT = "limit", "Time limit"
        SILENCE = "silence", "Silence of the gateway"  # taken back where it turns out to live

    gateway = models.ForeignKey(Gateway, models.SET_NULL, null=True, related_name="tunnels")
    gateway_name = models.CharField(max_length=100, blank=True)
    token_id = models.CharField(max_length=40)
    subject = models.CharField(max_length=60, help_text='The launch it belongs to, as "launch:4".')
    user = models.CharField(max_length=60, blank=True, help_text='Whose it is, as "user:5".')
    protocol = models.CharField(max_length=10, default="tcp")
    destination = models.CharField(max_length=255)
    port = models.PositiveIntegerField(null=True, blank=True)
    started_at = models.FloatField(default=0, help_text="Of the gateway's program that opened it: it ends with that.")
    redeem = models.BooleanField(default=False, help_text="The gateway asks us before it opens.")
    redeemed_at = models.DateTimeField(null=True, blank=True)
    opened_at = models.DateTimeField()
    lease_until = models.DateTimeField(help_text="Until when somebody has to come first.")
    used_at = models.DateTimeField(null=True, blank=True)
    client_ip = models.GenericIPAddressField(null=True, blank=True)
    certificate = models.CharField(max_length=64, blank=True, help_text="SHA-256 that the desktop showed.")
    connections = models.PositiveIntegerField(default=0)
    left_at = models.DateTimeField(null=True, blank=True, help_text="Since when its port has had no client.")
    bytes_in = models.BigIntegerField(default=0)
    bytes_out = models.BigIntegerField(default=0)
    last_traffic_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    close_reason = models.CharField(max_length=200, blank=True)
    closed_by = models.CharField(max_length=10, choices=By, blank=True)
    told_at = models.DateTimeField(null=True, blank=True, help_text="Since when its gateway knows that it is closed.")

    class Meta:
        verbose_name = "connection"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["token_id", "gateway"], name="one_row_per_opening_and_gateway"),
            models.UniqueConstraint(
                fields=["token_id"], condition=Q(redeemed_at__isnull=False), name="a_token_is_redeemed_once"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["gateway", "closed_at"], name="tunnel_open"),
            models.Index(fields=["subject"], name="tunnel_subject"),
            models.Index(fields=["user"], condition=Q(closed_at=None), name="tunnel_open_user"),
            models.Index(fields=["gateway"], condition=Q(told_at=None, closed_at__isnull=False), name="tunnel_untold"),
        ]

    def __str__(self) -> str:
        return f"{self.protocol} to {self.destination}"


class BrokerKey(models.Model):
    """The key by which gateways know their broker: one row, made once; the private half is a secret."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    uid = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    public_key = models.CharField(max_length=60, help_text="Ed25519, base64.")
    secrets = EncryptedJSONField()
    created_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [models.CheckConstraint(condition=Q(id=1), name="one_broker_key")]


class UsedCall(models.Model):
    """A signed call that was heard: its `jti` counts once. A row and not Redis, whose loss would open a hole."""

    jti = models.CharField(max_length=64, primary_key=True)
    at = models.DateTimeField(db_index=True)
