"""Real RDP servers on free ports of the loopback, for the tests of gateway and viewer, until the block ends.

`xrdp(folder)`: a real session of a real unix user behind TLS, in Xorg (RemoteFX) or Xvnc (classic bitmaps only).
`shadow(folder)`: FreeRDP's server, which demands NLA, in front of a virtual screen. Both need root and .ci/packages.
"""

import datetime
import hashlib
import os
import re
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.agent_program import xrdp_world
from tests.agent_program.xrdp_world import PASSWORD, Desktop, answers, screen, stop
from tests.gateway_program.painter import Painter
from tests.parts import demand, missing
from tests.ports import free_port
from tests.services import wait_for

PROGRAMS = ("freerdp-shadow-cli", "winpr-hash", "xterm", "xsetroot", "xwd", "xclip", "Xvnc")
SESSION = """#!/bin/sh
xsetroot -solid '#204060'
# Its Print Screen starts a program that is not there.
sed '/key="[^"]*Print"/,/<.keybind>/d' /etc/xdg/openbox/rc.xml > ~/rc.xml
openbox --config-file ~/rc.xml &
until xprop -root _NET_SUPPORTING_WM_CHECK | grep -q 'window id'; do sleep 0.1; done
exec xterm -fa Monospace -fs 12 -geometry 80x20+40+60 -title 'a desktop'
"""
SETTLED = 60  # seconds; a session on a machine that others use, too
Backend = Literal["Xorg", "Xvnc"]


def need() -> None:
    """Skip the test where a program is not installed; in CI: fail."""
    demand(xrdp_world.missing() + missing(PROGRAMS))


@dataclass
class Server:
    """One that listens. `certificate` is the SHA-256 that a pin names."""

    port: int
    user: str
    password: str
    certificate: str
    desktop: Desktop
    host: str = "127.0.0.1"
    shared: str = ""  # the display that a shadow server shows, such as ":3"

    def painter(self) -> Painter:
        """On the desktop's display; of xrdp's session once somebody sees it. It blocks: no place for an event loop."""
        if self.shared:
            return Painter(int(self.shared[1:]))
        wait_for(lambda: self.desktop.connected, SETTLED, "somebody sees a session")
        display = self.desktop.display
        assert display is not None
        return Painter(display, Path(f"/home/{self.user}/.Xauthority"))

    @property
    def inside(self) -> dict[str, str]:
        """The environment of programs on the desktop's display."""
        if self.shared:
            return {"DISPLAY": self.shared}
        return {"DISPLAY": f":{self.desktop.display}", "XAUTHORITY": f"/home/{self.user}/.Xauthority"}

    def run(self, *command: str) -> str:
        """A program on the desktop's display, as root; what it prints."""
        there = {**os.environ, **self.inside}
        done = subprocess.run(command, env=there, check=True, timeout=60, capture_output=True)
        return done.stdout.decode()

    def focused(self, window: str = "a desktop") -> bool:
        """Whether that window has the focus, usually the terminal: what is typed comes to it."""
        try:
            return window in self.run("xdotool", "getwindowfocus", "getwindowname")
        except subprocess.CalledProcessError:
            return False


@contextmanager
def xrdp(folder: Path, backend: Backend = "Xorg", session: str = SESSION, depth: int = 32) -> Iterator[Server]:
    """xrdp with TLS in front of one kind of X server, of at most so many bits a pixel.

    The session begins with the first who signs in.
    """
    opened(folder)
    fingerprint = certificate(folder / "xrdp.crt", folder / "xrdp.key")

    def settings(ini: str) -> str:
        found = re.search(rf"(?ms)^\[{backend}\]$.*?(?=^\[|\Z)", ini)
        assert found is not None
        only = re.split(r"(?m)^\[Xorg\]$", ini)[0] + found[0]
        only = re.sub(r"(?m)^certificate=.*", f"certificate={folder}/xrdp.crt", only)
        only = re.sub(r"(?m)^key_file=.*", f"key_file={folder}/xrdp.key", only)
        only = re.sub(r"(?m)^max_bpp=.*", f"max_bpp={depth}", only)
        return re.sub(r"(?m)^security_layer=.*", "security_layer=tls", only)

    with xrdp_world.desktop(folder, session, settings) as desktop:
        yield Server(desktop.port, desktop.user, PASSWORD, fingerprint, desktop)


@contextmanager
def shadow(folder: Path) -> Iterator[Server]:
    """FreeRDP's shadow server, which demands NLA, of a screen with a terminal on it."""
    opened(folder)
    user, port = f"nla{secrets.token_hex(3)}", free_port()
    world = Desktop(folder, user, port, "")
    ours = folder / "config" / "freerdp" / "shadow"
    ours.mkdir(parents=True)
    fingerprint = certificate(ours / "shadow.crt", ours / "shadow.key")
    passwords = folder / "sam"
    hashed = ["winpr-hash", "-u", user, "-p", PASSWORD, "-f", "sam"]
    passwords.write_bytes(subprocess.run(hashed, check=True, capture_output=True).stdout)
    try:
        display = screen(world, "1024x768x24")
        there = {"DISPLAY": display, "XDG_CONFIG_HOME": str(folder / "config"), "HOME": str(folder)}
        world.start(["openbox"], **there)
        wait_for(lambda: managed(display), SETTLED, "a window manager")
        world.start(["xterm", "-fa", "Monospace", "-fs", "12", "-geometry", "80x20+40+60"], **there)
        listen = [f"/port:{port}", "/bind-address:127.0.0.1", "/sec:nla", "+auth", f"/sam-file:{passwords}"]
        world.start(["freerdp-shadow-cli", *listen], **there)
        wait_for(lambda: answers(port), SETTLED, "the shadow server listens")
        yield Server(port, user, PASSWORD, fingerprint, world, shared=display)
    finally:
        stop(world)


def managed(display: str) -> bool:
    """Whether a window manager has come: windows that were there before it may never take the focus."""
    asked = subprocess.run(
        ["xprop", "-root", "_NET_SUPPORTING_WM_CHECK"], env={**os.environ, "DISPLAY": display}, capture_output=True
    )
    return b"window id" in asked.stdout


def opened(folder: Path) -> None:
    """Other users reach into this folder of pytest's."""
    for each in (folder, *folder.parents[:2]):
        each.chmod(each.stat().st_mode | 0o055)


def certificate(path: Path, key_path: Path) -> str:
    """A self-signed certificate and its key as PEM; the SHA-256 of it in DER."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"desktop-{secrets.token_hex(4)}")])
    begin = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    path.write_bytes(made.public_bytes(pem))
    plain = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    key_path.write_bytes(key.private_bytes(pem, *plain))
    key_path.chmod(0o600)
    return hashlib.sha256(made.public_bytes(serialization.Encoding.DER)).hexdigest()
