"""Policies, roles, locations and the rules that join them."""

from typing import ClassVar, cast

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from authservers.models import AuthenticationServer
from plans.models import NEVER, PowerControlPlan, ProtocolPlan, ReleasePlan, call_timeout
from plans.redirection import Clipboard as ClipboardRight
from plans.redirection import Redirection
from plans.redirection import Usb as UsbRight
from pools.models import Pool

START_MESSAGE = "Unable to initialize session"


class Stopped(models.TextChoices):
    """Whether desktops that are off are offered; they start when the user connects."""

    NO = "no", "No"
    ANY = "any", "Yes, regardless of the Usher Agent"
    AGENT = "agent", "Yes, only if Usher Agent is installed"


class Clipboard(models.TextChoices):
    """In which direction what is copied may pass; seen from the desktop."""

    BOTH = "both", "In both directions"
    IN = "in", "Only into the desktop"
    OUT = "out", "Only out of the desktop"
    NONE = "none", "Not at all"


class Usb(models.TextChoices):
    """Which of the user's USB devices the desktop may have (SPEC 3.5.1), by the connection file."""

    FILE = "file", "As the configuration file says"
    NONE = "none", "None"
    ALL = "all", "All"
    SOME = "some", "Those listed"


class LogInAs(models.TextChoices):
    """In whose domain a user logs in to a desktop (SPEC 3.2): what {DOMAIN} is replaced by."""

    ROLE = "R", "As the user's role says"
    DOMAIN = "D", "A user of the user's domain"
    LOCAL = "L", "A local user of the desktop"


