"""The columns of Resources > Users (SPEC 4.3)."""

from typing import Any, ClassVar

import django_filters
import django_tables2 as tables
from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from authservers.models import AuthenticationServer, User
from broker.core.filters import PageFilter
from broker.core.tables import BriefColumn, LinkColumn, NameColumn, NumberColumn, PageTable, TimeColumn
from broker.core.templatetags.usher import badge, status
from broker.resources.users.rows import LEFT, WITHOUT_RULE


def given(own: str, last: str) -> SafeString | str:
    """A role or policy: given directly, or what the last sign-in got by the rules."""
    if own:
        return format_html("{} {}", own, badge("direct", "info"))
    return last or format_html('<span class="muted">{}</span>', "By the rules")


class UserTable(PageTable):
    """One row a person."""

    optional = ("state", "email")

    name = NameColumn(accessor="pk", verbose_name="Name", order_by=("display_name", "login"))
    login = tables.Column(verbose_name="Login name")
    server = LinkColumn(
        lambda row: reverse("authentication_servers:edit", args=[row.server_id]),
        verbose_name="Authentication Server",
        order_by="server__name",
    )
    state = tables.Column(verbose_name="State", empty_values=(), order_by="is_active")
    role = BriefColumn(verbose_name="Role", empty_values=(), orderable=False)
    policy = BriefColumn(verbose_name="Policy", empty_values=(), orderable=False)
    last_sign_in_at = TimeColumn(verbose_name="Last login")
    holds = NumberColumn(verbose_name="Desktops")
    email = tables.Column(verbose_name="E-mail")

    def render_name(self, record: User) -> SafeString:
        """The name, a link to the person's page; below it the e-mail address."""
        mark: SafeString | str = "" if record.is_active else badge("disabled", "warn")
        if record.gone_at is not None:
            mark = badge("left", "bad")
        mail = format_html('<div class="tile-note">{}</div>', record.email) if record.email else ""
        url = reverse("users:edit", args=[record.pk])
        return format_html('<a class="name" href="{}">{}</a> {}{}', url, record, mark, mail)

    def value_name(self, record: User) -> str:
        """The name in files."""
        return str(record)

    def value_server(self, record: User) -> str:
        """The name in files."""
        return str(record.server)

    def value_state(self, record: User) -> str:
        """The word in files."""
        if record.gone_at is not None:
            return "Left"
        return "Active" if record.is_active else "Disabled"

    def render_state(self, record: User) -> SafeString:
        """Whether they can sign in."""
        if record.gone_at is not None:
            return status("problem", "Left", "The directory no longer knows this person.")
        return status("running", "Active") if record.is_active else status("stopped", "Disabled")

    def render_role(self, record: Any) -> SafeString | str:
        """The role of now."""
        return given(record.own_role or "", record.last_role or "")

    def value_role(self, record: Any) -> str:
        """The name in files."""
        return record.own_role or record.last_role or ""

    def render_policy(self, record: Any) -> SafeString | str:
        """The policy of now."""
        return given(record.own_policy or "", record.last_policy or "")

    def value_policy(self, record: Any) -> str:
        """The name in files."""
        return record.own_policy or record.last_policy or ""


class UserFilter(PageFilter):
    """Authentication server, state, and the lists that the dashboard leads to."""

    server = django_filters.ModelChoiceFilter(
        queryset=AuthenticationServer.objects.order_by("position", "name"),
        label="Authentication Server",
        empty_label="Any",
    )
    state = django_filters.ChoiceFilter(
        choices=[
            ("active", "Active"),
            ("disabled", "Disabled"),
            ("left", "Left"),
            ("leavers", "Left or disabled, with desktops"),
        ],
        label="State",
        method="in_state",
    )
    rule = django_filters.ChoiceFilter(choices=[("none", "No rule matches")], label="Assignment rule", method="by_rule")
    assigned = django_filters.ChoiceFilter(
        choices=[("yes", "Has desktops"), ("no", "Has none")], label="Assigned desktops", method="with_desktops"
    )

    class Meta:
        model = User
        fields: ClassVar[list[str]] = []

    def in_state(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Whether they can sign in, or are gone."""
        conditions = {
            "active": Q(is_active=True, gone_at=None),
            "disabled": Q(is_active=False),
            "left": Q(gone_at__isnull=False),
            "leavers": LEFT & Q(holds__gt=0),
        }
        return queryset.filter(conditions[value])

    def by_rule(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """People whom no assignment rule names."""
        return queryset.filter(WITHOUT_RULE)

    def with_desktops(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Who holds something."""
        return queryset.filter(holds__gt=0) if value == "yes" else queryset.filter(holds=0)
