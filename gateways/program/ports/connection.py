"""One client at a forwarded port, from its coming to its end."""

import asyncio
import socket
from typing import Protocol

from gateways.program.ports.engine import Link, reset
from gateways.program.ports.limits import Limits
from gateways.program.sessions import By, Session


class Host(Protocol):
    """The lease that a connection is of."""

    session: Session

    def used(self, connection: "Connection") -> None:
        """The client has said something for the first time."""

    def left(self, connection: "Connection", by: By) -> None:
        """It is over."""


class Connection:
    """What passes is counted here: an engine's Watcher. Times are Unix seconds."""

    __slots__ = ("address", "client", "dialling", "halved", "heard", "host", "link", "moved", "seen", "since")

    def __init__(self, host: Host, client: socket.socket, address: str, since: float) -> None:
        self.host, self.client, self.address = host, client, address
        self.since = since  # when it came; once one side is done, when something was last seen to move
        self.dialling: asyncio.Task[None] | None = None
        self.link: Link | None = None  # None: the desktop has not answered yet
        self.heard = self.halved = False
        self.moved, self.seen = 0, -1  # bytes both ways: now, and when `stuck` last looked

    def came(self, count: int) -> None:
        """From the client."""
        self.moved += count
        self.host.session.bytes_in += count
        if not self.heard:
            self.heard = True
            self.host.used(self)

    def went(self, count: int) -> None:
        """From the desktop."""
        self.moved += count
        self.host.session.bytes_out += count

    def half(self) -> None:
        """One side will send no more: from now on something has to move."""
        self.halved = True

    def done(self, by: By) -> None:
        """The engine has closed it."""
        self.host.left(self, by)

    def stuck(self, at: float, limits: Limits) -> bool:
        """Whether nothing will come of it: the client says nothing, or one side is done and nothing moves."""
        if not self.heard:
            return at >= self.since + limits.first_byte
        if self.halved and self.seen != self.moved:
            self.seen, self.since = self.moved, at
        return self.halved and at >= self.since + limits.half_closed

    def cut(self) -> None:
        """Close it at once; nobody is told."""
        if self.dialling is not None:
            self.dialling.cancel()
        if self.link is not None:
            self.link.cut()
        else:
            reset(self.client)
