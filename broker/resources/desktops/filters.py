"""What the list of desktops can be narrowed to. Deleted desktops are shown only where they are asked for."""

from typing import Any, ClassVar

import django_filters
from django.db.models import Exists, OuterRef, Q, QuerySet

from agents.services import SILENT_AFTER
from broker.connect import pins
from broker.connect.models import DesktopSession
from broker.core.clock import now
from broker.core.filters import PageFilter
from broker.resources.desktops.rows import AgentAxis
from centers.models import Center, Desktop
from pools import rules
from pools.models import Assignment, Pool

HEARD = Q(agent__approved=True, agent__revoked_at=None)


class DesktopFilter(PageFilter):
    """Center, pool and the five axes."""

    center = django_filters.ModelChoiceFilter(
        queryset=Center.objects.order_by("name"), label="Center", empty_label="Any"
    )
    pool = django_filters.ModelChoiceFilter(
        queryset=Pool.objects.order_by("name"), label="Pool", method="in_pool", empty_label="Any"
    )
    power = django_filters.ChoiceFilter(choices=Desktop.Power, label="Power")
    agent = django_filters.ChoiceFilter(
        choices=[
            (AgentAxis.NEVER, "Never seen"),
            (AgentAxis.REACHABLE, "Reachable"),
            (AgentAxis.UNREACHABLE, "Unreachable"),
        ],
        label="Agent",
        method="with_agent",
    )
    availability = django_filters.ChoiceFilter(choices=Desktop.Availability, label="Availability")
    assignment = django_filters.ChoiceFilter(
        choices=[
            ("none", "Nobody"),
            ("any", "Somebody"),
            (Assignment.Kind.POLICY, "Policy-assigned"),
            (Assignment.Kind.HARD, "Hard-assigned"),
        ],
        label="Assigned Users",
        method="assigned",
    )
    session = django_filters.ChoiceFilter(
        choices=[("none", "Nobody is on it"), ("active", "Connected"), ("disconnected", "Disconnected")],
        label="Session",
        method="with_session",
    )
    certificate = django_filters.ChoiceFilter(
        choices=[("changed", "Another one than before")], label="Certificate", method="with_certificate"
    )

    class Meta:
        model = Desktop
        fields: ClassVar[list[str]] = []

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Deleted ones are out unless the availability is chosen."""
        found: QuerySet[Any] = super().filter_queryset(queryset)
        if self.form.cleaned_data.get("availability"):
            return found
        return found.exclude(availability=Desktop.Availability.DELETED)

    def in_pool(self, queryset: QuerySet[Any], name: str, value: Pool) -> QuerySet[Any]:
        """The desktops of a pool."""
        return queryset.filter(rules.condition(value, {each.pk: each for each in Pool.objects.all()}))

    def with_agent(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """By the agent axis."""
        heard = Q(agent__last_seen__gte=now() - SILENT_AFTER)
        if value == AgentAxis.NEVER:
            return queryset.exclude(HEARD)
        return queryset.filter(HEARD & heard) if value == AgentAxis.REACHABLE else queryset.filter(HEARD).exclude(heard)

    def assigned(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """By the open assignment."""
        if value in {"none", "any"}:
            return queryset.filter(holding__isnull=value == "none")
        return queryset.filter(holding__kind=value)

    def with_session(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """By the sessions on it."""
        live = DesktopSession.objects.filter(desktop=OuterRef("pk"), ended_at=None).exclude(user_name="")
        return queryset.filter(~Exists(live) if value == "none" else Exists(live.filter(state=value)))

    def with_certificate(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Those whose connections gateways refuse until somebody trusts the new one (RULES 3)."""
        return queryset.filter(pins.changed())
