"""What stands before every page: probes, the true client address, the content security policy."""

import re
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from broker.core import probes
from broker.core.context import Work, working
from broker.core.net import client_address, says_https

GetResponse = Callable[[HttpRequest], HttpResponseBase]

POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)
CORRELATION = re.compile(r"^[A-Za-z0-9-]{8,40}$")


class Probes:
    """Answers balancers and monitors before host check, redirect and login: they ask by address (CONTRACTS 3, Ops)."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """One of the five addresses, or the rest of the product."""
        probe = probes.ADDRESSES.get(request.path)
        return probe(request) if probe and request.method in {"GET", "HEAD"} else self.get_response(request)


class ClientAddress:
    """Puts the client's address and a correlation id where the log finds them, and believes a trusted proxy's https."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Work on one request."""
        asked = request.headers.get("X-Correlation-Id", "")
        work = Work(client_ip=client_address(request))
        if CORRELATION.match(asked):
            work = Work(correlation_id=asked, client_ip=work.client_ip)
        if says_https(request):
            request.META["wsgi.url_scheme"] = "https"
        request.client_ip = work.client_ip  # type: ignore[attr-defined]
        with working(work):
            response = self.get_response(request)
        response["X-Correlation-Id"] = work.correlation_id
        return response


class ContentSecurityPolicy:
    """No inline script or style anywhere; pages load from here alone."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Add the headers."""
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
        if isinstance(response, HttpResponse) and response.get("Content-Type", "").startswith("text/html"):
            response.headers.setdefault("Cache-Control", "no-store")
        return response
