"""Programs inside a session: started as its user, with its display, and never believed more than an exit code."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agents.program.files import log
from agents.program.linux.proc import Process, environment, logind_session, processes
from agents.program.machine import CannotDo

TAKEN = (
    "DISPLAY", "XAUTHORITY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "XDG_CURRENT_DESKTOP",
    "XDG_SESSION_TYPE", "LANG", "LC_ALL",
)  # fmt: skip
PATH = "/usr/local/bin:/usr/bin:/bin"
LOCKERS = ("i3lock", "xtrlock", "slock", "xsecurelock", "swaylock", "xlock", "i3lock-fancy", "physlock")
LOCK_COMMANDS = (
    ("xscreensaver-command", "-lock"), ("light-locker-command", "--lock"), ("xfce4-screensaver-command", "--lock"),
    ("mate-screensaver-command", "--lock"), ("cinnamon-screensaver-command", "--lock"), ("i3lock", "-c", "000000"),
    ("xtrlock", "-f"), ("xsecurelock",), ("slock",),
)  # fmt: skip
ANSWERED, SNOOZED, IN_TIME = 0, 1, 5  # zenity's exit codes; we ask xmessage for the same


@dataclass(frozen=True)
class Place:
    """Where in a session programs are started."""

    uid: int
    environment: Mapping[str, str]

    @property
    def display(self) -> str:
        """The X display, "" on Wayland alone."""
        return self.environment.get("DISPLAY", "")

    @property
    def authority(self) -> Path:
        """The file with the key to the display."""
        said = self.environment.get("XAUTHORITY")
        return Path(said) if said else Path(account(self.uid).pw_dir) / ".Xauthority"


def account(uid: int) -> pwd.struct_passwd:
    """Whose number this is. Raises CannotDo: a directory may be away just now."""
    try:
        return pwd.getpwuid(uid)
    except KeyError as error:
        raise CannotDo(f"This machine knows no user with the number {uid}.") from error


def place_of(uid: int, display: str, logind_id: str = "") -> Place:
    """Where a session's programs run, learned from one that runs there."""
    plain = {"DISPLAY": display} if display else {}
    for each in _likely(processes(), uid, logind_id):
        said = environment(each.pid)
        if _shows(said, display):
            return Place(uid, {**{name: said[name] for name in TAKEN if name in said}, **plain})
    return Place(uid, plain)


def _shows(said: Mapping[str, str], display: str) -> bool:
    """Whether a process has this X display; any Wayland one where the session has none of X."""
    if not display:
        return bool(said.get("WAYLAND_DISPLAY"))
    return said.get("DISPLAY", "").partition(".")[0] == display.partition(".")[0]


def _likely(running: Iterable[Process], uid: int, logind_id: str) -> list[Process]:
    """The processes of a user, those of the very session first."""
    mine = [each for each in running if each.uid == uid]
    return sorted(mine, key=lambda each: (bool(logind_id) and logind_session(each.pid) != logind_id, each.pid))


def started(place: Place, command: Sequence[str], text: str = "") -> subprocess.Popen[bytes]:
    """Start a program as the session's user. Raises CannotDo."""
    who = account(place.uid)
    env = {**place.environment, "HOME": who.pw_dir, "USER": who.pw_name, "LOGNAME": who.pw_name, "PATH": PATH}
    try:
        program = subprocess.Popen(  # noqa: S603 - ours, never a shell's
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=env,
            cwd="/",
            user=who.pw_uid,
            group=who.pw_gid,
            extra_groups=os.getgrouplist(who.pw_name, who.pw_gid),
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise CannotDo(f"{command[0]} cannot be started in the session: {error}") from error
    assert program.stdin is not None  # noqa: S101 - for the type checker
    try:
        with program.stdin as stdin:
            stdin.write(text.encode(errors="replace"))
    except BrokenPipeError:
        log.debug("%s ended before it read.", command[0])  # its exit code tells the rest
    return program


def let_go(program: subprocess.Popen[bytes]) -> None:
    """Nobody waits for this program; its end is noted all the same."""
    threading.Thread(target=program.wait, name="let go", daemon=True).start()


def message_command(text: str, seconds: int, snooze: int) -> tuple[Sequence[str], str]:
    """How to show a message with what is installed, and what it reads from its input. Raises CannotDo."""
    more = f"Give me {snooze} more minutes"
    if shutil.which("zenity", path=PATH):
        asked = ["--question", f"--ok-label={more if snooze else 'OK'}", "--cancel-label=OK"] if snooze else ["--info"]
        return ["zenity", *asked, "--no-markup", "--title=Message", f"--text={text}", f"--timeout={seconds}"], ""
    if shutil.which("xmessage", path=PATH):
        buttons = f"OK:{10 + ANSWERED},{more}:{10 + SNOOZED}" if snooze else f"OK:{10 + ANSWERED}"
        return ["xmessage", "-center", "-buttons", buttons, "-timeout", str(seconds), "-file", "-"], text
    if shutil.which("notify-send", path=PATH) and not snooze:
        return ["notify-send", f"--expire-time={seconds * 1000}", "--", "Message", text], ""
    raise CannotDo("Nothing on this machine can show a message: install zenity or xmessage.")


def answer_of(command: Sequence[str], code: int, snooze: int) -> str:
    """What an exit code means: "snooze", "acknowledged", or "shown"."""
    if command[0] == "zenity":
        meaning = {0: "snooze" if snooze else "acknowledged", 1: "acknowledged"}
    else:
        meaning = {10 + SNOOZED: "snooze", 10 + ANSWERED: "acknowledged"}
    return meaning.get(code, "shown")


def show(place: Place, text: str, seconds: int, snooze: int) -> str:
    """Put a message on the screen; with `snooze`, wait for the answer, at most so many seconds. Raises CannotDo."""
    command, stdin = message_command(text, seconds, snooze)
    program = started(place, command, stdin)
    try:
        code = program.wait(seconds + 2 if snooze else 0.5)
    except subprocess.TimeoutExpired:
        if snooze:
            program.kill()
        let_go(program)
        return "shown"
    if code not in (0, 1, IN_TIME, 10, 11):
        raise CannotDo(f"{command[0]} could not show the message (it ended with {code}).")
    return answer_of(command, code, snooze)


def lock_command(wish: Sequence[str]) -> Sequence[str]:
    """What locks the screen: what the settings say, else the first that is installed. Raises CannotDo."""
    found = [wish] if wish else [each for each in LOCK_COMMANDS if shutil.which(each[0], path=PATH)]
    if not found:
        raise CannotDo("Nothing on this machine can lock a screen: install one, or set lock = <command>.")
    return found[0]


def lockers(running: Iterable[Process]) -> set[int]:
    """The users whose screen is locked by a program that runs only while it is."""
    return {each.uid for each in running if each.name in LOCKERS}
