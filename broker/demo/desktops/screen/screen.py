"""One screen: a virtual X server with a picture and a terminal on it, and a real RDP server that shows it."""

import os
import secrets
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from broker.demo.desktops.screen import parts, wallpaper

PREFIX = "usher-screen-"  # of folders in /tmp, which whoever runs the programs can reach
READY = 15.0  # seconds that a part may take
ACTIVATED = b" is activated ("  # what the RDP server says of a client who has proved who it is
TERMINAL = """
trap '' INT QUIT TSTP
printf '\\n  %s\\n  You are signed in%s.\\n\\n' "$1" "$2"
printf '  This is a desktop of the demo. What you type is shown, not carried out.\\n  exit, or Ctrl-D, logs you out.\\n'
while printf '\\n> ' && read -r line; do
  [ "$line" = exit ] && break
done
"""
LOOKS = ("-fa", "Monospace", "-fs", "13", "-geometry", "88x14+170+230", "-title", "Terminal")
NO_MENUS = ("-xrm", "*omitTranslation: popup-menu", "-xrm", "*printerCommand:")


class NoScreen(Exception):
    """It could not be started; says why."""


@dataclass(frozen=True)
class Look:
    """What a screen shows and to whom, and what its server shows of itself."""

    name: str
    user: str
    accounts: str
    certificate: Path
    key: Path


class Screen:
    """`seen` is called when a client has proved who it is; `over` when the terminal has ended, which is a log-out
    (True), or another part has died (False). By other threads, and not after `stop`.

    Start it, and let it show messages, from a thread that stays (parts.start).
    """

    def __init__(self, look: Look, seen: Callable[[], None], over: Callable[[bool], None]) -> None:
        self.look, self.seen, self.over = look, seen, over
        self.folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
        self._there = {"HOME": str(self.folder), "XAUTHORITY": str(self.folder / "auth")}
        self._processes: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()
        self._stopped = False
        self._said = ""  # the last words of any of them

    def start(self) -> None:
        """Raises NoScreen; stop it all the same."""
        try:
            self._furnish()
            self._there["DISPLAY"] = self._display()
            front, back = wallpaper.colours(self.look.name)
            paper = ["xsetroot", "-bitmap", str(self.folder / "paper.xbm"), "-fg", front, "-bg", back]
            parts.start(paper, self._there).communicate(timeout=READY)
            who = f" as {self.look.user}" if self.look.user else ""
            shell = ("/bin/sh", "-c", TERMINAL, "sh", self.look.name, who)
            self._run("xterm", *LOOKS, *NO_MENUS, "-e", *shell, end=self._terminal_ended)
            server = ("/ipc-socket:" + str(self._socket), f"/sam-file:{self.folder}/accounts", "/sec:nla", "+auth")
            self._run("stdbuf", "-oL", "freerdp-shadow-cli", *server)
            self._wait_for_server()
        except (OSError, subprocess.SubprocessError) as error:
            raise NoScreen(str(error)) from error

    @property
    def _socket(self) -> Path:
        return self.folder / "rdp"

    def connect(self) -> socket.socket:
        """To its RDP server. Raises OSError."""
        made = socket.socket(socket.AF_UNIX)
        try:
            made.connect(str(self._socket))
        except OSError:
            made.close()
            raise
        return made

    def show(self, text: str) -> None:
        """A message in a window, where the system has a program for it."""
        if shutil.which("xmessage"):
            self._run("xmessage", "-center", "-timeout", "120", text, end=lambda _: None)

    def stop(self) -> None:
        """End everything and remove what lay on the disk; once."""
        with self._lock:
            if self._stopped:
                return
            self._stopped = True
        for process in reversed(self._processes):
            parts.end(process, signal.SIGTERM if process is self._processes[0] else signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _furnish(self) -> None:
        """The files of its programs, which are theirs alone."""
        ours = self.folder / "freerdp" / "shadow"
        ours.mkdir(parents=True)
        shutil.copyfile(self.look.certificate, ours / "shadow.crt")
        shutil.copyfile(self.look.key, ours / "shadow.key")
        (self.folder / "accounts").write_text(self.look.accounts)
        (self.folder / "paper.xbm").write_text(wallpaper.picture(self.look.name))
        kind, cookie = b"MIT-MAGIC-COOKIE-1", secrets.token_bytes(16)
        packed = struct.pack(f">HHHH{len(kind)}sH{len(cookie)}s", 0xFFFF, 0, 0, len(kind), kind, len(cookie), cookie)
        (self.folder / "auth").write_bytes(packed)
        for path in (self.folder, *self.folder.rglob("*")):
            path.chmod(0o700 if path.is_dir() else 0o600)
            os.chown(path, parts.owner(), -1)

    def _display(self) -> str:
        """Start the X server; the display that it took. Raises NoScreen."""
        read, write = os.pipe()
        try:
            size = f"{wallpaper.WIDTH}x{wallpaper.HEIGHT}x24"
            words = (
                "-displayfd",
                str(write),
                "-screen",
                "0",
                size,
                "-noreset",
                "-nolisten",
                "tcp",
                "-auth",
                f"{self.folder}/auth",
            )
            self._run("Xvfb", *words, orphan=signal.SIGTERM, keep=write)
        finally:
            os.close(write)
        with os.fdopen(read) as said:
            number = said.readline().strip() if select.select([read], [], [], READY)[0] else ""
        if not number:
            raise NoScreen(f"Xvfb did not start: {self._said}")
        return f":{number}"

    def _run(
        self,
        *command: str,
        orphan: signal.Signals = signal.SIGKILL,
        keep: int = -1,
        end: Callable[[int], None] | None = None,
    ) -> None:
        there = {**self._there, "XDG_CONFIG_HOME": str(self.folder)}
        process = parts.start(command, there, orphan, keep)
        self._processes.append(process)
        watch = [process, end or (lambda _: self.over(False))]
        threading.Thread(target=self._watch, args=watch, name=f"watch {command[0]}", daemon=True).start()

    def _watch(self, process: subprocess.Popen[bytes], end: Callable[[int], None]) -> None:
        """Read what it says until it ends."""
        assert process.stdout is not None
        with process.stdout as said:
            for line in said:
                self._said = line.decode(errors="replace").strip()
                if ACTIVATED in line and not self._stopped:
                    self.seen()
        code = process.wait()
        if not self._stopped:
            end(code)

    def _terminal_ended(self, code: int) -> None:
        self.over(code == 0)  # else it has lost its screen

    def _wait_for_server(self) -> None:
        patience = time.monotonic() + READY
        while time.monotonic() < patience and not self._stopped:
            if self._processes[-1].poll() is not None:
                raise NoScreen(f"freerdp-shadow-cli did not start: {self._said}")
            try:
                self.connect().close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise NoScreen("freerdp-shadow-cli does not listen")


def sweep_folders() -> None:
    """Remove what killed programs have left."""
    for old in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if not Path("/proc", old.name.removeprefix(PREFIX).split("-")[0]).exists():
            shutil.rmtree(old, ignore_errors=True)
