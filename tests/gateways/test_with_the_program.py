"""Broker and gateway program together, each as it is: registration, a port, revocation, death, return, renewal."""

import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from broker.core import jobs
from broker.core.models import Job, LogEntry
from broker.demo.directory import certificates
from gateways import checks
from gateways.jobs import HANDLERS
from gateways.models import Gateway, Tunnel
from gateways.services import Down, choose, close_tunnels, new_id, open_tunnel, traffic_since
from gateways.wire import Opening
from tests import make
from tests.gateway_program.running import Program
from tests.gateways.conftest import all_answered
from tests.services import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@dataclass
class Address:
    """What the program is told of its broker."""

    url: str


@contextmanager
def program(broker: str, data: Path, *more: str) -> Iterator[Program]:
    """The gateway program; killed at the end."""
    running = Program(Address(broker), data, *more)  # type: ignore[arg-type]  # it needs nothing but the address
    try:
        yield running
    finally:
        running.kill()
        all_answered()


def save(admin: Client, running: Program, name: str = "Edge") -> Gateway:
    """Setup > Gateways > Add Gateway, and Save."""
    wait_for(lambda: bool(running.logged("broker.pinned")), 10, "the broker's key is known")
    address = f"127.0.0.1:{running.port}"
    fields = {"name": name, "address": address, "address_private": "", "use_src_ip": "2", "notes": ""}
    response = admin.post("/setup/gateways/add/", fields)
    assert response.status_code == 303, response.context["form"].errors
    return Gateway.objects.get(name=name)