class Policy(models.Model):
    """A set of offers and how they behave. Each person has exactly one (seed ch. 7; SPEC 3.5)."""

    name = models.CharField("Policy name", max_length=100, unique=True)
    max_desktops = models.IntegerField("Maximum desktops", default=-1, validators=[MinValueValidator(-1)])
    auto_launch = models.BooleanField("Launch a session automatically at sign-in", default=False)
    new_windows = models.BooleanField("Open viewers in new windows", default=False)
    offer_empty_pools = models.BooleanField("Inform the user when a pool has nothing", default=False)
    session_expire = models.IntegerField("Expire broker session after", default=2880, help_text="minutes; -1 is never")
    expire_on_lock = models.BooleanField("Expire broker session when desktop locks", default=False)
    notes = models.TextField("Notes", max_length=4095, blank=True)
    is_default = models.BooleanField(default=False, editable=False)
    desktop_filter = models.JSONField(default=dict, blank=True, help_text="attribute rows on the desktop")
    # what is called when somebody signs in
    start_call = models.BooleanField("Send HTTP GET at start of session", default=False)
    start_url = models.CharField("URL", max_length=500, blank=True)
    start_timeout = call_timeout()
    start_blocks = models.BooleanField("Block the login if it fails", default=False)
    start_message = models.CharField("Message", max_length=500, default=START_MESSAGE)
    # connections
    port_close = models.PositiveIntegerField(
        "Close gateway ports if user does not log in", default=5, help_text="minutes"
    )
    longest = models.IntegerField("Maximum session length", default=-1, help_text="minutes; -1 is no limit")
    clipboard = models.CharField("Clipboard", max_length=4, choices=Clipboard, default=Clipboard.BOTH)
    redirect_drives = models.BooleanField("Drives", default=True)
    redirect_printers = models.BooleanField("Printers", default=True)
    redirect_audio = models.BooleanField("Sound", default=True)
    usb = models.CharField("USB devices", max_length=4, choices=Usb, default=Usb.FILE)
    usb_devices = models.TextField("Those USB devices", max_length=2000, blank=True)
    # hard-assigned desktops (SPEC 3.5.3): no release plan, its session rules are here
    hard_display = models.PositiveSmallIntegerField("Display desktop to user as", default=5)
    hard_offer_stopped = models.CharField(
        "Offer stopped and suspended desktops", max_length=8, choices=Stopped, default=Stopped.ANY
    )
    hard_offer_without_agent = models.BooleanField("Offer running desktops without Usher Agent", default=True)
    hard_confirm_power = models.BooleanField("Confirm desktop power state", default=False)
    hard_log_in_as = models.CharField("Log in as", max_length=1, choices=LogInAs, default=LogInAs.ROLE)
    hard_log_out_rogue = models.BooleanField("Log out rogue users", default=False)
    hard_never_rogue = models.BooleanField("Treat any logged-in user as the assigned user", default=False)
    hard_adjust_zone = models.BooleanField("Adjust time zone", default=False)
    hard_protocol_plan = models.ForeignKey(ProtocolPlan, models.PROTECT, related_name="+", null=True, blank=True)
    hard_power_plan = models.ForeignKey(PowerControlPlan, models.PROTECT, related_name="+", null=True, blank=True)
    hard_disconnected_log_out = models.IntegerField("Log out after disconnect", default=-1)
    hard_idle_lock = models.IntegerField("When idle: lock", default=-1)
    hard_idle_disconnect = models.IntegerField("When idle: disconnect", default=-1)
    hard_idle_log_out = models.IntegerField("When idle: log out", default=-1)
    hard_idle_url_after = models.IntegerField("Call the URL", default=NEVER)
    hard_idle_url = models.CharField("URL", max_length=500, blank=True)
    hard_disconnected_url = models.CharField("Call this URL", max_length=500, blank=True)
    hard_logged_out_url = models.CharField("Call this URL", max_length=500, blank=True)
    hard_closed_as = models.CharField(
        "Treat an unknown state as", max_length=12, choices=ReleasePlan.Closed, default=ReleasePlan.Closed.DISCONNECT
    )
    hard_start_if_stopped = models.BooleanField("Power on if stopped", default=True)
    hard_allow_stop = models.PositiveSmallIntegerField("Allow user to stop", default=0)
    hard_allow_restart = models.PositiveSmallIntegerField("Allow user to restart", default=0)
    hard_backup_pool = models.ForeignKey(
        Pool, models.PROTECT, verbose_name="Backup pool", null=True, blank=True, related_name="hard_backup_policies"
    )
    hard_backup_if_silent = models.BooleanField("Usher Agent is unreachable", default=True)
    hard_backup_if_closed = models.BooleanField("Viewer port is unreachable", default=False)
    hard_backup_protocol_plan = models.ForeignKey(ProtocolPlan, models.PROTECT, related_name="+", null=True, blank=True)
    hard_backup_power_plan = models.ForeignKey(
        PowerControlPlan, models.PROTECT, related_name="+", null=True, blank=True
    )
    hard_backup_release_plan = models.ForeignKey(ReleasePlan, models.PROTECT, related_name="+", null=True, blank=True)
    rogue_power_plan = models.ForeignKey(PowerControlPlan, models.PROTECT, related_name="+", null=True, blank=True)
    rogue_release_plan = models.ForeignKey(ReleasePlan, models.PROTECT, related_name="+", null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["name"]
        verbose_name_plural = "policies"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["is_default"], condition=Q(is_default=True), name="one_default_policy")
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def redirection(self) -> Redirection:
        """What may pass between the user's device and the desktop."""
        devices = tuple(line.strip() for line in self.usb_devices.splitlines() if line.strip())
        return Redirection(
            cast(ClipboardRight, self.clipboard), self.redirect_drives, self.redirect_printers, self.redirect_audio,
            cast(UsbRight, self.usb), devices,
        )  # fmt: skip


