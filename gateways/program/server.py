"""All parts of a gateway put together: one event loop, from the first connection to the end of the last session."""

import asyncio
import contextlib
import logging
import resource
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from aiohttp import web, web_response
from aiohttp.typedefs import Handler

from gateways.program import VERSION, control, doors, pages
from gateways.program.broker import Broker
from gateways.program.drain import drained
from gateways.program.gate import Gate
from gateways.program.heartbeat import Heartbeat
from gateways.program.house import HOUSE, Figures, House
from gateways.program.listener import Listener, Room, watch
from gateways.program.ports import Options, Ports
from gateways.program.ports.engines import engine_named
from gateways.program.rdp import serve as rdp
from gateways.program.registry import Clock, Registry
from gateways.program.screen import serve as screen
from gateways.program.screen.folders import clear
from gateways.program.settings import BadSettings, Settings
from gateways.program.ssh import serve as ssh
from gateways.program.state import State
from gateways.program.tls import Certificate
from gateways.program.vnc import serve as vnc

log = logging.getLogger(__name__)
KEEP_ALIVE = 75  # seconds; a balancer in front keeps its connections
LINGER = 2  # seconds in which who is sent away while sending may read why
HEAD_LIMIT = 16_384  # bytes of a header, and of the request line
FAREWELL = 2.0  # seconds for handlers to let go, and again for the last word to the broker
SWEEP = 0.5  # seconds between two looks for sessions that are over
# Nobody is told of what versions we are made, not even who sends no HTTP.
web_response.SERVER_SOFTWARE = "usher-gateway"  # type: ignore[attr-defined]
# GET /viewer/v1/<protocol>: a WebSocket whose handler asks the gate (house.gate.admit) before it opens anything.
VIEWERS: Mapping[str, Handler] = {"rdp": rdp.serve, "vnc": vnc.serve, "ssh": ssh.serve, "screen": screen.serve}


def application(house: House, broker: Broker) -> web.Application:
    """Every address of a gateway."""
    app = web.Application(client_max_size=control.BODY_LIMIT, middlewares=[watch, true_address])
    app[HOUSE], app[pages.BROKER], app[pages.CROWD] = house, broker, pages.Crowd()
    control.routes(app)
    for protocol, serve in VIEWERS.items():
        app.router.add_get(f"/viewer/v1/{protocol}", serve, allow_head=False)
    app.router.add_post("/viewer/v1/why", doors.why)
    app.router.add_get("/app/system/ping", doors.ping)
    app.router.add_get("/metrics", doors.figures)
    app.router.add_route("*", "/{page:.*}", pages.serve)
    return app


@web.middleware
async def true_address(request: web.Request, handler: Handler) -> web.StreamResponse:
    """IPv4 as IPv4, also where we listen on [::]."""
    remote = request.remote or ""
    if remote.startswith("::ffff:"):
        request = request.clone(remote=remote.removeprefix("::ffff:"))
    return await handler(request)


@dataclass(frozen=True)
class Gateway:
    """Made by `build`."""

    house: House
    broker: Broker
    ports: Ports
    certificate: Certificate
    heartbeat: Heartbeat


def build(settings: Settings, clock: Clock = time.time) -> Gateway:
    """The parts, not yet running. Inside the event loop. Raises BadSettings, BadState, OSError."""
    state, certificate = State(settings.data), Certificate(settings)
    broker = Broker(settings, state, clock)
    registry = Registry(settings.limits, clock)
    options = Options(engine_named(settings.engine), refuse=registry.refuse)
    ports = Ports(settings.first_port, settings.last_port, settings.host, clock, options)
    figures = Figures(started_at=clock(), certificate=certificate.sha256)
    gate = Gate(state, registry, broker.redeem, clock)
    house = House(settings, state, clock, registry, gate, ports, figures)
    return Gateway(house, broker, ports, certificate, Heartbeat(house, broker))


async def serve(settings: Settings) -> bool:
    """Until SIGTERM or SIGINT, and then until the sessions are over; False where a part of it failed.

    Raises BadSettings, BadState, OSError.
    """
    files = open_files()
    gateway = build(settings)
    clear(settings.data)
    house = gateway.house
    stop = Stop(gateway)
    runner = web.AppRunner(
        application(house, gateway.broker), access_log=None, keepalive_timeout=KEEP_ALIVE, shutdown_timeout=FAREWELL,
        lingering_time=LINGER, max_line_size=HEAD_LIMIT, max_field_size=HEAD_LIMIT, auto_decompress=False,
    )  # fmt: skip
    await runner.setup()
    assert runner.server is not None  # noqa: S101 - for the type checker
    listener = Listener(runner.server, gateway.certificate.context, Room(all=min(settings.connections, files // 2)))
    house.figures.browsers = listener.__len__
    port = listener.listen(settings.host, settings.port)
    log.info("gateway.ready", extra={"version": VERSION, "port": port, "certificate": house.figures.certificate})
    with beside(stop, gateway):
        await stop.asked.wait()
        log.info("gateway.draining", extra={"sessions": len(house.registry), "seconds": settings.drain_seconds})
        await drained(house, settings.drain_seconds, stop.at_once)
    listener.close()
    await runner.cleanup()
    await gateway.heartbeat.last(FAREWELL)
    await gateway.broker.close()
    log.info("gateway.ended")
    return not stop.failed


class Stop:
    """Signals: the first one asks for the end, the second one does not wait; SIGHUP reads the certificate anew."""

    def __init__(self, gateway: Gateway) -> None:
        self.asked, self.at_once, self._gateway = asyncio.Event(), asyncio.Event(), gateway
        self.failed = False
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.ask)
        loop.add_signal_handler(signal.SIGHUP, self.reload)

    def ask(self) -> None:
        """Drain, or end at once where we do already."""
        (self.at_once if self.asked.is_set() else self.asked).set()

    def reload(self) -> None:
        """A certificate that cannot be read leaves the old one in use."""
        certificate = self._gateway.certificate
        try:
            certificate.load()
        except BadSettings as error:
            log.error("certificate.bad", extra={"why": str(error)})
            return
        self._gateway.house.figures.certificate = certificate.sha256
        self._gateway.house.registry.news.set()
        log.info("certificate.loaded", extra={"certificate": certificate.sha256})


@contextlib.contextmanager
def beside(stop: Stop, gateway: Gateway) -> Iterator[None]:
    """What runs all the time. Where one of these fails, we end, and are started anew."""

    def over(task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            log.critical("gateway.failed", exc_info=task.exception())
            stop.failed = True
            stop.asked.set()

    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(each) for each in (gateway.heartbeat.run(), gateway.ports.run(), sweep(gateway.house))]
    for task in tasks:
        task.add_done_callback(over)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()


async def sweep(house: House) -> None:
    """Look for sessions that nobody used, or that have lasted long enough."""
    while True:
        house.registry.sweep()
        await asyncio.sleep(SWEEP)


def open_files() -> int:
    """How many descriptors we may have: as many as the system lets us."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
