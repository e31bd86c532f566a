"""Two session lists, one second apart, and what happened in between. Pure (CONTRACTS 2.13, RULES 16-18).

Order matters to the broker: who left is told before who came; after coming back, a lock is told anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from agents.program.machine import Session

Told = tuple[str, Session, Mapping[str, Any]]


@dataclass(frozen=True)
class Seen:
    """A session as it was last time, and the idle time that was told of it (0: it is active).

    Coming back is a sign of life, but the system goes on counting from the last key, days ago perhaps: what it had
    counted by then, `before_coming`, does not count until it counts anew.
    """

    session: Session
    told_idle: int = 0
    before_coming: int = 0


@dataclass(frozen=True)
class Watch:
    """All that is remembered between two looks."""

    seen: Mapping[str, Seen] = field(default_factory=dict)
    thresholds: Sequence[int] = ()

    def look(self, sessions: Iterable[Session]) -> tuple[list[Told], Watch]:
        """What to tell now, in order, and the memory for the next look.

        Sessions without a user never count: Windows' temporary one, a sign-in screen (RULES 16).
        """
        now = {each.number: each for each in sessions if each.user}
        told: list[Told] = []
        kept: dict[str, Seen] = {}
        for number, seen in self.seen.items():
            if number not in now or not _same(seen.session, now[number]):
                told.append(("logout", seen.session, {}))
        for number, session in now.items():
            before = self.seen.get(number)
            known = before if before and _same(before.session, session) else None
            told += [(kind, session, {}) for kind in _changes(known.session if known else None, session)]
            kept[number], idle = _judged(known, session, self.thresholds)
            told += [(kind, session, data) for kind, data in idle]
        return told, replace(self, seen=kept)


def _same(before: Session, now: Session) -> bool:
    return before.user.casefold() == now.user.casefold()


def _changes(before: Session | None, now: Session) -> Iterator[str]:
    was = before or replace(now, connected=False, locked=False)
    if before is None:
        yield "login"
        if not now.connected:
            yield "disconnect"
    elif was.connected != now.connected:
        yield "reconnect" if now.connected else "disconnect"
    came = now.connected and not was.connected
    locked = False if came else was.locked  # to the broker, a lock ends with whoever comes back in
    if now.locked is not None and now.locked != bool(locked):
        yield "lock" if now.locked else "unlock"


def _judged(
    before: Seen | None, session: Session, thresholds: Sequence[int]
) -> tuple[Seen, list[tuple[str, Mapping[str, Any]]]]:
    """Idle is told once a threshold; a disconnected session is not idle, and who comes back starts anew."""
    if not session.connected or session.idle is None:
        return Seen(replace(session, idle=None)), []
    came = before is None or not before.session.connected or bool(before.session.locked and not session.locked)
    earlier = session.idle if came or before is None else before.before_coming
    earlier = earlier if session.idle >= earlier else 0
    told = 0 if came or before is None else before.told_idle
    seen = Seen(replace(session, idle=session.idle - earlier), told, earlier)
    passed = max((each for each in thresholds if each <= session.idle - earlier), default=0)
    if passed > told:
        return replace(seen, told_idle=passed), [("idle", {"seconds": session.idle - earlier})]
    if told and not passed:
        return replace(seen, told_idle=0), [("active", {})]
    return seen, []


def line(session: Session) -> dict[str, Any]:
    """A session in a heartbeat's list."""
    state = "active" if session.connected else "disconnected"
    said = {"session": session.number, "user": session.user, "state": state, "locked": session.locked}
    return {**said, "idle": session.idle, "sid": session.sid, "local": session.local}
