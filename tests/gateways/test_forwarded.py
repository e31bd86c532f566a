"""Pages that a gateway passes on: its signature tells who asks and where, and nobody else's word does."""

import re
import time
from typing import Any

import pytest
from django.http import HttpRequest
from django.test import Client, RequestFactory

from broker.connect.models import PortalSession
from broker.core.models import LogEntry
from broker.core.net import client_address, from_loopback
from gateways.middleware import Forwarded
from gateways.models import Gateway, GatewayCluster
from gateways.services import came_by
from gateways.wire import Call, Visit, sign_forward
from policies.models import Location
from tests import make
from tests.gateways.scripted import Scripted

pytestmark = pytest.mark.django_db
CLIENT = "203.0.113.7"
HOST = "gw.example.test:8443"
FRONT = "10.0.0.2:8000"  # what stands before the broker


class Passing(Client):
    """A browser in front of a gateway, which passes its requests on as the program does."""

    def __init__(self, gateway: Gateway, scripted: Scripted, **defaults: Any) -> None:
        super().__init__(**defaults)
        self.gateway, self.key = str(gateway.uid), scripted.key
        self.client_ip, self.host, self.at = CLIENT, HOST, 0.0

    def request(self, **environ: Any) -> Any:
        """As the broker receives it behind a front of its own, which puts its own address into the headers."""
        query = environ.get("QUERY_STRING") or ""
        path = environ["PATH_INFO"] + (f"?{query}" if query else "")
        call = Call(environ["REQUEST_METHOD"], path)
        passed = {
            "HTTP_X_USHER_GATEWAY": sign_forward(
                self.key, self.gateway, Visit(self.client_ip, self.host), call, at=self.at or time.time()
            ),
            "HTTP_X_FORWARDED_HOST": FRONT, "HTTP_X_FORWARDED_PROTO": "https", "HTTP_HOST": FRONT,
            "REMOTE_ADDR": "10.0.0.3",
        }  # fmt: skip
        return super().request(**{**environ, **passed})


@pytest.fixture
def outside(edge: Gateway, scripted: Scripted) -> Passing:
    return Passing(edge, scripted, enforce_csrf_checks=True)


def token_in(page: Any) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.content.decode())
    assert found
    return found[1]


def test_one_signs_in_at_the_gateways_address(outside: Passing) -> None:
    make.defaults()
    person = make.user("alice")
    page = outside.get("/?next=/desktops/")
    assert page.status_code == 200 and all(cookie["secure"] for cookie in page.cookies.values())
    form = {"csrfmiddlewaretoken": token_in(page), "login": "alice", "password": make.PASSWORD}
    response = outside.post("/", form, headers={"origin": f"https://{HOST}"})
    assert response.status_code in (302, 303), response.content.decode()[:2000]
    assert FRONT not in response["Location"]
    assert response.cookies["sessionid"]["secure"]
    opened = PortalSession.objects.get(user=person)
    assert LogEntry.objects.filter(event="auth.login_ok", client_ip=CLIENT).exists()
    assert opened and outside.get("/desktops/").status_code == 200


def test_a_form_from_elsewhere_is_still_refused(outside: Passing) -> None:
    form = {"csrfmiddlewaretoken": token_in(outside.get("/")), "login": "x", "password": "y"}
    assert outside.post("/", form, headers={"origin": "https://evil.example.test"}).status_code == 403
    assert outside.post("/", form, headers={"origin": f"https://{FRONT}"}).status_code == 403


def test_a_header_that_does_not_hold_is_refused(edge: Gateway, scripted: Scripted, client: Client) -> None:
    assert client.get("/", headers={"x-usher-gateway": "nonsense"}).status_code == 400
    for change, why in (
        ({"client_ip": "nowhere"}, "from where it comes"), ({"at": time.time() - 200}, "too old"),
        ({"host": "evil.example.test"}, "is not its public address"), ({"host": ""}, "is not its public address"),
        ({"host": "gw.example.test:x y"}, "is not its public address"),
        ({"gateway": "00000000-0000-0000-0000-000000000000"}, "is not registered"),
    ):  # fmt: skip
        asks = Passing(edge, scripted)
        for name, value in change.items():
            setattr(asks, name, value)
        response = asks.get("/")
        assert response.status_code == 400 and why in response.content.decode(), change


