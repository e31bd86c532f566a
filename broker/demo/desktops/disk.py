"""What is on a simulated machine's disk: it outlives stop and start, and a rebuild wipes it (RULES 1, 3)."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

IMAGE_UUID = "0c0ffee0-0000-4000-8000-0000000000aa"  # baked into the image, so that every machine is born with it
SPOOL_LIMIT = 1000


@dataclass
class Session:
    """One session of the operating system. `idle_since` is in seconds of the machine's clock."""

    number: str
    user: str
    sid: str = ""
    connected: bool = True
    locked: bool = False
    idle_since: float | None = None
    since: float = 0.0


@dataclass
class Disk:
    """The agent's state and, so that a second start of the demo goes on where the first stopped, what was running.

    An empty `boot_id` is a machine that is off. `spool` holds events that the broker has not taken yet.
    """

    address: str = ""
    uuid: str = IMAGE_UUID
    key: str = ""
    boot_id: str = ""
    booted_at: str = ""
    seq: int = 0
    next_session: int = 2
    sessions: list[Session] = field(default_factory=list)
    spool: list[dict[str, Any]] = field(default_factory=list)
    rights: list[dict[str, str]] = field(default_factory=list)  # who was granted to log on (RULES 29)
    time_zone: str = ""  # that the broker set
    shown: str = ""  # the last message that the broker put on its screen


def load(path: Path) -> Disk:
    """The disk of a machine; as the image made it where there is none, or where it cannot be read."""
    try:
        held = json.loads(path.read_text())
        sessions = [Session(**each) for each in held.pop("sessions")]
        return Disk(**held, sessions=sessions)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return Disk()


def save(disk: Disk, path: Path) -> None:
    """Write it in one step, mode 600: it holds the agent's key."""
    write(path, json.dumps(asdict(disk)))


def write(path: Path, text: str) -> None:
    """Write a private file; a reader sees the old one or the new one, never a part."""
    fresh = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)
