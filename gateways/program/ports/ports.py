"""All forwarded ports of a gateway: which are listened on, for whom, until when."""

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from gateways.program.ports.engine import Engine
from gateways.program.ports.engines import engine_named
from gateways.program.ports.lease import Lease, Terms
from gateways.program.ports.limits import Limits
from gateways.program.ports.listener import ANYBODY, Listener
from gateways.program.ports.refusals import Refusals
from gateways.program.registry import Clock, Refusal
from gateways.program.sessions import Session

log = logging.getLogger(__name__)
EVERY = 0.5  # seconds between two sweeps
REST = 60.0  # seconds in which nobody else is given a port: a client may still try to come back to it
TRIES = 8  # ports that other programs hold


class NoPort(Exception):
    """No port can be had; says why."""


@dataclass(frozen=True)
class Options:
    """`engine` None: what the platform has. `refuse` is told of who was not let in (Registry.refuse)."""

    engine: Engine | None = None
    limits: Limits = Limits()
    refuse: Callable[[Refusal], None] = lambda _: None


class Ports:
    """`first` to `last`, both included, on the addresses of `host`. To be used in the event loop's thread."""

    def __init__(self, first: int, last: int, host: str, clock: Clock, options: Options | None = None) -> None:
        options = options or Options()
        self.range, self.host, self.clock = range(first, last + 1), host, clock
        self.refusals = Refusals(options.refuse, clock)
        self.terms = Terms(options.engine or engine_named("auto"), options.limits, clock, self.refusals)
        self.listeners: dict[int, Listener] = {}
        self.leases: set[Lease] = set()
        self._resting: dict[int, float] = {}  # until when

    @property
    def free(self) -> int:
        """How many ports of the range nobody has."""
        return len(self.range) - sum(port in self.range for port in self.listeners)

    @property
    def refused(self) -> int:
        """How many connections were not let in, since the start."""
        return self.refusals.count

    def open(self, session: Session) -> int:
        """Listen for who may come, until the session ends; the port (SPEC 2.3, `use_src_ip`). Raises NoPort."""
        opening = session.opening
        lease = Lease(session, self.terms)
        if opening.same_port:
            session.port = self._join(lease)
        else:
            session.port = self._listen_at(opening.listen) if opening.listen else self._listen_anywhere()
            self.listeners[session.port].leases[opening.client_ip or ANYBODY] = lease
        self.leases.add(lease)
        session.on_close.append(partial(self._closed, lease))
        return session.port

    def _join(self, lease: Lease) -> int:
        """The desktop's own port number, which several leases may share, told apart by who comes."""
        opening = lease.session.opening
        if not opening.client_ip:
            raise NoPort("The desktop's own port number can be used only with the client's address.")
        if opening.port not in self.listeners:
            self._listen(opening.port)
        leases = self.listeners[opening.port].leases
        older = leases.get(opening.client_ip)
        if older is not None and not same_desktop(older.session, lease.session):
            raise NoPort(f"From {opening.client_ip} port {opening.port} leads to another desktop already.")
        leases[opening.client_ip] = lease
        if older is not None:
            older.supersede()
        return opening.port

    def _listen_at(self, port: int) -> int:
        """The port that the broker names, as the other gateways of a cluster open the same."""
        if port not in self.range or port in self.listeners or port in self._resting:
            raise NoPort(f"Port {port} is not free here.")
        self._listen(port)
        return port

    def _listen_anywhere(self) -> int:
        """A port at random; one that was somebody's a moment ago only where there is no other."""
        idle = [port for port in self.range if port not in self.listeners]
        if not idle:
            raise NoPort(f"All {len(self.range)} ports are in use.")
        some = [port for port in idle if port not in self._resting] or idle
        for _ in range(min(TRIES, len(some))):
            port = some.pop(secrets.randbelow(len(some)))
            try:
                self._listen(port)
            except NoPort as error:
                log.warning("port.taken", extra={"why": str(error)})
            else:
                return port
        raise NoPort("Other programs hold the ports of the range.")

    def _listen(self, port: int) -> None:
        try:
            self.listeners[port] = Listener(self.host, port, self.refusals)
        except OSError as error:
            raise NoPort(f"Cannot listen on port {port}: {error.strerror}.") from None

    def _closed(self, lease: Lease) -> None:
        lease.close()
        self.leases.discard(lease)
        port = lease.session.port
        listener = self.listeners[port]
        listener.leases = {address: each for address, each in listener.leases.items() if each is not lease}
        if not listener.leases:
            listener.close()
            del self.listeners[port]
            self._resting[port] = self.clock() + REST

    def sweep(self) -> None:
        """End what is over by the clock. (The registry ends what nobody used, and what has lasted long enough.)"""
        at = self.clock()
        self._resting = {port: until for port, until in self._resting.items() if until > at}
        for lease in list(self.leases):
            lease.sweep(at)

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            self.sweep()


def same_desktop(one: Session, other: Session) -> bool:
    """Whether the same user is led to the same place."""
    a, b = one.opening, other.opening
    return (a.user, a.host, a.port) == (b.user, b.host, b.port)
