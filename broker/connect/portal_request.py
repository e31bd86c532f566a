"""What the views of the web client share."""

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect

from broker.connect.models import PortalSession

ARRIVED = "arrived"  # in the session: the first look at the desktops after a sign-in is still to come


class SeeOther(HttpResponseRedirect):
    """303: what was posted is done, look there."""

    status_code = 303


def portal_of(request: HttpRequest) -> PortalSession:
    """The portal session; only those whose role has the web client have pages here."""
    portal: PortalSession | None = request.portal  # type: ignore[attr-defined]
    if portal is None or portal.role is None or portal.policy is None or not portal.role.web_client:
        raise Http404
    return portal


def number(request: HttpRequest, name: str) -> int | None:
    """A number of the form, or None."""
    return number_of(request.POST.get(name, ""))


def number_of(text: str) -> int | None:
    """A text as a number, or None."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else None


def whole(request: HttpRequest, name: str) -> int | None:
    """The same, also below zero: the slot of a backup pool."""
    text = request.POST.get(name, "")
    found = number_of(text.removeprefix("-"))
    return -found if found is not None and text.startswith("-") else found


def polled(request: HttpRequest) -> bool:
    """Whether htmx asks for the middle of a page again, and not a person for the page."""
    return bool(request.headers.get("HX-Request"))


def to(request: HttpRequest, address: str) -> HttpResponse:
    """On to another page: by a redirect, or for a poll by the header that htmx follows."""
    return HttpResponse(headers={"HX-Redirect": address}) if polled(request) else SeeOther(address)
