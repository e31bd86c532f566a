"""A person at an RDP client: FreeRDP on a virtual screen whose pixels the test reads."""

import hashlib
import os
import socket
import ssl
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from broker.demo.desktops.screen import parts
from tests.agent_program.xrdp_world import Desktop
from tests.agent_program.xrdp_world import stop as stop_all
from tests.parts import demand

SIZE = "1280x800"
SETTLED = 20
REQUEST = bytes.fromhex("030000130ee000000000000100080003000000")  # TLS or NLA, please


def need() -> None:
    """Skip the test where a part is not installed; in CI: fail."""
    demand(parts.missing())


@dataclass
class Client:
    """One screen, on which windows to desktops are opened one after another."""

    world: Desktop
    window: "subprocess.Popen[bytes] | None" = None

    def open(self, address: str, port: int, user: str, password: str = "demo-User1") -> "subprocess.Popen[bytes]":
        """Sign in; the window is there when its pixels are."""
        command = ["xfreerdp", f"/v:{address}:{port}", f"/u:{user}", f"/p:{password}", "/cert:ignore"]
        self.window = self.world.start([*command, f"/size:{SIZE}", "/log-level:ERROR"], DISPLAY=self.world.screen)
        return self.window

    def close(self) -> None:
        """The person closes the window."""
        assert self.window is not None
        self.window.kill()
        self.window.wait()

    def type(self, *words: str) -> None:
        """Keys, through the client and over RDP."""
        env = {**os.environ, "DISPLAY": self.world.screen}
        subprocess.run(["xdotool", "mousemove", "600", "400"], env=env, check=True, timeout=60)
        subprocess.run(["xdotool", *words], env=env, check=True, timeout=60)

    def pixel(self, x: int, y: int) -> str:
        """What the person sees there, such as #823b9b."""
        data = (self.world.folder / "Xvfb_screen0").read_bytes()
        head = struct.unpack(">25I", data[:100])
        at = head[0] + head[19] * 12 + y * head[12] + x * 4
        blue, green, red = data[at : at + 3]
        return f"#{red:02x}{green:02x}{blue:02x}"

    def sees(self, x: int, y: int, colour: str, within: int = 12) -> bool:
        """Whether the pixel is of about this colour: pictures are compressed on their way."""
        seen, wanted = (bytes.fromhex(each[1:]) for each in (self.pixel(x, y), colour))
        return all(abs(a - b) <= within for a, b in zip(seen, wanted, strict=True))


@contextmanager
def client(folder: Path) -> Iterator[Client]:
    """Until the block ends."""
    need()
    world = Desktop(folder, "", 0, "")
    reading, writing = os.pipe()
    try:
        command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", f"{SIZE}x24", "-nolisten", "tcp"]
        with (folder / "Xvfb.log").open("wb") as log:
            shown = subprocess.Popen([*command, "-fbdir", str(folder)], pass_fds=[writing], stdout=log, stderr=log)
        world.children.append(shown)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            world.screen = f":{int(pipe.readline())}"
        yield Client(world)
    finally:
        stop_all(world)


def certificate(address: str, port: int) -> str:
    """The SHA-256 of the certificate that the server there shows."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((address, port), 10) as plain:
        plain.sendall(REQUEST)
        assert plain.recv(19)[5] == 0xD0
        with context.wrap_socket(plain) as secure:
            shown = secure.getpeercert(binary_form=True)
    assert shown is not None
    return hashlib.sha256(shown).hexdigest()
