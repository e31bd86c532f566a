"""What a request handler is given: `request.app[HOUSE]`."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from aiohttp import web

from gateways.program.gate import Gate
from gateways.program.registry import Clock, Registry
from gateways.program.sessions import Session
from gateways.program.settings import Settings
from gateways.program.state import State
from gateways.program.turns import Places

NEWCOMERS = 100  # whose first words have still to come, though honest ones take no time (turns.Places)


class Forwarder(Protocol):
    """Forwarded ports (gateways.program.ports)."""

    @property
    def free(self) -> int:
        """How many ports of the range nobody uses."""

    @property
    def refused(self) -> int:
        """How many connections were not let in."""

    def open(self, session: Session) -> int:
        """Listen for who may come; the port. Closed by `session.on_close`. Raises NoPort."""


@dataclass
class Figures:
    """What is only shown: in Status and in /metrics."""

    started_at: float = 0.0
    certificate: str = ""  # SHA-256 of what browsers are shown
    browsers: Callable[[], int] = int  # connections just now
    broker_reachable: bool = False
    pages: int = 0
    pages_failed: int = 0  # because the broker did not answer


@dataclass(frozen=True)
class House:
    """The parts of one gateway."""

    settings: Settings
    state: State
    clock: Clock
    registry: Registry
    gate: Gate
    ports: Forwarder
    figures: Figures = field(default_factory=Figures)
    newcomers: Places = field(default_factory=lambda: Places(NEWCOMERS))  # nobody knows yet whether they may be here


HOUSE = web.AppKey("house", House)
