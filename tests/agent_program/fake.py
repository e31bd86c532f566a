"""An operating system made of lists, for the parts of the agent that are the same on all."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agents.program.client import Client
from agents.program.link import Link
from agents.program.machine import CannotDo, Facts, Session
from agents.program.settings import Settings
from agents.program.spool import Spool
from agents.program.state import State
from agents.program.tell import Pace, Teller


@dataclass
class FakeMachine:
    """Does what a test says; remembers what it was asked to do."""

    hostname: str = "WSAMZN-1"
    workspace_id: str = ""
    fingerprint: str = "print-1"
    boot_id: str = "boot-1"
    there: list[Session] = field(default_factory=list)
    done: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    refuses: str = ""
    is_busy: bool = False

    def facts(self) -> Facts:
        booted = datetime(2026, 11, 1, tzinfo=UTC)
        more = {"workspace_id": self.workspace_id, "addresses": ["10.0.0.1"]}
        return Facts(self.hostname, self.fingerprint, self.boot_id, booted, "Debian 12", **more)  # type: ignore[arg-type]

    def sessions(self) -> list[Session]:
        return list(self.there)

    def busy(self) -> bool:
        return self.is_busy

    def do(self, command: str, data: Mapping[str, Any]) -> str:
        self.done.append((command, dict(data)))
        if self.refuses:
            raise CannotDo(self.refuses)
        return "done"

    def stop_reason(self) -> str:
        return "service"


def alice(**more: Any) -> Session:
    """A session of the usual user."""
    return Session(**{"number": "2", "user": "CORP\\alice", **more})


def link_of(settings: Settings, machine: FakeMachine) -> Link:
    """What calls the broker."""
    return Link(settings, machine, State(settings.state), Client(settings, settings.state))


def teller_of(settings: Settings, machine: FakeMachine) -> Teller:
    """What tells it."""
    spool = Spool(settings.state / "spool.jsonl", machine.boot_id)
    return Teller(link_of(settings, machine), spool, list, Pace())


def settings_for(url: str, token: str, state: Path, **more: Any) -> Settings:
    """What an administrator would write."""
    return Settings(**{"broker": url, "token": token, "state": state, "port": 0, **more})
