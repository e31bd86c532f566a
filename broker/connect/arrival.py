"""What every way in ends with: the cookies, and the page that the person wanted."""

import uuid

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme

from broker.connect import credentials
from broker.connect.models import PortalSession
from broker.connect.portal_request import ARRIVED

CLIENT_COOKIE = "usher_client"
A_YEAR = 365 * 24 * 3600


def entered(request: HttpRequest, portal: PortalSession) -> HttpResponse:
    """On to where the person belongs, the browser remembered."""
    portal.user.role = portal.role
    request.session[ARRIVED] = True
    response = redirect(where_to(request))
    credentials.hand_over(request, response, portal)
    if portal.client:
        response.set_signed_cookie(
            CLIENT_COOKIE,
            str(portal.client.cookie),
            max_age=A_YEAR,
            httponly=True,
            secure=settings.SECURE_COOKIES,
            samesite="Lax",
        )
    return response


def client_cookie(request: HttpRequest) -> str:
    """The id of this browser, "" where it has none or one we did not sign."""
    value = str(request.get_signed_cookie(CLIENT_COOKIE, default="") or "")
    try:
        return str(uuid.UUID(value)) if value else ""
    except ValueError:
        return ""


def where_to(request: HttpRequest) -> str:
    """The page asked for, if it is one of ours; else the dashboard for administrators, the desktops for others."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    if wanted.startswith("/") and url_has_allowed_host_and_scheme(wanted, allowed_hosts=None):
        return wanted
    return "/dashboard/" if request.user.has_perm("dashboard.view") else "/desktops/"
