"""A lease: where a port leads to for those who may come, and who is there now. It lives as long as its session."""

import asyncio
import logging
import socket
from dataclasses import dataclass

from gateways.program.ports import pacing
from gateways.program.ports.connection import Connection
from gateways.program.ports.engine import Engine, reset
from gateways.program.ports.limits import Limits, Pace
from gateways.program.ports.refusals import Refusals
from gateways.program.registry import Clock
from gateways.program.sessions import By, Session
from gateways.wire import destination

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Terms:
    """What all leases of a gateway have in common."""

    engine: Engine
    limits: Limits
    clock: Clock
    refusals: Refusals


class Lease:
    """In use while a client that has said something is there."""

    __slots__ = ("connections", "left_at", "left_by", "pace", "session", "superseded", "terms")

    def __init__(self, session: Session, terms: Terms) -> None:
        self.session, self.terms = session, terms
        self.pace = Pace(terms.limits, terms.clock())
        self.connections: list[Connection] = []  # the oldest first
        self.superseded = False  # another one takes whoever comes now
        self.left_at = 0.0  # when the last client left, and who ended that:
        self.left_by: By = "user"

    def admit(self, client: socket.socket, address: str) -> None:
        """Somebody who may come has come: dial the desktop, or send them away."""
        at = self.terms.clock()
        if not self.pace.allows(address, at):
            self._refuse(client, address, "Too many connections in a short time.")
        elif not self._has_room():
            self._refuse(client, address, f"All {self.session.opening.connections} connections are in use.")
        else:
            connection = Connection(self, client, address, at)
            self.connections.append(connection)
            self.session.connections = len(self.connections)
            connection.dialling = asyncio.create_task(self._dial(connection))

    def _has_room(self) -> bool:
        """The oldest one that has said nothing yet makes room: who only holds places takes none from others."""
        if len(self.connections) < self.session.opening.connections:
            return True
        silent = next((each for each in self.connections if not each.heard), None)
        if silent is not None:
            self._drop(silent)
        return silent is not None

    def _refuse(self, client: socket.socket, address: str, why: str) -> None:
        reset(client)
        self.terms.refusals.note(why, address, self.session.id)

    async def _dial(self, connection: Connection) -> None:
        opening = self.session.opening
        desktop = socket.socket(socket.AF_INET6 if ":" in opening.host else socket.AF_INET)
        desktop.setblocking(False)
        lost = pacing.unpaced(desktop)
        try:
            async with asyncio.timeout(self.terms.limits.dial):
                await asyncio.get_running_loop().sock_connect(desktop, (opening.host, opening.port))
            pacing.give_back(desktop, lost)
            for each in (connection.client, desktop):
                prepare(each, self.terms.limits.silent)
        except OSError:
            desktop.close()
            self.connections.remove(connection)
            self.session.connections = len(self.connections)
            where = destination(opening.host, opening.port)
            self._refuse(connection.client, connection.address, f"The desktop {where} does not answer.")
        except asyncio.CancelledError:
            desktop.close()
            raise
        else:
            connection.dialling = None
            connection.link = self.terms.engine.join(connection.client, desktop, connection)

    def used(self, connection: Connection) -> None:
        """A client has said something, and the desktop has answered: that is use."""
        self.session.use(connection.address, self.terms.clock())

    def left(self, connection: Connection, by: By) -> None:
        """A connection is over."""
        self.connections.remove(connection)
        self.session.connections = len(self.connections)
        if connection.heard:
            self.left_at, self.left_by = self.terms.clock(), by
        if self.superseded:
            self._end_superseded()

    def _drop(self, connection: Connection) -> None:
        connection.cut()
        self.left(connection, "gateway")

    def supersede(self) -> None:
        """A newer lease takes the port: who is here stays, nobody comes any more."""
        self.superseded = True
        self._end_superseded()

    def _end_superseded(self) -> None:
        if not self.connections:
            self.session.close("The same desktop was connected to again.", "user", self.terms.clock())

    def sweep(self, at: float) -> None:
        """Cut what is stuck; end the session when nobody has been there for as long as it may wait."""
        for connection in [each for each in self.connections if each.stuck(at, self.terms.limits)]:
            self._drop(connection)
        waits = self.session.opening.seconds
        in_use = any(each.heard for each in self.connections)
        if self.session.used_at and not in_use and at >= self.left_at + waits:
            self.session.close(f"Nobody was connected for {waits} seconds.", self.left_by, at)

    def close(self) -> None:
        """Its session has ended: cut everybody."""
        for connection in self.connections:
            connection.cut()
        self.connections.clear()
        self.session.connections = 0


def prepare(connection: socket.socket, silent: int) -> None:
    """No waiting for more to send; and the kernel ends it when the other end has been silent for so many seconds."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    options = {"TCP_KEEPIDLE": silent // 2, "TCP_KEEPINTVL": max(1, silent // 8), "TCP_KEEPCNT": 4}
    for name, value in {**options, "TCP_USER_TIMEOUT": silent * 1000}.items():
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
