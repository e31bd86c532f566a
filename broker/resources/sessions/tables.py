"""The columns and filters of Resources > Sessions."""

from typing import Any, ClassVar

import django_filters
import django_tables2 as tables
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from agents.models import Agent
from agents.services import SILENT_AFTER
from broker.connect.middleware import end_of
from broker.connect.models import DesktopSession, PortalSession, QueuePlace
from broker.core.clock import now
from broker.core.filters import PageFilter
from broker.core.tables import BriefColumn, DurationColumn, LinkColumn, PageTable, TimeColumn
from broker.core.templatetags.usher import badge, relative, status
from broker.resources.sessions.rows import LIVE, answering
from plans.models import ProtocolChoice

State = DesktopSession.State


def state_of(row: DesktopSession) -> tuple[str, str, str]:
    """Shape, word, and a note: since when it is idle, and that its agent no longer tells."""
    silent = "" if row.ended_at or answering(row) else "as last heard: its agent is silent"
    if row.ended_at is not None:
        return "stopped", "Ended", ""
    if row.state == State.DISCONNECTED:
        return "stopped", "Disconnected", silent
    if row.locked:
        return "warning", "Locked", silent
    if row.idle_since is not None:
        return "warning", "Idle", silent or f"since {relative(row.idle_since)}"
    return "running", "Connected", silent


class SessionTable(PageTable):
    """One row a session on a desktop."""

    past = ("ended_at", "end_reason")

    user = tables.Column(verbose_name="User", empty_values=(), order_by=("user__display_name", "user_name"))
    desktop = LinkColumn(
        lambda row: reverse("desktops:edit", args=[row.desktop_id]), verbose_name="Desktop",
        order_by="desktop__display_name",
    )  # fmt: skip
    state = tables.Column(verbose_name="State", empty_values=(), order_by=("state", "locked", "idle_since"))
    client = BriefColumn(verbose_name="Client address", empty_values=(), orderable=False)
    protocol = BriefColumn(verbose_name="Protocol", empty_values=(), orderable=False)
    gateway = BriefColumn(verbose_name="Gateway", empty_values=(), orderable=False)
    started_at = TimeColumn(verbose_name="Started")
    changed_at = TimeColumn(verbose_name="Last event")
    ended_at = TimeColumn(verbose_name="Ended")
    end_reason = tables.Column(verbose_name="Why it ended", orderable=False)
    boot_id = tables.Column(accessor="boot_id", verbose_name="Boot and session", orderable=False)

    def __init__(self, *args: Any, request: Any, **kwargs: Any) -> None:
        super().__init__(*args, request=request, **kwargs)
        live = request.GET.get("state") not in {"ended", "all"}
        self.optional = ("protocol", "boot_id", *(self.past if live else ()))  # of what lives, no end is known

    def render_user(self, record: DesktopSession) -> SafeString:
        """Who it is; a rogue came past the broker (SPEC 3.5.5)."""
        mark = format_html(" {}", badge("rogue", "bad")) if record.rogue else SafeString("")
        if record.user is None:
            return format_html("{}{}", record.user_name, mark)
        url = reverse("users:edit", args=[record.user_id])
        return format_html('<a class="name" href="{}">{}</a>{}', url, record.user, mark)

    def value_user(self, record: DesktopSession) -> str:
        """The login in files, and that it is a rogue."""
        who = record.user.login if record.user else record.user_name
        return f"{who} (rogue)" if record.rogue else who

    def value_desktop(self, record: DesktopSession) -> str:
        """The name in files."""
        return str(record.desktop)

    def render_state(self, record: DesktopSession) -> SafeString:
        """A shape and a word."""
        return status(*state_of(record))

    def value_state(self, record: DesktopSession) -> str:
        """The word in files."""
        return state_of(record)[1]

    def render_client(self, record: Any) -> str:
        """Where the last launch came from; somebody who came past the broker left no address."""
        return str((record.way or {}).get("client_ip") or "–").partition("/")[0]

    def render_protocol(self, record: Any) -> str:
        """How they came."""
        protocol = (record.way or {}).get("protocol") or ""
        return str(dict(ProtocolChoice.Protocol.choices).get(protocol, protocol or "–"))

    def render_gateway(self, record: Any) -> str:
        """The gateway that carried the connection, where one did."""
        return (record.way.get("through") or "Direct") if record.way else "–"

    def render_boot_id(self, record: DesktopSession) -> str:
        """The epoch, for support (RULES 15)."""
        return f"{record.boot_id}:{record.os_session}"


