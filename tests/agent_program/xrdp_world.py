"""A real desktop: xrdp and its session manager on ports of their own, a real unix user, FreeRDP in front of it.

Needs root (a user is made and removed; a mount of this test's own shows xrdp its own settings).
"""

import itertools
import os
import re
import secrets
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from agents.program.linux.proc import arguments, processes
from agents.program.linux.xrdp import SOCKETS, parse_sockets
from broker.embedded.spawn import spawn
from tests import parts
from tests.ports import SLOT, free_port
from tests.services import wait_for

PROGRAMS = ("xrdp", "xrdp-sesman", "xfreerdp", "Xvfb", "openbox", "xdotool", "i3lock", "zenity", "unshare", "useradd")
PASSWORD = "sesameopenu7"
SESSION = "#!/bin/sh\nopenbox &\nexec xmessage -name desk -buttons LogOut:0 'a desktop'\n"
SETTLED, GRACE = 60, 3
# Of X displays: session managers that begin at the same number may both take it, when they look at the same moment.
DISPLAYS = itertools.cycle(range(20 + 40 * SLOT, 60 + 40 * SLOT, 5))


def missing() -> list[str]:
    """What is not there for this test."""
    return parts.missing(PROGRAMS) + ([] if os.getuid() == 0 else ["root"])


@dataclass
class Desktop:
    """What a person can do. Each returns when it is done as far as X and xrdp go: the test's clock starts there."""

    folder: Path
    user: str
    port: int
    screen: str
    client: "subprocess.Popen[bytes] | None" = None
    children: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    def sign_in(self) -> None:
        """By FreeRDP, to a new session or the one that is there."""
        command = ["xfreerdp", f"/v:127.0.0.1:{self.port}", f"/u:{self.user}", f"/p:{PASSWORD}", "/cert:ignore"]
        self.client = self.start([*command, "/size:640x480", "/log-level:ERROR"], DISPLAY=self.screen)
        wait_for(lambda: self.connected, SETTLED, "xrdp shows the session")

    def close_window(self) -> None:
        """The person goes; the session stays."""
        assert self.client is not None
        self.client.kill()
        self.client.wait()
        wait_for(lambda: not self.connected, SETTLED, "xrdp lets go")

    def log_out(self) -> None:
        """The window manager ends, as when somebody chooses to log out."""
        pid = next(each.pid for each in processes() if each.uid == self.uid and each.name == "xmessage")
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: self.display is None, SETTLED, "the session ends")

    def touch(self) -> None:
        """A hand on the mouse, through the client and over RDP."""
        for place in ("100 100", "200 150"):
            env = {**os.environ, "DISPLAY": self.screen}
            subprocess.run(["xdotool", "mousemove", *place.split()], env=env, check=True)

    def inside(self, *command: str) -> None:
        """A keystroke or a click in the session itself."""
        there = {"DISPLAY": f":{self.display}", "XAUTHORITY": f"/home/{self.user}/.Xauthority"}
        subprocess.run(["xdotool", *command], env={**os.environ, **there}, check=True, timeout=15)

    def unlock(self) -> None:
        """Type the password; again where the locker did not listen yet."""
        for _ in range(4):
            self.inside("key", "Escape")
            self.inside("type", "--delay", "20", PASSWORD)
            self.inside("key", "Return")
            try:
                wait_for(lambda: not self.runs("i3lock"), 2, "the password opens the screen")
            except AssertionError:
                continue
            return
        raise AssertionError("the password does not open the screen")

    def runs(self, name: str) -> bool:
        """Whether the user has such a program."""
        return any(each.uid == self.uid and each.name == name for each in processes())

    @property
    def group(self) -> str:
        """Its members may log on, as far as this test goes."""
        return f"{self.user}-in"

    @property
    def uid(self) -> int:
        return int(subprocess.run(["id", "-u", self.user], capture_output=True, check=True).stdout)

    @property
    def display(self) -> int | None:
        """The number of the X server that waits for xrdp."""
        mine = [each.pid for each in processes() if each.uid == self.uid and each.name in ("Xorg", "Xvnc", "Xtigervnc")]
        lines = [arguments(pid) for pid in mine]
        return next((int(line[1][1:]) for line in lines if len(line) > 1), None)

    @property
    def connected(self) -> bool:
        display = self.display
        if display is None:
            return False
        return parse_sockets(SOCKETS.read_text()).get(display, False) or shown_by_vnc(display)

    def start(self, command: list[str], **environment: str) -> "subprocess.Popen[bytes]":
        """A program that ends with the test."""
        with (self.folder / f"{Path(command[0]).name}-{len(self.children)}.log").open("wb") as log:
            child = spawn(command, signal.SIGKILL, {**os.environ, **environment}, log)
        self.children.append(child)
        return child


