"""The states of a session inside a desktop and of a launch, as tables. Pure (STYLE 5, RULES 15-19, CONTRACTS 2.4).

`Told` goes in, `Change` comes out: what the session is now, which plan event that means, or why it was ignored.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from plans.engine import Event


class State(StrEnum):
    """A session of the operating system. NONE is one that we have not heard of yet."""

    NONE = "none"
    ACTIVE = "active"
    DISCONNECTED = "disconnected"
    ENDED = "ended"


class SessionNews(StrEnum):
    """What an agent tells about a session, by its own words on the wire (CONTRACTS 2.13)."""

    LOGIN = "login"
    LOGOUT = "logout"
    DISCONNECT = "disconnect"
    RECONNECT = "reconnect"
    LOCK = "lock"
    UNLOCK = "unlock"
    IDLE = "idle"
    ACTIVE = "active"


NEXT: dict[State, dict[SessionNews, State]] = {
    State.NONE: {SessionNews.LOGIN: State.ACTIVE, SessionNews.RECONNECT: State.ACTIVE},
    State.ACTIVE: {
        SessionNews.RECONNECT: State.ACTIVE,
        SessionNews.LOCK: State.ACTIVE,
        SessionNews.UNLOCK: State.ACTIVE,
        SessionNews.IDLE: State.ACTIVE,
        SessionNews.ACTIVE: State.ACTIVE,
        SessionNews.DISCONNECT: State.DISCONNECTED,
        SessionNews.LOGOUT: State.ENDED,
    },
    State.DISCONNECTED: {
        SessionNews.LOGIN: State.ACTIVE,
        SessionNews.RECONNECT: State.ACTIVE,
        SessionNews.LOCK: State.DISCONNECTED,
        SessionNews.UNLOCK: State.DISCONNECTED,
        SessionNews.LOGOUT: State.ENDED,
    },
    State.ENDED: {},
}
MEANS: dict[SessionNews, Event] = {
    SessionNews.LOGIN: Event.CONNECTED,
    SessionNews.RECONNECT: Event.CONNECTED,
    SessionNews.LOGOUT: Event.LOGGED_OUT,
    SessionNews.DISCONNECT: Event.DISCONNECTED,
    SessionNews.LOCK: Event.LOCKED,
    SessionNews.UNLOCK: Event.UNLOCKED,
    SessionNews.IDLE: Event.IDLE,
    SessionNews.ACTIVE: Event.ACTIVE,
}


def following(state: State, news: SessionNews) -> State | None:
    """The state after `news`, or None where the news means nothing."""
    return NEXT[state].get(news)


@dataclass(frozen=True, slots=True)
class Session:
    """One OS session; (boot, number) is its epoch. `user` is as the agent names it, or the directory user's key."""

    boot: str
    number: str
    user: str = ""
    state: State = State.NONE
    locked: bool = False
    idle_since: datetime | None = None
    ended_at: datetime | None = None

    @property
    def epoch(self) -> str:
        """What premises of jobs are compared by."""
        return f"{self.boot}:{self.number}"

    @property
    def live(self) -> bool:
        """Whether somebody's session is there, watched or not."""
        return self.state in (State.ACTIVE, State.DISCONNECTED)


@dataclass(frozen=True, slots=True)
class Told:
    """One piece of news, its time by our clock. `idle` is how long it was idle already at that time (RULES 18)."""

    news: SessionNews
    boot: str
    number: str
    at: datetime
    user: str = ""
    idle: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Change:
    """The session after the news; `event` for the plans with the time they count from, or why nothing came of it."""

    session: Session
    event: Event | None = None
    at: datetime | None = None
    ignored: str = ""


def hear(session: Session | None, told: Told, current_boot: str) -> list[Change]:
    """What news makes of a session (None where that epoch is unknown), in order (RULES 16, 19).

    Give it the newest session of that epoch, ended or not. Where an unknown session is locked, left or ended, its login
    was lost on the way: it is made up for first. A login after the end is a new session to which the system gave an
    old number: the change is then live though what was given had ended.
    """
    known = session if session and not _begins_anew(session, told) else Session(told.boot, told.number, told.user)
    ignored = _ignored(known, told, current_boot)
    if ignored:
        return [Change(known, ignored=ignored)]
    if known.state == State.NONE and told.news not in NEXT[State.NONE]:
        came = _step(known, replace(told, news=SessionNews.LOGIN, idle=timedelta()))
        return [came, _step(came.session, told)]
    return [_step(known, told)]


def _begins_anew(session: Session, told: Told) -> bool:
    return session.ended_at is not None and told.news == SessionNews.LOGIN and told.at > session.ended_at