def echoing() -> socket.socket:
    """A desktop that says everything once more."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                caller = listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=talk, args=(caller,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    return listener


def talk(caller: socket.socket) -> None:
    """Until the other side is gone."""
    with caller:
        try:
            while heard := caller.recv(65_536):
                caller.sendall(heard)
        except OSError:
            return


def port_to(desktop: socket.socket, **more: Any) -> Opening:
    """A forwarded port to that desktop."""
    fields: dict[str, Any] = {
        "id": new_id(), "protocol": "tcp", "host": "127.0.0.1", "port": desktop.getsockname()[1], "user": "user:5",
        "seconds": 60, "client_ip": "127.0.0.1", **more,
    }  # fmt: skip
    return Opening(**fields)


def row_of(token: str) -> Tunnel:
    return Tunnel.objects.get(token_id=token)


def test_a_port_from_registration_to_revocation(live_server: Any, tmp_path: Path) -> None:
    make.defaults()
    admin = make.admin_client(Client())
    with echoing() as desktop, program(live_server.url, tmp_path) as running:
        gateway = save(admin, running)
        assert gateway.is_up and gateway.certificate_sha256 == running.logged("gateway.ready")[0]["certificate"]
        wait_for(lambda: Gateway.objects.filter(beat_at__gt=0).exists(), 10, "it speaks")
        assert Gateway.objects.get().forward_to == live_server.url
        opened = open_tunnel(choose(gateway), port_to(desktop), subject="launch:4")
        with socket.create_connection((opened.host, opened.port), 5) as way:
            way.sendall(b"x" * 5_000)
            got = b""
            while len(got) < 5_000:
                got += way.recv(65_536)
            wait_for(lambda: row_of(opened.id).used_at is not None, 3, "its use is told")
            began = time.monotonic()
            assert close_tunnels("The desktop was released.", subjects=["launch:4"]) == 1
            way.settimeout(5)
            assert ended(way)
            assert time.monotonic() - began < 1
        wait_for(lambda: row_of(opened.id).bytes_out >= 5_000, 5, "its bytes are told")
        row = row_of(opened.id)
        assert (row.close_reason, row.closed_by, row.client_ip) == ("The desktop was released.", "broker", "127.0.0.1")
        assert row.told_at and row.bytes_in >= 5_000
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((opened.host, opened.port), 5)


def ended(way: socket.socket) -> bool:
    """Whether the other side has hung up."""
    try:
        return way.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_gateway_that_is_killed_and_one_that_returns(live_server: Any, tmp_path: Path) -> None:
    make.defaults()
    admin = make.admin_client(Client())
    with echoing() as desktop:
        with program(live_server.url, tmp_path / "a") as first, program(live_server.url, tmp_path / "b") as second:
            one, two = save(admin, first), save(admin, second, "Edge 2")
            wait_for(lambda: Gateway.objects.filter(beat_at__gt=0).count() == 2, 10, "both speak")
            opened = open_tunnel(choose(one), port_to(desktop), subject="launch:4")
            with socket.create_connection((opened.host, opened.port), 5) as way:
                way.sendall(b"hello")
                assert way.recv(5) == b"hello"
                wait_for(lambda: traffic_since("launch:4") is not None, 15, "bytes are told")
                first.kill()
            assert "refused" in checks.check(one)
            with pytest.raises(Down, match="does not answer"):
                choose(one)
            again = open_tunnel(choose(two), port_to(desktop), subject="launch:4")  # the same desktop, one click later
            assert again.tunnels[0].gateway == two
            assert row_of(opened.id).closed_at is None  # it may be the network: sessions are given time
        with program(live_server.url, tmp_path / "a", "--listen", f"127.0.0.1:{first.port}") as returned:
            assert returned.port == first.port
            wait_for(lambda: row_of(opened.id).closed_at is not None, 10, "what died with it is told")
            assert row_of(opened.id).close_reason == "The gateway was started anew."
            wait_for(lambda: Job.objects.filter(kind="gateway_status", state="pending").exists(), 5, "it is asked for")
            jobs.work({"gateway_status": HANDLERS["gateway_status"]})
            assert choose(one).gateways == (one,)
    events = LogEntry.objects.filter(event__in=["gateway.up", "gateway.down"], subject=f"gateway:{one.pk}")
    assert list(events.order_by("pk").values_list("event", flat=True)) == ["gateway.up", "gateway.down", "gateway.up"]


def test_a_gateway_that_drains_is_not_chosen(live_server: Any, tmp_path: Path) -> None:
    make.defaults()
    admin = make.admin_client(Client())
    with echoing() as desktop, program(live_server.url, tmp_path, "--drain-seconds", "4") as running:
        gateway = save(admin, running)
        wait_for(lambda: Gateway.objects.filter(beat_at__gt=0).exists(), 10, "it speaks")
        opened = open_tunnel(choose(gateway), port_to(desktop), subject="launch:4")
        with socket.create_connection((opened.host, opened.port), 5) as way:
            way.sendall(b"hello")
            assert way.recv(5) == b"hello"
            running.process.terminate()
            wait_for(lambda: Gateway.objects.get().draining, 5, "it says so")
            with pytest.raises(Down, match="is being shut down and takes no new connections"):
                choose(gateway)
            way.sendall(b"still")
            assert way.recv(5) == b"still"
        running.process.wait(15)
        assert row_of(opened.id).closed_at is not None


def test_a_certificate_that_is_renewed_is_trusted_without_anybody(live_server: Any, tmp_path: Path) -> None:
    make.defaults()
    admin = make.admin_client(Client())
    old, new = (certificates.ensure(tmp_path / name, ["127.0.0.1"]) for name in ("old", "new"))
    files = ["--cert", str(old.certificate), "--key", str(old.key)]
    with echoing() as desktop, program(live_server.url, tmp_path / "data", *files) as running:
        gateway = save(admin, running)
        wait_for(lambda: Gateway.objects.filter(beat_at__gt=0).exists(), 10, "it speaks")
        old.certificate.write_bytes(new.certificate.read_bytes())
        old.key.write_bytes(new.key.read_bytes())
        running.process.send_signal(signal.SIGHUP)
        before = gateway.certificate_sha256
        wait_for(lambda: Gateway.objects.get().certificate_sha256 != before, 15, "the new one is pinned")
        assert open_tunnel(choose(gateway), port_to(desktop), subject="launch:4").port
    assert LogEntry.objects.filter(event="gateway.pinned").count() == 2
