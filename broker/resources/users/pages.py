"""Resources > Users, declared."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.http import urlencode

from authservers.models import User
from broker.connect import offers, plans_in_force
from broker.connect.closing import shut_out
from broker.connect.models import DesktopSession, PortalSession
from broker.connect.offers import Offer
from broker.core import words
from broker.core.models import LogEntry, ref
from broker.core.pages import Action, Pages, Refused, note
from broker.resources.users.forms import UserForm
from broker.resources.users.rights import is_administrator, last_administrator
from broker.resources.users.rows import LEFT, close_sessions, people
from broker.resources.users.tables import UserFilter, UserTable
from policies.models import Location
from pools.models import Assignment

HISTORY = 20


def sign_out(request: HttpRequest, person: User) -> str:
    """End what they have open here; their desktops go on."""
    count = close_sessions(person, f"signed out by {request.user}")
    if not count:
        raise Refused(f"{person} is not signed in.")
    note(request, "signed out", person)
    return f"{person} is signed out. Sessions on desktops go on."


def guard(request: HttpRequest, person: User) -> None:
    """An administrator is disabled, enabled and deleted only by those who may change roles; raises Refused."""
    if not request.user.has_perm("roles.edit") and is_administrator(person):
        raise Refused(f"{person} is an administrator: that needs the permission to change roles.")


def disable(request: HttpRequest, person: User) -> str:
    """No further sign-in, and out at once."""
    if person.pk == request.user.pk:
        raise Refused("You cannot disable yourself.")
    guard(request, person)
    if last_administrator(person):
        raise Refused(f"{person} is the last local administrator.")
    with transaction.atomic():
        User.objects.filter(pk=person.pk).update(is_active=False)
        closed = shut_out(person, f"disabled by {request.user}")
        note(request, "disabled", person, {"is_active": (True, False)})
    return f"{person} is disabled" + (" and signed out." if closed else ".")


def enable(request: HttpRequest, person: User) -> str:
    """Back in."""
    guard(request, person)
    with transaction.atomic():
        User.objects.filter(pk=person.pk).update(is_active=True)
        note(request, "enabled", person, {"is_active": (False, True)})
    return f"{person} is active."


def test_login_address(person: User) -> str:
    """Test Login with this person filled in."""
    query = urlencode([("login", person.login), ("server", str(person.server_id))])
    return f"{reverse('users:test_login')}?{query}"


class UserPages(Pages):
    """Everybody who signed in, was loaded, or is a local user."""

    model, area, form, table, filterset = User, "users", UserForm, UserTable, UserFilter
    title = "Users"
    add_label = "Add Local User"
    intro = "People appear here when they first sign in, or when you load them from an authentication server."
    empty = "Load users from an authentication server, or wait until they sign in. Local users are added here."
    search = ["login", "display_name", "email", "sam", "upn"]
    order = "login"
    form_template = "resources/user.html"
    list_template = "resources/users.html"
    actions = {
        "test_login": Action("Test Login", url=test_login_address, permission="view"),
        "sign_out": Action("Sign out", sign_out, bulk=True),
        "disable": Action(
            "Disable",
            disable,
            bulk=True,
            danger=True,
            confirm=lambda rows: (
                f"{words.count(len(rows), 'person', 'people')} can no longer sign in, and are signed out now."
            ),
            applies=lambda row: row.is_active,
        ),
        "enable": Action("Enable", enable, bulk=True, applies=lambda row: not row.is_active),
        "log": Action("View log", url=lambda row: f"{reverse('log:list')}?user=user:{row.pk}", permission="view"),
    }

    @classmethod
    def queryset(cls) -> QuerySet[Any]:
        """People with all that a row shows."""
        return people()

    @classmethod
    def links(cls, request: HttpRequest) -> list[tuple[str, str]]:
        """Test Login stands on top (seed ch. 7)."""
        found = [("Test Login", reverse("users:test_login"))]
        if request.user.has_perm("authentication_servers.view"):
            found.append(("Load Users", reverse("authentication_servers:list")))
        return found

    @classmethod
    def form_kwargs(cls, request: HttpRequest, row: Any) -> dict[str, Any]:
        """Who edits: nobody disables themselves, nor gives more than they have."""
        return {"editor": request.user}

    @classmethod
    def delete_page(cls, request: HttpRequest, pk: Any) -> HttpResponse:
        """An administrator is not deleted by those who may not change roles."""
        try:
            guard(request, get_object_or_404(User, pk=pk))
        except Refused as refusal:
            raise PermissionDenied from refusal
        return super().delete_page(request, pk)

    @classmethod
    def in_use(cls, row: Any) -> list[tuple[str, str]]:
        """Whoever holds a desktop stays until it is released."""
        held = Assignment.objects.filter(user=row, closed_at=None).select_related("desktop")
        return [
            (f"Desktop “{each.desktop}” is assigned", reverse("desktops:edit", args=[each.desktop_id])) for each in held
        ]

    @classmethod
    def keep(cls, row: Any) -> str:
        """The last local administrator stays; whoever once had a desktop does, for the history."""
        if last_administrator(row):
            return "This is the last local administrator."
        if Assignment.objects.filter(user=row).exists():
            return "The history of desktops names this person. Disable them instead."
        return ""

    @classmethod
    def facts(cls, request: HttpRequest, row: Any) -> dict[str, Any]:
        """The rest of a person's page; on the list, who has left and still holds desktops."""
        if row is None:
            return {"leavers": leavers()}
        return {**offered(row), **history(request, row)}


def leavers() -> dict[str, int]:
    """How many people have left, and how many desktops they hold."""
    held = Assignment.objects.filter(closed_at=None, user__in=User.objects.filter(LEFT).values("pk"))
    return held.aggregate(people=Count("user", distinct=True), desktops=Count("pk"))


def offered(person: User) -> dict[str, Any]:
    """What they would see now, by the groups and the location of their last sign-in."""
    policy = plans_in_force.standing_of(person).policy
    found: list[Offer] = offers.build(person, policy).offers if policy else []
    return {"policy": policy, "offers": found}


def history(request: HttpRequest, person: User) -> dict[str, Any]:
    """What they had and did."""
    log = LogEntry.objects.filter(user_ref=ref(person)).order_by("-at", "-pk")[:HISTORY]
    on_desktops = DesktopSession.objects.filter(user=person).select_related("desktop")
    here = PortalSession.objects.filter(user=person).select_related("role", "policy", "location")
    return {
        "assignments": person.assignments.select_related("desktop", "pool").order_by("-pk")[:HISTORY],
        "desktop_sessions": on_desktops.order_by("-started_at")[:HISTORY],
        "portal_sessions": here.order_by("-pk")[:HISTORY],
        "location": Location.objects.filter(pk=person.last_location).first() if person.last_location else None,
        "test_login_address": test_login_address(person),
        "log": log if request.user.has_perm("log.view") else None,
        "log_address": f"?user={ref(person)}",
    }
