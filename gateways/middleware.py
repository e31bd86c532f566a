"""What a gateway passes on: who truly asks, and at which address; and the calls of the gateways themselves."""

import logging
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.http.request import split_domain_port, validate_host

from broker.core import probes
from broker.core.addresses import with_port
from broker.core.clock import now
from broker.core.net import GATEWAY_CLIENT, is_address
from gateways import calls
from gateways.metrics import measure
from gateways.models import Gateway
from gateways.wire import FORWARD_HEADER, Call, Untrusted, check_forward, forwarded_by, public_key

log = logging.getLogger(__name__)
GetResponse = Callable[[HttpRequest], HttpResponseBase]


class Calls:
    """/gateway/v1/ before host check, session and login: gateways know the broker by its key, under any address."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        if measure not in probes.FIGURES:
            probes.FIGURES.append(measure)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a call, or go on."""
        return calls.answer(request) if request.path.startswith(calls.PREFIX) else self.get_response(request)


class Forwarded:
    """Believes what a registered gateway has signed: the client's address, and the address in the browser's bar.

    Stands before everything that asks who it is. A header that does not hold is refused: it is a gateway that is not
    set up, or somebody who plays one.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """One request."""
        told = request.headers.get(FORWARD_HEADER)
        if told is None or request.path.startswith(settings.STATIC_URL):
            return self.get_response(request)
        try:
            accept(request, told)
        except Untrusted as error:
            log.warning("A page that a gateway passed on is refused: %s.", error)
            return HttpResponse(f"This gateway cannot show the page: {error}.\n", "text/plain; charset=utf-8", 400)
        response = self.get_response(request)
        for cookie in getattr(response, "cookies", {}).values():
            cookie["secure"] = request.scheme == "https"
        return response


def accept(request: HttpRequest, told: str) -> None:
    """Note on the request who passed it on, for whom, and under which address. Raises Untrusted."""
    gateway = calls.known(forwarded_by(told))
    call = Call(str(request.method), raw_path(request))
    visit = check_forward(told, public_key(gateway.public_key), call, at=now().timestamp())
    if not is_address(visit.client):
        raise Untrusted("it does not say from where it comes")
    host = visit.host
    if not is_name_of(gateway, host):
        raise Untrusted(f"“{host}” is not its public address, which is “{gateway.address}” (Setup > Gateways)")
    request.META[GATEWAY_CLIENT] = visit.client
    request.META["wsgi.url_scheme"] = "https"  # gateways speak nothing else
    request.META["HTTP_HOST"] = host
    request.get_host = lambda: host  # type: ignore[method-assign]  # checked here: ALLOWED_HOSTS knows no gateways
    request.came_by = gateway  # type: ignore[attr-defined]


def raw_path(request: HttpRequest) -> str:
    """Path and query as they were sent, which is what is signed; servers that do not tell get them written anew."""
    return str(request.META.get("RAW_URI") or request.get_full_path())


def is_name_of(gateway: Gateway, host: str) -> bool:
    """Whether browsers reach this gateway, or its cluster, under this host; the broker's own names count as well."""
    name = split_domain_port(host)[0]
    public = [gateway.address, gateway.cluster.address if gateway.cluster else ""]
    names = {with_port(each, 443)[0].lower() for each in public if each}
    return bool(name) and (name.strip("[]") in names or validate_host(name, settings.ALLOWED_HOSTS))
