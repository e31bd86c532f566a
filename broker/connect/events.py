"""What was seen: the agents' inbox, drained in order, becomes sessions and jobs (DESIGN 8; RULES 15-19).

The lock is on the agent's row, so that one desktop's news go through one worker at a time. A row that raises is set
aside with its error and stops no other.
"""

import logging
from collections.abc import Mapping
from datetime import timedelta
from functools import partial

from django.db import OperationalError, transaction
from django.db.models import Q

from agents.models import Agent, AgentEvent
from agents.protocol import Identity, Said, Who, which_user
from authservers.models import User
from broker.connect import closing, log_in_as, rights, rogues, tunnels
from broker.connect.happenings import Happening, happened
from broker.connect.launching import logged_in
from broker.connect.models import DesktopSession
from broker.connect.states import Change, Line, Session, SessionNews, State, Told, boot_began, heal, hear
from broker.connect.watch import STOPPED
from broker.core import audit
from broker.core.clock import now
from centers.models import Desktop
from plans.engine import Event
from pools.models import Assignment

log = logging.getLogger(__name__)
AT_ONCE = 200  # events of one agent in one transaction
A_ROUND = 20  # agents; then a job has its turn
_reached = 0
SAID: dict[Event, str] = {
    Event.CONNECTED: "session.login",
    Event.DISCONNECTED: "session.disconnect",
    Event.LOGGED_OUT: "session.logout",
    Event.LOCKED: "session.lock",
    Event.UNLOCKED: "session.unlock",
    Event.IDLE: "session.idle",
    Event.ACTIVE: "session.active",
}
LEAVING = {Event.LOGGED_OUT, Event.DISCONNECTED}
# Two batches take unequally long to come, so times by our clock may be a little out of order.
JITTER = timedelta(seconds=5)
BOOTS = {"register", "agent_start"}


def drain() -> int:
    """Act on what agents told us until they are silent; returns how often an agent's news were handled."""
    count = 0
    while handled := drain_round():
        count += handled
    return count


def drain_round() -> int:
    """Act on a bounded part of what agents told us; returns how many agents were handled.

    An agent that never stops talking keeps no other waiting, nor any job. Who cannot be handled now comes again with
    the next sweep.
    """
    global _reached  # noqa: PLW0603 - each round begins where the last one of this process ended
    handled = 0
    while handled < A_ROUND:
        begun, _reached = _reached, tried(_reached)
        if not (begun or _reached):
            break
        handled += bool(_reached)
    return handled


def tried(after: int) -> int:
    """Handle the next agent's news; 0 where there is none, or where the database would not just now."""
    try:
        return drain_next(after)
    except OperationalError:
        log.exception("The news of an agent after %s could not be handled; they are tried again.", after)
        return 0


@transaction.atomic
def drain_next(after: int) -> int:
    """The news of the next agent that no other worker handles, in order; its id, or 0. Locks: agent, then desktop."""
    free = Agent.objects.select_for_update(skip_locked=True, of=("self",), no_key=True)
    agent = free.filter(pk__gt=after, waiting=True).order_by("pk").first()
    if agent is None:
        return 0
    if agent.desktop_id:
        Desktop.objects.select_for_update(no_key=True).only("pk").get(pk=agent.desktop_id)
    news = list(AgentEvent.objects.filter(agent=agent, handled_at=None).order_by("pk")[:AT_ONCE])
    for told in news:
        handle(agent, told)
    agent.waiting = len(news) == AT_ONCE
    agent.save(update_fields=["waiting", "boot_id"])
    return agent.pk


def handle(agent: Agent, told: AgentEvent) -> None:
    """One piece of news, in a savepoint of its own."""
    try:
        with transaction.atomic():
            told.outcome = apply(agent, told)[:200]
    except OperationalError:
        raise  # a deadlock or a lost connection is no fault of the row
    except Exception as error:  # noqa: BLE001 - one of the two that CONTRACTS 2.2 names: the row is set aside with its error
        log.exception("Event %s of agent %s raised.", told.pk, agent.pk)
        told.error, told.outcome = f"{type(error).__name__}: {error}", "set aside: it raised"
    told.handled_at = now()
    told.save(update_fields=["handled_at", "outcome", "error"])


def apply(agent: Agent, told: AgentEvent) -> str:
    """What one event changes; returns what came of it, in words."""
    desktop = Desktop.objects.select_related("center").filter(pk=agent.desktop_id or 0).first()
    if desktop is None:
        return "ignored: the agent has no desktop"
    if told.type in BOOTS:
        return booted(agent, desktop, told)
    if told.type == "agent_stop":
        return f"the agent stopped: {told.data.get('reason') or 'no reason given'}"
    if told.type == "heartbeat":
        return healed(agent, desktop, told)
    name = name_of(agent, told)
    news = Told(SessionNews(told.type), told.boot_id, told.os_session, told.at, name, idle_of(told))
    return heard(agent, desktop, news, told)


