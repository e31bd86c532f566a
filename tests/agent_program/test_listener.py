"""What anybody on the network can do to the agent's port: nothing, without the broker's signature."""

import contextlib
import http.client
import itertools
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from agents.keys import key_hash, wake_signature
from agents.program import listener
from agents.program.listener import Listener, Wakes, listen
from agents.program.ticks import utc_now
from tests.ports import free_port
from tests.services import wait_for

KEY = "k" * 43
DIGEST = key_hash(KEY)
NONCES = itertools.count(1)


@dataclass
class Port:
    """A running listener; `woken` counts."""

    number: int
    server: Listener
    woken: list[int] = field(default_factory=list)
    ahead: timedelta = timedelta()
    digest: bytes = bytes.fromhex(DIGEST)

    @property
    def nobody_is_there(self) -> bool:
        """Whether all places are free."""
        return self.server._places._value == listener.AT_ONCE

    def call(self, verb: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.number, timeout=5)
        try:
            connection.request(verb, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def wake(self, late: int = 0, nonce: str = "", digest: str = DIGEST, **more: Any) -> int:
        nonce = nonce or f"n{next(NONCES)}"
        when = int(utc_now().timestamp()) - late
        said = {"time": when, "nonce": nonce, "signature": wake_signature(digest, when, nonce), **more}
        return self.call("POST", "/wake", json.dumps(said).encode())[0]


@pytest.fixture(scope="module")
def listening() -> Iterator[Port]:
    number = free_port()
    made: list[Port] = []
    wakes = Wakes(lambda: made[0].digest, lambda: made[0].ahead)
    server = listen("127.0.0.1", number, wakes, lambda: made[0].woken.append(1))
    assert server is not None
    made.append(Port(number, server))
    yield made[0]
    server.shutdown()
    server.server_close()


@pytest.fixture
def port(listening: Port) -> Port:
    listening.woken, listening.ahead, listening.digest = [], timedelta(), bytes.fromhex(DIGEST)
    return listening


def test_it_says_that_it_is_there_and_little_else(port: Port) -> None:
    status, body = port.call("GET", "/status")
    assert (status, json.loads(body)["program"]) == (200, "usher-agent")
    for path in ("/", "/status/..", "/wake", "/wake?x=1"):
        assert port.call("GET", path)[0] == 404


def test_the_brokers_call_wakes_once(port: Port) -> None:
    assert (port.wake(nonce="once"), port.woken) == (204, [1])
    assert (port.wake(nonce="once"), port.woken) == (403, [1])
    assert (port.wake(nonce="another"), port.woken) == (204, [1, 1])


@pytest.mark.parametrize(
    "more",
    [
        {"late": 61}, {"late": -61}, {"digest": key_hash("other")}, {"signature": ""}, {"signature": None},
        {"signature": "é" * 64}, {"nonce": "\ud800"}, {"time": "1"}, {"time": True}, {"time": 1e400}, {"time": 10**30},
    ],
)  # fmt: skip
def test_what_is_not_the_brokers_of_this_minute_is_refused(port: Port, more: dict[str, Any]) -> None:
    if more.get("nonce"):
        body = {"time": int(utc_now().timestamp()), "signature": "0" * 64, **more}
        assert port.call("POST", "/wake", json.dumps(body).encode())[0] == 403
    else:
        assert port.wake(**more) == 403
    assert port.woken == []


def test_a_wrong_clock_is_corrected_by_the_brokers(port: Port) -> None:
    port.ahead = timedelta(hours=-2)  # we are two hours slow, and know it
    assert port.wake(late=-7200) == 204
    assert port.wake() == 403


def test_without_a_key_nobody_can_wake(port: Port) -> None:
    port.digest = b""
    assert port.wake(digest="") == 403


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 1900])
def test_nonsense_is_refused(port: Port, body: bytes) -> None:
    assert port.call("POST", "/wake", body)[0] == 403


def test_large_bodies_are_not_read(port: Port) -> None:
    assert port.call("POST", "/wake", b"x" * 3000)[0] == 413
    for length in ("-1", "x", "1e3", "9" * 30):
        with socket.create_connection(("127.0.0.1", port.number), 5) as caller:
            caller.sendall(f"POST /wake HTTP/1.1\r\nContent-Length: {length}\r\n\r\n".encode())
            assert b"413" in caller.recv(100)


def test_who_says_nothing_keeps_nobody_out(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    """More silent callers than there are places: they are hung up on after a while, and the broker gets through."""
    monkeypatch.setattr(listener.Answer, "timeout", 0.3)
    silent = [socket.create_connection(("127.0.0.1", port.number), 5) for _ in range(40)]
    assert all(caller.recv(1) == b"" for caller in silent[-10:])
    wait_for(lambda: port.nobody_is_there, 20, "the silent ones are gone")
    assert port.wake() == 204
    for caller in silent:
        caller.close()


def test_who_drips_keeps_nobody_out(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "LONGEST", 0.5)
    with socket.create_connection(("127.0.0.1", port.number), 5) as caller:
        caller.settimeout(0.1)
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - began < 4 and not ended(caller):
                caller.sendall(b"G")
        assert time.monotonic() - began < 4
    wait_for(lambda: port.nobody_is_there, 20, "the place is free")


def ended(caller: socket.socket) -> bool:
    """Whether the other end hung up, seen within the time-out."""
    try:
        return caller.recv(1) == b""
    except TimeoutError:
        return False


def test_a_port_that_is_taken_stops_nothing(port: Port) -> None:
    assert listen("127.0.0.1", port.number, port.server.wakes, lambda: None) is None
