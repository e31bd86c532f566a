"""Half-open, slow and garbled connections cost little, end soon, and keep nobody else out."""

import contextlib
import http.client
import resource
import secrets
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateways.program.listener import Pen
from tests.gateway_program.running import Program
from tests.gateway_program.scripted import Scripted
from tests.services import wait_for

ROOM = 10_000
OURS = 5  # connections of the test itself that may stand at a time


@contextlib.contextmanager
def many_files() -> Iterator[int]:
    """As many descriptors as the machine lets us have; how many connections that makes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield min(ROOM, hard - 2_000)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    """Closed in the end."""
    made: list[socket.socket] = []
    yield made
    for each in made:
        each.close()


def memory(program: Program) -> int:
    """Bytes that it holds."""
    text = Path(f"/proc/{program.process.pid}/statm").read_text()
    return int(text.split()[1]) * resource.getpagesize()


def connections(program: Program) -> int:
    """As the gateway counts them, without the one that asks."""
    for line in program.ask("GET", "/metrics").body.decode().splitlines():
        if line.startswith("usher_gateway_browser_connections "):
            return int(line.split()[1]) - 1
    raise AssertionError("no such figure")


def answers_at_once(program: Program) -> bool:
    """Whether somebody who means it is served."""
    began = time.monotonic()
    return program.ask("GET", "/app/system/ping").body == b"ok" and time.monotonic() - began < 5


class Flood:
    """Connections of somebody who does not mean it; between them, somebody who does is served at once."""

    def __init__(self, program: Program, sockets: list[socket.socket]) -> None:
        self.program, self.sockets = program, sockets

    def come(self, count: int, said: bytes = b"", *, shake: bool = False) -> None:
        """So many, each saying this, after the handshake or in its place."""
        for number in range(count):
            one = self.program.socket() if shake else socket.create_connection(("127.0.0.1", self.program.port), 5)
            self.sockets.append(one)
            with contextlib.suppress(OSError):
                one.sendall(said)
            if number % 500 == 499:
                assert answers_at_once(self.program)


@pytest.mark.slow
def test_ten_thousand_half_open_connections_keep_nobody_out_and_cost_little(
    fresh: tuple[Scripted, Program], sockets: list[socket.socket]
) -> None:
    _broker, program = fresh
    before, flood = memory(program), Flood(program, sockets)
    with many_files() as count:
        flood.come(count - 5_500)
        assert connections(program) <= 2_000 + OURS
        assert memory(program) - before < 50_000_000
        flood.come(2_000, b"\x16" * 600)
        flood.come(2_000, b"GET / HTTP/1.1\r\n\r\n")
        flood.come(500, b"\x16\x03\x01\x02\x00")
        assert connections(program) <= 2_500 + OURS
        assert memory(program) - before < 150_000_000
        flood.come(1_200, b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ", shake=True)
        assert len(sockets) >= min(count, ROOM)
        assert connections(program) <= 3_500 + OURS
        assert memory(program) - before < 300_000_000
        wait_for(lambda: connections(program) <= OURS, 60, "all of them were too slow")


@pytest.mark.slow
def test_a_head_that_drips_is_cut_off(program: Program) -> None:
    with program.socket() as client:
        client.sendall(b"GET /app/system/ping HTTP/1.1\r\nHost: a\r\n")
        began = time.monotonic()
        with pytest.raises(OSError, match=r".*"):
            while time.monotonic() - began < 50:
                client.sendall(b"X-Drip: 1\r\n")
                client.settimeout(0.5)
                with contextlib.suppress(TimeoutError):
                    if client.recv(1) == b"":
                        raise ConnectionResetError
        assert 8 < time.monotonic() - began < 20


def test_a_connection_that_is_kept_serves_many_requests(program: Program) -> None:
    context = ssl._create_unverified_context()
    connection = http.client.HTTPSConnection("127.0.0.1", program.port, timeout=5, context=context)
    for _ in range(50):
        connection.request("GET", "/app/system/ping")
        assert connection.getresponse().read() == b"ok"
    connection.close()


@pytest.mark.parametrize("said", [b"G" * 100_000, b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000])
def test_endless_heads_end(program: Program, said: bytes) -> None:
    with program.socket() as client, contextlib.suppress(OSError):
        client.sendall(said)
        client.settimeout(15)
        assert client.recv(100)[9:10] in (b"4", b"")
    assert answers_at_once(program)


def test_garbage_in_tls_ends_nothing(program: Program) -> None:
    for _ in range(50):
        with program.socket() as client, contextlib.suppress(OSError):
            client.sendall(secrets.token_bytes(200) + b"\r\n\r\n")
            client.recv(100)
    assert answers_at_once(program)
    assert program.logged("gateway.failed") == []


def test_old_tls_is_refused(program: Program) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    with context.wrap_socket(socket.create_connection(("127.0.0.1", program.port), 5)) as client:
        assert client.version() == "TLSv1.2"
    with pytest.warns(DeprecationWarning):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", program.port), 5) as raw, pytest.raises(OSError, match=r".*"):
        context.wrap_socket(raw)


def test_the_oldest_makes_room_and_the_late_go() -> None:
    dropped: list[str] = []
    pen: Pen[str] = Pen(2, 10, dropped.append)
    for at, name in enumerate("abc"):
        pen.add(name, at)
    assert dropped == ["a"]
    pen.remove("b")
    pen.sweep(11.9)
    assert dropped == ["a"]
    pen.sweep(12)
    assert (dropped, len(pen)) == (["a", "c"], 0)


@pytest.mark.slow
def test_connections_that_are_kept_open_for_nothing_make_room(
    broker: Scripted, tmp_path: Path, sockets: list[socket.socket]
) -> None:
    small = Program(broker, tmp_path / "gateway", "--connections", "20")
    try:
        for _ in range(40):
            one = small.socket()
            sockets.append(one)
            one.sendall(b"GET /app/system/ping HTTP/1.1\r\nHost: a\r\n\r\n")
            assert one.recv(1_000).startswith(b"HTTP/1.1 200")
        assert answers_at_once(small)
        newest = sockets[-1]
        newest.sendall(b"GET /app/system/ping HTTP/1.1\r\nHost: a\r\n\r\n")
        assert newest.recv(1_000).startswith(b"HTTP/1.1 200")
        assert connections(small) <= 20
    finally:
        small.kill()
