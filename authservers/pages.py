"""Setup > Authentication Servers."""

from typing import Any

from django.db.models import Case, Count, Q, QuerySet, Value, When
from django.http import HttpRequest
from django.urls import reverse

from authservers import checks
from authservers.forms import AuthenticationServerForm
from authservers.models import LOCAL, AuthenticationServer
from authservers.services import judge_again
from authservers.tables import AuthenticationServerTable
from broker.core import audit, words
from broker.core.pages import Action, Pages, Refused


def test(request: HttpRequest, server: AuthenticationServer) -> str:
    """Ask the directory now."""
    trouble = checks.check(server)
    audit.record("admin.server_tested", trouble or checks.in_words(server), actor=request.user, subject=server)
    if trouble:
        raise Refused(trouble)
    return checks.in_words(server)


def is_directory(server: AuthenticationServer) -> bool:
    """Everything but the built-in server."""
    return server.kind != LOCAL


class AuthenticationServerPages(Pages):
    """Where passwords are verified."""

    model, area = AuthenticationServer, "authentication_servers"
    form, table = AuthenticationServerForm, AuthenticationServerTable
    title, add_label = "Authentication Servers", "Add Authentication Server"
    intro = "The directories whose people may sign in, and who get WorkSpaces."
    empty = "An authentication server verifies passwords. Add your directory, then load the users who get WorkSpaces."
    search = ("name", "domain", "config__host")
    form_template = "authservers/form.html"
    actions = {
        "load-users": Action(
            "Load users",
            url=lambda row: reverse("authentication_servers:load_users", args=[row.pk]),
            row=True,
            applies=is_directory,
        ),
        "test": Action("Test", test, applies=is_directory, help="Asks the directory now, and says what it found."),
    }

    @classmethod
    def queryset(cls) -> QuerySet[AuthenticationServer]:
        """With the number of users and one word for the state."""
        health = Case(
            When(active=False, then=Value("off")),
            When(kind=LOCAL, then=Value("local")),
            When(~Q(trouble=""), then=Value("trouble")),
            When(checked_at=None, then=Value("new")),
            default=Value("well"),
        )
        return AuthenticationServer.objects.annotate(people=Count("users"), health=health)

    @classmethod
    def keep(cls, row: AuthenticationServer) -> str:
        """The built-in server is the way back in when a directory is down."""
        return "" if is_directory(row) else "The built-in server stays: it is the way in when a directory is down."

    @classmethod
    def in_use(cls, row: AuthenticationServer) -> list[tuple[str, str]]:
        """Its centers and its users."""
        found = [(f"Center “{center}”", reverse("centers:edit", args=[center.pk])) for center in row.centers.all()]
        users = row.users.count()
        if users:
            found.append((words.count(users, "user"), reverse("users:list")))
        return found

    @classmethod
    def form_kwargs(cls, request: HttpRequest, row: Any) -> dict[str, Any]:
        """The form must know who asks: nobody switches off his own way in."""
        return {"user": request.user}

    @classmethod
    def saved(cls, request: HttpRequest, row: AuthenticationServer, created: bool) -> None:
        """People without a rule may have no access any more."""
        if not created:
            judge_again(row, "the authentication server changed")

    @classmethod
    def after_save(cls, row: AuthenticationServer) -> str:
        """The directory is asked at once (outside the transaction); where it is in trouble, its page says so."""
        checks.first_look(row)
        return cls.url("edit", row) if row.trouble else cls.url("list")

    @classmethod
    def facts(cls, request: HttpRequest, row: Any) -> dict[str, Any]:
        """What the last test said."""
        if row is None or not is_directory(row) or not row.checked_at:
            return {}
        found = row.config.get("found") or {}
        return {"found": checks.in_words(row), "warnings": found.get("warnings", []), "server": row}
