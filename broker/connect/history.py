"""A person's own past: sessions on desktops, ways through gateways and sign-ins, in plain words (SPEC A.8.6, 9).

What administrators and plans are called stays with the administrators.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from agents.models import AgentCommand
from authservers.models import User
from broker.connect.carried import LABELS, seconds
from broker.connect.models import DesktopSession, Launch, PortalSession
from broker.connect.portal_request import portal_of
from broker.core import words
from broker.core.clock import now
from broker.core.models import ref
from gateways.models import Tunnel

SIZE = 25
SIGN_INS = 10
WAYS = 10
ASKED_BEFORE = timedelta(minutes=5)  # a log-out that we asked for comes within this time
BY_ADMINISTRATOR = "Ended by an administrator."
# How a session's end is told, by the beginning of what is stored.
ENDS: tuple[tuple[str, str], ...] = (
    ("logged out", "You logged out."),
    ("the machine was restarted", "The desktop was restarted."),
    ("cleared by", BY_ADMINISTRATOR),
    ("deleted", "The desktop was deleted."),
)
# How a log-out that we asked for is told, by the beginning of why.
ASKED: tuple[tuple[str, str], ...] = (
    ("plan", "You were logged out by the rules for this desktop."),
    ("the desktop is being shut down", "You were logged out because the desktop was shut down."),
    ("", "You were logged out by an administrator."),
)
# How the end of a way through a gateway is told, by who ended it.
PARTED: dict[str, str] = {
    Tunnel.By.USER: "You left.",
    Tunnel.By.DESKTOP: "The desktop ended it.",
    Tunnel.By.LIMIT: "It had lasted as long as it may.",
    Tunnel.By.BROKER: "It was closed, as you had no right to it any more or had signed out.",
}


@dataclass(frozen=True, slots=True)
class Visit:
    """One session on a desktop, as its user reads of it; `lasted` is "" while it goes on."""

    desktop: str
    started: datetime
    ended: datetime | None
    state: tuple[str, str]
    lasted: str
    why: str


@dataclass(frozen=True, slots=True)
class Passage:
    """One way through a gateway, as its user reads of it."""

    desktop: str
    started: datetime
    how: str
    went: str


def told(table: Sequence[tuple[str, str]], stored: str, otherwise: str) -> str:
    """The plain words for what is stored."""
    return next((said for start, said in table if stored.startswith(start)), otherwise)


def why_ended(row: DesktopSession, commands: Iterable[AgentCommand]) -> str:
    """Why a session ended; of a log-out that we asked for, who wanted it."""
    if row.ended_at is None:
        return ""
    for each in commands:
        its = each.data.get("session") == row.os_session and each.agent.desktop_id == row.desktop_id
        if its and timedelta() <= row.ended_at - each.created_at <= ASKED_BEFORE:
            return told(ASKED, each.reason, BY_ADMINISTRATOR)
    return told(ENDS, row.end_reason, "It ended.")


def visit(row: DesktopSession, commands: Iterable[AgentCommand]) -> Visit:
    """One row of the page."""
    seconds = (row.ended_at - row.started_at).total_seconds() if row.ended_at else 0
    lasted = words.duration(seconds, zero="a moment") if row.ended_at else ""
    return Visit(str(row.desktop), row.started_at, row.ended_at, state(row), lasted, why_ended(row, commands))


def state(row: DesktopSession) -> tuple[str, str]:
    """Shape and word."""
    if row.ended_at is not None:
        return "stopped", "Ended"
    away = row.state == DesktopSession.State.DISCONNECTED
    return ("moving", "Waiting for you") if away else ("running", "Going on")


def passages(user: User) -> list[Passage]:
    """The newest ways that the user has used: two statements."""
    used = Tunnel.objects.filter(user=ref(user), used_at__isnull=False)
    rows = list(used.order_by("-used_at")[:WAYS])
    keys = [row.subject.removeprefix("launch:") for row in rows]
    launches = Launch.objects.select_related("desktop").in_bulk([int(key) for key in keys if key.isdigit()])
    names = {f"launch:{key}": str(launch.desktop) for key, launch in launches.items()}
    return [passage(row, names.get(row.subject, "A desktop")) for row in rows]


def passage(row: Tunnel, desktop: str) -> Passage:
    """One row of the page."""
    assert row.used_at  # noqa: S101 - passages() asks for such
    how = [LABELS.get(row.protocol, row.protocol)]
    how += [f"through {row.gateway_name}"] if row.gateway_name else []
    how += [f"from {row.client_ip}"] if row.client_ip else []
    lasted = words.duration(seconds(row, now()) or 0, zero="a moment")
    end = PARTED.get(row.closed_by, "The connection broke off.")
    return Passage(desktop, row.used_at, ", ".join(how), f"For {lasted}. {end}" if row.closed_at else "Going on.")


@never_cache
@require_GET
def history(request: HttpRequest) -> HttpResponse:
    """The newest sessions and sign-ins; `?before=` the key of a session goes further back."""
    portal = portal_of(request)
    mine = DesktopSession.objects.filter(user=portal.user_id).select_related("desktop").order_by("-started_at", "-pk")
    rows = list(older_than(mine, request.GET.get("before", ""))[: SIZE + 1])
    shown = rows[:SIZE]
    page = {
        "visits": [visit(row, asked) for asked in [logouts(shown)] for row in shown],
        "passages": passages(portal.user),
        "sign_ins": PortalSession.objects.filter(user=portal.user_id).order_by("-pk")[:SIGN_INS],
        "older": shown[-1].pk if len(rows) > SIZE else None,
        "first": not request.GET.get("before"),
    }
    return render(request, "connect/history.html", page)


def older_than(mine: QuerySet[DesktopSession], key: str) -> QuerySet[DesktopSession]:
    """Those that began before one of one's own; raises Http404 where it is none."""
    if not key:
        return mine
    last = mine.filter(pk=int(key)).first() if key.isascii() and key.isdigit() and len(key) < 18 else None
    if last is None:
        raise Http404
    same_time = mine.filter(started_at=last.started_at, pk__lt=last.pk)
    return (mine.filter(started_at__lt=last.started_at) | same_time).order_by("-started_at", "-pk")


def logouts(rows: Sequence[DesktopSession]) -> list[AgentCommand]:
    """The log-outs that we asked for around the ends of these sessions: one statement."""
    ends = [row.ended_at for row in rows if row.ended_at]
    if not ends:
        return []
    found = AgentCommand.objects.filter(type="logout", agent__desktop__in={row.desktop_id for row in rows})
    return list(found.filter(created_at__range=(min(ends) - ASKED_BEFORE, max(ends))).select_related("agent"))
