"""Ports of this process alone: tests run side by side, and some look whether a port is closed."""

import atexit
import socket
from contextlib import ExitStack, suppress

# Below those that the system gives out by itself, above those of an instance's own gateway.
BEGIN, SIZE, SLOTS = 20_200, 1_550, 8
_held = ExitStack()
atexit.register(_held.close)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody else is given while this process lives.

    It is bound, and nobody listens there. A server may bind it besides: servers set SO_REUSEADDR, as we do here.
    """
    holder = _held.enter_context(socket.socket())
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    return int(holder.getsockname()[1])


def _claimed() -> int:
    """The number of a slot that no other process has; its first port, listened on, says so."""
    for number in range(SLOTS):
        with suppress(OSError):
            _held.enter_context(socket.create_server(("127.0.0.1", BEGIN + number * SIZE)))
            return number
    raise OSError(f"{SLOTS} processes run tests with ports already.")


SLOT = _claimed()
_first = BEGIN + SLOT * SIZE
PROGRAM = range(_first + 10, _first + 50)  # of the gateway programs that tests start one after the other
VIEWER = range(_first + 50, _first + 70)  # of the two that stand before the viewer's stage
MANY = range(_first + 100, _first + SIZE)  # of forwarders in this process, or in one that it starts and weighs
