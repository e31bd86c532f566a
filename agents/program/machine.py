"""What the agent needs of an operating system. `linux/` and `windows/` each have one class that does it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol


class CannotDo(Exception):
    """The machine refuses a command; the text goes back to the broker as the command's `detail`."""


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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
    """An operating system. Every method may block for a second or two, none for longer; all raise only CannotDo."""

    def facts(self) -> Facts:
        """What it is; asked at start and before each registration."""

    def sessions(self) -> list[Session]:
        """Who is there now. Called every second: it must be cheap."""

    def busy(self) -> bool:
        """Whether something says "not idle" though nobody touches anything: CPU, GPU, a process on the list."""

    def do(self, command: str, data: Mapping[str, Any]) -> str:
        """Carry out lock, disconnect, logout, message, shutdown, reboot, grant or revoke; returns how it went."""
