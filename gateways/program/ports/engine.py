"""What an engine is: it joins two sockets and passes bytes on, both ways, until both sides are done."""

import socket
import struct
from typing import Protocol

from gateways.program.sessions import By


class Watcher(Protocol):
    """Who is told what passes. Nothing is called after `done`."""

    def came(self, count: int) -> None:
        """Bytes from the client."""

    def went(self, count: int) -> None:
        """Bytes from the desktop."""

    def half(self) -> None:
        """One side will send no more; the other may."""

    def done(self, by: By) -> None:
        """Both sockets are closed; `by` is who was first to end it: "user" or "desktop"."""


class Link(Protocol):
    """Two joined sockets."""

    def cut(self) -> None:
        """Close both at once, what is in flight is dropped; `done` is not called."""


class Engine(Protocol):
    """`join` takes the sockets over: non-blocking, connected. Half-close and reset are passed on as they come."""

    name: str

    def join(self, client: socket.socket, desktop: socket.socket, watcher: Watcher) -> Link:
        """Begin, in the running event loop."""


def hard(connection: socket.socket) -> None:
    """Let its close be an RST: the other end knows at once, and what was not sent yet is dropped."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:  # its other end has reset it already, or it is closed
        return


def reset(connection: socket.socket) -> None:
    """Close it with RST."""
    hard(connection)
    connection.close()