@contextmanager
def desktop(
    folder: Path, session: str = SESSION, settings: Callable[[str], str] = lambda ini: ini
) -> Iterator[Desktop]:
    """xrdp with its manager, until the block ends; the user and all that is theirs go with it.

    `settings` gets the text of xrdp.ini and may change it.
    """
    user = f"usher{secrets.token_hex(3)}"
    world = Desktop(folder, user, free_port(), "")
    subprocess.run(["useradd", "-m", "-s", "/bin/sh", user], check=True)
    subprocess.run(["groupadd", world.group], check=True)
    try:
        subprocess.run(["chpasswd"], input=f"{user}:{PASSWORD}".encode(), check=True)
        script = Path(f"/home/{user}/.xsession")
        script.write_text(session)
        script.chmod(0o755)
        world.screen = screen(world)
        servers(world, settings)
        yield world
    finally:
        end(world)


def servers(world: Desktop, settings: Callable[[str], str]) -> None:
    """xrdp finds its manager by the one file that has a fixed place: a mount of our own shows it ours there."""
    manager, server = world.folder / "sesman.ini", world.folder / "xrdp.ini"
    ours = re.sub(r"(?m)^ListenPort=.*", f"ListenPort={free_port()}", Path("/etc/xrdp/sesman.ini").read_text())
    ours = re.sub(r"(?m)^X11DisplayOffset=.*", f"X11DisplayOffset={next(DISPLAYS)}", ours)
    manager.write_text(re.sub(r"(?m)^LogFile=.*", f"LogFile={world.folder}/sesman.log", ours))
    theirs = re.sub(r"(?m)^port=3389", f"port=tcp://127.0.0.1:{world.port}", Path("/etc/xrdp/xrdp.ini").read_text())
    server.write_text(settings(re.sub(r"(?m)^LogFile=.*", f"LogFile={world.folder}/xrdp.log", theirs)))
    for command in ("exec xrdp-sesman -n", f"exec xrdp -n -c {server}"):
        mounted = f"mount --bind {manager} /etc/xrdp/sesman.ini && {command}"
        world.start(["unshare", "-m", "sh", "-c", mounted], PATH=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    wait_for(lambda: answers(world.port), SETTLED, "xrdp listens")


def screen(world: Desktop, size: str = "800x600x24") -> str:
    """A virtual screen for FreeRDP, on the first number that is free."""
    reading, writing = os.pipe()
    with (world.folder / "Xvfb.log").open("wb") as log:
        command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", size, "-nolisten", "tcp", "-noreset"]
        world.children.append(subprocess.Popen(command, pass_fds=[writing], stdout=log, stderr=log))
    os.close(writing)
    with os.fdopen(reading) as pipe:
        return f":{int(pipe.readline())}"


def end(world: Desktop) -> None:
    """Everything that was started, then everything of the user, then the user."""
    stop(world)
    uid = world.uid
    for how in (signal.SIGTERM, signal.SIGKILL):
        for each in processes():
            if each.uid == uid:
                with suppress(ProcessLookupError):
                    os.kill(each.pid, how)
        with suppress(AssertionError):  # X servers take away their sockets, or sessions run out of numbers
            wait_for(lambda: not any(each.uid == uid for each in processes()), GRACE, "they end when asked to")
    wait_for(lambda: not any(each.uid == uid for each in processes()), SETTLED, "the user's programs are gone")
    subprocess.run(["userdel", "-r", "-f", world.user], check=False, capture_output=True)
    subprocess.run(["groupdel", world.group], check=True)


def stop(world: Desktop) -> None:
    """Everything that was started, the last one first."""
    for child in reversed(world.children):
        child.terminate()  # Xvfb takes its lock away
        try:
            child.wait(3)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def shown_by_vnc(display: int) -> bool:
    """Whether somebody is connected to the Xvnc of that display."""
    text = [Path(f"/proc/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6")]
    lines = [line.split() for each in text for line in each]
    return any(line[1].endswith(f":{5900 + display:04X}") and line[3] == "01" for line in lines)


def answers(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0
