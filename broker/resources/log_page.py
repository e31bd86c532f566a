"""System > Log (SPEC A.6): what happened, who did it, to what, from where, and what it was before."""

from typing import Any, ClassVar

import django_filters
import django_tables2 as tables
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from broker.core.filters import PageFilter, key, moment
from broker.core.models import LogEntry
from broker.core.pages import needs
from broker.core.tables import BriefColumn, PageTable, StatusColumn
from broker.core.templatetags.usher import clock
from broker.resources.records import RecordPages, address_of, linked

LEVELS = {"information": ("done", "Information"), "warning": "warning", "error": "problem"}


class LogTable(PageTable):
    """One row an entry."""

    optional = ("event", "node", "pool_name", "client_ip")

    at = BriefColumn(verbose_name="Time")
    level = StatusColumn(LEVELS, verbose_name="Level")
    event = BriefColumn(verbose_name="Event")
    message = tables.Column(verbose_name="Message", orderable=False, attrs={"td": {"class": "wide"}})
    actor_name = tables.Column(verbose_name="By")
    user_name = tables.Column(verbose_name="User", empty_values=())
    desktop_name = tables.Column(verbose_name="Desktop", empty_values=())
    pool_name = tables.Column(verbose_name="Pool")
    client_ip = BriefColumn(verbose_name="Client IP")
    node = BriefColumn(verbose_name="Node")

    def render_at(self, record: LogEntry) -> SafeString:
        """The exact time, a link to the entry."""
        return format_html('<a class="name" href="{}">{}</a>', LogPages.page_url(record), clock(record.at))

    def value_at(self, record: LogEntry) -> str:
        """ISO 8601 in files."""
        return record.at.isoformat()

    def render_user_name(self, record: LogEntry) -> SafeString | str:
        """Whom it concerned."""
        return linked(record.user_ref, record.user_name)

    def value_user_name(self, record: LogEntry) -> str:
        """The name in files."""
        return record.user_name

    def render_desktop_name(self, record: LogEntry) -> SafeString | str:
        """Which desktop."""
        return linked(record.desktop_ref, record.desktop_name)

    def value_desktop_name(self, record: LogEntry) -> str:
        """The name in files."""
        return record.desktop_name


class LogFilter(PageFilter):
    """Level, event, user, desktop, client, time."""

    level = django_filters.ChoiceFilter(choices=LogEntry.Level, label="Level")
    event = django_filters.CharFilter(lookup_expr="istartswith", label="Event")
    user = django_filters.CharFilter(label="User", method="of_user")
    desktop = django_filters.CharFilter(label="Desktop", method="of_desktop")
    client = django_filters.CharFilter(field_name="client_ip", lookup_expr="istartswith", label="Client IP")
    since = moment("at", "Since", "gte")
    until = moment("at", "Until", "lte")
    correlation = django_filters.CharFilter(field_name="correlation_id", lookup_expr="exact", label="Correlation id")

    class Meta:
        model = LogEntry
        fields: ClassVar[list[str]] = []

    def of_user(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """By "user:12", or by a part of the name of whom it concerned or who did it."""
        if value.startswith("user:"):
            number = value.removeprefix("user:")
            return queryset.filter(Q(user_ref=value) | Q(actor_id=key(number)))
        return queryset.filter(Q(user_name__icontains=value) | Q(actor_name__icontains=value))

    def of_desktop(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """By "desktop:12", or by a part of its name."""
        return queryset.filter(desktop_ref=value) if value.startswith("desktop:") else queryset.filter(
            desktop_name__icontains=value
        )  # fmt: skip


class LogPages(RecordPages):
    """The log."""

    model, area, table, filterset = LogEntry, "log", LogTable, LogFilter
    title = "Log"
    intro = "Every sign-in, offer, assignment, start, stop, release, scan and change, with who and why."
    empty = "Whatever happens from now on is written here."
    search = ["message", "event", "user_name", "desktop_name", "actor_name"]
    order = "-at"

    @classmethod
    def links(cls, request: HttpRequest) -> list[tuple[str, str]]:
        """The questions that are asked most."""
        here = reverse("log:list")
        return [
            ("Failed sign-ins", f"{here}?event=auth.login_failed"),
            ("Errors", f"{here}?level=error"),
            ("Changes by administrators", f"{here}?event=admin."),
            ("Power", f"{here}?event=power."),
        ]


@needs("log.view")
def entry_page(request: HttpRequest, pk: int) -> HttpResponse:
    """One entry, with before and after."""
    entry = get_object_or_404(LogEntry, pk=pk)
    context = LogPages.context(
        request,
        entry=entry,
        user_address=address_of(entry.user_ref),
        desktop_address=address_of(entry.desktop_ref),
        subject_address=address_of(entry.subject),
        changes=[(name.replace("_", " "), *pair) for name, pair in entry.changes.items()],
    )
    return render(request, "system/entry.html", {**context, "title": entry.event})


urlpatterns = [path("<int:pk>/", entry_page, name="edit"), *LogPages.urls()]
