"""What goes and went through gateways, as a list (SPEC 4.5, 9)."""

from collections.abc import Mapping
from typing import Any, ClassVar

import django_filters
import django_tables2 as tables
from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils.safestring import SafeString

from authservers.models import User
from broker.connect.carried import LABELS, size
from broker.connect.models import Launch
from broker.core.filters import PageFilter
from broker.core.tables import BriefColumn, DurationColumn, LinkColumn, PageTable, TimeColumn
from broker.core.templatetags.usher import status
from gateways.models import Tunnel


def is_open(row: Tunnel) -> bool:
    """Whether it can be ended."""
    return row.closed_at is None


def state_of(row: Tunnel) -> tuple[str, str]:
    """Shape and word."""
    if not is_open(row):
        return "stopped", "Ended"
    return ("running", "Connected") if row.used_at else ("moving", "Waits for its user")


def named(found: Mapping[str, Any] | None, other: str) -> str:
    """How somebody or something is shown, else `other`."""
    return next((str(found[name]) for name in ("shown", "name") if found and found.get(name)), other)


class BytesColumn(BriefColumn):
    """A size."""

    def render(self, value: int) -> str:
        """ "3.2 MB"."""
        return size(value)

    def value(self, value: int) -> int:
        """The bare number of bytes in files."""
        return value


class WayTable(PageTable):
    """One row a way through a gateway."""

    optional = ("destination", "opened_at", "certificate")

    who = tables.Column(verbose_name="User", empty_values=(), orderable=False)
    where = tables.Column(verbose_name="Desktop", empty_values=(), orderable=False)
    state = tables.Column(verbose_name="State", empty_values=(), order_by="closed_at")
    gateway_name = BriefColumn(verbose_name="Gateway")
    protocol = BriefColumn(verbose_name="Protocol")
    client_ip = BriefColumn(verbose_name="Client address")
    used_at = TimeColumn(verbose_name="Began")
    lasted = DurationColumn(verbose_name="Duration")
    bytes_in = BytesColumn(verbose_name="From the client")
    bytes_out = BytesColumn(verbose_name="To the client")
    closed_at = TimeColumn(verbose_name="Ended")
    closed_by = BriefColumn(verbose_name="Ended by", orderable=False)
    close_reason = tables.Column(verbose_name="Why it ended", orderable=False)
    destination = BriefColumn(verbose_name="Desktop's address")
    opened_at = TimeColumn(verbose_name="Asked for")
    certificate = BriefColumn(verbose_name="Certificate that it showed", orderable=False)

    def render_who(self, record: Any) -> SafeString | str:
        """The person; one who was deleted is a number."""
        link = LinkColumn(lambda row: reverse("users:edit", args=[row.user_pk]) if row.who else None)
        return link.render(named(record.who, record.user), record)

    def value_who(self, record: Any) -> str:
        """The login in files."""
        return str((record.who or {}).get("name") or record.user)

    def render_where(self, record: Any) -> SafeString | str:
        """The desktop; of one that is gone, its address."""
        link = LinkColumn(lambda row: reverse("desktops:edit", args=[row.where["pk"]]) if row.where else None)
        return link.render(self.value_where(record), record)

    def value_where(self, record: Any) -> str:
        """The name in files."""
        return named(record.where, record.destination)

    def render_state(self, record: Tunnel) -> SafeString:
        """A shape and a word."""
        return status(*state_of(record))

    def value_state(self, record: Tunnel) -> str:
        """The word in files."""
        return state_of(record)[1]

    def render_protocol(self, value: str) -> str:
        """As a protocol plan calls it."""
        return LABELS.get(value, value)

    def render_closed_by(self, record: Tunnel) -> str:
        """In words."""
        return str(record.get_closed_by_display())


class WayFilter(PageFilter):
    """Whether it is open, whose it is, and where it leads. Without a state: what is open."""

    state = django_filters.ChoiceFilter(
        choices=[("ended", "Ended"), ("all", "All")], label="State", empty_label="Open", method="in_state"
    )
    user = django_filters.CharFilter(label="User", method="of_user")
    desktop = django_filters.CharFilter(label="Desktop", method="on_desktop")

    class Meta:
        model = Tunnel
        fields: ClassVar[list[str]] = []

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """What is open, unless a state is chosen."""
        found: QuerySet[Any] = super().filter_queryset(queryset)
        return found if self.form.cleaned_data.get("state") else found.filter(closed_at=None)

    def in_state(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """What has ended, or all."""
        return queryset if value == "all" else queryset.filter(closed_at__isnull=False)

    def of_user(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """By "user:12", or by a part of the name."""
        called = User.objects.filter(Q(login__icontains=value) | Q(display_name__icontains=value))
        return queryset.filter(Q(user=value) | Q(user_pk__in=called.values("pk")))

    def on_desktop(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """By "desktop:12", or by a part of the name."""
        kind, _, number = value.partition(":")
        called = Q(desktop__name__icontains=value) | Q(desktop__display_name__icontains=value)
        if kind == "desktop" and number.isdigit():
            called = Q(desktop=int(number[:18]))
        return queryset.filter(launch_pk__in=Launch.objects.filter(called).values("pk"))
