"""The portal session behind a request: its role, its end, and what must be done before any other page."""

from collections.abc import Callable
from datetime import datetime, timedelta

from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse

from broker.connect import credentials, tunnels
from broker.connect.models import PortalSession
from broker.core import context
from broker.core.clock import now

GetResponse = Callable[[HttpRequest], HttpResponseBase]
WRITE_AT_MOST = timedelta(minutes=1)


class Portal:
    """Gives each signed-in request its portal session and role; ends what has expired.

    A poll neither prolongs a session nor writes anything (CONTRACTS 3, Polls); it says so by the header that
    static/js/refresh.js sends, or by htmx's own polling of the progress page.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """One request."""
        request.portal = None  # type: ignore[attr-defined]
        if not request.user.is_authenticated:
            return self.get_response(request)
        portal = self.portal_of(request)
        if portal is None:
            logout(request)
            return self.signed_out(request)
        request.portal = portal  # type: ignore[attr-defined]
        request.user.role = portal.role
        if not request.headers.get("X-Usher-Poll"):
            self.active(portal)
        if demanded(request) and request.path not in open_addresses():
            return redirect("welcome")
        work = context.current()
        with context.working(context.Work(work.correlation_id, work.client_ip, request.user.pk, str(request.user))):
            return self.get_response(request)

    def portal_of(self, request: HttpRequest) -> PortalSession | None:
        """The open portal session of this browser session, or None."""
        held = PortalSession.objects.select_related("role", "policy", "location", "client").defer("policy__notes")
        portal = held.filter(session_key=request.session.session_key or "", closed_at=None).first()
        if portal is None or portal.role is None or portal.policy is None:
            return None
        if now() < end_of(portal) or worked(portal):
            return portal
        PortalSession.objects.filter(pk=portal.pk).exclude(vault="").update(vault="")
        return None

    def active(self, portal: PortalSession) -> None:
        """Note that a person is there, at most once a minute."""
        if now() - portal.active_at >= WRITE_AT_MOST:
            portal.active_at = now()
            portal.save(update_fields=["active_at"])

    def signed_out(self, request: HttpRequest) -> HttpResponseBase:
        """To the sign-in page; a poll is told so, and the page goes there itself."""
        address = f"{reverse('sign-in')}?ended=1"
        polled = request.headers.get("HX-Request") or request.headers.get("X-Usher-Poll")
        response = HttpResponse(status=401, headers={"HX-Redirect": address}) if polled else redirect(address)
        credentials.take_back(response)
        return response


def worked(portal: PortalSession) -> bool:
    """Whether it goes on because somebody works on a desktop in this browser (RULES 22)."""
    last = tunnels.last_worked(portal)
    if last is None or last <= portal.active_at:
        return False
    portal.active_at = last
    portal.save(update_fields=["active_at"])
    return now() < end_of(portal)


def end_of(portal: PortalSession) -> datetime:
    """When a portal session ends: its absolute limit, or the policy's delay after the last activity."""
    minutes = portal.policy.session_expire if portal.policy else -1
    return portal.expires_at if minutes < 0 else min(portal.expires_at, portal.active_at + timedelta(minutes=minutes))


def demanded(request: HttpRequest) -> bool:
    """Whether a new password or the licence agreement comes before everything else (DESIGN 11)."""
    return bool(request.user.must_change_password or request.user.must_agree)  # type: ignore[union-attr]


def open_addresses() -> set[str]:
    """What answers all the same."""
    return {reverse("welcome"), reverse("sign-out")}
