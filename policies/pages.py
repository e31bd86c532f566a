"""Configuration > Policies, Assignments, Roles, Locations."""

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.db.models import Count, Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from authservers.models import AuthenticationServer
from authservers.services import judge_again
from broker.core import words
from broker.core.pages import Action, Pages, SeeOther, note
from policies import locations
from policies.forms import LocationForm, RoleForm, TesterForm
from policies.models import Access, AssignmentRule, Location, Policy, PoolAssignment, Role
from policies.policy_forms import PolicyForm
from policies.tables import LocationTable, PolicyTable, RoleTable, ServerTable

Users = list[tuple[str, str]]
STAYS = "The Default policy stays: people get it where no rule gives another. It can be changed."


def rule_users(**named: Any) -> Users:
    """The servers whose rules name a role, policy or location."""
    servers = AuthenticationServer.objects.filter(pk__in=AssignmentRule.objects.filter(**named).values("server"))
    return [(f"Assignment rules of “{server}”", reverse("assignments:edit", args=[server.pk])) for server in servers]


def people_users(**named: Any) -> Users:
    """How many people have a role or policy directly."""
    many = Access.objects.filter(**named).count()
    return [(f"{words.count(many, 'person', 'people')} to whom it was given directly", "")] if many else []


def duplicate(request: HttpRequest, policy: Policy) -> HttpResponse:
    """A copy of a policy with all its lines, open for editing."""
    taken = set(Policy.objects.values_list("name", flat=True))
    tries = [f"Copy of {policy.name}"[:100], *(f"Copy {n} of {policy.name}"[:100] for n in range(2, len(taken) + 3))]
    copy = Policy.objects.get(pk=policy.pk)
    lines = list(copy.lines.order_by("order", "pk"))
    copy.pk, copy.is_default, copy.name = None, False, next(name for name in tries if name not in taken)
    with transaction.atomic():
        copy.save(force_insert=True)
        for line in lines:
            line.pk, line.policy = None, copy
        PoolAssignment.objects.bulk_create(lines)
        note(request, "created", copy, {"copied from": ("", policy.name)})
    return SeeOther(PolicyPages.url("edit", copy))


class PolicyPages(Pages):
    """Policies; their other tabs are in policy_views.py."""

    model, area, form, table = Policy, "policies", PolicyForm, PolicyTable
    title, add_label = "Policies", "Create Policy"
    intro = "Which desktops people are offered, how they connect, and what happens afterwards."
    empty = "A policy offers desktops from pools to the people it is assigned to."
    search = ("name", "notes")
    order = "name"
    refresh = 0
    form_template = "policies/policy.html"
    actions = {"duplicate": Action("Duplicate", duplicate, help="A copy with all its pool assignments")}

    @classmethod
    def queryset(cls) -> QuerySet[Any]:
        """Policies with their lines in order."""
        lines = PoolAssignment.objects.select_related("pool").order_by("order", "pk")
        return Policy.objects.prefetch_related(Prefetch("lines", lines))

    @classmethod
    def in_use(cls, row: Any) -> Sequence[tuple[str, str]]:
        """The rules and people that have it."""
        return rule_users(policy=row) + people_users(policy=row)

    @classmethod
    def keep(cls, row: Any) -> str:
        """The Default stays."""
        return STAYS if row.is_default else ""

    @classmethod
    def saved(cls, request: HttpRequest, row: Any, created: bool) -> None:
        """Remember for `after_save` that the policy is new."""
        row.just_created = created

    @classmethod
    def after_save(cls, row: Any) -> str:
        """A new policy goes on with its pool assignments."""
        return reverse("policies:lines", args=[row.pk]) if row.just_created else cls.url("edit", row)

    @classmethod
    def facts(cls, request: HttpRequest, row: Any) -> dict[str, Any]:
        """The tabs, and who has the policy."""
        return {"policy": row, "tab": "general", "used_by": cls.in_use(row) if row else []}


class AssignmentPages(Pages):
    """One entry for each authentication server; its rules are in rule_views.py."""

    model, area, table = AuthenticationServer, "assignments", ServerTable
    title = "Assignments"
    intro = "Which role and policy people get, by their groups and the place they sign in from."
    empty = "Add an authentication server first: each has its own rules."
    search = ("name", "domain")
    refresh = 0
    can_delete = False

    @classmethod
    def queryset(cls) -> QuerySet[Any]:
        """Servers with the number of their rules."""
        return AuthenticationServer.objects.defer("secrets", "groups").annotate(rules_count=Count("rules"))

    @classmethod
    def page_url(cls, row: Any) -> str:
        """The rule table."""
        return cls.url("edit", row)


class RolePages(Pages):
    """Roles."""

    model, area, form, table = Role, "roles", RoleForm, RoleTable
    title, add_label = "Roles", "Create Role"
    intro = "What people may do with their desktops, and which of these pages they may see and change."
    empty = "A role is a set of permissions that assignment rules give to people."
    search = ("name", "notes")
    order = "name"
    refresh = 0
    form_template = "policies/role.html"

    @classmethod
    def in_use(cls, row: Any) -> Sequence[tuple[str, str]]:
        """The rules and people that have it."""
        return rule_users(role=row) + people_users(role=row)

    @classmethod
    def keep(cls, row: Any) -> str:
        """Administrator and User stay."""
        return "This role is part of the product and stays. Its permissions can be changed." if row.builtin else ""

    @classmethod
    def saved(cls, request: HttpRequest, row: Role, created: bool) -> None:
        """Whoever has lost something by it loses it at once (RULES 22)."""
        for server in () if created else AuthenticationServer.objects.all():
            judge_again(server, f"role {row} changed")

    @classmethod
    def facts(cls, request: HttpRequest, row: Any) -> dict[str, Any]:
        """Who has the role."""
        return {"used_by": cls.in_use(row)} if row else {}


class LocationPages(Pages):
    """Locations, with a tester above the list."""

    model, area, form, table = Location, "locations", LocationForm, LocationTable
    title, add_label = "Locations", "Create Location"
    intro = "Groups of client devices, by address and by what they tell of themselves. The first that matches counts."
    empty = "A location groups client devices, those of one building for example, for assignment rules to tell apart."
    search = ("name", "notes")
    order = "order"
    refresh = 0
    list_template = "policies/locations.html"
    form_template = "policies/role.html"

    @classmethod
    def in_use(cls, row: Any) -> Sequence[tuple[str, str]]:
        """The rules that name it."""
        return rule_users(location=row)

    @classmethod
    def facts(cls, request: HttpRequest, row: Any) -> dict[str, Any]:
        """On the list: the tester's answer; on a page: who uses it."""
        if row:
            return {"used_by": cls.in_use(row)}
        form = TesterForm(request.GET if request.GET.get("ip") else None)
        if not form.is_valid() or not form.cleaned_data["ip"]:
            return {"tester": form}
        client = {"ip": form.cleaned_data["ip"]}
        return {"tester": form, "tested": client["ip"], "found": locations.of(client, list(Location.objects.all()))}
