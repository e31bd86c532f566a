"""The dashboard: the few numbers an administrator opens the day with, each a link to what is behind it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Exists, F, OuterRef, Q
from django.db.models.functions import TruncHour
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.timezone import localtime

from agents.models import Agent
from agents.services import SILENT_AFTER
from authservers.models import AuthenticationServer, User
from broker.connect import pins
from broker.connect.job_words import LATE
from broker.connect.models import DesktopSession, QueuePlace
from broker.core.clock import now
from broker.core.models import Job, LogEntry
from broker.core.pages import needs
from broker.resources.checklist import checklist
from broker.resources.desktops.tables import POWER
from broker.resources.job_tables import HELD, RECENT
from broker.resources.sessions.rows import LIVE
from broker.resources.users.rows import WITHOUT_RULE
from centers.models import Center, Desktop
from pools.models import Assignment

DAY = timedelta(hours=24)
LIVING = Desktop.objects.exclude(availability=Desktop.Availability.DELETED)
CENTER_KINDS = {"online": "running", "scanning": "moving", "offline": "problem", "new": "unknown"}


@dataclass(frozen=True, slots=True)
class Tile:
    """One number: what it counts, a word about it, and the list behind it. `wrong`: somebody should look."""

    label: str
    value: int
    address: str
    note: str = ""
    wrong: bool = False
    area: str = "desktops"


@needs("dashboard.view")
def dashboard(request: HttpRequest) -> HttpResponse:
    """The page. Its number of statements does not depend on how much there is."""
    power, steps = power_states(), checklist(request)
    context = {
        "title": "Dashboard",
        "intro": "What is running, who is on it, and what needs a hand.",
        "checklist": steps,
        "steps_done": sum(step.done for step in steps),
        "tiles": [tile for tile in tiles(power) if request.user.has_perm(f"{tile.area}.view")],
        "power": [(str(Desktop.Power(state).label), number, POWER[state]) for state, number in power.items()],
        "total": sum(power.values()),
        "centers": centers() if request.user.has_perm("centers.view") else None,
        "hours": sign_ins(),
    }
    return render(request, "resources/dashboard.html", context)


def power_states() -> dict[str, int]:
    """How many desktops are in each power state, in the order of the choices."""
    found = dict(LIVING.order_by().values_list("power").annotate(number=Count("pk")))
    return {state: found[state] for state in Desktop.Power.values if state in found}


def tiles(power: dict[str, int]) -> Iterable[Tile]:
    """The numbers."""
    machines, jobs = desktop_numbers(), job_numbers()
    desktops, queue, log, people = (reverse(f"{name}:list") for name in ("desktops", "jobs", "log", "users"))
    sessions, places = reverse("sessions:list"), reverse("places:list")
    failed = LogEntry.objects.filter(event="auth.login_failed", at__gte=now() - DAY).count()
    ruleless = User.objects.filter(WITHOUT_RULE).count()
    since = (now() - DAY).strftime("%Y-%m-%dT%H:%M:%SZ")
    yield Tile("Desktops", sum(power.values()), desktops, f"{power.get('running', 0)} running")
    yield Tile("Assigned", machines["held"], f"{desktops}?assignment=any", f"{machines['hard']} of them hard")
    yield Tile(
        "Free", machines["free"], f"{desktops}?assignment=none&availability=available", "available, assigned to nobody"
    )
    yield Tile("Sessions now", machines["active"], f"{desktops}?session=active", f"{machines['left']} disconnected")
    rogues, waiting = (
        DesktopSession.objects.filter(LIVE, rogue=True).count(),
        QueuePlace.objects.filter(ended_at=None).count(),
    )
    yield Tile("Rogue sessions", rogues, f"{sessions}?rogue=yes", "came past the broker", rogues > 0, area="sessions")
    yield Tile("Waiting for a desktop", waiting, places, "because a pool is full", waiting > 0, area="sessions")
    yield Tile(
        "Running without a session", machines["idle"], f"{desktops}?power=running&session=none", "perhaps for nothing"
    )
    silent = machines["silent"]
    yield Tile(
        "Silent agents",
        silent,
        f"{desktops}?power=running&agent=unreachable",
        f"on running desktops, {machines['unused']} unused",
        silent > 0,
    )
    if changed := machines["changed"]:
        note = "refused by gateways until trusted"
        yield Tile("Changed certificates", changed, f"{desktops}?certificate=changed", note, wrong=True)
    yield Tile("Jobs late", jobs["late"], f"{queue}?state=late", f"{jobs['pending']} pending", jobs["late"] > 0, "jobs")
    yield Tile("Jobs held", jobs["held"], f"{queue}?state=held", "until it is sure that they may run", area="jobs")
    yield Tile("Jobs aborted", jobs["aborted"], f"{queue}?state=aborted", "in 24 hours", jobs["aborted"] > 0, "jobs")
    yield Tile("Failed sign-ins", failed, f"{log}?event=auth.login_failed&since={since}", "in 24 hours", area="log")
    yield Tile("People without a rule", ruleless, f"{people}?rule=none", fallback(), ruleless > 0, "users")


def fallback() -> str:
    """What becomes of people without a rule."""
    refused = AuthenticationServer.objects.filter(unmatched=AuthenticationServer.Unmatched.REFUSE).exists()
    return "some are refused" if refused else "they get the Default policy"


def desktop_numbers() -> dict[str, int]:
    """Assigned, free, in use, running for nothing, silent, refused for their certificate: one statement."""
    on_it = DesktopSession.objects.filter(desktop=OuterRef("pk"), ended_at=None).exclude(user_name="")
    silent = Agent.objects.filter(desktop=OuterRef("pk"), approved=True, revoked_at=None).exclude(
        last_seen__gte=now() - SILENT_AFTER
    )
    running = Q(power=Desktop.Power.RUNNING)
    return LIVING.annotate(
        has_active=Exists(on_it.filter(state=DesktopSession.State.ACTIVE)),
        has_left=Exists(on_it.filter(state=DesktopSession.State.DISCONNECTED)),
        is_silent=Exists(silent),
        is_changed=pins.changed(),
        is_hard=Exists(Assignment.objects.filter(desktop=OuterRef("pk"), closed_at=None, kind=Assignment.Kind.HARD)),
    ).aggregate(
        held=Count("pk", filter=Q(lent=True)),
        hard=Count("pk", filter=Q(is_hard=True)),
        free=Count("pk", filter=Q(lent=False, availability=Desktop.Availability.AVAILABLE)),
        active=Count("pk", filter=Q(has_active=True)),
        left=Count("pk", filter=Q(has_left=True)),
        idle=Count("pk", filter=running & Q(has_active=False, has_left=False)),
        silent=Count("pk", filter=running & Q(is_silent=True)),
        changed=Count("pk", filter=Q(is_changed=True)),
        unused=Count("pk", filter=running & Q(is_silent=True, has_active=False, has_left=False)),
    )


def job_numbers() -> dict[str, int]:
    """Pending, late, held, aborted: one statement."""
    return Job.objects.aggregate(
        pending=Count("pk", filter=Q(state=Job.State.PENDING)),
        late=Count("pk", filter=Q(state=Job.State.PENDING, run_at__lt=now() - LATE)),
        held=Count("pk", filter=HELD),
        aborted=Count("pk", filter=Q(state=Job.State.ABORTED, finished_at__gte=now() - RECENT)),
    )


def centers() -> list[dict[str, Any]]:
    """Each center's status with its reason."""
    rows = Center.objects.annotate(machines=Count("desktops", filter=~Q(desktops__availability="deleted")))
    return [
        {"center": row, "kind": CENTER_KINDS[row.status], "word": row.get_status_display(), "machines": row.machines}
        for row in rows.order_by(F("status").desc(), "name")
    ]


def sign_ins() -> list[tuple[str, int]]:
    """Sign-ins in each of the last 24 hours, the oldest first."""
    first = localtime(now() - timedelta(hours=23)).replace(minute=0, second=0, microsecond=0)
    rows = LogEntry.objects.filter(event="auth.login_ok", at__gte=first).order_by()
    found: dict[datetime, int] = dict(
        rows.annotate(hour=TruncHour("at")).values_list("hour").annotate(number=Count("pk"))
    )
    hours = [first + timedelta(hours=number) for number in range(24)]
    return [(f"{hour:%H}:00", found.get(hour, 0)) for hour in hours]
