"""Sessions of systemd-logind: its state files, read every second, and `loginctl` for what they do not hold."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from agents.program.linux.proc import asked
from agents.program.machine import CannotDo

FOLDER = Path("/run/systemd/sessions")
GRAPHICAL = ("x11", "wayland", "mir")
PROPERTIES = ("Id", "LockedHint", "IdleHint", "IdleSinceHintMonotonic")


@dataclass(frozen=True)
class LogindSession:
    """One state file."""

    id: str
    uid: int
    user: str
    active: bool
    closing: bool
    type: str
    kind: str
    service: str
    display: str
    leader: int

    @property
    def counts(self) -> bool:
        """Whether a person sits (or sat) before it: no greeter, no cron job, no ssh, and not on its way out."""
        return self.kind.startswith("user") and not self.closing and self.type in GRAPHICAL


@dataclass(frozen=True)
class Hints:
    """What the desktop told logind. `idle_since` is in microseconds of the monotonic clock; None: not idle."""

    locked: bool
    idle_since: int | None


def sessions(folder: Path = FOLDER) -> list[LogindSession]:
    """All sessions that logind knows; [] where it does not run. Raises CannotDo where they cannot be read."""
    try:
        names = sorted(path.name for path in folder.iterdir() if path.name.isalnum())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise CannotDo(f"{folder} cannot be read: {error}") from error
    found = (_session(folder / name) for name in names)
    return [each for each in found if each is not None]


def _session(path: Path) -> LogindSession | None:
    said = state_file(path)
    if not said.get("UID", "").isdecimal():
        return None
    return LogindSession(
        id=path.name,
        uid=int(said["UID"]),
        user=said.get("USER", ""),
        active=said.get("ACTIVE") == "1",
        closing=said.get("STATE") == "closing",
        type=said.get("TYPE", ""),
        kind=said.get("CLASS", "user"),
        service=said.get("SERVICE", ""),
        display=said.get("DISPLAY", ""),
        leader=int(said["LEADER"]) if said.get("LEADER", "").isdecimal() else 0,
    )


def state_file(path: Path) -> dict[str, str]:
    """A file of NAME=value lines as systemd writes it; {} where it is gone."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return {}
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def hints(ids: Iterable[str]) -> dict[str, Hints]:
    """What `loginctl` says of these sessions, in one call. Raises CannotDo."""
    wanted = list(ids)
    return parse_hints(asked(["loginctl", "show-session", *wanted, f"--property={','.join(PROPERTIES)}"]))


def parse_hints(text: str) -> dict[str, Hints]:
    """The blocks of `loginctl show-session`, one a session."""
    found = {}
    for block in text.split("\n\n"):
        said = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        since = said.get("IdleSinceHintMonotonic", "")
        idle = int(since) if said.get("IdleHint") == "yes" and since.isdecimal() else None
        if said.get("Id"):
            found[said["Id"]] = Hints(said.get("LockedHint") == "yes", idle)
    return found


def parse_list(text: str) -> list[str]:
    """The ids in `loginctl list-sessions --output=json`. Raises CannotDo where it is no such list."""
    try:
        return [str(each["session"]) for each in json.loads(text)]
    except (ValueError, TypeError, KeyError) as error:
        raise CannotDo("loginctl prints no list of sessions.") from error
