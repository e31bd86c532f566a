"""Setup > Authentication Servers > Load users: two steps (seed ch. 6). The address carries the scope, so that both
steps can be reloaded, opened twice, and survive a directory that goes away in between."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import path, reverse

from authservers.checks import refresh_groups
from authservers.directories.base import DirectoryError
from authservers.load_forms import PeopleForm, ScopeForm, as_query
from authservers.loading import Loaded, load
from authservers.models import LOCAL, AuthenticationServer
from authservers.pages import AuthenticationServerPages
from broker.core.pages import SeeOther, needs
from centers.services import ask_for_scan


def server_of(pk: int) -> AuthenticationServer:
    """The directory; the local server has nobody to load."""
    return get_object_or_404(AuthenticationServer.objects.exclude(kind=LOCAL), pk=pk)


@needs("authentication_servers.edit")
def choose_scope(request: HttpRequest, pk: int) -> HttpResponse:
    """Step 1: whom to choose from."""
    server = server_of(pk)
    form = ScopeForm(request.POST if request.method == "POST" else None, server, initial=request.GET.dict())
    if form.step == "group:refresh":
        read_groups(request, form)
    if request.method == "POST" and form.is_valid() and form.somebody():
        return SeeOther(f"{address('pick_users', server)}?{urlencode(as_query(form.wanted()))}")
    return shown(request, server, form, "authservers/load_scope.html")


def read_groups(request: HttpRequest, form: ScopeForm) -> None:
    """Refresh groups."""
    try:
        refresh_groups(form.server)
    except DirectoryError as error:
        messages.error(request, f"The groups could not be read. {error.message}")
    form.offer_groups()


@needs("authentication_servers.edit")
def pick_users(request: HttpRequest, pk: int) -> HttpResponse:
    """Step 2: who of them."""
    server = server_of(pk)
    chosen = ScopeForm(request.GET, server)
    if not chosen.is_valid():
        return SeeOther(address("load_users", server))
    form = PeopleForm(request.POST if request.method == "POST" else None, server, chosen.wanted())
    if request.method == "POST" and form.is_valid():
        try:
            return loaded(request, server, load(server, form.cleaned_data["users"]))
        except DirectoryError as error:
            form.add_error(None, f"Nobody was loaded. {error.message}")
    form.look()
    back = f"{address('load_users', server)}?{request.GET.urlencode()}"
    return shown(request, server, form, "authservers/load_people.html", back=back)


def loaded(request: HttpRequest, server: AuthenticationServer, done: Loaded) -> HttpResponse:
    """Say it, let the centers look whose WorkSpaces are there already, and show the users."""
    with transaction.atomic():  # a scan that is planned already is locked and moved forward
        for center in server.centers.all():
            ask_for_scan(center)
    (messages.success if done.users else messages.warning)(request, done.sentence)
    for trouble in done.troubles:
        messages.warning(request, trouble)
    may_look = request.user.has_perm("users.view")
    return SeeOther(reverse("users:list") if may_look else AuthenticationServerPages.url("list"))


def shown(request: HttpRequest, server: AuthenticationServer, form: Any, template: str, **more: Any) -> HttpResponse:
    """A step's page."""
    context = AuthenticationServerPages.context(
        request, server, form=form, server=server, form_title=f"Load Users from {server}",
        cancel_url=AuthenticationServerPages.url("list"), **more,
    )  # fmt: skip
    return render(request, template, context)


def address(name: str, server: AuthenticationServer) -> str:
    """Where a step is."""
    return reverse(f"authentication_servers:{name}", args=[server.pk])


urlpatterns = [
    path("<int:pk>/load-users/", choose_scope, name="load_users"),
    path("<int:pk>/load-users/select/", pick_users, name="pick_users"),
]
