"""Plans as rows. What they mean is in `engine.py`, how long one may wait in `waits.py`: in seconds, -1 is never."""

import uuid
from typing import ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from broker.core.fields import EncryptedJSONField
from gateways.models import Gateway, GatewayCluster

NEVER = -1
WARN_BEFORE = 120
MAY_ASK = 2  # how often a user may ask for more time, unless a plan says otherwise
MORE_TIME = [(0, "No"), (1, "Once"), (2, "Twice"), *((times, f"{times} times") for times in (3, 4, 5, 10))]


class ProtocolPlan(models.Model):
    """How people connect to desktops of a pool (seed ch. 7)."""

    name = models.CharField("Plan name", max_length=100, unique=True)
    notes = models.TextField("Notes", max_length=4095, blank=True)
    is_default = models.BooleanField(default=False, editable=False)

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["is_default"], condition=Q(is_default=True), name="one_default_protocol_plan"
            )
        ]

    def __str__(self) -> str:
        return self.name


class ProtocolChoice(models.Model):
    """One protocol in one client section of a plan; the lowest priority that works is used."""

    class Client(models.TextChoices):
        WEB = "web", "Web client"
        NATIVE = "native", "Native client"

    class Protocol(models.TextChoices):
        RDP = "rdp", "RDP"
        HTML5_RDP = "html5_rdp", "HTML5 RDP"
        HTML5_SCREEN = "html5_screen", "HTML5 RDP, compatible"
        HTML5_VNC = "html5_vnc", "HTML5 VNC"
        HTML5_SSH = "html5_ssh", "HTML5 SSH"
        DCV = "dcv", "Amazon DCV"

    plan = models.ForeignKey(ProtocolPlan, models.CASCADE, related_name="choices")
    client = models.CharField(max_length=10, choices=Client)
    protocol = models.CharField(max_length=20, choices=Protocol)
    priority = models.PositiveSmallIntegerField("Priority", null=True, blank=True, help_text="None: do not use.")
    template = models.TextField("Configuration file", blank=True)
    command_line = models.TextField("Command line parameters", blank=True)
    gateway = models.ForeignKey(
        Gateway, models.PROTECT, verbose_name="Gateway", null=True, blank=True, related_name="choices"
    )
    cluster = models.ForeignKey(
        GatewayCluster, models.PROTECT, verbose_name="Gateway", null=True, blank=True, related_name="choices"
    )
    port = models.PositiveIntegerField(
        "Port", null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(65535)]
    )
    sign_in = models.BooleanField("Sign the user in", default=True)
    sso_user = models.CharField("User", max_length=255, default="{USER}", blank=True)
    sso_domain = models.CharField("Domain", max_length=255, default="{DOMAIN}", blank=True)

    class Meta:
        ordering: ClassVar = ["plan", "client", "priority"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(gateway=None) | Q(cluster=None), name="a_gateway_or_a_cluster"),
            models.UniqueConstraint(fields=["plan", "client", "protocol"], name="one_row_per_plan_client_protocol"),
            models.UniqueConstraint(
                fields=["plan", "client", "priority"],
                condition=Q(priority__isnull=False),
                name="one_protocol_per_priority",
                violation_error_message="Two protocols of one section have the same priority.",
            ),
        ]

    @property
    def through(self) -> Gateway | GatewayCluster | None:
        """What carries the connection; None where it goes straight to the desktop."""
        return self.gateway or self.cluster

    @property
    def through_id(self) -> int | None:
        """Whether there is such a thing, without reading it."""
        return self.gateway_id or self.cluster_id

    @property
    def viewer(self) -> str:
        """What the gateway serves in the browser's page, as its wire names it; "" for a file."""
        return VIEWERS.get(self.protocol, "")

    @property
    def reaches(self) -> int:
        """The port of the desktop."""
        return self.port or PORTS[self.protocol]


VIEWERS: dict[str, str] = {
    ProtocolChoice.Protocol.HTML5_RDP: "rdp",
    ProtocolChoice.Protocol.HTML5_SCREEN: "screen",
    ProtocolChoice.Protocol.HTML5_VNC: "vnc",
    ProtocolChoice.Protocol.HTML5_SSH: "ssh",
}
PORTS: dict[str, int] = {
    "rdp": 3389,
    "html5_rdp": 3389,
    "html5_screen": 3389,
    "html5_vnc": 5900,
    "html5_ssh": 22,
    "dcv": 8443,
}


class PowerAction(models.TextChoices):
    """What a power plan may do to a WorkSpace (SPEC 3.3: suspend and snapshots do not exist there)."""

    NONE = "none", "Do not change power state"
    SHUTDOWN = "shutdown", "Shutdown"
    POWER_OFF = "power_off", "Power off"
    REBOOT = "reboot", "Reboot"