class PoolAssignment(models.Model):
    """One line of a policy: which pool, how many, how shown, under which plans (seed ch. 7, step 5)."""

    class Display(models.IntegerChoices):
        NAME = 0, "Desktop name"
        DISPLAY_NAME = 5, "Desktop display name"
        MACHINE_NAME = 1, "Machine name"
        POOL = 2, "Pool name"
        POOL_NAME = 3, "Pool name: desktop name"
        POOL_DISPLAY_NAME = 6, "Pool name: desktop display name"
        POOL_MACHINE = 4, "Pool name: machine name"
        SHOWN_POOL = 7, "Pool display name"
        SHOWN_POOL_NAME = 8, "Pool display name: desktop name"
        SHOWN_POOL_DISPLAY_NAME = 9, "Pool display name: desktop display name"
        SHOWN_POOL_MACHINE = 10, "Pool display name: machine name"

    class Order(models.IntegerChoices):
        RANDOM = 0, "Randomly"
        PREVIOUS = 1, "Favour previously assigned desktops"
        OLDEST = 2, "Oldest first"
        LEAST_OFFERED = 3, "Least recently offered"
        RUNNING = 4, "Favour running desktops"

    Stopped = Stopped

    class Stop(models.IntegerChoices):
        NO = 0, "Not allowed"
        SHUTDOWN = 1, "Shutdown"
        POWER_OFF = 2, "Power off"

    class Restart(models.IntegerChoices):
        NO = 0, "Not allowed"
        REBOOT = 1, "Reboot"
        POWER_OFF = 2, "Power off and start"

    policy = models.ForeignKey(Policy, models.CASCADE, related_name="lines")
    order = models.PositiveIntegerField("Order", default=1)
    # When User Logs into Connection Broker
    quantity = models.PositiveIntegerField(
        "Number of desktops to offer",
        default=1,
        validators=[MaxValueValidator(1000)],
        help_text="0 offers all of them.",
    )
    pool = models.ForeignKey(Pool, models.PROTECT, verbose_name="Pool", related_name="lines")
    display = models.PositiveSmallIntegerField("Display desktop to user as", choices=Display, default=Display.NAME)
    offer_order = models.PositiveSmallIntegerField("Offer desktops", choices=Order, default=Order.PREVIOUS)
    offer_without_agent = models.BooleanField("Offer running desktops without Usher Agent", default=True)
    offer_stopped = models.CharField(
        "Offer stopped and suspended desktops", max_length=8, choices=Stopped, default=Stopped.NO
    )
    offer_pending_reboot = models.BooleanField("Offer desktops with a pending reboot", default=True)
    kiosk = models.BooleanField("Offer a different desktop at each login", default=False)
    offer_filter = models.JSONField(
        default=dict, blank=True, help_text="directory rules or time ranges; empty: everybody"
    )
    desktop_filter = models.JSONField(default=dict, blank=True, help_text="attribute rows on the desktop")
    allow_stop = models.PositiveSmallIntegerField("Allow user to stop", choices=Stop, default=Stop.NO)
    allow_restart = models.PositiveSmallIntegerField("Allow user to restart", choices=Restart, default=Restart.NO)
    prevent_release = models.BooleanField("Prevent user from manually releasing desktop", default=False)
    # When User is Assigned to Desktop
    confirm_power = models.BooleanField("Confirm desktop power state", default=False)
    start_if_stopped = models.BooleanField("Power on stopped or suspended desktop", default=True)
    log_out_rogue = models.BooleanField("Log out rogue users", default=False)
    log_in_as = models.CharField("Log in as", max_length=1, choices=LogInAs, default=LogInAs.ROLE)
    adjust_zone = models.BooleanField("Adjust time zone", default=False)
    send_url = models.BooleanField("Send HTTP GET", default=False)
    assigned_url = models.CharField("URL", max_length=500, blank=True)
    assigned_timeout = call_timeout()
    # Plans
    protocol_plan = models.ForeignKey(ProtocolPlan, models.PROTECT, verbose_name="Protocol Plan", related_name="lines")
    power_plan = models.ForeignKey(
        PowerControlPlan, models.PROTECT, verbose_name="Power Control Plan", related_name="lines"
    )
    release_plan = models.ForeignKey(ReleasePlan, models.PROTECT, verbose_name="Release Plan", related_name="lines")
    # Backup pool
    backup_pool = models.ForeignKey(
        Pool, models.PROTECT, verbose_name="Backup pool", null=True, blank=True, related_name="backup_lines"
    )
    backup_if_empty = models.BooleanField("Primary pool is empty", default=True)
    backup_if_silent = models.BooleanField("Usher Agent is unreachable", default=False)
    backup_if_closed = models.BooleanField("Viewer port is unreachable", default=False)
    backup_protocol_plan = models.ForeignKey(ProtocolPlan, models.PROTECT, related_name="+", null=True, blank=True)
    backup_power_plan = models.ForeignKey(PowerControlPlan, models.PROTECT, related_name="+", null=True, blank=True)
    backup_release_plan = models.ForeignKey(ReleasePlan, models.PROTECT, related_name="+", null=True, blank=True)

    is_backup = False  # a copy that offers the backup pool (broker/connect/sources.py), never saved

    class Meta:
        ordering: ClassVar = ["policy", "order", "id"]

    def __str__(self) -> str:
        return f"{self.policy}: {self.pool}"

    @property
    def slot(self) -> int:
        """A number for what a card was offered from: the line, or, below zero, its backup pool."""
        return -(self.pk or 0) if self.is_backup else self.pk


