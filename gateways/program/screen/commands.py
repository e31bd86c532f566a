"""What is started for a rendered screen, and what FreeRDP's exit codes mean. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gateways.program.viewing import Ending, Failed
from gateways.wire import Opening

SMALLEST, LARGEST = 200, 8192  # pixels, as RDP has it
SERVERS, CLIENTS = ("Xtigervnc", "Xvnc"), ("xfreerdp", "xfreerdp3")
PATH = "/usr/local/bin:/usr/bin:/bin"
UNSEEN_SECONDS = 30  # after which a VNC server ends that nobody looks at: the last net
MISSING = (
    "This gateway cannot render screens: {} not installed on it "
    "(Debian: tigervnc-standalone-server, freerdp3-x11 or freerdp2-x11). "
    "Choose the other viewer, or ask your administrator."
)
WRONG = "The desktop does not accept the name or the password."
ENDINGS: Mapping[int, str] = {
    0: "The desktop ended the connection.",
    1: "The connection was ended on the desktop.",
    2: "The session was logged off on the desktop.",
    3: "The desktop ended the session because nobody used it.",
    4: "The desktop waited too long for the sign-in.",
    5: "Somebody else has connected to the session.",
    6: "The desktop is out of memory.",
    7: "The desktop denied the connection.",
    9: "The user may not sign in remotely on this desktop.",
    10: "The desktop wants fresh credentials.",
    11: "The user has disconnected on the desktop.",
    132: WRONG,
    134: WRONG,
    135: "The account is locked.",
    143: "The desktop's certificate has changed, or it offers no TLS: nothing was sent to it.",
    144: "The user may not sign in remotely on this desktop.",
    147: "The desktop broke off. The password may be wrong.",
    148: "The password has expired.",
    149: "The password must be changed first.",
    151: "The account is disabled.",
    154: WRONG,
    155: "The desktop denied access.",
    156: "The account may not sign in here, or not now.",
    157: "The account has expired.",
    158: "The user may not sign in remotely on this desktop.",
    159: "The desktop wants the password, and none was given.",
}


@dataclass(frozen=True, slots=True)
class Programs:
    """Where they are."""

    server: str
    client: str


def programs(which: Callable[[str], str | None]) -> Programs:
    """The first of each that is installed. Raises Failed."""
    server = next(filter(None, map(which, SERVERS)), None)
    client = next(filter(None, map(which, CLIENTS)), None)
    if server is None or client is None:
        lacking = [name for name, found in (("Xtigervnc", server), ("xfreerdp", client)) if found is None]
        names = " and ".join(lacking) + (" are" if len(lacking) > 1 else " is")
        raise Failed(MISSING.format(names), "gateway", "missing")
    return Programs(server, client)


def server_command(program: str, opening: Opening, size: tuple[int, int]) -> list[str]:
    """A VNC server that listens on the socket `rfb` of its folder only, and lets through what the policy lets.

    Keys come as they were pressed, not as characters: it is the desktop that knows its keyboard's layout.
    """
    goes_in, comes_out = opening.clipboard in ("in", "both"), opening.clipboard in ("out", "both")
    return [
        program, "-displayfd", "1", "-geometry", f"{size[0]}x{size[1]}", "-depth", "24", "-auth", "authority",
        "-nolisten", "tcp", "-rfbport", "-1", "-rfbunixpath", "rfb", "-SecurityTypes", "None",
        "-desktop", "Desktop", "-RawKeyboard=1", "-AcceptSetDesktopSize=0", "-AllowOverride=",
        f"-SendCutText={comes_out:d}", f"-AcceptCutText={goes_in:d}", "-SendPrimary=0", "-SetPrimary=0",
        f"-MaxDisconnectionTime={UNSEEN_SECONDS}",
    ]  # fmt: skip


def client_command(program: str, opening: Opening, certificate: str, size: tuple[int, int]) -> list[str]:
    """FreeRDP over all of the screen. The password is no argument: anybody on the machine could read it there."""
    three = program.endswith("3")  # FreeRDP 3 knows some words that 2 does not, and the other way round
    pin = ":".join(certificate[place : place + 2] for place in range(0, len(certificate), 2))
    command = [
        program, f"/v:{bracketed(opening.host)}:{opening.port}", f"/cert:deny,fingerprint:sha256:{pin}",
        f"/size:{size[0]}x{size[1]}", "/bpp:32", "-decorations", "-grab-keyboard", "-toggle-fullscreen",
        clipboard(three) if opening.clipboard != "none" else "-clipboard", "/log-level:OFF",
    ]  # fmt: skip
    if opening.layout:
        command.append(f"/kbd:{'layout:' if three else ''}0x{opening.layout:08x}")
    if opening.login:
        command.append(f"/u:{opening.login}")
    if opening.domain:
        command.append(f"/d:{opening.domain}")
    return [*command, "/from-stdin:force"] if opening.password else command


def clipboard(three: bool) -> str:
    """Text; files would be offered by a file system of FreeRDP 3's own."""
    return "/clipboard:files-to:off" if three else "+clipboard"


def bracketed(host: str) -> str:
    """An address as it stands before a port."""
    return f"[{host}]" if ":" in host else host


def environment(folder: Path, display: int | None = None) -> dict[str, str]:
    """Nothing of the gateway's own. USHER_SCREEN tells whose child it is, also after a crash."""
    shown = {} if display is None else {"DISPLAY": f":{display}", "XAUTHORITY": str(folder / "authority")}
    return {
        "PATH": PATH, "LANG": "C.UTF-8", "HOME": str(folder), "USHER_SCREEN": str(folder), "MALLOC_ARENA_MAX": "2",
        **shown,
    }  # fmt: skip


def ending(code: int) -> Ending:
    """Why FreeRDP is over."""
    if code < 0:
        return f"The program that shows the desktop was ended (signal {-code}).", "gateway"
    return ENDINGS.get(code, f"The desktop could not be shown (FreeRDP's code {code})."), "desktop"
