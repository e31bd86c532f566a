"""The end in order: nobody new, those who are here go on for a while, the broker hears of it."""

import asyncio
import contextlib
import signal
import socket
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateways.program import health
from gateways.program.drain import drained
from tests.gateway_program.running import Program
from tests.gateway_program.scripted import Scripted
from tests.gateway_program.world import World, house_of, opening
from tests.services import wait_for


class Echo(socketserver.BaseRequestHandler):
    """Says what it hears."""

    def handle(self) -> None:
        """Until the other end has enough."""
        while said := self.request.recv(1000):
            self.request.sendall(said)


@pytest.fixture
def echo() -> Iterator[int]:
    """A desktop that answers; its port."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True  # after a failure a client is still there: nobody waits for it
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Program]:
    """A gateway that lets sessions go on for ten minutes."""
    broker = Scripted()
    broker.start()
    made = Program(broker, tmp_path / "gateway", "--drain-seconds", "600")
    made.register()
    yield made
    made.kill()
    broker.stop()


def connected(program: Program, desktop: int) -> tuple[str, socket.socket]:
    """A forwarded session that is in use; its id."""
    asked = opening(protocol="tcp", host="127.0.0.1", port=desktop, client_ip="127.0.0.1")
    port = program.control("open", asked.json()).told["port"]
    client = socket.create_connection(("127.0.0.1", port), 5)
    client.sendall(b"hello")
    assert client.recv(5) == b"hello"
    return asked.id, client


@pytest.mark.slow
def test_a_session_goes_on_until_its_user_ends_it_and_then_the_gateway_ends(patient: Program, echo: int) -> None:
    session, client = connected(patient, echo)
    waiting = opening()
    patient.control("open", waiting.json())
    patient.process.send_signal(signal.SIGTERM)
    wait_for(lambda: patient.ask("GET", "/app/system/ping").status == 503, 20, "it drains")
    assert health.main(["--broker", patient.broker.url, "--listen", f"127.0.0.1:{patient.port}"]) == 1
    client.sendall(b"still here")
    assert client.recv(10) == b"still here"
    refused = patient.control("open", opening().json())
    assert (refused.status, refused.told["error"]) == (409, "draining")
    told = patient.broker.wait_heard(
        lambda heard: bool(heard.told["draining"] and heard.told["closed"]), "told at once"
    )
    assert [each["id"] for each in told.told["closed"]] == [waiting.id]
    assert patient.ask("GET", "/").status == 200
    assert patient.process.poll() is None
    patient.control("close", {"ids": [session], "reason": "Signed out."})
    assert patient.process.wait(20) == 0
    client.close()


@pytest.mark.slow
def test_a_session_in_use_goes_on_while_the_broker_is_away(patient: Program, echo: int) -> None:
    session, client = connected(patient, echo)
    patient.broker.wait_heard(lambda heard: any(each["used_at"] for each in heard.told["sessions"]), "the use is told")
    patient.broker.stop()
    wait_for(lambda: bool(patient.logged("broker.away")), 15, "it was noticed")
    with client:
        client.sendall(b"still here")
        assert client.recv(10) == b"still here"
        patient.broker.heard.clear()
        patient.broker.start()
        told = patient.broker.wait_heard(lambda heard: heard.trusted, "it tells how things stand", 35).told
        assert [each["id"] for each in told["sessions"]] == [session]


@pytest.mark.slow
def test_a_second_signal_does_not_wait_and_the_broker_hears_of_the_end(patient: Program, echo: int) -> None:
    session, client = connected(patient, echo)
    patient.process.send_signal(signal.SIGTERM)
    wait_for(lambda: bool(patient.logged("gateway.draining")), 20, "it drains")
    patient.process.send_signal(signal.SIGTERM)
    assert patient.process.wait(20) == 0
    with client, contextlib.suppress(ConnectionResetError):
        assert client.recv(1) == b""
    last = patient.broker.heard[-1].told
    assert [(each["id"], each["by"]) for each in last["closed"]] == [(session, "gateway")]


@pytest.mark.slow
def test_without_sessions_it_waits_for_nobody_and_its_ports_are_closed(patient: Program) -> None:
    assert patient.end(signal.SIGINT) == 0
    with pytest.raises(ConnectionRefusedError):
        patient.socket()


@pytest.mark.slow
def test_it_ends_also_while_the_broker_hangs(fresh: tuple[Scripted, Program]) -> None:
    broker, program = fresh
    release = threading.Event()
    broker.answer = lambda heard: (200, {}) if release.wait(30) else (200, {})
    program.control("open", opening(seconds=1).json())
    assert program.end() == 0
    release.set()


def test_when_the_time_is_over_so_are_the_sessions(tmp_path: Path) -> None:
    world = World(tmp_path)
    used, waiting = world.registry.add(opening()), world.registry.add(opening())
    used.use("203.0.113.7", world.clock())
    house = house_of(world)

    async def run() -> None:
        await drained(house, 0.1, asyncio.Event())

    asyncio.run(run())
    assert (len(world.registry), used.reason) == (0, "The gateway was shut down.")
    assert waiting.reason == "The gateway is being shut down."
