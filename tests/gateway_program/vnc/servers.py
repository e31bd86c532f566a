"""A real VNC server on a free port of the loopback, with a clipboard, until the block ends."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.agent_program.xrdp_world import SETTLED, answers
from tests.gateway_program.painter import Painter
from tests.parts import demand, missing
from tests.ports import free_port
from tests.services import wait_for

PROGRAMS = ("Xvnc", "vncpasswd", "xclip")
PASSWORD = "s3same!x"


def need(*programs: str) -> None:
    """Skip the test where a program is not installed; in CI: fail."""
    demand(missing(programs or PROGRAMS))


@dataclass
class Clipboard:
    """The clipboard of a display, as a program on the desktop sees it."""

    display: str
    authority: str = ""  # the file with the display's key
    owner: "subprocess.Popen[bytes] | None" = None

    @property
    def environment(self) -> dict[str, str]:
        """For programs of that display."""
        return {**os.environ, "XAUTHORITY": self.authority}

    def copy(self, text: str) -> None:
        """Somebody on the desktop copies."""
        self.release()
        with tempfile.TemporaryFile() as said:
            said.write(text.encode())
            said.seek(0)
            command = ["xclip", "-selection", "clipboard", "-quiet", "-display", self.display]
            self.owner = subprocess.Popen(
                command, stdin=said, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self.environment
            )
        wait_for(lambda: self.paste() == text, SETTLED, "the clipboard is taken")

    def paste(self) -> str:
        """What somebody on the desktop would paste; "" where there is nothing."""
        command = ["timeout", "2", "xclip", "-selection", "clipboard", "-o", "-display", self.display]
        return subprocess.run(command, capture_output=True, env=self.environment).stdout.decode(errors="replace")

    def release(self) -> None:
        """The program that offers the clipboard ends."""
        if self.owner is not None:
            self.owner.kill()
            self.owner.wait()
            self.owner = None


@dataclass
class VncServer:
    """One that listens, and what is on its screen."""

    port: int
    number: int
    process: "subprocess.Popen[bytes]"
    clipboard: Clipboard

    def painter(self) -> Painter:
        """On its screen."""
        return Painter(self.number)


@contextmanager
def vnc_server(folder: Path, security: str = "VncAuth", size: str = "640x480", *more: str) -> Iterator[VncServer]:
    """A screen of that size behind the kind of security; its password is PASSWORD."""
    secret = folder / "vncpasswd"
    hidden = subprocess.run(["vncpasswd", "-f"], input=PASSWORD.encode(), check=True, capture_output=True).stdout
    secret.write_bytes(hidden)
    port = free_port()
    reading, writing = os.pipe()
    command = ["Xvnc", "-displayfd", str(writing), "-rfbport", str(port), "-localhost", "-SecurityTypes", security]
    command += ["-PasswordFile", str(secret), "-geometry", size, "-depth", "24", "-nolisten", "tcp", *more]
    with (folder / "xvnc.log").open("wb") as log:
        process = subprocess.Popen(command, pass_fds=[writing], stdout=log, stderr=log)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        number = int(pipe.readline() or "-1")
    wait_for(lambda: answers(port), SETTLED, "the VNC server listens")
    clipboard = Clipboard(f":{number}")
    try:
        yield VncServer(port, number, process, clipboard)
    finally:
        clipboard.release()
        process.terminate()
        process.wait(SETTLED)
