"""Configuration > Protocol Plans, Power Control Plans, Release Plans."""

from collections.abc import Sequence
from typing import Any

from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest

from broker.core.pages import Pages
from plans.forms import PowerControlPlanForm, ReleasePlanForm
from plans.models import PowerControlPlan, ProtocolChoice, ProtocolPlan, ReleasePlan
from plans.protocol_forms import ProtocolPlanForm
from plans.steps import power_words, release_words
from plans.tables import PowerControlPlanTable, ProtocolPlanTable, ReleasePlanTable, protocols
from plans.usage import policies_using

STAYS = "The Default plan stays: it counts wherever no policy says otherwise. It can be changed."


class PlanPages(Pages):
    """What the three kinds have in common."""

    search = ("name", "notes")
    order = "name"
    refresh = 0
    form_template = "plans/form.html"

    @classmethod
    def in_use(cls, row: Any) -> Sequence[tuple[str, str]]:
        """The policies that name the plan."""
        return policies_using(cls.model, [row]).get(row.pk, [])

    @classmethod
    def keep(cls, row: Any) -> str:
        """The Default stays."""
        return STAYS if row.is_default else ""

    @classmethod
    def says(cls, row: Any) -> list[str]:
        """What the plan does, in sentences."""
        return []

    @classmethod
    def facts(cls, request: HttpRequest, row: Any) -> dict[str, Any]:
        """On a plan's page: what it does and who uses it."""
        return {"says": cls.says(row), "used_by": cls.in_use(row)} if row else {}


class ProtocolPlanPages(PlanPages):
    """Protocol plans."""

    model, area, form, table = ProtocolPlan, "protocol_plans", ProtocolPlanForm, ProtocolPlanTable
    title, add_label = "Protocol Plans", "Create Protocol Plan"
    intro = "How people are connected to their desktops, by the kind of client they sign in with."
    empty = "A protocol plan says with which protocol a user reaches a desktop."

    @classmethod
    def queryset(cls) -> QuerySet[Any]:
        """Plans with their rows and gateways."""
        rows = ProtocolChoice.objects.select_related("gateway", "cluster").order_by("client", "priority")
        return ProtocolPlan.objects.prefetch_related(Prefetch("choices", rows))

    @classmethod
    def says(cls, row: Any) -> list[str]:
        """Which protocols each client uses."""
        return protocols(row)


class PowerControlPlanPages(PlanPages):
    """Power control plans."""

    model, area, form, table = PowerControlPlan, "power_control_plans", PowerControlPlanForm, PowerControlPlanTable
    title, add_label = "Power Control Plans", "Create Power Control Plan"
    intro = "When desktops are shut down, powered off or restarted."
    empty = "A power control plan shuts desktops down when nobody uses them."

    @classmethod
    def says(cls, row: Any) -> list[str]:
        """Its steps."""
        return power_words(row)

    @classmethod
    def facts(cls, request: HttpRequest, row: Any) -> dict[str, Any]:
        """With what to know about Always On."""
        return {**super().facts(request, row), "power": True}


class ReleasePlanPages(PlanPages):
    """Release plans."""

    model, area, form, table = ReleasePlan, "release_plans", ReleasePlanForm, ReleasePlanTable
    title, add_label = "Release Plans", "Create Release Plan"
    intro = "How long a desktop stays assigned to its user, and what happens to the session meanwhile."
    empty = "A release plan says when a desktop goes back to its pool."

    @classmethod
    def says(cls, row: Any) -> list[str]:
        """Its steps."""
        return release_words(row)
