"""What a request handler is given: `request.app[HOUSE]`."""

from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from gateways.program.gate import Gate
from gateways.program.registry import Clock, Registry
from gateways.program.sessions import Session
from gateways.program.settings import Settings
from gateways.program.state import State


class Forwarder(Protocol):
    """Forwarded ports (gateways.program.ports)."""

    @property
    def free(self) -> int:
        """How many ports of the range nobody uses."""

    def open(self, session: Session) -> int:
        """Listen for who may come; the port. Closed by `session.on_close`. Raises NoPort."""


@dataclass(frozen=True)
class House:
    """The parts of one gateway."""

    settings: Settings
    state: State
    clock: Clock
    registry: Registry
    gate: Gate
    ports: Forwarder


HOUSE = web.AppKey("house", House)