def call_timeout() -> "models.PositiveSmallIntegerField[int, int]":
    """How many seconds a URL has to answer."""
    return models.PositiveSmallIntegerField(
        "Time-out", default=5, validators=[MinValueValidator(1), MaxValueValidator(30)]
    )


class PowerControlPlan(models.Model):
    """What happens to a desktop's power, by event (seed ch. 7; RULES 21 for the fifth section)."""

    name = models.CharField("Plan name", max_length=100, unique=True)
    disconnected_wait = models.IntegerField("Wait", default=0)
    disconnected_action = models.CharField("then", max_length=12, choices=PowerAction, default=PowerAction.NONE)
    logged_out_wait = models.IntegerField("Wait", default=0)
    logged_out_action = models.CharField("then", max_length=12, choices=PowerAction, default=PowerAction.NONE)
    released_wait = models.IntegerField("Wait", default=0)
    released_action = models.CharField("then", max_length=12, choices=PowerAction, default=PowerAction.NONE)
    idle_wait = models.IntegerField("Wait", default=1800)
    idle_action = models.CharField("then", max_length=12, choices=PowerAction, default=PowerAction.NONE)
    started_wait = models.IntegerField("Wait", default=1800)
    started_action = models.CharField("then", max_length=12, choices=PowerAction, default=PowerAction.SHUTDOWN)
    warn_before = models.IntegerField("Warn the user before", default=WARN_BEFORE)
    warn_text = models.TextField("Warning", max_length=1000, blank=True)
    warn_more = models.PositiveSmallIntegerField("May ask for 30 more minutes", choices=MORE_TIME, default=MAY_ASK)
    notes = models.TextField("Notes", max_length=4095, blank=True)
    is_default = models.BooleanField(default=False, editable=False)

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["is_default"], condition=Q(is_default=True), name="one_default_power_plan")
        ]

    def __str__(self) -> str:
        return self.name


class ReleasePlan(models.Model):
    """How long a desktop stays assigned, and what happens to the session meanwhile (seed ch. 7; SPEC 3.4)."""

    class Closed(models.TextChoices):
        LOG_OUT = "logout", "Log-out"
        DISCONNECT = "disconnect", "Disconnect"

    class Method(models.TextChoices):
        GET = "get", "GET"
        POST = "post", "POST, as signed JSON"

    uid = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    secrets = EncryptedJSONField()

    name = models.CharField("Plan name", max_length=100, unique=True)
    disconnected_release = models.IntegerField("Release to pool", default=NEVER)
    disconnected_log_out = models.IntegerField("Log user out", default=NEVER)
    disconnected_url = models.CharField("Call this URL", max_length=500, blank=True)
    logged_out_release = models.IntegerField("Release to pool", default=0)
    logged_out_url = models.CharField("Call this URL", max_length=500, blank=True)
    closed_as = models.CharField("Treat an unknown state as", max_length=12, choices=Closed, default=Closed.DISCONNECT)
    idle_lock = models.IntegerField("Lock", default=NEVER)
    idle_disconnect = models.IntegerField("Disconnect", default=NEVER)
    idle_log_out = models.IntegerField("Log out", default=NEVER)
    idle_url_after = models.IntegerField("Call the URL", default=NEVER)
    idle_url = models.CharField("URL", max_length=500, blank=True)
    assigned_release = models.IntegerField("Release to pool", default=NEVER)
    assigned_unused_release = models.IntegerField("Release if the user never logs in", default=NEVER)
    assigned_url = models.CharField("Call this URL", max_length=500, blank=True)
    released_log_out = models.BooleanField("Log user out", default=True)
    released_warning = models.IntegerField("Suspend log-out and display a warning for", default=NEVER)
    released_warning_text = models.TextField("Warning", max_length=1000, blank=True)
    released_delete = models.BooleanField("Delete desktop from disk", default=False)
    released_delete_after = models.IntegerField("Keep it, for an undo, for", default=3600)
    released_unavailable = models.BooleanField("Make desktop unavailable", default=False)
    released_url = models.CharField("Call this URL", max_length=500, blank=True)
    warn_before = models.IntegerField("Warn the user before", default=WARN_BEFORE)
    warn_text = models.TextField("Warning", max_length=1000, blank=True)
    warn_more = models.PositiveSmallIntegerField("May ask for 30 more minutes", choices=MORE_TIME, default=MAY_ASK)
    url_method = models.CharField("Method", max_length=6, choices=Method, default=Method.GET)
    url_timeout = call_timeout()
    url_retries = models.PositiveSmallIntegerField("Retries", default=2, validators=[MaxValueValidator(10)])
    notes = models.TextField("Notes", max_length=4095, blank=True)
    is_default = models.BooleanField(default=False, editable=False)

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["is_default"], condition=Q(is_default=True), name="one_default_release_plan"
            )
        ]

    def __str__(self) -> str:
        return self.name
