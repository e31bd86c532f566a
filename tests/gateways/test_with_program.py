"""The real program before the real broker: registered, passed through, opened, used up, withdrawn, started anew."""

import contextlib
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from pytest_django.live_server_helper import LiveServer

from broker.core.models import LogEntry
from gateways import checks
from gateways.models import Gateway, GatewayCluster, Tunnel
from gateways.program.rdp.cleanpath import FORBIDDEN, GENERAL
from gateways.services import choose, close_tunnels, new_id, open_tunnel, token_for
from gateways.wire import Opening
from tests import make
from tests.gateway_program.knocking import DOORS, desktop, knock, knocking
from tests.gateway_program.running import Answer, Program
from tests.gateway_program.scripted import Scripted
from tests.gateway_program.world import ORIGIN
from tests.gateways.conftest import all_answered
from tests.services import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
HERE = "127.0.0.1"


class Real(Scripted):
    """The broker that is under test, where `Program` expects a scripted one."""

    address = ""

    @property
    def url(self) -> str:
        """Where it listens."""
        return self.address


@pytest.fixture
def real(live_server: LiveServer) -> Scripted:
    """The broker."""
    made = Real()
    made.address = live_server.url
    make.defaults()
    return made


@pytest.fixture
def programs(real: Scripted, tmp_path: Path) -> Iterator[list[Program]]:
    """Two gateways of it, not registered yet."""
    made = [Program(real, tmp_path / name) for name in ("one", "two")]
    yield made
    for each in made:
        each.kill()
    all_answered()


def registered(program: Program, name: str, cluster: GatewayCluster | None = None) -> Gateway:
    """As after Save, and heard from."""
    row = Gateway.objects.create(name=name, address=f"{HERE}:{program.port}", cluster=cluster)
    wait_for(lambda: bool(program.logged("broker.pinned")), 5, "the broker's key is known")
    assert checks.check(row) == f"{name} answers."
    wait_for(lambda: Gateway.objects.get(pk=row.pk).beat_at > 0, 5, "it has spoken by itself")
    row.refresh_from_db()
    assert row.is_up
    return row


