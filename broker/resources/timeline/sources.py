"""One bounded query for each source of a timeline, sorted as the merge wants it; keyset by time, so page 900 costs what
page 1 costs (indexes log_of_desktop, log_of_user, event_timeline, job_past_subject, tunnel_subject)."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import CharField, F, Q, QuerySet, Value
from django.db.models.functions import Cast, Concat
from django.urls import reverse

from agents.models import AgentCommand, AgentEvent
from broker.connect.carried import LABELS, sentence
from broker.connect.events import SAID
from broker.connect.housekeeping import KEEP_EVENTS
from broker.connect.models import Launch, QueuePlace
from broker.core.clock import now
from broker.core.models import Job, LogEntry
from broker.resources.job_tables import said
from broker.resources.records import address_of
from broker.resources.timeline.merge import Item, Origin, Place
from broker.resources.timeline.words import (
    COMMANDS,
    PREFIXES,
    REQUESTED,
    agent_says,
    heard_later,
    ignored,
    origin_of,
    worth_saying,
)
from gateways.models import Tunnel

LEVELS = {"warning": "warn", "error": "bad"}
TONES = {"finished": "good", "aborted": "bad"}
WAITS = ("wait_for_start", "wait_for_stop")
NO_NEWS = Q(type="heartbeat", outcome__startswith="the sessions are")
JOB_ECHO = "plan.job_cancelled"


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose timeline: the columns of each table that pick its rows; None where a table has none."""

    log: Q
    agent: int | None
    jobs: Q
    launches: Q
    places: Q
    agent_since: datetime | None = None
    by_desktop: bool = True


@dataclass(frozen=True, slots=True)
class Window:
    """Which part of it: everything older than `before`, `limit` rows of each source, of these origins (all if none)."""

    limit: int
    before: Place | None = None
    origins: Collection[str] = ()

    def wants(self, *origins: Origin) -> bool:
        """Whether a source that tells of these is asked at all."""
        return not self.origins or any(each in self.origins for each in origins)

    def cut(self, rows: QuerySet[Any], column: str, source: int) -> QuerySet[Any]:
        """The newest rows of a source within the window."""
        if self.before is not None:
            at, pk = self.before.at, self.before.pk
            if source < self.before.source:
                rows = rows.filter(**{f"{column}__lt": at})
            else:
                rows = rows.filter(**{f"{column}__lte": at})
            if source == self.before.source:
                rows = rows.exclude(**{column: at, "pk__gte": pk})
        return rows.order_by(f"-{column}", "-pk")[: self.limit]


def log_entries(scope: Scope, window: Window) -> Iterable[Item]:
    """The broker's log: its own doings, and what AWS and gateways told it."""
    rows = LogEntry.objects.filter(scope.log).exclude(echoes(scope))
    if window.origins:
        rows = rows.filter(told_by(window.origins))
    for row in window.cut(rows, "at", 0):
        yield Item(
            Place(row.at, 0, row.pk), origin_of(row.event), row.message, "", LEVELS.get(row.level, ""),
            "" if row.actor_name in {row.user_name, row.message.partition(" ")[0]} else row.actor_name,
            address=reverse("log:edit", args=[row.pk]), about=other_party(row, scope),
        )  # fmt: skip


def echoes(scope: Scope) -> Q:
    """Entries of which another source tells more: sessions by the agent's own events, planned jobs by the queue."""
    kept = now() - KEEP_EVENTS + timedelta(minutes=5)
    found = Q(event=JOB_ECHO, at__gte=kept)
    if scope.agent is not None and scope.agent_since is not None:
        found |= Q(event__in=set(SAID.values()), at__gte=max(kept, scope.agent_since))
    return found


def told_by(origins: Collection[str]) -> Q:
    """The log entries of some origins, by the names of their events."""
    asked_for = Q(event__endswith=REQUESTED)
    others = Q()
    for prefix in PREFIXES:
        others |= Q(event__startswith=prefix)
    found = Q(pk__in=[])
    for prefix, origin in PREFIXES.items():
        if origin in origins:
            found |= Q(event__startswith=prefix) & ~asked_for
    return found | (~others | asked_for) if Origin.BROKER in origins else found


def other_party(row: LogEntry, scope: Scope) -> tuple[tuple[str, str], ...]:
    """On a desktop's timeline the user, on a user's the desktop, with its page."""
    name, subject = (row.user_name, row.user_ref) if scope.by_desktop else (row.desktop_name, row.desktop_ref)
    return ((name, address_of(subject)),) if name and address_of(subject) else ()


