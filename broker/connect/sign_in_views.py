"""Sign in, sign out, first use."""

from django.conf import settings
from django.contrib.auth import login as open_django_session
from django.contrib.auth import logout, update_session_auth_hash
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from authservers.models import User
from broker.connect import credentials, login, new_password_views, portals, setup, signing_out
from broker.connect.arrival import client_cookie, entered, where_to
from broker.connect.forms import NewPasswordForm, SignInForm
from broker.connect.models import PortalSession
from broker.connect.signing_out import Choice
from broker.core import audit
from policies.services import standing


@login_not_required
@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """The sign-in page at `/`; who is signed in already is sent on."""
    if request.user.is_authenticated:
        return redirect(where_to(request))
    form = SignInForm(request.POST or None)
    status = 200
    if request.method == "POST" and form.is_valid():
        typed = form.typed()
        try:
            portal = login.sign_in(request, typed, client_cookie(request))
        except login.MustChange as must:
            return new_password_views.asks(request, typed, must.refusal)
        except login.Refused as refused:
            form.add_error(None, str(refused))
            status = refused.status
        else:
            return entered(request, portal)
    page = {"form": form, "ended": "ended" in request.GET, "next": request.GET.get("next", "")}
    return render(request, "connect/sign_in.html", page, status=status)


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the portal session. Who is connected to desktops is asked what happens to them first (RULES 22)."""
    portal = request.portal  # type: ignore[attr-defined]
    choice = request.POST.get("desktops", "")
    sessions = signing_out.connected(request.user)  # type: ignore[arg-type]
    if sessions and choice not in Choice.values:
        return render(request, "connect/sign_out.html", {"sessions": sessions, "choices": Choice.choices})
    if choice in (Choice.DISCONNECT, Choice.LOG_OUT):
        signing_out.close(request.user, sessions, choice)  # type: ignore[arg-type]
    if portal:
        portals.close(PortalSession.objects.filter(pk=portal.pk), "signed out")
        audit.record("auth.logout", f"{request.user} signed out.", user=request.user)
    logout(request)
    response = redirect("sign-in")
    credentials.take_back(response)
    return response


@login_not_required
@never_cache
def set_up(request: HttpRequest, token: str) -> HttpResponse:
    """The one-time set-up link: a page with one button, so that a link preview does not spend it."""
    user = setup.opened_by(token)
    if user is None:
        return render(request, "connect/set_up.html", {"spent": True}, status=410)
    if request.method != "POST":
        return render(request, "connect/set_up.html", {"spent": False})
    given = standing(user, user.server, [], None)
    open_django_session(request, user, backend=login.BACKEND)
    login.opened(request, user, given, login.Came(cookie=client_cookie(request)))
    audit.record("auth.login_ok", "The set-up link was used.", actor=user, user=user)
    return redirect("welcome")


@never_cache
@sensitive_post_parameters("password", "again")
@require_http_methods(["GET", "HEAD", "POST"])
def welcome(request: HttpRequest) -> HttpResponse:
    """A new password and the licence agreement, before any other page answers."""
    user = request.user
    assert isinstance(user, User)  # noqa: S101 - for mypy: LoginRequiredMiddleware stands before
    if not (user.must_change_password or user.must_agree):
        return redirect(where_to(request))
    form = NewPasswordForm(user, request.POST or None)
    if request.method == "POST" and form.is_valid():
        keep_password(request, user, form.cleaned_data["password"])
        return redirect(where_to(request))
    return render(request, "connect/welcome.html", {"form": form})


def keep_password(request: HttpRequest, user: User, password: str) -> None:
    """Store the new password; other sessions of this person end, this one goes on."""
    user.set_password(password)
    user.must_change_password = user.must_agree = False
    user.save(update_fields=["password", "must_change_password", "must_agree"])
    key = request.session.session_key or ""
    others = PortalSession.objects.filter(user=user).exclude(session_key=key)
    portals.close(others, "the password was changed")
    update_session_auth_hash(request, user)
    PortalSession.objects.filter(session_key=key).update(session_key=request.session.session_key or "", vault="")
    audit.record(
        "auth.password_changed", f"{user} set a new password.", user=user, changes={"password": ("set", "replaced")}
    )


@login_not_required
def licence(request: HttpRequest) -> HttpResponse:
    """The licence agreement."""
    text = (settings.BASE_DIR / "LICENSE").read_text(encoding="utf-8")
    return render(request, "connect/licence.html", {"text": text})
