"""What answers at a machine's RDP port: its screen, started when somebody comes; the machine's agent tells who did."""

import contextlib
import socket
import threading
from pathlib import Path

from broker.demo.desktops.machine import CannotDo, Machine
from broker.demo.desktops.screen.accounts import accounts, windows_name
from broker.demo.desktops.screen.screen import Look, NoScreen, Screen
from broker.demo.desktops.screen.screens import Screens
from broker.demo.desktops.screen.visit import Visit, asked_for


class Desk:
    """One for a running machine. As on Windows, who comes takes the screen over from who was there."""

    def __init__(self, machine: Machine, screens: Screens, certificate: Path, key: Path) -> None:
        self.machine, self.screens, self.certificate, self.key = machine, screens, certificate, key
        self._screen: Screen | None = None
        self._visits: list[Visit] = []
        self._left_at = screens.clock()
        self._lock = threading.Lock()  # of what is above; never held while the machine or a screen is asked
        self._starting = threading.Lock()

    @property
    def deserted_since(self) -> float | None:
        """When the last visitor left; None while one is there."""
        with self._lock:
            return None if self._visits else self._left_at

    def receive(self, client: socket.socket) -> None:
        """Serve one visitor until it goes; a port probe is let in and goes."""
        said = asked_for(client)
        if said is None:
            return
        hardware = self.machine.hardware
        user = windows_name(hardware.directory_id, said or hardware.aws_user)
        try:
            with self._screen_for(user).connect() as server:
                self._visited(Visit(client, server))
        except (NoScreen, OSError) as error:
            self.screens.log(f"{hardware.name} shows nothing: {error}")

    def _screen_for(self, user: str) -> Screen:
        """The one that is there, unless it is another person's; else a new one. Raises NoScreen."""
        with self._starting:
            screen = self._screen
            if screen is not None and user in (screen.look.user, ""):
                return screen
            self.stop()
            hardware = self.machine.hardware
            look = Look(hardware.name, user, accounts(hardware.directory_id), self.certificate, self.key)
            screen = Screen(look, self._seen, self._over)
            self.screens.start(self, screen)
            self._screen = screen
            return screen

    def _visited(self, visit: Visit) -> None:
        with self._lock:
            self._visits.append(visit)
        try:
            visit.run()
        finally:
            with self._lock:
                self._visits.remove(visit)
                self._left_at = self.screens.clock()
                gone = visit.seen and not any(each.seen for each in self._visits)
            if gone and visit.user:
                with contextlib.suppress(CannotDo):  # that was a log-out, or the machine is off
                    self.machine.disconnect(self.machine.session_of(visit.user))

    def _seen(self) -> None:
        """The server has let the newest visitor in; who was there before goes."""
        screen = self._screen
        with self._lock:
            new = [each for each in self._visits if not each.seen][-1:]
            before = [each for each in self._visits if each.seen]
            for each in new:
                each.seen, each.user = True, screen.look.user if screen else ""
        if not new or screen is None:
            return
        for each in before:
            each.cut()
        if screen.look.user:
            with contextlib.suppress(CannotDo):  # the demo's page has told of that session already
                self.machine.login(screen.look.user)

    def _over(self, logged_out: bool) -> None:
        """The terminal has ended, or a part has died."""
        screen = self._screen
        if logged_out and screen is not None:
            with contextlib.suppress(CannotDo):
                self.machine.end(self.machine.session_of(screen.look.user))
        self.stop()

    def obey(self, kind: str, text: str = "") -> None:
        """What the machine has done because its agent or the demo's page was told to."""
        if kind == "disconnect":
            self.cut(seen=True)
        elif kind == "logout":
            self.screens.later(self.stop)
        elif kind == "message" and (screen := self._screen) is not None:
            self.screens.later(lambda: screen.show(text))

    def cut(self, *, seen: bool = False) -> None:
        """Send everybody away, or only who is in."""
        with self._lock:
            visits = [each for each in self._visits if each.seen or not seen]
        for each in visits:
            each.cut()

    def stop(self) -> None:
        """Nobody is there any more, and no screen."""
        self._screen = None
        self.screens.stop(self)
        self.cut()
