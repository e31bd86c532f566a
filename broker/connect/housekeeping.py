"""What runs every minute: silent agents, expired sessions, rows whose time is over (SPEC A.5, A.6; CONTRACTS 2.5)."""

from datetime import timedelta

from django.contrib.sessions.models import Session

from agents.models import Agent, AgentCommand, AgentEvent
from broker.connect import agent_watch, closing, drains, launches, places, portals, rights, throttle, tunnels, watch
from broker.connect.models import Client, Launch, PortalSession, QueuePlace
from broker.core.clock import now
from broker.core.jobs import Done, Kind, Result
from broker.core.models import Job, LogEntry, Node
from centers.models import Center
from centers.services import ask_for_scan
from gateways.keys import KEEP_CALLS
from gateways.models import Tunnel, UsedCall
from gateways.services import keep_checking

EVERY = timedelta(minutes=1)
KEEP_EVENTS = timedelta(days=7)
KEEP_JOBS = {
    Job.State.FINISHED: timedelta(days=7),
    Job.State.CANCELLED: timedelta(days=7),
    Job.State.ABORTED: timedelta(days=30),
}
KEEP_LOG = {"information": timedelta(days=90), "warning": timedelta(days=180), "error": timedelta(days=365)}
KEEP_WAITING = timedelta(days=14)
KEEP_CLIENTS = timedelta(days=180)
AT_ONCE = 5_000


def run(job: Job) -> Result:
    """One round."""
    silent = agent_watch.watch()
    removed = clear()
    launches.end_overdue()
    rights.settle_all()
    places.keep_looking()
    drains.follow()
    closing.signed_out()
    tunnels.note_work()
    portals.forget_lapsed()
    watch.stopped_without_a_boot()
    watch.silent_and_unused()
    keep_scanning()
    keep_checking()
    return Done(f"{silent} agents fell silent, {removed} old rows removed.", now() + EVERY)


def keep_scanning() -> None:
    """Ask for a scan of each center that is to be scanned and has none waiting or running: a chain must not break."""
    for center in Center.objects.filter(refresh_minutes__gt=0):
        scans = Job.objects.filter(key=f"poll:{center.pk}", state__in=[Job.State.PENDING, Job.State.RUNNING])
        if not scans.exists():
            ask_for_scan(center)


def clear() -> int:
    """Remove what is past its retention, a bounded number each time; returns how many rows."""
    moment = now()
    old = [
        *(LogEntry.objects.filter(level=level, at__lt=moment - keep) for level, keep in KEEP_LOG.items()),
        *(Job.objects.filter(state=state, finished_at__lt=moment - keep) for state, keep in KEEP_JOBS.items()),
        AgentEvent.objects.filter(handled_at__lt=moment - KEEP_EVENTS),
        AgentCommand.objects.filter(created_at__lt=moment - KEEP_EVENTS),
        PortalSession.objects.filter(expires_at__lt=moment - KEEP_CLIENTS),
        Client.objects.filter(seen_at__lt=moment - KEEP_CLIENTS),
        QueuePlace.objects.filter(ended_at__lt=moment - KEEP_CLIENTS),
        Launch.objects.filter(ended_at__lt=moment - KEEP_CLIENTS),
        Agent.objects.filter(revoked_at__lt=moment - KEEP_CLIENTS),
        # Waits for approval, and has not even asked for weeks: should it come back, it registers anew.
        Agent.objects.filter(desktop=None, approved=False, revoked_at=None, last_seen__lt=moment - KEEP_WAITING),
        Tunnel.objects.filter(closed_at__lt=moment - KEEP_CLIENTS),
        UsedCall.objects.filter(at__lt=moment - KEEP_CALLS),
        Node.objects.filter(seen_at__lt=moment - timedelta(days=1)),
        Session.objects.filter(expire_date__lt=moment),
    ]
    count = throttle.forget_old()
    for rows in old:
        count += rows.model._default_manager.filter(pk__in=rows.order_by().values("pk")[:AT_ONCE]).delete()[0]
    return count


KIND = Kind(run=run, deadline=timedelta(minutes=5))
