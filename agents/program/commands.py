"""What the broker asks: fetched by a held poll, done once, answered (DESIGN 8).

A fetched command comes again until it is answered. What was begun is written down before it is done, so that a machine
that restarts does not restart for ever.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agents.program.client import Away, Refused
from agents.program.files import log, read_json, write_json
from agents.program.grants import Grants
from agents.program.link import BackOff, Link
from agents.program.machine import COMMANDS, CannotDo, Machine, Session
from agents.program.settings import BadSettings

HELD = 55
OF_A_SESSION = frozenset({"lock", "disconnect", "logout"})
# To do these again changes nothing, and the broker relies on their answer: half done is not done (RULES 29).
REPEATED = frozenset({"grant", "revoke", "timezone"})
KEPT = 200
SOON = 2.0


class Commands:
    """One thread that polls; a message that waits for its reader has a thread of its own."""

    def __init__(self, link: Link, machine: Machine, folder: Path, grants: Grants) -> None:
        self.link, self.machine, self.grants, self.path = link, machine, grants, folder / "commands.json"
        self.wake = threading.Event()
        self.held = False
        self.back_off = BackOff()
        self._begun: dict[str, dict[str, Any]] = {
            name: answer for name, answer in read_json(self.path).items() if isinstance(answer, dict)
        }
        self._at_work: set[str] = set()
        self._lock = threading.Lock()

    def run(self, ended: threading.Event) -> None:
        """Until the end."""
        while not ended.is_set():
            self.wake.wait(self.turn())
            self.wake.clear()

    def turn(self) -> float:
        """One poll and what it brought; returns how many seconds may pass until the next."""
        try:
            pause = self._turn()
        except Refused as refusal:
            if refusal.status == 401 and not self.back_off.failures:
                self.back_off.failures = 1
                return 0.0  # the key is forgotten: register at once, the first time
            return self.back_off.after_failure(refusal.retry_after)
        except (Away, BadSettings) as away:
            log.debug("No poll: %s", away)
            return self.back_off.after_failure()
        self.back_off.over()
        return pause

    def _turn(self) -> float:
        began = time.monotonic()
        answer = self.link.call("GET", f"commands?wait={HELD}", held=HELD)
        retry = answer.get("retry_after")
        self.held = retry is None
        new = [each for each in _commands(answer.get("commands")) if self.take(each)]
        if isinstance(retry, (int, float)) and not isinstance(retry, bool) and retry > 0:
            return min(float(retry), 300.0)
        # Held or not: an answer at once that brought nothing new must not become a storm of polls.
        return 0.0 if new or time.monotonic() - began > SOON else SOON

    def take(self, command: Mapping[str, Any]) -> bool:
        """Do a command and answer it; False where that is being done already. Raises Refused, Away."""
        name = str(command["id"])
        with self._lock:
            if name in self._at_work:
                return False
            known = self._begun.get(name)
            self._at_work.add(name)
        if known is None and _data(command).get("snooze"):
            threading.Thread(target=self._in_time, args=[command], name="message", daemon=True).start()
            return True
        self._work(command, known)
        return True

    def _work(self, command: Mapping[str, Any], known: dict[str, Any] | None) -> None:
        name = str(command["id"])
        try:
            self.answer(name, known or self.do(command))
        finally:
            with self._lock:
                self._at_work.discard(name)

    def _in_time(self, command: Mapping[str, Any]) -> None:
        try:
            self._work(command, None)
        except (Refused, Away) as error:
            log.warning("The answer to a message is not delivered yet: %s", error)  # it comes again, and is known
        finally:
            self.wake.set()

    def do(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Carry a command out; the answer to it."""
        name, kind = str(command["id"]), str(command.get("type", ""))
        if kind not in REPEATED:
            self._note(name, {"ok": True, "detail": "The agent was stopped while it did this."})
        log.info("The broker asks: %s.", kind)
        try:
            answer = {"ok": True, "detail": self._do(kind, _data(command))}
        except CannotDo as refusal:
            answer = {"ok": False, "detail": str(refusal)[:2000]}
        self._note(name, answer)
        return answer

    def _do(self, kind: str, data: dict[str, Any]) -> str:
        if kind not in COMMANDS:
            raise CannotDo(f"This agent knows no command {kind!r}.")
        if kind in OF_A_SESSION:
            data["session"] = chosen(self.machine.sessions(), data).number
        detail = self.machine.do(kind, data)
        if kind in ("grant", "revoke"):
            self.grants.note(kind, data)
        return detail

    def answer(self, name: str, answer: dict[str, Any]) -> None:
        """Tell how it went. Raises Refused, Away; the command then comes again, and its answer is known."""
        try:
            self.link.call("POST", f"commands/{name}", answer)
        except Refused as refusal:
            if refusal.status in (401, 429) or refusal.status >= 500:
                raise
            log.warning("The broker does not take the answer to command %s: %s", name, refusal)

    def _note(self, name: str, answer: dict[str, Any]) -> None:
        with self._lock:
            self._begun[name] = answer
            self._begun = dict(list(self._begun.items())[-KEPT:])
            write_json(self.path, self._begun)


def chosen(sessions: list[Session], data: Mapping[str, Any]) -> Session:
    """The session meant: by number and, where the broker says it, by user; or the only one. Raises CannotDo."""
    number, user = str(data.get("session") or ""), str(data.get("user") or "").casefold()
    there = [each for each in sessions if each.user]
    found = [each for each in there if number in ("", each.number) and user in ("", each.user.casefold())]
    if not found:
        raise CannotDo(f"There is no session {number or 'here'}{' of ' + user if user else ''}.")
    if len(found) > 1:
        raise CannotDo(f"Several people are logged in: say whose session ({', '.join(each.user for each in found)}).")
    return found[0]


def _commands(value: object) -> list[dict[str, Any]]:
    found = value if isinstance(value, list) else []
    return [each for each in found if isinstance(each, dict) and re.fullmatch("[0-9]{1,19}", str(each.get("id")))]


def _data(command: Mapping[str, Any]) -> dict[str, Any]:
    data = command.get("data")
    return dict(data) if isinstance(data, dict) else {}