def idle_of(told: AgentEvent) -> timedelta:
    """How long the session was idle already when the agent said so."""
    return timedelta(seconds=int(told.data.get("seconds") or 0)) if told.type == "idle" else timedelta()


def name_of(agent: Agent, told: AgentEvent) -> str:
    """The user of an event; a later one of the same session may leave the name out."""
    return told.user or (f"SID {told.sid}" if told.sid else "")


def booted(agent: Agent, desktop: Desktop, told: AgentEvent) -> str:
    """A new boot has logged everybody out (RULES 19); the same boot changes nothing."""
    if agent.boot_id == told.boot_id:
        return "the same boot goes on"
    began = AgentEvent.objects.filter(agent=agent, boot_id=agent.boot_id, type__in=BOOTS).order_by("pk").first()
    if began is not None and told.at < began.at:
        return "ignored: it is about an older boot"  # sent late, after the newer one had registered
    agent.boot_id = told.boot_id
    transaction.on_commit(partial(rights.settle, desktop.pk))
    ended = 0
    for row in live_rows(desktop):
        for change in boot_began([as_session(row)], told.boot_id, told.at):
            store(desktop, row, change, told, "the machine was restarted")
            ended += 1
    return f"a new boot; {ended} sessions ended" if ended else "a new boot"


def healed(agent: Agent, desktop: Desktop, told: AgentEvent) -> str:
    """Make up for lost events by a heartbeat's list of sessions."""
    if told.boot_id != agent.boot_id:
        return "ignored: it is about an older boot"
    listed = [line_of(each) for each in told.data.get("sessions") or [] if isinstance(each, dict)]
    sessions = [as_session(row) for row in live_rows(desktop)]
    news = heal(sessions, listed, told.boot_id, told.at)
    for each in news:
        heard(agent, desktop, each, told)
    return f"{len(news)} lost events made up for" if news else "the sessions are as we know them"


def line_of(raw: dict[str, object]) -> Line:
    """One entry of a heartbeat's session list."""
    state = str(raw.get("state") or "").casefold()
    locked = True if state == "locked" else raw.get("locked")
    return Line(
        number_of(raw),
        str(raw.get("user") or (f"SID {raw['sid']}" if raw.get("sid") else "")),
        state == "disconnected",
        locked if isinstance(locked, bool) else None,
    )


def number_of(raw: Mapping[str, object]) -> str:
    """The session of an entry in a heartbeat's list; 0 is one, too."""
    value = raw.get("session")
    return "" if value is None else str(value)


def said_of(row: DesktopSession, desktop: Desktop, told: AgentEvent) -> Said:
    """What the agent said of a session's user: in the event itself, or in its entry of a heartbeat's list."""
    if told.type != "heartbeat":
        return Said(row.user_name, told.sid, told.local, desktop.computer_name)
    listed = [each for each in told.data.get("sessions") or [] if isinstance(each, dict)]
    entry = next((each for each in listed if number_of(each) == row.os_session), {})
    local = entry.get("local")
    sid = str(entry.get("sid") or "")
    return Said(row.user_name, sid, local if isinstance(local, bool) else None, desktop.computer_name)


def live_rows(desktop: Desktop) -> list[DesktopSession]:
    """The sessions that have not ended."""
    return list(DesktopSession.objects.filter(desktop=desktop, ended_at=None))


def as_session(row: DesktopSession) -> Session:
    """A row as the pure rules see it."""
    return Session(row.boot_id, row.os_session, row.user_name, State(row.state), row.locked, row.idle_since)


def row_of(desktop: Desktop, news: Told) -> DesktopSession | None:
    """The row of an epoch: the live one, or the newest that has ended."""
    rows = DesktopSession.objects.filter(desktop=desktop, boot_id=news.boot, os_session=news.number)
    return rows.filter(ended_at=None).first() or rows.order_by("-pk").first()


def heard(agent: Agent, desktop: Desktop, news: Told, told: AgentEvent) -> str:
    """Apply news of one session; a session number that ended and logs in again is a new session."""
    row = row_of(desktop, news)
    if row is not None and row.ended_at and news.at > row.ended_at and begins(row, news):
        row = None
    if row is not None and news.at < row.started_at - JITTER:
        return "ignored: it happened before this session began"  # yesterday's word, told today (RULES 18)
    outcome = ""
    for change in hear(as_session(row) if row else None, news, agent.boot_id):
        if change.ignored:
            return f"ignored: {change.ignored}"
        row = store(desktop, row, change, told)
        outcome = f"{change.event}" if change.event else "noted"
    return outcome