def agent_events(scope: Scope, window: Window) -> Iterable[Item]:
    """What the agent told, ignored ones too, with when it happened and when we heard of it."""
    if scope.agent is None or not window.wants(Origin.AGENT):
        return
    rows = AgentEvent.objects.filter(agent=scope.agent).exclude(NO_NEWS)
    for row in window.cut(rows, "at", 1):
        lost = ignored(row.outcome)
        yield Item(
            Place(row.at, 1, row.pk), Origin.AGENT, agent_says(row.type, row.user, row.data),
            row.error or (worth_saying(row.outcome) if row.handled_at else "not handled yet"),
            "bad" if row.error else "warn" if lost else "", heard=heard_later(row.at, row.received_at), ignored=lost,
        )  # fmt: skip


def agent_commands(scope: Scope, window: Window) -> Iterable[Item]:
    """What the agent was asked, and what it answered."""
    if scope.agent is None or not window.wants(Origin.AGENT):
        return
    for row in window.cut(AgentCommand.objects.filter(agent=scope.agent), "created_at", 2):
        yield Item(
            Place(row.created_at, 2, row.pk), Origin.AGENT, COMMANDS.get(row.type, f"Asked for {row.type}"),
            f"{row.reason}: {answer(row)}" if row.reason else answer(row), "bad" if row.ok is False else "",
        )  # fmt: skip


def answer(row: AgentCommand) -> str:
    """What came of a command."""
    if row.done_at is not None:
        return ("done" if row.ok else "it could not") + (f" ({row.detail})" if row.detail else "")
    if row.expires_at < now():
        return "it was fetched, and never answered" if row.fetched_at else "never fetched"
    return "fetched" if row.fetched_at else "waits to be fetched"


def jobs(scope: Scope, window: Window) -> Iterable[Item]:
    """Jobs that ended: done, cancelled with the reason, or given up."""
    if not window.wants(Origin.BROKER, Origin.AWS):
        return
    rows = Job.objects.filter(scope.jobs, finished_at__isnull=False)
    if window.origins and Origin.AWS not in window.origins:
        rows = rows.exclude(kind__in=WAITS)
    if window.origins and Origin.BROKER not in window.origins:
        rows = rows.filter(kind__in=WAITS)
    for row in window.cut(rows, "finished_at", 3):
        words = said(row)
        yield Item(
            Place(row.finished_at, 3, row.pk), Origin.AWS if row.kind in WAITS else Origin.BROKER,
            f"{row.get_state_display()}: {words.said}",
            " – ".join(part for part in (row.reason or row.message, words.why) if part), TONES.get(row.state, ""),
            row.actor_name, address=reverse("jobs:edit", args=[row.pk]),
        )  # fmt: skip


def tunnels(scope: Scope, window: Window) -> Iterable[Item]:
    """Ways through gateways."""
    if not window.wants(Origin.GATEWAY):
        return
    subject = Concat(Value("launch:"), Cast(F("pk"), CharField()))
    mine = Launch.objects.filter(scope.launches).order_by().values_list(subject)
    for row in window.cut(Tunnel.objects.filter(subject__in=mine).select_related("gateway"), "opened_at", 4):
        through = row.gateway or row.gateway_name
        title = f"{through} opened a way to {row.destination}"
        told = f"{LABELS.get(row.protocol, row.protocol)}, {sentence(row, now())}"
        yield Item(Place(row.opened_at, 4, row.pk), Origin.GATEWAY, title, told)


def places(scope: Scope, window: Window) -> Iterable[Item]:
    """Places in a queue for a desktop, and what came of them."""
    if not window.wants(Origin.BROKER):
        return
    rows = QueuePlace.objects.filter(scope.places).select_related("line__pool", "user")
    for row in window.cut(rows, "since", 5):
        ended = f"ended {row.ended_at:%H:%M:%S} UTC: {row.end_reason}" if row.ended_at else "still waiting"
        who = f"{row.user} waits" if scope.by_desktop else "Waits"
        yield Item(Place(row.since, 5, row.pk), Origin.BROKER, f"{who} for a desktop of pool {row.line.pool}", ended)


Source = Callable[[Scope, Window], Iterable[Item]]
SOURCES: tuple[Source, ...] = (log_entries, agent_events, agent_commands, jobs, tunnels, places)