def test_a_signature_of_one_page_shows_no_other(edge: Gateway, scripted: Scripted, client: Client) -> None:
    header = sign_forward(scripted.key, str(edge.uid), Visit(CLIENT, HOST), Call("GET", "/desktops/"), at=time.time())
    passed = {"x-usher-gateway": header}
    assert client.get("/", headers=passed).status_code == 400
    assert client.get("/desktops/", headers=passed).status_code == 302
    assert client.post("/desktops/", headers=passed).status_code == 400


def seen(request: HttpRequest) -> dict[str, Any]:
    """What the product believes of a request after the middleware."""
    found: dict[str, Any] = {}

    def look(passed: HttpRequest) -> Any:
        found.update(
            ip=client_address(passed), by=came_by(passed), loopback=from_loopback(passed), https=passed.is_secure()
        )
        found["url"] = passed.build_absolute_uri("/x")
        return type("R", (), {"cookies": {}})()

    Forwarded(look)(request)
    return found


def test_what_the_product_knows_of_a_forwarded_request(edge: Gateway, scripted: Scripted) -> None:
    header = sign_forward(scripted.key, str(edge.uid), Visit(CLIENT, HOST), Call("GET", "/a%20b?c=d"), at=time.time())
    passed = {"x-usher-gateway": header, "x-forwarded-host": FRONT, "x-forwarded-for": "198.51.100.1"}
    request = RequestFactory().get("/a%20b?c=d", headers=passed, REMOTE_ADDR="127.0.0.1")
    assert seen(request) == {
        "ip": CLIENT, "by": edge, "loopback": False, "https": True, "url": f"https://{HOST}/x",
    }  # fmt: skip
    raw = RequestFactory().get("/a b", {"c": "d"}, headers=passed, REMOTE_ADDR="127.0.0.1", RAW_URI="/a%20b?c=d")
    assert seen(raw)["ip"] == CLIENT
    assert seen(RequestFactory().get("/", headers={"x-forwarded-for": "198.51.100.1"}, REMOTE_ADDR="10.0.0.9")) == {
        "ip": "10.0.0.9", "by": None, "loopback": False, "https": False, "url": "http://testserver/x",
    }  # fmt: skip


def test_a_cluster_member_may_be_reached_under_the_clusters_address(outside: Passing, edge: Gateway) -> None:
    outside.host = "edges.example.test"
    assert outside.get("/").status_code == 400
    edge.cluster = GatewayCluster.objects.create(name="Edges", address="edges.example.test")
    edge.save()
    assert outside.get("/").status_code == 200


def test_failures_at_one_gateway_are_counted_by_client_and_not_by_gateway(outside: Passing) -> None:
    make.defaults()
    token = token_in(outside.get("/"))
    form = {"csrfmiddlewaretoken": token, "login": "bob", "password": "wrong"}
    origin = {"origin": f"https://{HOST}"}
    for _ in range(5):
        outside.post("/", form, headers=origin)
    assert outside.post("/", form, headers=origin).status_code == 429
    outside.client_ip = "203.0.113.8"
    assert outside.post("/", form, headers=origin).status_code != 429


def test_a_location_may_ask_by_which_gateway_one_came(outside: Passing) -> None:
    make.defaults()
    make.user("alice")
    rules = [{"attribute": "gateway", "condition": "eq", "value": "edge"}]
    there = Location.objects.create(name="Outside", order=1, rules=rules)
    form = {"csrfmiddlewaretoken": token_in(outside.get("/")), "login": "alice", "password": make.PASSWORD}
    outside.post("/", form, headers={"origin": f"https://{HOST}"})
    assert PortalSession.objects.get().location == there


def test_the_figures_name_each_gateway(edge: Gateway, client: Client) -> None:
    figures = client.get("/metrics").content.decode()
    assert 'usher_gateway_up{gateway="Edge"} 1.0' in figures and "usher_gateway_untold 0.0" in figures
    header = {"x-usher-gateway": "whatever"}
    assert client.get("/metrics", headers=header).status_code == 403  # a gateway's host is not this machine
