"""*Choose a new password*: what the sign-in answers with where a directory wants one first (RULES 8)."""

from dataclasses import replace

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods

from authservers.directories.base import Refusal
from broker.connect import login, new_password
from broker.connect.arrival import client_cookie, entered, where_to
from broker.connect.forms import ChangePasswordForm, SignInForm, Typed

HIDDEN = ("login", "domain", "why")


def asks(request: HttpRequest, typed: Typed, why: Refusal) -> HttpResponse:
    """The page, with nothing in it but who it is for."""
    return page(request, ChangePasswordForm(initial={"login": typed.login, "domain": typed.domain, "why": why}))


def page(request: HttpRequest, form: ChangePasswordForm, status: int = 200) -> HttpResponse:
    """The page with this form; it says why, as far as the form knows."""
    shown = {"form": form, "next": wanted(request), "expired": form["why"].value() == Refusal.PASSWORD_EXPIRED}
    return render(request, "connect/new_password.html", shown, status=status)


def wanted(request: HttpRequest) -> str:
    """The page that the person asked for; whether it is one of ours is looked at when they are sent there."""
    return request.POST.get("next") or request.GET.get("next", "")


@login_not_required
@never_cache
@sensitive_post_parameters("password", "new", "again")
@sensitive_variables("new", "typed", "form")
@require_http_methods(["GET", "HEAD", "POST"])
def new_password_page(request: HttpRequest) -> HttpResponse:
    """Change the password, then sign in with it. Only the sign-in leads here: who comes otherwise is sent to it."""
    if request.user.is_authenticated:
        return redirect(where_to(request))
    form = ChangePasswordForm(request.POST or None)
    if not form.is_bound or any(name in form.errors for name in HIDDEN):
        return redirect("sign-in")
    if not form.is_valid():
        return page(request, form)
    typed, new = form.typed(), form.cleaned_data["new"]
    try:
        portal = new_password.change(request, typed, new, client_cookie(request))
    except login.Refused as refused:
        form.add_error(field_of(refused), message(refused))
        return page(request, form, refused.status)
    return entered(request, portal) if portal else signs_in(request, replace(typed, password=new))


def field_of(refused: login.Refused) -> str | None:
    """Beside which field it is said; a name that nobody has reads like a wrong password."""
    if isinstance(refused, new_password.Kept):
        return refused.field or None
    return "password" if str(refused) == login.WRONG else None


def message(refused: login.Refused) -> str:
    """The reason, in words of this page: the name is not asked here."""
    return new_password.WRONG if str(refused) == login.WRONG else str(refused)


def signs_in(request: HttpRequest, typed: Typed) -> HttpResponse:
    """The ordinary way in, with the new password; where it is closed, the sign-in page says that the password holds."""
    try:
        return entered(request, login.sign_in(request, typed, client_cookie(request)))
    except login.Refused as refused:
        form = SignInForm(initial={"login": typed.login, "domain": typed.domain})
        shown = {"form": form, "next": wanted(request), "changed": True, "refused": str(refused)}
        return render(request, "connect/sign_in.html", shown, status=refused.status)
