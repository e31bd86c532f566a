"""What the agent needs of an operating system. `linux/` and `windows/` each have one class that does it.

Python 3.9 is the oldest that a desktop may have (agents/program/__init__.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

# What the broker may ask; told at registration, so that it asks an older agent for nothing else.
COMMANDS = frozenset({"lock", "disconnect", "logout", "message", "shutdown", "reboot", "grant", "revoke", "timezone"})


class CannotDo(Exception):
    """The machine refuses a command; the text goes back to the broker as the command's `detail`."""


@dataclass(frozen=True)
class Session:
    """One session as the operating system shows it now.

    `number` is the system's own; `user` is "DOMAIN\\name", a UPN, or a bare name; `local` is True for an account of
    the machine itself, False for a domain's, None where nobody can tell. `idle` is in seconds, None where unknown.
    """

    number: str
    user: str
    sid: str = ""
    local: bool | None = None
    connected: bool = True
    locked: bool | None = None
    idle: int | None = None


@dataclass(frozen=True)
class Facts:
    """What a machine says of itself at registration. `fingerprint` tells it from its clones (RULES 1)."""

    hostname: str
    fingerprint: str
    boot_id: str
    booted_at: datetime
    os: str
    addresses: Sequence[str] = ()
    macs: Sequence[str] = ()
    protocols: Sequence[str] = field(default=("rdp",))
    workspace_id: str = ""
    rdp_cert_sha256: str = ""


class Machine(Protocol):
    """An operating system. Every method may block for a second or two; all raise only CannotDo.

    One exception: `do("message", …)` with `snooze` in its data returns when the person has answered, or `seconds` are
    over; the agent calls it in a thread of its own.
    """

    def facts(self) -> Facts:
        """What it is; asked at start and before each registration."""

    def sessions(self) -> list[Session]:
        """Who is there now. Called every second: it must be cheap."""

    def busy(self) -> bool:
        """Whether something says "not idle" though nobody touches anything: CPU, GPU, a process on the list."""

    def do(self, command: str, data: Mapping[str, Any]) -> str:
        """Carry out one of COMMANDS; returns how it went.

        `data["session"]` is the number of a session that was there a moment ago, for a message only where one is meant.
        A message `{"text", "seconds", "snooze": minutes}` offers that many more minutes: returns "snooze" where the
        person asks for them, else "acknowledged" or "shown".
        A time zone is `{"iana": "Asia/Calcutta", "also": ["Asia/Kolkata"], "windows": "India Standard Time"}`.
        """

    def stop_reason(self) -> str:
        """Why the agent is told to stop just now: shutdown, restart, suspend, service or upgrade (RULES 19)."""
