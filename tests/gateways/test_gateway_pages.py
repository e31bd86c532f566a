"""Setup > Gateways through HTTP, and the check that says why one is offline."""

import http.server
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from broker.core import jobs
from broker.core.clock import now
from broker.core.models import Job, LogEntry
from broker.demo.directory import certificates
from gateways import services
from gateways.jobs import HANDLERS
from gateways.models import Gateway
from plans.models import ProtocolChoice, ProtocolPlan
from tests import make

LIST = "/setup/gateways/"
ADD = f"{LIST}add/"


@pytest.fixture(autouse=True)
def database(db: None) -> None:
    """Every test here uses the database."""


@pytest.fixture
def admin(client: Client) -> Client:
    return make.admin_client(client)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Certificate and key of a gateway."""
    made = certificates.ensure(tmp_path_factory.mktemp("gateway"), ["localhost", "127.0.0.1"])
    return made.certificate, made.key


@contextmanager
def web_server(tls: tuple[Path, Path] | None, text: str = "ok", status: int = 200) -> Iterator[int]:
    """Something that answers everything with one text; its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def gateway(**fields: Any) -> Gateway:
    return Gateway.objects.create(
        **{"name": "Edge", "address": "127.0.0.1", "address_private": "127.0.0.1:9", **fields}
    )


def typed(**changes: Any) -> dict[str, Any]:
    """The form as somebody fills it in."""
    return {"name": "Edge", "address": "gw.example.test", "address_private": "127.0.0.1:9", "use_src_ip": "0",
            "notes": "", **changes}  # fmt: skip


def words(response: Any) -> str:
    """What is to be read on a page."""
    return " ".join(re.sub(r"<[^>]*>", " ", response.content.decode()).replace("&#x27;", "'").split())


def test_a_saved_gateway_says_that_it_is_offline_and_why(admin: Client) -> None:
    page = words(admin.get(ADD))
    assert "Public IP address or FQDN for use in Protocol Plans" in page
    assert "IP address or FQDN used for Connection Broker communications to this Gateway" in page
    response = admin.post(ADD, typed(), follow=True)
    assert response.redirect_chain == [(LIST, 303)]
    assert "Offline" in words(response) and "Nothing answers at 127.0.0.1:9" in words(response)
    assert "Offline" in words(admin.get(f"{LIST}{Gateway.objects.get().pk}/"))
    assert LogEntry.objects.filter(event="gateway.down").count() == 1


BAD = [
    ("name", "", "is needed"),
    ("address", "", "is needed"),
    ("address", "https://gw.example.test/", "web address"),
    ("address", "gw example", "neither a host name nor an IP address"),
    ("address", "10.0.0.300", "not an IP address"),
    ("address_private", "10.0.0.1:99999", "not a port"),
    ("address_private", "https://10.0.0.1", "web address"),
]


def test_bad_input_is_refused_beside_its_field(admin: Client) -> None:
    for field, value, why in BAD:
        response = admin.post(ADD, typed(**{field: value}))
        assert why in " ".join(response.context["form"].errors[field]), value
    assert not Gateway.objects.exists()


def test_a_gateway_that_answers_is_online(admin: Client, tls: tuple[Path, Path]) -> None:
    with web_server(tls) as port:
        admin.post(ADD, typed(address_private=f"127.0.0.1:{port}"))
        row = Gateway.objects.get()
        assert (row.state, row.reason, len(row.certificate_sha256)) == ("online", "", 64)
        assert "Edge answers." in words(admin.post(f"{LIST}{row.pk}/check/", follow=True))
    assert "is refused" in words(admin.post(f"{LIST}{row.pk}/check/", follow=True))
    logged = LogEntry.objects.filter(event__startswith="gateway.").order_by("id")
    assert list(logged.values_list("event", flat=True)) == ["gateway.up", "gateway.down"]


def test_another_certificate_is_noticed(tls: tuple[Path, Path]) -> None:
    with web_server(tls) as port:
        row = gateway(address_private=f"127.0.0.1:{port}", certificate_sha256="0" * 64)
        assert services.check(row) == "It shows another certificate than the last time."


def test_what_is_no_gateway_is_named(tls: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "SECONDS", 0.2)
    with web_server(tls, "<html>", 404) as port:
        assert "is not a gateway: it said 404" in services.ping("127.0.0.1", port).trouble
    with web_server(None) as port:
        assert "does not speak TLS" in services.ping("127.0.0.1", port).trouble
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert "within" in services.ping("127.0.0.1", silent.getsockname()[1]).trouble
    assert "not known to the name server" in services.ping("no-such-host.invalid", 443).trouble


def test_the_check_repeats_itself_every_minute() -> None:
    row = gateway()
    services.ask_for_check(row)
    services.ask_for_check(row)
    assert jobs.work(HANDLERS) == 1
    done, following = Job.objects.order_by("pk")
    assert (done.state, following.state, following.key) == ("finished", "pending", f"gateway_status:{row.pk}")
    assert timedelta(seconds=50) < following.run_at - now() < timedelta(seconds=61)
    row.delete()
    Job.objects.filter(pk=following.pk).update(run_at=now())
    jobs.work(HANDLERS)
    following.refresh_from_db()
    assert (following.state, following.reason) == ("cancelled", "The gateway is gone.")


def test_a_gateway_in_a_protocol_plan_is_not_deleted(admin: Client) -> None:
    row = gateway()
    plan = ProtocolPlan.objects.create(name="Through Edge")
    choice = ProtocolChoice.objects.create(plan=plan, client="web", protocol="rdp", gateway=row)
    response = admin.post(f"{LIST}{row.pk}/delete/")
    assert response.status_code == 409 and "Through Edge" in words(response)
    choice.delete()
    assert admin.post(f"{LIST}{row.pk}/delete/").status_code == 303


def test_permissions(client: Client) -> None:
    row = gateway()
    assert make.client_with(client, centers="edit").get(LIST).status_code == 403
    viewer = make.client_with(Client(), gateways="view")
    assert viewer.get(LIST).status_code == 200 and viewer.get(f"{LIST}{row.pk}/").status_code == 200
    assert viewer.post(f"{LIST}{row.pk}/", typed()).status_code == 403
    assert viewer.post(f"{LIST}{row.pk}/check/").status_code == 403


def test_the_list_costs_the_same_for_many(admin: Client, django_assert_max_num_queries: Any) -> None:
    gateway()
    admin.get(LIST)
    with django_assert_max_num_queries(12) as few:
        admin.get(LIST)
    for number in range(30):
        gateway(name=f"Edge {number}")
    with django_assert_max_num_queries(12) as many:
        admin.get(f"{LIST}?per_page=100")
    assert len(many) == len(few)
