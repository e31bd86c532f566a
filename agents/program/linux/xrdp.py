"""Sessions of xrdp, with logind and without: an X server with a socket for xrdp, started by its session manager.

/proc/net/unix shows that socket listening while the session lives, and one more line while somebody is connected.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from agents.program.linux.proc import Process, arguments, process, processes
from agents.program.machine import CannotDo

SOCKETS = Path("/proc/net/unix")
CONFIGURATION = Path("/etc/xrdp/xrdp.ini")
LISTENS, CONNECTED = "01", "03"
SERVERS = ("Xorg", "Xvnc")
MANAGERS = ("xrdp-sesman", "xrdp-sesexec")
BESIDE = (*SERVERS, "xrdp-chansrv")
GRACE = 1.5
_SOCKET = re.compile(r"(.*/xrdp_)(disconnect_)?display_(\d+)")


@dataclass(frozen=True)
class Display:
    """A session of xrdp; `leader` is the process of the session manager that holds it."""

    display: int
    server: int
    leader: int
    uid: int
    connected: bool


class Displays:
    """Remembers which process serves which display, so that a look costs one small file."""

    def __init__(self, sockets: Path = SOCKETS) -> None:
        self.sockets = sockets
        self._known: dict[int, Process] = {}

    def now(self) -> list[Display]:
        """All sessions of xrdp. Raises CannotDo: that nobody can be seen does not mean that nobody is there."""
        states = parse_sockets(self._text())
        if any(not self._is_there(display) for display in states):
            self._known = servers(processes())
        found = ((display, self._known.get(display), connected) for display, connected in sorted(states.items()))
        return [Display(number, x.pid, x.parent, x.uid, connected) for number, x, connected in found if x is not None]

    def _is_there(self, display: int) -> bool:
        known = self._known.get(display)
        now = process(known.pid) if known else None
        # Its parent may go before it: xrdp's session manager is restarted.
        return known is not None and now is not None and (now.name, now.uid) == (known.name, known.uid)

    def _text(self) -> str:
        try:
            return self.sockets.read_text(errors="replace")
        except OSError as error:
            raise CannotDo(f"{self.sockets} cannot be read: {error}") from error


def parse_sockets(text: str) -> dict[int, bool]:
    """The displays that wait for xrdp, and whether it is connected."""
    states: dict[int, set[str]] = {}
    for words in (line.split() for line in text.splitlines()):
        match = _SOCKET.fullmatch(words[7]) if len(words) == 8 else None
        if match and not match[2]:
            states.setdefault(int(match[3]), set()).add(words[5])
    return {display: CONNECTED in seen for display, seen in states.items() if LISTENS in seen}


def servers(running: Iterable[Process]) -> dict[int, Process]:
    """The X servers whose parent is xrdp's session manager, by display: anybody can take its name, but not be root."""
    every = {each.pid: each for each in running}
    found = {}
    for each in every.values():
        parent = every.get(each.parent)
        if each.name in SERVERS and parent is not None and parent.name in MANAGERS and parent.uid == 0:
            display = next((word[1:] for word in arguments(each.pid)[1:] if re.fullmatch(r":\d+", word)), "")
            if display:
                found[int(display)] = each
    return found


def disconnect(display: int, sockets: Path = SOCKETS) -> None:
    """Let xrdp go, as its own `xrdp-dis` does; the session lives on. Raises CannotDo."""
    paths = [words[7] for words in (line.split() for line in sockets.read_text().splitlines()) if len(words) == 8]
    matches = [match for match in map(_SOCKET.fullmatch, paths) if match and match[2] and int(match[3]) == display]
    if not matches:
        raise CannotDo("This session cannot be disconnected: its X server has no socket for that (xorgxrdp has).")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as caller:
            caller.settimeout(1)
            caller.sendto(b"sig\0", matches[0][0])
    except OSError as error:
        raise CannotDo(f"xrdp cannot be told to disconnect: {error}") from error


def end(session: Display) -> None:
    """Log out where logind does not do it: the window manager is asked to end, then made to. Raises CannotDo."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        started = [each for each in processes() if each.parent == session.leader and each.name not in BESIDE]
        for each in started:
            _signalled(each.pid, how)
        if _gone(session, GRACE):
            return
    _signalled(session.server, signal.SIGTERM)
    if not _gone(session, GRACE):
        raise CannotDo("The session did not end.")


def _signalled(pid: int, how: signal.Signals) -> None:
    try:
        os.kill(pid, how)
    except ProcessLookupError:
        return


def _gone(session: Display, seconds: float) -> bool:
    end_of_patience = time.monotonic() + seconds
    while time.monotonic() < end_of_patience:
        server = process(session.server)
        if server is None or server.name not in SERVERS:
            return True
        time.sleep(0.05)
    return False


def certificate(configuration: Path = CONFIGURATION) -> Path:
    """The file of the certificate that xrdp shows."""
    try:
        text = configuration.read_text(errors="replace")
    except OSError:
        text = ""
    match = re.search(r"^[ \t]*certificate[ \t]*=[ \t]*(\S+)", text, re.MULTILINE)
    return Path(match[1]) if match else configuration.with_name("cert.pem")
