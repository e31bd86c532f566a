"""A port that is listened on: it knows who may come, by address, and sends everybody else away at once."""

import asyncio
import logging
import socket

from gateways.program.ports import pacing
from gateways.program.ports.engine import reset
from gateways.program.ports.lease import Lease
from gateways.program.ports.refusals import Refusals

log = logging.getLogger(__name__)
BACKLOG = 128
TURNS = 32  # connections taken before the others of this process have their turn
PAUSE = 1.0  # seconds, when no file can be opened any more
ANYBODY = ""


class Listener:
    """Leases by the address that may come; ANYBODY is the one without a filter."""

    __slots__ = ("leases", "lost", "refusals", "socket")

    def __init__(self, host: str, port: int, refusals: Refusals) -> None:
        """Raises OSError where the port cannot be had."""
        self.leases: dict[str, Lease] = {}
        self.refusals = refusals
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        both = host == "::" and socket.has_dualstack_ipv6()
        self.socket = socket.create_server((host, port), family=family, backlog=BACKLOG, dualstack_ipv6=both)
        self.socket.setblocking(False)
        self.lost = pacing.unpaced(self.socket)
        self._listen()

    def _listen(self) -> None:
        if self.socket.fileno() >= 0:
            asyncio.get_running_loop().add_reader(self.socket.fileno(), self._accept)

    def close(self) -> None:
        """Listen no more: whoever comes is answered with RST by the kernel."""
        asyncio.get_running_loop().remove_reader(self.socket.fileno())
        self.socket.close()

    def _accept(self) -> None:
        for _ in range(TURNS):
            try:
                client, peer = self.socket.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                log.error("port.accept", extra={"why": str(error)})
                asyncio.get_running_loop().remove_reader(self.socket.fileno())
                asyncio.get_running_loop().call_later(PAUSE, self._listen)
                return
            client.setblocking(False)
            pacing.give_back(client, self.lost)
            self._admit(client, plain(peer[0]))

    def _admit(self, client: socket.socket, address: str) -> None:
        lease = self.leases.get(address) or self.leases.get(ANYBODY)
        if lease is not None:
            lease.admit(client, address)
        else:
            reset(client)
            only = next(iter(self.leases.values())).session.id if len(self.leases) == 1 else ""
            self.refusals.note("The port is not open to this address.", address, only)


def plain(address: str) -> str:
    """A peer's address as everybody writes it: an IPv4 one that came to an IPv6 socket is still an IPv4 one."""
    return address.partition("%")[0].removeprefix("::ffff:")
