"""/agent/v1/: authenticate, validate, file rows, answer (DESIGN 8). All errors are {"error", "detail"}."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from agents import inbox, protocol
from agents.models import Agent
from agents.protocol import ProtocolError
from broker.core.clock import now

BODY_LIMIT = 1_048_576
RETRY_AFTER = 30  # the web process never holds a poll (CONTRACTS 5.2)
Handler = Callable[..., HttpResponse]


def endpoint(*methods: str) -> Callable[[Handler], Handler]:
    """A call of the protocol: no cookie, no form token, every refusal as JSON."""

    def decorate(handler: Handler) -> Handler:
        @wraps(handler)
        def call(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if request.method not in methods:
                return JsonResponse({"error": "method", "detail": f"Use {' or '.join(methods)}."}, status=405)
            try:
                return handler(request, *args, **kwargs)
            except ProtocolError as error:
                body: dict[str, Any] = {"error": error.code, "detail": error.detail}
                if error.fields:
                    body["fields"] = dict(error.fields)
                return JsonResponse(body, status=error.status)

        return login_not_required(csrf_exempt(call))

    return decorate


def body_of(request: HttpRequest) -> bytes:
    """The body, if it is not too large; raises ProtocolError. Asked by its announced length first: it is not read."""
    if int(request.META.get("CONTENT_LENGTH") or 0) > BODY_LIMIT:
        raise ProtocolError("too_large", "The body is larger than 1 MB.")
    return request.body


def agent_of(request: HttpRequest) -> Agent:
    """The agent whose key the request carries; raises ProtocolError."""
    return inbox.agent_by_key(protocol.bearer_key(request.headers.get("Authorization", "")))


@endpoint("GET")
def ca(request: HttpRequest) -> HttpResponse:
    """The certificate by which agents know the broker; they check it against their enrolment string (RULES 4)."""
    path = Path(settings.AGENT_CA)
    if not settings.AGENT_CA or not path.is_file():
        return JsonResponse({"error": "no_ca", "detail": "This broker has no CA of its own."}, status=404)
    return HttpResponse(path.read_bytes(), content_type="application/x-pem-file")


@endpoint("POST")
def register(request: HttpRequest) -> JsonResponse:
    """A machine introduces itself with its enrolment token."""
    return JsonResponse(inbox.register(protocol.parse_register(body_of(request)), now()), status=201)


@endpoint("POST")
def events(request: HttpRequest) -> JsonResponse:
    """What happened on the desktop."""
    agent = agent_of(request)
    return JsonResponse(inbox.take(agent.pk, protocol.parse_events(body_of(request)), now()), status=202)


@endpoint("GET")
def commands(request: HttpRequest) -> JsonResponse:
    """What we ask of the agent; answered at once here, held open by the endpoint process of a later version."""
    agent = agent_of(request)
    return JsonResponse({"commands": inbox.commands(agent, now()), "retry_after": RETRY_AFTER})


@endpoint("POST")
def command(request: HttpRequest, command_id: int) -> JsonResponse:
    """The answer to a command."""
    agent = agent_of(request)
    if not inbox.answered(agent, command_id, protocol.parse_result(body_of(request)), now()):
        return JsonResponse({"error": "unknown_command", "detail": "There is no such command."}, status=404)
    return JsonResponse({})