class Role(models.Model):
    """What a person may do to a desktop, and which pages of administration they reach (SPEC A.2)."""

    name = models.CharField("Name", max_length=100, unique=True)
    web_client = models.BooleanField("Web client", default=True)
    native_client = models.BooleanField("Native client", default=True)
    admin_ui = models.BooleanField("Administrator web interface", default=False)
    api = models.BooleanField("REST API", default=False)
    may_release = models.BooleanField("Release own policy-assigned desktops", default=True)
    may_start = models.BooleanField("Start own desktops", default=True)
    may_stop = models.BooleanField("Shut down own desktops", default=True)
    may_restart = models.BooleanField("Restart own desktops", default=True)
    local_user = models.BooleanField("Log in to desktops as a local user", default=False)
    pages = models.JSONField(default=dict, blank=True, help_text='area -> "view", "execute" or "edit"')
    notes = models.TextField("Notes", max_length=4095, blank=True)
    builtin = models.CharField(max_length=20, blank=True, editable=False, help_text="administrator or user")

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["builtin"], condition=~Q(builtin=""), name="one_role_per_builtin")
        ]

    def __str__(self) -> str:
        return self.name


class Location(models.Model):
    """A group of client devices (SPEC 3.8). The first that matches is the client's."""

    name = models.CharField("Name", max_length=100, unique=True)
    order = models.PositiveIntegerField("Order", default=1)
    match_all = models.BooleanField("Match all rules", default=True)
    rules = models.JSONField(default=list, blank=True, help_text="[{attribute, condition, value}]")
    notes = models.TextField("Notes", max_length=4095, blank=True)

    class Meta:
        ordering: ClassVar = ["order", "name"]

    def __str__(self) -> str:
        return self.name


class AssignmentRule(models.Model):
    """Group and client location -> role and policy, per authentication server; the first match wins (SPEC 3.6)."""

    server = models.ForeignKey(AuthenticationServer, models.CASCADE, related_name="rules")
    order = models.PositiveIntegerField("Order", default=1)
    enabled = models.BooleanField("Enabled", default=True)
    group_sid = models.CharField("Group", max_length=190, blank=True, help_text="Empty: any group.")
    group_name = models.CharField(max_length=255, blank=True)
    location = models.ForeignKey(
        Location, models.PROTECT, verbose_name="Client Location", null=True, blank=True, related_name="assignment_rules"
    )
    role = models.ForeignKey(Role, models.PROTECT, verbose_name="User Role", related_name="assignment_rules")
    policy = models.ForeignKey(Policy, models.PROTECT, verbose_name="User Policy", related_name="assignment_rules")

    class Meta:
        ordering: ClassVar = ["server", "order", "id"]


class Access(models.Model):
    """A role or policy given to one person directly; it goes before the rules (CONTRACTS 5.9)."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="access")
    role = models.ForeignKey(Role, models.PROTECT, verbose_name="Role", null=True, blank=True, related_name="+")
    policy = models.ForeignKey(Policy, models.PROTECT, verbose_name="Policy", null=True, blank=True, related_name="+")