@contextlib.contextmanager
def passing_on(program: Program, tls: tuple[Path, Path]) -> Iterator[int]:
    """Somebody with a certificate of their own who passes on whatever comes to a gateway; the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*tls)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = listener.accept()
                threading.Thread(target=pass_on, args=(caller,), daemon=True).start()

    def pass_on(caller: socket.socket) -> None:
        with contextlib.suppress(OSError), context.wrap_socket(caller, server_side=True) as near:  # noqa: SIM117
            with program.socket() as far:
                threading.Thread(target=pour, args=(far, near), daemon=True).start()
                pour(near, far)

    with socket.create_server((HERE, 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


def pour(source: socket.socket, target: socket.socket) -> None:
    """Until one of them is gone."""
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)


def test_a_hello_that_somebody_passes_on_does_not_rename_a_gateway(
    programs: list[Program], tls: tuple[Path, Path]
) -> None:
    edge = programs[0]
    row = registered(edge, "Edge")
    with passing_on(edge, tls) as port:
        false = Gateway.objects.create(name="False", address=f"{HERE}:{port}")
        assert "opens the TLS connection" in checks.check(false)
        false.refresh_from_db()
        assert not false.public_key
    assert len(edge.logged("gateway.registered")) == 1
    assert checks.check(row) == "Edge answers."


def test_with_one_certificate_for_all_a_hello_that_reaches_the_wrong_gateway_renames_nobody(
    real: Scripted, tls: tuple[Path, Path], tmp_path: Path
) -> None:
    """Its name leads to another gateway now, or somebody passes it on as it is: TLS tells no difference."""
    files = ["--cert", str(tls[0]), "--key", str(tls[1])]
    with contextlib.ExitStack() as stack:
        one, two = (Program(real, tmp_path / name, *files) for name in ("one", "two"))
        stack.callback(all_answered)
        for each in (one, two):
            stack.callback(each.kill)
        first, second = registered(one, "One"), registered(two, "Two")
        assert first.certificate_sha256 == second.certificate_sha256
        first.address = second.address
        assert "another key" in checks.check(first)
        unknown = Gateway.objects.create(name="Three", address=second.address)
        assert "registered already, as “Two”" in checks.check(unknown)
        assert len(two.logged("gateway.registered")) == 1
        assert open_tunnel(choose(second), opening(), subject="launch:4").tunnels[0].gateway == second


def opening(**fields: Any) -> Opening:
    """A viewer session at nothing that answers, or what is said."""
    usual: dict[str, Any] = {"protocol": "vnc", "host": HERE, "port": 9, "user": "user:5", "seconds": 60}
    return Opening(**{"id": new_id(), "origin": ORIGIN, "client_ip": HERE, **usual, **fields})


def test_a_person_signs_in_at_the_gateways_address(programs: list[Program]) -> None:
    (edge, *_), base = programs, f"https://{HERE}:{programs[0].port}"
    registered(edge, "Edge")
    make.grant(make.user("dora"), role=make.role(), policy=make.default_policy())
    headers = {"Host": base.removeprefix("https://"), "Origin": base, "Referer": f"{base}/"}
    first = edge.ask("GET", "/", headers=headers)
    (hidden,) = set(re.findall(rb'name="csrfmiddlewaretoken" value="(\w+)"', first.body))
    form = urlencode({"csrfmiddlewaretoken": hidden.decode(), "login": "dora", "password": make.PASSWORD})
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    said = edge.ask("POST", "/", form, {**headers, **kind, "Cookie": cookies(first)})
    assert (said.status, said.headers["Location"]) == (302, "/desktops/")
    assert all("Secure" in each for each in said.headers.get_all("Set-Cookie") or [])
    assert b"Dora" in edge.ask("GET", "/desktops/", headers={**headers, "Cookie": cookies(said)}).body


def cookies(answer: Answer) -> str:
    """What a browser sends back."""
    return "; ".join(each.partition(";")[0] for each in answer.headers.get_all("Set-Cookie") or [])


def test_a_token_is_good_once_and_at_this_gateway_alone(programs: list[Program]) -> None:
    first, _second = (registered(each, name) for each, name in zip(programs, ("One", "Two"), strict=True))
    opened = open_tunnel(choose(first), opening(), subject="launch:4")
    token = token_for(opened)
    assert "does not hold" in knock(programs[1], "vnc", token)["error"]
    assert "does not answer" in knock(programs[0], "vnc", token)["error"]  # it is not there
    assert "ended" in knock(programs[0], "vnc", token)["error"]
    wait_for(lambda: Tunnel.objects.get().closed_at is not None, 5, "the broker hears of the end")
    assert Tunnel.objects.get().used_at is not None


def test_of_two_gateways_that_hold_an_opening_one_may_use_it_at_every_door(programs: list[Program]) -> None:
    cluster = GatewayCluster.objects.create(name="Both", address=HERE, balance=GatewayCluster.Balance.ALL)
    for each, name in zip(programs, ("One", "Two"), strict=True):
        registered(each, name, cluster)
    for door in DOORS:
        with desktop() as behind:
            asked = opening(protocol=door, port=behind.port, login="alice", password="x")
            opened = open_tunnel(choose(cluster), asked, subject="launch:4")
            assert len(opened.tunnels) == 2
            token, before = token_for(opened), len(programs[1].logged("session.refused"))
            with knocking(programs[0], door, token):
                wait_for(lambda behind=behind: behind.count == 1, 10, "the first one comes")  # type: ignore[misc]
                answer = knock(programs[1], door, token)
                assert answer.get("http") == FORBIDDEN if door == "rdp" else answer["code"] == "ended"
                assert knock(programs[0], door, token).get("code") in (GENERAL, "used")
            assert behind.count == 1
            why = programs[1].logged("session.refused")[before]["why"]
            assert re.search("another gateway|went through One", why)  # asked, or told before it could ask
    told = LogEntry.objects.filter(event="gateway.refused")
    wait_for(lambda: told.filter(message__contains="Two let nobody in").count() >= 1, 5, "the broker hears of it")


def test_what_is_withdrawn_ends_within_a_second(programs: list[Program]) -> None:
    gateway = registered(programs[0], "Edge")
    with socket.create_server((HERE, 0)) as desktop:
        asked = opening(protocol="tcp", origin="", port=desktop.getsockname()[1])
        opened = open_tunnel(choose(gateway), asked, subject="launch:4")
        client = socket.create_connection((HERE, opened.port), 5)
        client.sendall(b"hello")
        there, _address = desktop.accept()
        there.settimeout(5)
        assert there.recv(5) == b"hello"
        there.sendall(b"welcome")
        assert client.recv(7) == b"welcome"
        wait_for(lambda: Tunnel.objects.get().used_at is not None, 5, "the broker hears of the use")
        began = time.monotonic()
        assert close_tunnels("The desktop was released.", subjects=["launch:4"]) == 1
        client.settimeout(5)
        with client, there, contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""
        assert time.monotonic() - began < 1
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HERE, opened.port), 5)


def test_a_killed_gateway_is_not_chosen_and_comes_back_as_itself(programs: list[Program], real: Scripted) -> None:
    gateway = registered(programs[0], "Edge")
    programs[0].kill()
    checks.check(gateway)
    gateway.refresh_from_db()
    assert (gateway.is_up, gateway.state) == (False, "offline")
    again = Program(real, programs[0].data)
    programs.append(again)
    Gateway.objects.update(address=f"{HERE}:{again.port}")
    gateway.refresh_from_db()
    assert checks.check(gateway) == "Edge answers."
