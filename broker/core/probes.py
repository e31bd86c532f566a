"""What balancers and monitors ask (seed ch. 3; CONTRACTS 3, Ops): is it alive, ready, which version, how much."""

import hmac
from collections.abc import Callable
from datetime import timedelta

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, JsonResponse
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from broker.core.clock import now
from broker.core.models import Job, Node
from broker.core.net import from_loopback

WORKER_SILENT_AFTER = timedelta(seconds=60)
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
NOT_MEASURED = "Only from the loopback address, or with the metrics token.\n"


def database_trouble() -> str:
    """ "" where the database answers, else why not."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        return f"database: {type(error).__name__}"
    return ""


def queue_trouble() -> str:
    """ "" where Redis answers and a worker has been heard within a minute, else why not."""
    try:
        redis.Redis.from_url(settings.REDIS_URL.replace("redis+socket://", "unix://"), **settings.REDIS_OPTIONS).ping()
    except (redis.RedisError, OSError) as error:
        return f"queue: Redis does not answer ({type(error).__name__})"
    try:
        heard = Node.objects.filter(kind="worker", seen_at__gte=now() - WORKER_SILENT_AFTER).exists()
    except DatabaseError as error:
        return f"queue: {type(error).__name__}"
    return "" if heard else "queue: no worker has been heard for 60 seconds"


def is_alive(request: HttpRequest) -> HttpResponse:
    """`CB_IS_OKAY`, or 503 and the reason; other actions do not exist."""
    if request.GET.get("action") != "is_alive":
        return HttpResponse("No such action.\n", "text/plain", 404)
    trouble = database_trouble() or queue_trouble()
    return HttpResponse(trouble or "CB_IS_OKAY", "text/plain", 503 if trouble else 200)


def version(_: HttpRequest) -> HttpResponse:
    """The version, as text."""
    return HttpResponse(settings.VERSION, "text/plain")


def healthz(_: HttpRequest) -> HttpResponse:
    """This process answers."""
    return HttpResponse("ok", "text/plain")


def readyz(_: HttpRequest) -> HttpResponse:
    """503 without the database; a missing queue only degrades, so that balancers keep a broker that signs people in."""
    parts = {"database": database_trouble(), "queue": queue_trouble()}
    body = {
        "ready": not parts["database"],
        "degraded": [name for name, trouble in parts.items() if trouble],
        "parts": {name: trouble or "ok" for name, trouble in parts.items()},
    }
    return JsonResponse(body, status=503 if parts["database"] else 200)


def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text, for the loopback address or the bearer of USHER_METRICS_TOKEN."""
    if not may_measure(request.headers.get("Authorization", ""), from_loopback(request)):
        return HttpResponse(NOT_MEASURED, "text/plain", 403)
    return HttpResponse(generate_latest(measured()), METRICS_TYPE)


def may_measure(authorization: str, loopback: bool) -> bool:
    """Whether a request may read the figures: by USHER_METRICS_TOKEN where there is one, else from this machine."""
    token = settings.METRICS_TOKEN
    given = authorization.removeprefix("Bearer ").strip()
    return hmac.compare_digest(given.encode(), token.encode()) if token else loopback


def measured() -> CollectorRegistry:
    """The figures, read from the database at each scrape: every node tells the same."""
    registry = CollectorRegistry()
    up = Gauge("usher_up", "1 where the part answers", ["part"], registry=registry)
    trouble = {"database": database_trouble(), "queue": queue_trouble()}
    for part, why in trouble.items():
        up.labels(part).set(0 if why else 1)
    if trouble["database"]:
        return registry
    jobs = Gauge("usher_jobs", "Jobs by state", ["state"], registry=registry)
    for state, count in Job.objects.values_list("state").annotate(count=Count("pk")).order_by():
        jobs.labels(state).set(count)
    late = Gauge("usher_jobs_late", "Pending jobs that are past their deadline", registry=registry)
    late.set(Job.objects.filter(state=Job.State.PENDING, deadline__lt=now()).count())
    for add in FIGURES:
        add(registry)
    return registry


FIGURES: list[Callable[[CollectorRegistry], None]] = []  # what apps add of their own when the web process starts
ADDRESSES: dict[str, Callable[[HttpRequest], HttpResponse]] = {
    "/index.pl": is_alive,
    "/version": version,
    "/healthz": healthz,
    "/readyz": readyz,
    "/metrics": metrics,
}
