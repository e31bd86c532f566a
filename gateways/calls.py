"""/gateway/v1/: what gateways ask of the broker. No login, no cookie: the gateway's pinned key signs each call."""

import json
import logging
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse

from broker.core.clock import now
from broker.core.net import client_address, is_address
from gateways import beats
from gateways.keys import broker_public_key, first_use
from gateways.limits import Bucket
from gateways.models import Gateway
from gateways.redeeming import redeemed
from gateways.status import Malformed, read
from gateways.wire import BROKER, SCHEME, Call, Untrusted, check_call, forwarded_by, public_key

log = logging.getLogger(__name__)
PREFIX = "/gateway/v1/"
BODY_LIMIT = 4_000_000  # a status with 10,000 sessions has about two and a half
STRANGERS = Bucket(5, 100)  # calls of one address that no gateway has signed; one badly signed counts for five
GATEWAYS = Bucket(20, 200)  # a heartbeat travels every 10 s, with news up to three times a second
Told = dict[str, Any]


class No(Exception):
    """A call that is refused: status, code, words."""

    def __init__(self, status: int, code: str, words: str, wait: int = 0) -> None:
        super().__init__(words)
        self.status, self.code, self.wait = status, code, wait


def answer(request: HttpRequest) -> HttpResponse:
    """One call; every refusal is JSON with a code and words."""
    try:
        return JsonResponse(answered(request))
    except No as no:
        response = JsonResponse({"error": no.code, "detail": str(no)}, status=no.status)
        if no.wait:
            response["Retry-After"] = str(no.wait)
        return response


def answered(request: HttpRequest) -> Told:
    """What is answered. Raises No."""
    name = request.path.removeprefix(PREFIX)
    address = str(client_address(request))
    slow(STRANGERS.wait(address))
    if name == "key":
        STRANGERS.charge(address, 1)
        allow(request, "GET")
        return {"key": broker_public_key()}
    if name not in CALLS:
        raise No(404, "not_found", "There is no such call.")
    allow(request, "POST")
    gateway, claims, told = verified(request)
    return CALLS[name](gateway, claims, told, f"{request.scheme}://{request.META.get('HTTP_HOST', '')}"[:255])


def allow(request: HttpRequest, method: str) -> None:
    """Raises No."""
    if request.method != method:
        raise No(405, "method", f"Use {method}.")


def slow(wait: int) -> None:
    """Raises No."""
    if wait:
        raise No(429, "slow_down", f"Too much at once. Come again in {wait} seconds.", wait)


def body(request: HttpRequest) -> bytes:
    """What was sent; what announces more than we take is not read. Raises No."""
    if int(request.META.get("CONTENT_LENGTH") or 0) > BODY_LIMIT:
        raise No(413, "too_large", f"More than {BODY_LIMIT} bytes.")
    return request.read(BODY_LIMIT)


def verified(request: HttpRequest) -> tuple[Gateway, Told, Told]:
    """Who calls, what was signed, and what is told, for the first time. What a stranger sends is not even read.

    Raises No.
    """
    header = request.headers.get("Authorization", "")
    try:
        gateway = known(forwarded_by(header.removeprefix(SCHEME)))
        call = Call(str(request.method), request.path, body(request))
        claims = check_call(header, public_key(gateway.public_key), BROKER, call, at=now().timestamp())
        slow(GATEWAYS.wait(str(gateway.pk)))
        GATEWAYS.charge(str(gateway.pk), 1)
        if not first_use(str(claims.get("jti"))[:64]):
            raise Untrusted("it was heard before")
    except Untrusted as error:
        STRANGERS.charge(str(client_address(request)), 5)
        log.warning("A gateway's call is refused: %s. It came from %s.", error, client_address(request))
        raise No(401, "untrusted", f"The call is not believed: {error}.") from None
    return gateway, claims, parsed(call.body)


def parsed(content: bytes) -> Told:
    """The object that was sent. Raises No."""
    try:
        told = json.loads(content)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise No(400, "bad_json", "The body is no JSON object.")
    return told


def known(uid: str) -> Gateway:
    """The registered gateway of this uid. Raises Untrusted."""
    try:
        found = Gateway.objects.select_related("cluster").filter(uid=UUID(uid)).exclude(public_key="").first()
    except ValueError:
        found = None
    if found is None:
        raise Untrusted("this gateway is not registered with the broker (Setup > Gateways)")
    return found


def speak(gateway: Gateway, claims: Told, told: Told, forward_to: str) -> Told:
    """hello and heartbeat."""
    try:
        status = read(told)
    except Malformed as error:
        raise No(422, "invalid", str(error)) from None
    ends = beats.heard(gateway, status, int(claims["iat"]), forward_to)
    return {"close": list(ends), "why": ends}


def redeem(gateway: Gateway, _claims: Told, told: Told, _forward_to: str) -> Told:
    """Somebody came to this gateway with a token that is good at several: the first one opens. Raises No."""
    token, client = told.get("id"), told.get("client_ip")
    if not isinstance(token, str) or not isinstance(client, str) or not is_address(client):
        raise No(422, "invalid", "id and client_ip are needed.")
    if not redeemed(gateway, token[:40], client):
        raise No(409, "used", "The token was used at another gateway, or it is over.")
    return {}


CALLS: dict[str, Callable[[Gateway, Told, Told, str], Told]] = {"hello": speak, "heartbeat": speak, "redeem": redeem}