def begins(row: DesktopSession, news: Told) -> bool:
    """Whether news of an ended session tell of a new one: a login, or any news where nobody had told of the end."""
    return news.news is SessionNews.LOGIN or (row.end_reason == STOPPED and news.news is not SessionNews.LOGOUT)


def store(
    desktop: Desktop, row: DesktopSession | None, change: Change, told: AgentEvent, why: str = ""
) -> DesktopSession:
    """Write a session's change, then let the plans react."""
    session = change.session
    at = change.at or told.at
    if row is None:
        row = DesktopSession(desktop=desktop, boot_id=session.boot, os_session=session.number, started_at=at)
        row.user_name = session.user
        identify(row, desktop, told)
    belongs(row, desktop)
    row.state, row.locked, row.idle_since, row.changed_at = session.state, session.locked, session.idle_since, at
    if session.state is State.ENDED:
        row.ended_at, row.end_reason = at, why or "logged out"
    row.save()
    if change.event:
        react_to(desktop, row, change.event)
    return row


def identify(row: DesktopSession, desktop: Desktop, told: AgentEvent) -> None:
    """Whose session it is (RULES 6), and whether that person may be there."""
    said = said_of(row, desktop, told)
    match = which_user(said, identities(desktop, said))
    row.user_id = match.key if match.who is Who.KNOWN else None
    if match.who is Who.LOCAL:
        row.user_id = log_in_as.whose(desktop, said)
    row.rogue = not belongs(row, desktop) and not rogues.ignored(desktop.center, said, match.who)
    if row.rogue:
        rogues.detected(row, desktop)


def belongs(row: DesktopSession, desktop: Desktop) -> bool:
    """Count the session for its user's open assignment, if there is one; else for the one it had.

    A session outlives a release, and its user may be given the desktop again: the plans of then act.
    """
    held = Assignment.objects.select_related("user__server", "desktop__center").filter(desktop=desktop, closed_at=None)
    assignment = held.filter(user=row.user_id).first() if row.user_id else None
    if assignment is not None:
        row.user = assignment.user
    elif row.assignment_id is None:
        assignment = next((each for each in held if rogues.anybody_counts(each)), None)
    if assignment is not None:
        row.assignment, row.rogue = assignment, False
    return assignment is not None


def identities(desktop: Desktop, said: Said) -> list[Identity]:
    """The users of the center's server who may be meant: by SID, or by the bare part of the name."""
    bare = said.user.rpartition("\\")[2].partition("@")[0]
    wanted = Q(sid=said.sid) if said.sid else Q(pk__in=[])
    if bare:
        wanted |= Q(sam__iexact=bare) | Q(upn__iexact=said.user)
    users = User.objects.filter(wanted, server=desktop.center.server_id)
    return [Identity(user.pk, user.sam, user.netbios, user.upn, user.sid) for user in users]


def live_elsewhere(row: DesktopSession) -> bool:
    """Whether the user has another connected session on the desktop: then nobody has left it."""
    others = DesktopSession.objects.filter(desktop=row.desktop_id, user=row.user_id, ended_at=None).exclude(pk=row.pk)
    return others.filter(state=DesktopSession.State.ACTIVE).exclude(user=None).exists()


def lent_on(assignment: Assignment) -> bool:
    """Whether the desktop is somebody's again since an assignment ended: whoever was left behind moves no plan."""
    return Assignment.objects.filter(desktop=assignment.desktop_id, closed_at=None).exists()


def react_to(desktop: Desktop, row: DesktopSession, event: Event) -> None:
    """Log it, note the first use, and let the plans in force react; a rogue's comings and goings move none of them."""
    moment = row.changed_at
    audit.record(
        SAID[event], f"{row.user_name}: {SAID[event].partition('.')[2]} on {desktop}.", user=row.user, desktop=desktop
    )
    assignment = row.assignment
    if assignment is None:
        if row.rogue:
            rogues.react(desktop, row, event)
        return
    if event is Event.CONNECTED:
        logged_in(desktop.pk, row.user_id)
        Assignment.objects.filter(pk=assignment.pk, used_at=None).update(used_at=moment)
        Desktop.objects.filter(pk=desktop.pk).update(last_used_at=moment)
    if assignment.closed_at is not None and (event is not Event.LOGGED_OUT or lent_on(assignment)):
        return
    if event is Event.LOCKED and row.user_id:
        closing.locked(row.user_id, moment)
    if event in LEAVING and live_elsewhere(row):
        return  # another session of theirs goes on here
    if event is Event.LOGGED_OUT:
        tunnels.close_ports(assignment, "The session was logged out.")
    counts_from = row.idle_since if event is Event.IDLE and row.idle_since else moment
    happened(Happening(desktop, event, counts_from, assignment))
