"""The agent at work: one thread looks, one tells, one obeys, one listens. They share rows on disk, not locks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from agents.program.client import Client
from agents.program.commands import Commands
from agents.program.files import log, read_json, write_json
from agents.program.grants import Grants
from agents.program.link import Link
from agents.program.listener import Wakes, listen
from agents.program.machine import CannotDo, Machine, Session
from agents.program.settings import Settings
from agents.program.spool import Spool
from agents.program.state import State
from agents.program.tell import Pace, Teller
from agents.program.ticks import date_of, ticks
from agents.program.watch import Seen, Watch, line

EVERY = 1.0  # seconds between two looks
LAST_WORD = 5.0
ASLEEP = 5_000_000  # microseconds of a pause that can only be sleep
GRANTS_EVERY = 30.0
RENEW_EVERY = 600.0


class Agent:
    """Everything of one running agent. `broken` says that it ended because it could not go on."""

    def __init__(self, settings: Settings, machine: Machine, pace: Pace | None = None) -> None:
        facts = machine.facts()
        self.settings, self.machine, self.boot_id, self.booted_at = settings, machine, facts.boot_id, facts.booted_at
        self.state = State(settings.state)
        self.state.settle(facts.fingerprint)
        self.client = Client(settings, settings.state)
        self.spool = Spool(settings.state / "spool.jsonl", facts.boot_id)
        self.link = Link(settings, machine, self.state, self.client)
        self.grants = Grants(machine, settings.state)
        self.commands = Commands(self.link, machine, settings.state, self.grants)
        self.teller = Teller(self.link, self.spool, self._list, pace or Pace())
        self.ended, self.changed = threading.Event(), threading.Event()
        self.watch = Watch(self._remembered(), settings.idle)
        self._busy_at: float | None = None
        self._awake, self._looked = _awake(), ticks()
        self._stop_reason = "service"
        self.broken = False
        self._blind = ""

    def run(self) -> None:
        """From agent_start to agent_stop; returns after `stop` was called."""
        self.spool.add(self.spool.event("agent_start", booted_at=self.booted_at.isoformat()))
        self.look()
        wakes = Wakes(lambda: self.state.key_digest, lambda: self.client.ahead)
        listener = listen(self.settings.listen, self.settings.port, wakes, self._woken) if self.settings.port else None
        telling = self._started("tell", self.teller.run)
        self._started("obey", self.commands.run)
        self._watch()
        if listener is not None:
            listener.shutdown()
            listener.server_close()
        self._last_word(telling)

    def stop(self, reason: str) -> None:
        """End soon, and say why: shutdown, restart, suspend, service or upgrade (RULES 19)."""
        self._stop_reason = reason
        self.ended.set()
        self.changed.set()

    def suspends(self, patience: float) -> None:
        """The machine will sleep as soon as this returns: say so, if that can be done in time (RULES 19)."""
        self.spool.add(self.spool.event("agent_stop", data={"reason": "suspend"}))
        self.teller.news.set()
        end = time.monotonic() + patience
        while len(self.spool) and time.monotonic() < end:
            time.sleep(0.02)

    def resumes(self) -> None:
        """It is awake again."""
        self.spool.add(self.spool.event("agent_start", booted_at=self.booted_at.isoformat()))
        self.changed.set()
        self._woken()

    def look(self) -> None:
        """Who is there now, and what that means; at once on disk, told by the teller."""
        self._slept()
        try:
            sessions = [self._judged(each) for each in self.machine.sessions()]
        except CannotDo as trouble:
            if str(trouble) != self._blind:  # once, not every second
                log.warning("The sessions cannot be seen just now: %s", trouble)
            self._blind = str(trouble)
            return
        self._blind = ""
        before = self.watch
        told, self.watch = self.watch.look(sessions)
        if told:
            self.spool.add(*(self._event(kind, session, data) for kind, session, data in told))
            self.teller.news.set()
        if told or before.seen.keys() != self.watch.seen.keys():
            self._remember()

    def _watch(self) -> None:
        grants_at = time.monotonic()
        renew_at = time.monotonic()
        while not self._waited():
            self.look()
            self.teller.polls_are_held = self.commands.held
            if time.monotonic() >= grants_at:
                grants_at = time.monotonic() + GRANTS_EVERY
                self.grants.keep()
            if time.monotonic() >= renew_at:
                renew_at = time.monotonic() + RENEW_EVERY
                threading.Thread(target=self.link.renew, name="renew", daemon=True).start()

    def _waited(self) -> bool:
        """Until the next look is due, or the machine says that something changed; whether it is the end."""
        self.changed.wait(EVERY)
        self.changed.clear()
        return self.ended.is_set()

    def _started(self, name: str, work: Callable[[threading.Event], None]) -> threading.Thread:
        """A thread that the agent cannot do without: its death ends all, and the service manager starts us again."""

        def guarded() -> None:
            try:
                work(self.ended)
            finally:
                self.broken = self.broken or not self.ended.is_set()
                self.ended.set()

        thread = threading.Thread(target=guarded, name=name, daemon=True)
        thread.start()
        return thread

    def _event(self, kind: str, session: Session, data: Any) -> dict[str, Any]:
        more = {"session": session.number, "user": session.user, "sid": session.sid, "local": session.local}
        return self.spool.event(kind, **more, **({"data": dict(data)} if data else {}))

    def _judged(self, session: Session) -> Session:
        """Nobody is idle while the machine works for them."""
        if session.idle is None or not session.connected:
            return session
        if session.idle >= min(self.settings.idle, default=0) and self.machine.busy():
            self._busy_at = time.monotonic()
        since = session.idle if self._busy_at is None else int(time.monotonic() - self._busy_at)
        return replace(session, idle=min(session.idle, since))

    def _list(self) -> list[dict[str, Any]]:
        return [line(seen.session) for seen in self.watch.seen.values()]

    def _woken(self) -> None:
        self.commands.wake.set()
        self.teller.again.set()

    def _slept(self) -> None:
        """Tell a sleep of the machine when it is over: nobody is asked before (RULES 19: the session goes on)."""
        before, self._awake = self._awake, _awake()
        looked, self._looked = self._looked, ticks()
        if self._looked - looked - (self._awake - before) > ASLEEP:
            stopped = self.spool.event("agent_stop", data={"reason": "suspend"})
            stopped.update(at=date_of(looked).isoformat(), exact=False)
            self.spool.add(stopped, self.spool.event("agent_start", booted_at=self.booted_at.isoformat()))
            self._woken()

    def _last_word(self, telling: threading.Thread) -> None:
        """Why we go, if the broker can be told in a few seconds; else it is in the spool."""
        self.spool.add(self.spool.event("agent_stop", data={"reason": self._stop_reason}))
        self.teller.news.set()
        self.teller.again.set()
        telling.join(LAST_WORD)
        if not telling.is_alive():
            last = threading.Thread(target=self.teller.turn, name="last word", daemon=True)
            last.start()
            last.join(LAST_WORD)

    def _remember(self) -> None:
        seen = [{**vars(each), "session": vars(each.session)} for each in self.watch.seen.values()]
        write_json(self.settings.state / "sessions.json", {"boot_id": self.boot_id, "sessions": seen})

    def _remembered(self) -> dict[str, Seen]:
        """Who was there when the agent ended, so that what happened meanwhile is told; of this boot only."""
        said = read_json(self.settings.state / "sessions.json")
        if said.get("boot_id") != self.boot_id:
            return {}
        try:
            seen = [Seen(**{**each, "session": Session(**each["session"])}) for each in said["sessions"]]
        except (TypeError, KeyError):
            return {}
        return {each.session.number: each for each in seen}


def _awake() -> int:
    """Microseconds that the machine was awake; as `ticks` where the system does not tell."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    return ticks()
