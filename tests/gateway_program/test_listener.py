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
    return program.ask("GET", "/app/system/ping").body == b"ok" and time.monotonic() - began < 2


@pytest.mark.slow
def test_ten_thousand_silent_connections_keep_nobody_out(
    fresh: tuple[Scripted, Program], sockets: list[socket.socket]
) -> None:
    _broker, program = fresh
    before = memory(program)
    with many_files() as count:
        for number in range(count):
            sockets.append(socket.create_connection(("127.0.0.1", program.port), 5))
            if number % 1_000 == 999:
                assert answers_at_once(program)
        assert connections(program) <= 2_000
        assert memory(program) - before < 50_000_000
        wait_for(lambda: connections(program) == 0, 15, "all of them were too slow")
        for each in sockets:
            each.close()
    assert answers_at_once(program)


@pytest.mark.slow
@pytest.mark.parametrize("said", [b"\x16\x03\x01\x02\x00", b"\x16" * 600, b"GET / HTTP/1.1\r\n\r\n"])
def test_handshakes_that_get_nowhere_keep_nobody_out(
    fresh: tuple[Scripted, Program], sockets: list[socket.socket], said: bytes
) -> None:
    _broker, program = fresh
    before = memory(program)
    with many_files():
        for number in range(2_000):
            sockets.append(socket.create_connection(("127.0.0.1", program.port), 5))
            with contextlib.suppress(OSError):
                sockets[-1].sendall(said)
            if number % 500 == 499:
                assert answers_at_once(program)
        assert connections(program) <= 600
        assert memory(program) - before < 120_000_000
        wait_for(lambda: connections(program) == 0, 15, "all of them were too slow")


@pytest.mark.slow
def test_those_who_never_end_their_request_keep_nobody_out(
    fresh: tuple[Scripted, Program], sockets: list[socket.socket]
) -> None:
    _broker, program = fresh
    with many_files():
        for number in range(1_300):
            sockets.append(program.socket())
            sockets[-1].sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ")
            if number % 400 == 399:
                assert answers_at_once(program)
        assert connections(program) <= 1_001
        wait_for(lambda: connections(program) == 0, 15, "all of them were too slow")


@pytest.mark.slow
def test_a_head_that_drips_is_cut_off(program: Program) -> None:
    with program.socket() as client:
        client.sendall(b"GET /app/system/ping HTTP/1.1\r\nHost: a\r\n")
        began = time.monotonic()
        with pytest.raises(OSError, match=r".*"):
            while time.monotonic() - began < 20:
                client.sendall(b"X-Drip: 1\r\n")
                client.settimeout(0.5)
                with contextlib.suppress(TimeoutError):
                    if client.recv(1) == b"":
                        raise ConnectionResetError
        assert 8 < time.monotonic() - began < 14


def test_a_connection_that_is_kept_serves_many_requests(program: Program) -> None:
    context = ssl._create_unverified_context()
    connection = http.client.HTTPSConnection("127.0.0.1", program.port, timeout=5, context=context)
    for _ in range(50):
        connection.request("GET", "/app/system/ping")
        assert connection.getresponse().read() == b"ok"
    connection.close()


@pytest.mark.slow
@pytest.mark.parametrize("said", [b"\r\n" * 5_000, b"G" * 100_000, b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000])
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
