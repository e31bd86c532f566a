"""The service's side of the companions: one thread for each session that asks every second how idle it is."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Collection
from typing import Protocol

from agents.program.files import log
from agents.program.machine import CannotDo
from agents.program.windows.api import Api
from agents.program.windows.launch import companion_command, start
from agents.program.windows.pipe import Pipe
from agents.program.windows.sessions import token_sid

EVERY = 1.0  # seconds between two questions
PATIENCE, TO_START = 5.0, 30.0
AGAIN = 30.0  # seconds before a companion that ended is started anew
STALE = 10.0  # seconds after which an idle time is not known any more


class Talk(Protocol):
    """A companion that runs."""

    def ask(self, question: str) -> str:
        """Its answer. Raises CannotDo."""

    def end(self) -> None:
        """End it."""


class Running:
    """The real one: a process in the session, and the pipe to it. Raises CannotDo where it does not come up."""

    def __init__(self, api: Api, session: int) -> None:
        sid = token_sid(api, session)
        if not sid:
            raise CannotDo("The session's user cannot be acted for.")
        self._pipe = Pipe(api, sid)
        try:
            self._process = start(api, session, companion_command(self._pipe.name))
        except CannotDo:
            self._pipe.close()
            raise
        try:
            self._pipe.connect(self._process.number, TO_START)
        except CannotDo:
            self.end()
            raise

    def ask(self, question: str) -> str:
        """As in Talk."""
        return self._pipe.ask(question, PATIENCE)

    def end(self) -> None:
        """As in Talk."""
        self._pipe.close()
        self._process.end()


class _Keeper(threading.Thread):
    """Starts one companion and talks to it until it is let go, or something fails."""

    def __init__(self, session: int, begin: Callable[[int], Talk]) -> None:
        super().__init__(name=f"companion {session}", daemon=True)
        self.session, self._begin = session, begin
        self.began = time.monotonic()
        self._wishes: queue.Queue[queue.Queue[str] | None] = queue.Queue()
        self._idle: tuple[int, float] | None = None

    def run(self) -> None:
        try:
            talk = self._begin(self.session)
        except CannotDo as trouble:
            log.warning("No companion in session %s: %s", self.session, trouble)
            return
        try:
            while self._turn(talk):
                pass
        except CannotDo as trouble:
            log.warning("The companion in session %s is lost: %s", self.session, trouble)
        finally:
            talk.end()

    def _turn(self, talk: Talk) -> bool:
        said = talk.ask("idle")
        self._idle = (int(said), time.monotonic()) if said.isdecimal() else None
        try:
            wish = self._wishes.get(timeout=EVERY)
        except queue.Empty:
            return True
        if wish is not None:
            wish.put(talk.ask("lock"))
        return wish is not None

    def idle(self) -> int | None:
        """Seconds; None where it is not known now."""
        known = self._idle
        return known[0] if known and time.monotonic() - known[1] < STALE else None

    def lock(self) -> str:
        """The companion's answer. Raises CannotDo."""
        wish: queue.Queue[str] = queue.Queue()
        self._wishes.put(wish)
        try:
            return wish.get(timeout=2 * PATIENCE)
        except queue.Empty:
            raise CannotDo("The companion in the session does not answer.") from None

    def let_go(self) -> None:
        """End soon."""
        self._wishes.put(None)


class Companions:
    """One for each session that counts; safe to use from several threads."""

    def __init__(self, begin: Callable[[int], Talk]) -> None:
        self._begin = begin
        self._keepers: dict[int, _Keeper] = {}
        self._lock = threading.Lock()

    def keep(self, sessions: Collection[int]) -> None:
        """Have one in each of these sessions, and no others."""
        with self._lock:
            for number in set(self._keepers) - set(sessions):
                self._keepers.pop(number).let_go()
            for number in sessions:
                keeper = self._keepers.get(number)
                if keeper is None or (not keeper.is_alive() and time.monotonic() - keeper.began > AGAIN):
                    self._keepers[number] = _Keeper(number, self._begin)
                    self._keepers[number].start()

    def idle(self) -> dict[int, int]:
        """Seconds without input by session, where known."""
        with self._lock:
            said = {number: keeper.idle() for number, keeper in self._keepers.items()}
        return {number: seconds for number, seconds in said.items() if seconds is not None}

    def lock(self, session: int) -> str:
        """Lock a session's screen. Raises CannotDo."""
        with self._lock:
            keeper = self._keepers.get(session)
        if keeper is None or not keeper.is_alive():
            raise CannotDo("There is no companion in this session that could lock it.")
        said = keeper.lock()
        if said != "yes":
            raise CannotDo(f"Windows does not lock the session: {said}.")
        return "locked"