def _step(session: Session, told: Told) -> Change:
    state = following(session.state, told.news)
    if state is None:
        return Change(session, ignored=f"{told.news} means nothing while {session.state}")
    after = _flagged(replace(session, user=session.user or told.user, state=state), told)
    return Change(after, MEANS[told.news], after.idle_since if told.news == SessionNews.IDLE else told.at)


def _ignored(session: Session, told: Told, current_boot: str) -> str:
    """Why the news is recorded and not applied, or ""."""
    if told.boot != current_boot:
        return "it is about an older boot"
    if session.state == State.ENDED:
        return "that session has ended"
    if not (told.user or session.user):
        return "a session without a user does not count"
    if told.user and session.user and told.user.casefold() != session.user.casefold():
        return "it names another user than the session's"
    return ""


def _flagged(session: Session, told: Told) -> Session:
    """The flags after the news: a lock ends with whoever comes back in, idleness with any sign of life or departure."""
    locked = {
        SessionNews.LOCK: True,
        SessionNews.LOGIN: False,
        SessionNews.RECONNECT: False,
        SessionNews.UNLOCK: False,
        SessionNews.LOGOUT: False,
    }
    idle_since = session.idle_since
    if told.news == SessionNews.IDLE:
        idle_since = told.at - told.idle
    elif told.news != SessionNews.LOCK:
        idle_since = None
    ended_at = told.at if told.news == SessionNews.LOGOUT else None
    return replace(session, locked=locked.get(told.news, session.locked), idle_since=idle_since, ended_at=ended_at)


def boot_began(sessions: Iterable[Session], boot: str, at: datetime) -> list[Change]:
    """A machine that boots anew has logged everybody out: live sessions of other boots end, plans run (RULES 19)."""
    return [
        Change(replace(session, state=State.ENDED, locked=False, idle_since=None, ended_at=at), Event.LOGGED_OUT, at)
        for session in sessions
        if session.live and session.boot != boot
    ]


@dataclass(frozen=True, slots=True)
class Line:
    """One session in a heartbeat's list."""

    number: str
    user: str
    disconnected: bool = False
    locked: bool | None = None
    idle: timedelta = timedelta()


def heal(sessions: Iterable[Session], listed: Iterable[Line], boot: str, at: datetime) -> list[Told]:
    """The news that must have been lost, judged by a heartbeat's list; feed them to `hear` in this order (DESIGN 8).

    A session that is new to us comes as a reconnect and not as a login: a list that was made while a session ended
    must not bring it back. `idle` is not judged here: an idle rule asks the newest heartbeat when it runs (RULES 18).
    """
    known = {session.number: session for session in sessions if session.boot == boot and session.live}
    present = {line.number: line for line in listed if line.user}
    gone = [
        Told(SessionNews.LOGOUT, boot, number, at, session.user)
        for number, session in known.items()
        if number not in present
    ]
    lost = [
        Told(news, boot, number, at, line.user)
        for number, line in present.items()
        for news in _lost(known.get(number), line)
    ]
    return gone + lost


def _lost(session: Session | None, line: Line) -> list[SessionNews]:
    """The news that lead from what we know to what the line says."""
    state = session.state if session else State.NONE
    locked = session.locked if session else False
    news: list[SessionNews] = []
    if line.disconnected and state != State.DISCONNECTED:
        news.append(SessionNews.DISCONNECT)
    elif not line.disconnected and state != State.ACTIVE:
        news.append(SessionNews.RECONNECT)
        locked = False
    if line.locked is not None and line.locked != locked:
        news.append(SessionNews.LOCK if line.locked else SessionNews.UNLOCK)
    return news


class Axis(StrEnum):
    """A desktop's session axis, derived from its sessions (DESIGN 4)."""

    NONE = "none"
    CONNECTED = "connected"
    IDLE = "idle"
    LOCKED = "locked"
    DISCONNECTED = "disconnected"


def axis(sessions: Iterable[Session]) -> Axis:
    """The one word for all sessions of a desktop: whoever is most present decides."""
    present = {_axis(session) for session in sessions if session.live and session.user}
    for word in (Axis.CONNECTED, Axis.IDLE, Axis.LOCKED, Axis.DISCONNECTED):
        if word in present:
            return word
    return Axis.NONE


def _axis(session: Session) -> Axis:
    if session.state == State.DISCONNECTED:
        return Axis.DISCONNECTED
    if session.locked:
        return Axis.LOCKED
    return Axis.IDLE if session.idle_since else Axis.CONNECTED
