"""Gateways and what they forward."""

import uuid
from typing import ClassVar

from django.db import models

from broker.core.fields import EncryptedJSONField


class Gateway(models.Model):
    """A reverse proxy, port forwarder and in-browser viewer in front of private desktops (seed ch. 5)."""

    class Filter(models.IntegerChoices):
        RANDOM_PORT = 0, "Random gateway port, no source-IP filter"
        SAME_PORT = 1, "Source-IP filter, same port number as the desktop"
        FILTERED = 2, "Source-IP filter, random gateway port"

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
        "Method of source-IP filtering", choices=Filter, default=Filter.RANDOM_PORT
    )
    public_key = models.CharField(max_length=60, blank=True, help_text="Ed25519, base64; pinned on Save.")
    certificate_sha256 = models.CharField(max_length=64, blank=True)
    version = models.CharField(max_length=40, blank=True)
    state = models.CharField(max_length=10, choices=State, default=State.UNKNOWN)
    reason = models.TextField(blank=True, help_text="Why it is offline, in words.")
    seen_at = models.DateTimeField(null=True, blank=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    secrets = EncryptedJSONField()
    notes = models.TextField("Notes", max_length=4095, blank=True)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class Tunnel(models.Model):
    """A way through a gateway that is open, or was."""

    gateway = models.ForeignKey(Gateway, models.PROTECT, related_name="tunnels")
    subject = models.CharField(max_length=60, help_text='The launch it belongs to, as "launch:4".')
    destination = models.CharField(max_length=255)
    port = models.PositiveIntegerField(null=True, blank=True)
    client_ip = models.GenericIPAddressField(null=True, blank=True)
    token_id = models.CharField(max_length=40, unique=True)
    opened_at = models.DateTimeField()
    lease_until = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    close_reason = models.CharField(max_length=200, blank=True)
    bytes_in = models.BigIntegerField(default=0)
    bytes_out = models.BigIntegerField(default=0)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["gateway", "closed_at"], name="tunnel_open"),
            models.Index(fields=["subject"], name="tunnel_subject"),
        ]
