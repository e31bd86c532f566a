"""/agent/v1/ in the web process: agents/calls.py on Django's connection. No poll is held (CONTRACTS 5.2)."""

import logging
from pathlib import Path
from threading import Lock

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import InterfaceError, OperationalError, transaction
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from agents.calls import AWAY, TOO_LARGE, Answer, Request, answer
from agents.drive import drive
from agents.keys import key_hash
from agents.limits import Limits, too_much
from agents.wire import BODY_LIMIT
from broker.core.clock import now
from broker.core.jobs import wake
from broker.core.net import client_address

log = logging.getLogger(__name__)


@csrf_exempt
@login_not_required
def call(request: HttpRequest, path: str) -> HttpResponse:
    """One call of the protocol: no cookie, no form token, every refusal as JSON."""
    given = answered(request, path)
    content, kind = given.content
    response = HttpResponse(content, content_type=kind, status=given.status)
    if given.retry_after:
        response["Retry-After"] = str(given.retry_after)
    return response


def answered(request: HttpRequest, path: str) -> Answer:
    """The answer. A body that announces more than we take is not read."""
    if int(request.META.get("CONTENT_LENGTH") or 0) > BODY_LIMIT:
        return TOO_LARGE
    who, address = key_hash(request.headers.get("Authorization", "")), str(client_address(request) or "")
    with COUNTING:
        wait = LIMITS.enter(path, who, address)
    if wait:
        return too_much(wait)
    said = Request(
        method=request.method or "",
        path=path,
        query=request.META.get("QUERY_STRING", ""),
        authorization=request.headers.get("Authorization", ""),
        body=request.body,
        received=now(),
        ca=broker_ca,
    )
    try:
        given = drive(answer(said))
    except (OperationalError, InterfaceError):
        log.exception("The database did not answer an agent.")
        return AWAY
    with COUNTING:
        LIMITS.answered(path, who, address, given)
    if given.news:
        transaction.on_commit(wake)
    return given


def limits() -> Limits:
    """Full buckets, as the settings say."""
    return Limits(settings.AGENT_CALLS, settings.AGENT_EVENTS, settings.AGENT_REGISTRATIONS)


# Of this process, as the endpoint has its own: whoever comes by the other door finds no open one.
LIMITS = limits()
COUNTING = Lock()  # requests are threads here


def broker_ca() -> bytes:
    """The PEM of the CA by which agents know the broker; empty where there is none."""
    path = Path(settings.AGENT_CA)
    return path.read_bytes() if settings.AGENT_CA and path.is_file() else b""
