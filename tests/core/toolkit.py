"""Pages made with the toolkit for its own tests, over a real table, with a person who may do what a header says."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from django import forms
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.urls import include, path

from authservers.models import AuthenticationServer
from broker.core.filters import PageFilter
from broker.core.forms import (
    RELOAD,
    ConfigForm,
    DualListField,
    DurationField,
    RowsField,
    SecretField,
    Section,
    unless,
    when,
)
from broker.core.pages import Action, Pages, Refused
from broker.core.tables import NameColumn, NumberColumn, PageTable, StatusColumn, YesNoColumn


class Row(forms.Form):
    """A row of the rows field."""

    join = forms.ChoiceField(label="And / Or", choices=[("and", "And"), ("or", "Or")])
    attribute = forms.ChoiceField(label="Attribute", choices=[("name", "Name"), ("tag", "Tag")])
    value = forms.CharField(label="Value")


class ServerForm(ConfigForm):
    """Every kind of field that the toolkit has."""

    class Meta:
        model = AuthenticationServer
        fields: ClassVar = ["name", "kind", "position", "active", "domain", "notes"]
        widgets: ClassVar = {
            "kind": forms.Select(attrs=RELOAD, choices=[("ad", "Active Directory"), ("local", "Local")])
        }

    sections: ClassVar = [
        Section("Connection", "Where it answers.", ["kind", "host", "search_password", "others", "rules", "wait"])
    ]
    show_when: ClassVar = {"domain": when("active", True), "host": unless("kind", "local")}

    def config_fields(self) -> dict[str, forms.Field]:
        """Those of Active Directory only."""
        if self.chosen("kind") == "local":
            return {}
        everyone = AuthenticationServer.objects.order_by("name")
        return {
            "host": forms.CharField(label="Host"),
            "search_password": SecretField(label="Password"),
            "others": DualListField(everyone, noun="servers"),
            "rules": RowsField(Row, label="Rules", joiner="join"),
            "wait": DurationField([0, 600], label="Wait", initial=600),
        }

    def clean_others(self) -> list[int]:
        """Kept in JSON."""
        return [server.pk for server in self.cleaned_data["others"]]


class ServerTable(PageTable):
    """Three columns."""

    name = NameColumn()
    kind = StatusColumn({"ad": "running", "local": ("stopped", "Local")})
    position = NumberColumn()
    active = YesNoColumn()


class ServerFilter(PageFilter):
    """Two filters."""

    class Meta:
        model = AuthenticationServer
        fields: ClassVar = ["active", "unmatched"]


def check(request: HttpRequest, server: Any) -> str:
    """The action of the tests."""
    if not server.active:
        raise Refused(f"{server} is switched off.")
    return f"{server} answers."


class ServerPages(Pages):
    """All that a declaration can say."""

    model, area, namespace = AuthenticationServer, "authentication_servers", "toolkit"
    form, table, filterset = ServerForm, ServerTable, ServerFilter
    title, add_label, intro = "Servers", "Add Server", "Who verifies passwords."
    empty = "A server knows people and their passwords."
    search: ClassVar = ["name", "domain"]
    actions: ClassVar = {
        "check": Action("Check", check, row=True, bulk=True),
        "wipe": Action("Wipe", lambda request, row: "Wiped.", bulk=True, confirm="Wipes all.", ask="wipe", danger=True),
        "look": Action("Look", url=lambda row: f"/look/{row.pk}/", permission="view"),
        "never": Action("Never", check, applies=lambda row: False),
    }

    @classmethod
    def queryset(cls) -> QuerySet[Any]:
        """All but the built-in one."""
        return AuthenticationServer.objects.exclude(kind="local")

    @classmethod
    def in_use(cls, row: Any) -> Sequence[tuple[str, str]]:
        """By its notes."""
        return [(f"Center “{row.notes}”", "/centers/1/")] if row.notes else []

    @classmethod
    def keep(cls, row: Any) -> str:
        """One name is kept."""
        return "The default server stays." if row.name == "Default" else ""


urlpatterns = [path("servers/", include((ServerPages.urls(), "toolkit")))]


class Person:
    """Whoever the test says is there."""

    is_authenticated = True
    pk = 7

    def __init__(self, may: str) -> None:
        self.may = may.split()

    def has_perm(self, permission: str) -> bool:
        """As the test says."""
        return permission.partition(".")[2] in self.may

    def __str__(self) -> str:
        return "Ada Byron"


class Nobody:
    """A visitor who did not sign in."""

    is_authenticated = False


class SignedIn:
    """Middleware: the header X-May says what the person may do; without it nobody is signed in."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """One request."""
        may = request.headers.get("X-May")
        request.user = Nobody() if may is None else Person(may)  # type: ignore[assignment]
        return self.get_response(request)