class SessionFilter(PageFilter):
    """State, user, desktop. Without a state: what has not ended."""

    state = django_filters.ChoiceFilter(
        choices=[
            ("active", "Connected"), ("disconnected", "Disconnected"), ("idle", "Idle"), ("locked", "Locked"),
            ("silent", "Agent silent"), ("ended", "Ended"), ("all", "All"),
        ],
        label="State", method="in_state",
    )  # fmt: skip
    rogue = django_filters.ChoiceFilter(choices=[("yes", "Rogue")], label="Came past the broker", method="is_rogue")
    user = django_filters.CharFilter(label="User", method="of_user")
    desktop = django_filters.CharFilter(label="Desktop", method="on_desktop")

    class Meta:
        model = DesktopSession
        fields: ClassVar[list[str]] = []

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """What has not ended, unless a state is chosen."""
        found: QuerySet[Any] = super().filter_queryset(queryset)
        return found if self.form.cleaned_data.get("state") else found.filter(LIVE)

    def in_state(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """One state of those that live, those that ended, or all."""
        heard = Agent.objects.filter(
            desktop=OuterRef("desktop"), approved=True, revoked_at=None, last_seen__gte=now() - SILENT_AFTER
        )
        return queryset.filter({
            "active": LIVE & Q(state=State.ACTIVE), "disconnected": LIVE & Q(state=State.DISCONNECTED),
            "idle": LIVE & Q(state=State.ACTIVE, idle_since__isnull=False), "locked": LIVE & Q(locked=True),
            "silent": LIVE & ~Exists(heard), "ended": Q(ended_at__isnull=False), "all": Q(),
        }[value])  # fmt: skip

    def is_rogue(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Those who came past the broker."""
        return queryset.filter(rogue=True)

    def of_user(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """By "user:12", or by a part of the name."""
        if value.startswith("user:") and value[5:].isdigit():
            return queryset.filter(user=int(value[5:][:18]))
        return queryset.filter(Q(user_name__icontains=value) | Q(user__login__icontains=value))

    def on_desktop(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """By "desktop:12", or by a part of the name."""
        if value.startswith("desktop:") and value[8:].isdigit():
            return queryset.filter(desktop=int(value[8:][:18]))
        return queryset.filter(Q(desktop__name__icontains=value) | Q(desktop__display_name__icontains=value))


def is_open(row: PortalSession) -> bool:
    """Whether somebody is still signed in there."""
    return row.closed_at is None and end_of(row) > now()


class SignInTable(PageTable):
    """One row a sign-in to the broker."""

    optional = ("browser", "location", "expires_at")

    user = LinkColumn(
        lambda row: reverse("users:edit", args=[row.user_id]), verbose_name="User", order_by="user__display_name"
    )
    state = tables.Column(verbose_name="State", empty_values=(), order_by="closed_at")
    address = BriefColumn(verbose_name="Client address")
    browser = tables.Column(verbose_name="Browser", accessor="client__user_agent", orderable=False)
    location = tables.Column(verbose_name="Location", empty_values=(), orderable=False)
    role = tables.Column(verbose_name="Role", orderable=False)
    policy = tables.Column(verbose_name="Policy", orderable=False)
    opened_at = TimeColumn(verbose_name="Signed in")
    active_at = TimeColumn(verbose_name="Last active")
    expires_at = TimeColumn(verbose_name="Ends at the latest")
    closed_at = TimeColumn(verbose_name="Ended")
    close_reason = tables.Column(verbose_name="Why it ended", orderable=False)

    def value_user(self, record: PortalSession) -> str:
        """The login in files."""
        return str(record.user.login)

    def render_state(self, record: PortalSession) -> SafeString:
        """Open, expired, or ended."""
        if is_open(record):
            return status("running", "Signed in")
        return status("stopped", "Ended" if record.closed_at else "Expired")

    def value_state(self, record: PortalSession) -> str:
        """The word in files."""
        return "Signed in" if is_open(record) else "Ended" if record.closed_at else "Expired"

    def render_location(self, record: PortalSession) -> str:
        """The location's name; no rule matched means all of them."""
        return str(record.location or "All")


class SignInFilter(PageFilter):
    """Whether it is open, and whose it is. Without a state: what is open."""

    state = django_filters.ChoiceFilter(
        choices=[("ended", "Ended"), ("all", "All")], label="State", empty_label="Signed in", method="in_state"
    )
    user = django_filters.CharFilter(label="User", method="of_user")

    class Meta:
        model = PortalSession
        fields: ClassVar[list[str]] = []

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """What is open, unless a state is chosen."""
        found: QuerySet[Any] = super().filter_queryset(queryset)
        return found if self.form.cleaned_data.get("state") else found.filter(closed_at=None, expires_at__gt=now())

    def in_state(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """What has ended, or all."""
        if value == "all":
            return queryset
        return queryset.filter(Q(closed_at__isnull=False) | Q(expires_at__lte=now()))

    def of_user(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """By a part of the name."""
        return queryset.filter(Q(user__login__icontains=value) | Q(user__display_name__icontains=value))


class QueueTable(PageTable):
    """One row a place in a queue."""

    optional = ("seen_at",)

    user = LinkColumn(
        lambda row: reverse("users:edit", args=[row.user_id]), verbose_name="User", order_by="user__display_name"
    )
    line = LinkColumn(
        lambda row: reverse("pools:edit", args=[row.line.pool_id]), accessor="line__pool", verbose_name="Pool",
        order_by="line__pool__name",
    )  # fmt: skip
    state = tables.Column(verbose_name="State", empty_values=(), order_by="ended_at")
    client_ip = BriefColumn(verbose_name="Client address")
    since = TimeColumn(verbose_name="Waits since")
    usual = DurationColumn(verbose_name="Usual wait")
    seen_at = TimeColumn(verbose_name="Last asked")
    ended_at = TimeColumn(verbose_name="Ended")
    desktop = LinkColumn(
        lambda row: reverse("desktops:edit", args=[row.launch.desktop_id]), accessor="launch__desktop",
        verbose_name="Got", orderable=False,
    )  # fmt: skip
    end_reason = tables.Column(verbose_name="Why it ended", orderable=False)

    def value_user(self, record: QueuePlace) -> str:
        """The login in files."""
        return str(record.user.login)

    def render_state(self, record: QueuePlace) -> SafeString:
        """A shape and a word."""
        return status("moving", "Waiting") if record.ended_at is None else status("stopped", "Ended")

    def value_state(self, record: QueuePlace) -> str:
        """The word in files."""
        return "Waiting" if record.ended_at is None else "Ended"


class QueueFilter(PageFilter):
    """Whether one still waits. Without a state: those who do."""

    state = django_filters.ChoiceFilter(
        choices=[("ended", "Ended"), ("all", "All")], label="State", empty_label="Waiting", method="in_state"
    )

    class Meta:
        model = QueuePlace
        fields: ClassVar[list[str]] = []

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Who waits, unless a state is chosen."""
        found: QuerySet[Any] = super().filter_queryset(queryset)
        return found if self.form.cleaned_data.get("state") else found.filter(ended_at=None)

    def in_state(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """What has ended, or all."""
        return queryset if value == "all" else queryset.filter(ended_at__isnull=False)
