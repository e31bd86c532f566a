"""What only the endpoint process does: hold polls, limit, lose patience, outlive its neighbours (DESIGN 8)."""

import http.client
import json
import socket
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError, connection
from psycopg_pool import AsyncConnectionPool

from agents.endpoint import bell, database, ear, reading, server
from agents.limits import Limits
from agents.models import Agent
from agents.services import command
from broker.core import messenger
from broker.embedded import tls
from tests import make
from tests.agents.machine import Machine, token_for
from tests.agents.server import PLENTY, Running, Said, committed, endpoint
from tests.services import wait_for

pytestmark = pytest.mark.slow  # real seconds pass here
threads = ThreadPoolExecutor(4)


@pytest.fixture(scope="module")
def db(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with committed(django_db_blocker):
        yield


@pytest.fixture(scope="module")
def running(db: None) -> Iterator[Running]:
    with endpoint() as made:
        wait_for(lambda: made.endpoint.ear.hears, 5, "the endpoint listens to Redis")
        yield made


def machine_at(door: Running) -> Machine:
    center = make.center()
    made = Machine(token_for(center), make.desktop(center), door=door.send)
    assert made.register().status_code == 201
    return made


def poll(door: Running, machine: Machine, wait: int) -> "Future[tuple[Said, float]]":
    """A poll that is held now, and how long it took."""
    before = len(door.endpoint.waiters)

    def asked() -> tuple[Said, float]:
        begun = time.monotonic()
        said = door.send("GET", f"commands?wait={wait}", None, machine.key)
        return said, time.monotonic() - begun

    future = threads.submit(asked)
    wait_for(lambda: len(door.endpoint.waiters) > before or future.done(), 5, "the poll is held")
    return future


def test_a_held_poll_is_answered_the_moment_a_command_is_queued(running: Running, monkeypatch: Any) -> None:
    monkeypatch.setattr(ear, "HEARING", 60.0)  # by Redis alone
    machine = machine_at(running)
    held = poll(running, machine, 20)
    asked = time.monotonic()
    wanted = command(machine.row, "lock", "a test")
    said, _took = held.result(5)
    assert said.json() == {"commands": [{"id": wanted.pk, "type": "lock", "data": {}}]}
    assert time.monotonic() - asked < 1


def test_a_poll_that_nobody_wakes_is_answered_in_time_and_is_a_sign_of_life(running: Running) -> None:
    machine = machine_at(running)
    Agent.objects.filter(pk=machine.row.pk).update(last_seen=None, silent=True)
    said, took = poll(running, machine, 1).result(5)
    assert said.json() == {"commands": []}
    assert 0.9 < took < 3
    row = machine.row
    assert not row.silent
    assert row.last_seen
    assert row.polling_until


def test_a_newer_poll_of_the_same_agent_ends_the_older_one(running: Running) -> None:
    machine = machine_at(running)
    first = poll(running, machine, 20)
    second = threads.submit(running.send, "GET", "commands?wait=1", None, machine.key)
    said, _took = first.result(5)
    assert said.json() == {"commands": [], "retry_after": 30}
    assert second.result(5).json() == {"commands": []}
    wait_for(lambda: machine.row.pk not in running.endpoint.waiters.agents(), 2, "nobody waits")


def test_who_waits_for_approval_is_held_too_and_gets_nothing(running: Running) -> None:
    machine = machine_at(running)
    Agent.objects.filter(pk=machine.row.pk).update(approved=False)
    held = poll(running, machine, 1)
    command(machine.row, "lock", "a test")
    said, _took = held.result(5)
    assert said.json() == {"commands": []}


@pytest.mark.parametrize("hung", [False, True], ids=["away", "hung"])
def test_without_redis_a_command_is_found_by_a_look(db: None, hung: bool, monkeypatch: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1] if hung else 1
        monkeypatch.setattr(settings, "REDIS_URL", f"redis://127.0.0.1:{port}/0")
        monkeypatch.setattr(messenger, "_away_until", 0.0)
        with endpoint() as here:
            machine = machine_at(here)
            held = poll(here, machine, 20)
            wanted = command(machine.row, "lock", "a test")
            said, took = held.result(10)
            assert [each["id"] for each in said.json()["commands"]] == [wanted.pk]
            assert took < 6
            assert not here.endpoint.ear.hears
            assert here.ask("GET", "/healthz").content == b"ok"
            said, took = poll(here, machine_at(here), 1).result(5)
            assert (said.json(), took < 3) == ({"commands": []}, True)


def test_beyond_its_places_polls_are_answered_at_once(db: None) -> None:
    with endpoint(connections=2) as here:  # nine tenths of two: one place
        machines = [machine_at(here) for _ in range(2)]
        first = poll(here, machines[0], 20)
        second = here.send("GET", "commands?wait=20", None, machines[1].key)
        assert second.json() == {"commands": [], "retry_after": 30}
        assert not first.done()
        extra = [socket.create_connection(("127.0.0.1", here.port), 5) for _ in range(3)]
        assert b"" in [each.recv(1) for each in extra[1:]]  # the connections beyond are closed at once
        for each in extra:
            each.close()
    said, _took = first.result(5)  # the endpoint ended, and answered it before
    assert said.json() == {"commands": []}


def test_an_agent_that_asks_too_often_is_told_to_slow_down(db: None) -> None:
    with endpoint(Limits(calls=0.5, events=1, registrations=PLENTY)) as here:
        machine, other = machine_at(here), machine_at(here)
        said = [here.send("GET", "commands", None, machine.key) for _ in range(6)]
        assert [each.status_code for each in said] == [200] * 5 + [429]
        assert said[-1].json()["error"] == "slow_down"
        assert 1 <= int(said[-1].headers["retry-after"]) <= 2
        told = [other.send(*[other.event("lock") for _ in range(15)]) for _ in range(3)]
        assert [each.status_code for each in told] == [202, 202, 429]
        assert int(told[-1].headers["retry-after"]) >= 10
        assert here.send("GET", "commands", None, other.key).status_code == 200


def test_bad_tokens_end_the_registrations_of_an_address_soon(db: None) -> None:
    with endpoint(Limits(PLENTY, PLENTY, registrations=2)) as here:
        machine = machine_at(here)
        bad = [Machine("nonsense", machine.desktop, door=here.send).register() for _ in range(6)]
        assert [each.status_code for each in bad] == [401] * 4 + [429] * 2
        assert machine.register().status_code == 429
        assert here.send("GET", "commands", None, machine.key).status_code == 200


def read_all(peer: socket.socket) -> bytes:
    peer.settimeout(10)
    parts = []
    while part := peer.recv(65536):
        parts.append(part)
    return b"".join(parts)


def test_slow_and_endless_requests_end(db: None, monkeypatch: Any) -> None:
    monkeypatch.setattr(server, "HEADERS_WITHIN", 0.3)
    monkeypatch.setattr(reading, "WITHIN", 0.3)
    with endpoint() as here:
        for begun, ends in (
            (b"", b""),
            (b"GET /agent/v1/ca HTTP/1.1\r\nHost: x\r\nX-Slow: ", b""),
            (b"POST /agent/v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{", b"too_slow"),
            (b"POST /agent/v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n{", b"too_large"),
            (b"GET /agent/v1/ca HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 20_000, b"bad_request"),
            (b"nonsense\r\n\r\n", b"bad_request"),
        ):
            with socket.create_connection(("127.0.0.1", here.port), 5) as peer:
                peer.sendall(begun)
                said = read_all(peer)
            assert ends in said
            assert bool(said) == bool(ends)
            if said:
                assert json.loads(said.partition(b"\r\n\r\n")[2])["detail"]


def test_a_tls_handshake_that_does_not_come_ends(db: None, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(server, "HEADERS_WITHIN", 0.3)
    tls.make_certificate(tmp_path / "tls.crt", tmp_path / "tls.key", ["127.0.0.1"])
    with endpoint(certificate=tmp_path / "tls.crt", key=tmp_path / "tls.key") as here:
        with socket.create_connection(("127.0.0.1", here.port), 5) as peer:
            assert read_all(peer) == b""
        trusting = ssl.create_default_context(cafile=str(tmp_path / "agent-ca.pem"))
        secure = http.client.HTTPSConnection("127.0.0.1", here.port, timeout=5, context=trusting)
        secure.request("GET", "/healthz")
        assert secure.getresponse().status == 200
        secure.close()


def test_many_large_bodies_at_once_do_not_fill_the_memory(db: None, monkeypatch: Any) -> None:
    monkeypatch.setattr(reading, "HELD", 300_000)
    with endpoint() as here:
        machine = machine_at(here)
        head = b"POST /agent/v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n"
        slow = [socket.create_connection(("127.0.0.1", here.port), 5) for _ in range(3)]
        for peer in slow:
            peer.sendall(head + b" " * 100_000)
        wait_for(lambda: here.endpoint.application.bodies.held >= 300_000, 5, "the slow ones are read")
        refused = here.send("POST", "events", b" " * 100_000)
        assert (refused.status_code, refused.json()["error"]) == (503, "unavailable")
        assert machine.send(machine.event("login")).status_code == 202  # what is small goes on
        for peer in slow:
            peer.close()
        wait_for(lambda: here.endpoint.application.bodies.held == 0, 5, "nothing is in hand")


def test_an_endpoint_of_which_a_part_fails_ends(db: None, monkeypatch: Any) -> None:
    def broken() -> None:
        raise RuntimeError("no more")

    monkeypatch.setattr(bell, "wake", broken)
    with endpoint() as here:
        machine_at(here)
        wait_for(lambda: here.endpoint.server.should_exit, 5, "the endpoint ends")


def test_connections_that_postgresql_ended_cost_no_call(running: Running) -> None:
    machine = machine_at(running)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert cursor.fetchall()
    for _ in range(5):
        assert running.send("GET", "commands", None, machine.key).status_code == 200


def test_while_the_database_is_away_agents_are_asked_to_come_again(db: None, monkeypatch: Any) -> None:
    nowhere = {"host": "127.0.0.1", "port": 1, "connect_timeout": 1}
    made: Any = lambda: AsyncConnectionPool(kwargs=nowhere, min_size=0, max_size=1, timeout=0.3, open=False)  # noqa: E731
    monkeypatch.setattr(server, "new_pool", made)
    with endpoint() as here:
        said = here.send("GET", "commands?wait=20", None, "x" * 43)
        assert (said.status_code, said.json()["error"], said.headers["retry-after"]) == (503, "unavailable", "5")
        assert here.ask("GET", "/healthz").content == b"ok"


def test_a_machine_that_registers_while_the_database_is_away_is_asked_to_come_again(
    running: Running, monkeypatch: Any
) -> None:
    def away(*_: object) -> None:
        raise OperationalError("the database system is in recovery mode")

    monkeypatch.setattr(database, "register", away)
    said = running.send("POST", "register", {"token": "x" * 43, "boot_id": "b", "hostname": "h"}, "")
    assert (said.status_code, said.json()["error"]) == (503, "unavailable")


def test_probes_and_figures(running: Running, monkeypatch: Any) -> None:
    machine_at(running)
    figures = running.ask("GET", "/metrics").content.decode()
    assert 'usher_agent_calls_total{call="register",status="201"}' in figures
    assert "usher_agent_polls_held" in figures
    assert 'usher_up{part="database"} 1.0' in figures
    assert running.ask("GET", "/metrics", headers={"X-Forwarded-For": "10.0.0.1"}).status_code == 403
    monkeypatch.setattr(settings, "METRICS_TOKEN", "scrape")
    assert running.ask("GET", "/metrics").status_code == 403
    assert running.ask("GET", "/metrics", headers={"Authorization": "Bearer scrape"}).status_code == 200
    for path in ("/", "/desktops/", "/readyz", "/agent/v2/events"):
        assert running.ask("GET", path).json()["error"] == "not_found"
