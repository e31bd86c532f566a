"""A Linux desktop, as the agent needs it (agents/program/machine.py)."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agents.program.files import log
from agents.program.linux import inside, logind, rights, xrdp, zone
from agents.program.linux.busy import Busy
from agents.program.linux.facts import facts
from agents.program.linux.proc import asked, logind_session, processes
from agents.program.linux.xidle import IdleTime, NoAnswer
from agents.program.machine import CannotDo, Facts, Session
from agents.program.settings import Settings

ASK_EVERY = 2.0
MESSAGE_SECONDS = 60
AGAIN = 30.0
STOPS = {
    "poweroff.target": "shutdown",
    "halt.target": "shutdown",
    "reboot.target": "restart",
    "kexec.target": "restart",
}


@dataclass(frozen=True)
class Desk:
    """A session, with what this system needs to act on it; `xrdp` is None where it is not one of xrdp's."""

    number: str
    uid: int
    user: str
    display: str
    connected: bool
    logind_id: str = ""
    xrdp: xrdp.Display | None = None


class Host:
    """The one that the agent runs on."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._displays = xrdp.Displays()
        self._busy = Busy(settings)
        self._hints: dict[str, logind.Hints] = {}
        self._lockers: set[int] = set()
        self._asked_at = 0.0
        self._names: dict[int, str] = {}
        self._idle: dict[str, IdleTime] = {}
        self._no_idle_until: dict[str, float] = {}

    def facts(self) -> Facts:
        """What it is."""
        return facts(self.settings)

    def sessions(self) -> list[Session]:
        """Who is there now."""
        desks = self.desks()
        self._forget({each.number for each in desks})
        ids = [each.logind_id for each in desks if each.logind_id]
        if time.monotonic() - self._asked_at >= ASK_EVERY or set(ids) - set(self._hints):
            self._asked_at = time.monotonic()
            self._hints = _hints(ids)
        self._lockers = inside.lockers(processes(uids={each.uid for each in desks})) if desks else set()
        return [self._session(each) for each in desks]

    def desks(self) -> list[Desk]:
        """xrdp's sessions, and logind's graphical ones that are not xrdp's."""
        known = {each.id: each for each in logind.sessions()}
        leaders = {each.leader: each.id for each in known.values()}
        running = self._displays.now()
        found = [self._of_xrdp(each, logind_session(each.server) or leaders.get(each.leader, "")) for each in running]
        taken = {each.logind_id for each in found}
        for each in known.values():
            if each.counts and each.id not in taken and "xrdp" not in each.service:
                found.append(Desk(each.id, each.uid, each.user, each.display, each.active, each.id))
        return found

    def busy(self) -> bool:
        """Whether something works on."""
        return bool(self._busy.why())

    def do(self, command: str, data: Mapping[str, Any]) -> str:
        """Carry out a command. Raises CannotDo."""
        if command in ("grant", "revoke"):
            return rights.change(command, data, self.settings.groups)
        if command == "timezone":
            return zone.change(data)
        if command in ("shutdown", "reboot"):
            asked(["systemctl", "poweroff" if command == "shutdown" else "reboot"])
            return "on its way"
        if command == "message":
            return self._message(data)
        desk = self._desk(str(data.get("session") or ""))
        return {"lock": self._lock, "disconnect": self._disconnect, "logout": self._log_out}[command](desk)

    def stop_reason(self) -> str:
        """By what systemd is about to do; an upgrade says so by a file (docs/agent-linux.md)."""
        upgrading = self.settings.state / "upgrading"
        if upgrading.exists():
            upgrading.unlink()
            return "upgrade"
        try:
            jobs = asked(["systemctl", "list-jobs", "--no-legend", "--plain"])
        except CannotDo:
            return "service"
        return parse_jobs(jobs)

    def _of_xrdp(self, session: xrdp.Display, logind_id: str) -> Desk:
        # A display's number is used again for another session; together with a process's it is not.
        number = logind_id or f"{session.display}-{session.server}"
        user = self._name(session.uid)
        return Desk(number, session.uid, user, f":{session.display}", session.connected, logind_id, session)

    def _name(self, uid: int) -> str:
        """The user of a session, asked once: a directory that is away for a moment must not look like a log-out."""
        if uid not in self._names:
            self._names[uid] = inside.account(uid).pw_name
        return self._names[uid]

    def _session(self, desk: Desk) -> Session:
        hints = self._hints.get(desk.logind_id)
        locked = bool(hints and hints.locked) or desk.uid in self._lockers
        local = rights.is_local(desk.user)
        idle = self._idle_of(desk, hints) if desk.connected else None
        return Session(desk.number, desk.user, local=local, connected=desk.connected, locked=locked, idle=idle)

    def _idle_of(self, desk: Desk, hints: logind.Hints | None) -> int | None:
        """By the X server's count; where there is none (Wayland), by what the desktop told logind."""
        if desk.display and time.monotonic() >= self._no_idle_until.get(desk.number, 0):
            try:
                return self._counted(desk)
            except (NoAnswer, CannotDo) as trouble:
                log.info("Idle time of session %s is not known: %s", desk.number, trouble)
                self._no_idle_until[desk.number] = time.monotonic() + AGAIN
                self._close(desk.number)
        if hints is None or desk.xrdp:
            return None
        return 0 if hints.idle_since is None else int(time.monotonic() - hints.idle_since / 1_000_000)

    def _counted(self, desk: Desk) -> int:
        if desk.number not in self._idle:
            place = inside.place_of(desk.uid, desk.display, desk.logind_id)
            self._idle[desk.number] = IdleTime(desk.display, place.authority, desk.uid)
        return self._idle[desk.number].seconds()

    def _forget(self, numbers: set[str]) -> None:
        for number in set(self._idle) - numbers:
            self._close(number)
        self._no_idle_until = {number: at for number, at in self._no_idle_until.items() if number in numbers}

    def _close(self, number: str) -> None:
        connection = self._idle.pop(number, None)
        if connection is not None:
            connection.close()

    def _desk(self, number: str) -> Desk:
        found = next((each for each in self.desks() if each.number == number), None)
        if found is None:
            raise CannotDo(f"There is no session {number}.")
        return found

    def _place(self, desk: Desk) -> inside.Place:
        return inside.place_of(desk.uid, desk.display, desk.logind_id)

    def _message(self, data: Mapping[str, Any]) -> str:
        number, text = str(data.get("session") or ""), str(data.get("text") or "")
        desks = [each for each in self.desks() if number in ("", each.number) and each.connected]
        if not desks:
            raise CannotDo("Nobody is there to read a message.")
        seconds, snooze = _whole(data.get("seconds")) or MESSAGE_SECONDS, _whole(data.get("snooze"))
        answers = [inside.show(self._place(each), text, seconds, snooze) for each in desks]
        return "snooze" if "snooze" in answers else answers[0]

    def _lock(self, desk: Desk) -> str:
        if desk.uid in inside.lockers(processes()):
            return "locked"
        if desk.logind_id and not self.settings.lock:
            asked(["loginctl", "lock-session", desk.logind_id])
            return "asked to lock"
        command = inside.lock_command(shlex.split(self.settings.lock))
        inside.let_go(inside.started(self._place(desk), command))
        return f"locked by {command[0]}"

    def _disconnect(self, desk: Desk) -> str:
        if desk.xrdp is None:
            raise CannotDo("Only sessions of xrdp can be disconnected.")
        if not desk.connected:
            return "disconnected"
        xrdp.disconnect(desk.xrdp.display)
        return "disconnected"

    def _log_out(self, desk: Desk) -> str:
        if desk.logind_id:
            asked(["loginctl", "terminate-session", desk.logind_id])
        elif desk.xrdp:
            xrdp.end(desk.xrdp)
        return "logged out"


def _hints(ids: list[str]) -> dict[str, logind.Hints]:
    try:
        return logind.hints(ids) if ids else {}
    except CannotDo as trouble:
        log.debug("No hints: %s", trouble)  # a session has just ended
        return {}


def parse_jobs(text: str) -> str:
    """Why we are stopped, by systemd's list of jobs: shutdown, restart, or only this service."""
    starting = {words[1] for words in (line.split() for line in text.splitlines()) if words[2:3] == ["start"]}
    return next((reason for target, reason in STOPS.items() if target in starting), "service")


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 86_400 else 0
