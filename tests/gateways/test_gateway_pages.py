"""Setup > Gateways and Gateway Clusters through HTTP: registration on Save, refusals beside the address, new keys."""

import http.server
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.test import Client

from broker.core import jobs
from broker.core.clock import now
from broker.core.models import Job, LogEntry
from gateways import checks
from gateways import client as gateway_client
from gateways.jobs import HANDLERS
from gateways.keys import broker_public_key
from gateways.models import Gateway, GatewayCluster
from gateways.wire import Call, public_text
from plans.models import ProtocolChoice, ProtocolPlan
from tests import make
from tests.gateways.conftest import registered
from tests.gateways.scripted import Scripted, listening

LIST = "/setup/gateways/"
ADD = f"{LIST}add/"
CLUSTERS = "/setup/gateway-clusters/"


@pytest.fixture(autouse=True)
def database(db: None) -> None:
    """Every test here uses the database."""


@pytest.fixture
def admin(client: Client) -> Client:
    return make.admin_client(client)


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


def fingerprints(page: str) -> list[str]:
    return re.findall(r"\b[0-9a-f]{64}\b", page)


def test_save_registers_and_pins_key_and_certificate(admin: Client, scripted: Scripted) -> None:
    page = words(admin.get(ADD))
    assert "Public IP address or FQDN for use in Protocol Plans" in page
    assert "IP address or FQDN used for Connection Broker communications to this Gateway" in page
    response = admin.post(ADD, typed(address_private=scripted.address), follow=True)
    assert response.redirect_chain == [(LIST, 303)]
    row = Gateway.objects.get()
    assert (row.public_key, row.certificate_sha256) == (public_text(scripted.key), scripted.certificate)
    assert (row.state, row.version, scripted.uid, row.is_up) == ("online", "1.2", str(row.uid), True)
    assert "Online" in words(response)
    page = words(admin.get(f"{LIST}{row.pk}/"))
    assert "Ports free 9999 of 20001–30000" in page and scripted.certificate in page and row.public_key in page
    events = LogEntry.objects.filter(event__startswith="gateway.").order_by("id").values_list("event", flat=True)
    assert list(events) == ["gateway.pinned", "gateway.up"]


def test_a_gateway_that_is_down_is_saved_as_offline_and_registered_later(admin: Client, scripted: Scripted) -> None:
    response = admin.post(ADD, typed(), follow=True)
    assert "Offline" in words(response) and "Nothing answers at 127.0.0.1:9" in words(response)
    row = Gateway.objects.get()
    assert LogEntry.objects.filter(event="gateway.down").count() == 1
    page = words(admin.get(f"{LIST}{row.pk}/"))
    assert "It is not registered yet" in page and "Register" in page
    assert "is refused" in words(admin.post(f"{LIST}{row.pk}/register/", follow=True))
    Gateway.objects.update(address_private=scripted.address)  # it was started meanwhile
    assert "Edge answers." in words(admin.post(f"{LIST}{row.pk}/register/", follow=True))
    row.refresh_from_db()
    assert row.is_up and row.public_key == public_text(scripted.key)


def broken(scripted: Scripted, **changes: Any) -> None:
    """Its hello is good but for these."""
    usual = scripted.usual
    scripted.usual = lambda name, told, call: {**usual(name, told, call), **changes}  # type: ignore[method-assign]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"proof": "Usher x.y.z"}, "cannot prove that its key is its own"),
    ({"key": public_text(Ed25519PrivateKey.generate())}, "cannot prove that its key is its own"),
    ({"certificate": "0" * 64}, "opens the TLS connection"),
    ({"ports": "many"}, "its answer has another form"),
    ({"ports_free": -1}, "its figures make no sense"),
    ({"key": "AAAA"}, "its answer has another form"),
    ({"started_at": 10**400}, "its answer has another form"),
    ({"sessions": float("inf")}, "its answer has another form"),
]


@pytest.mark.parametrize(("changes", "why"), REFUSED)
def test_a_refusal_stands_beside_the_address_and_nothing_is_saved(
    admin: Client, scripted: Scripted, changes: dict[str, Any], why: str
) -> None:
    broken(scripted, **changes)
    response = admin.post(ADD, typed(address_private=scripted.address))
    assert why in " ".join(response.context["form"].errors["address_private"])
    assert not Gateway.objects.exists()


@pytest.mark.parametrize("hostile", ["a\0b", "a\ud800b"])
def test_words_that_no_database_keeps_are_kept_without_what_is_wrong_in_them(scripted: Scripted, hostile: str) -> None:
    row = registered(scripted)
    broken(scripted, version=hostile)
    assert checks.check(row) == "Edge answers."
    assert Gateway.objects.get().version in ("ab", "a?b")
    scripted.says["hello"] = lambda _: (403, {"error": "no", "detail": hostile})
    assert "refuses: a" in checks.check(row)
    assert Gateway.objects.get().state == "offline"


def test_a_gateway_of_another_broker_says_no_in_words(admin: Client, tls: tuple[Path, Path]) -> None:
    with listening(Scripted(tls, public_text(Ed25519PrivateKey.generate()))) as foreign:
        response = admin.post(ADD, typed(address_private=foreign.address))
    (said,) = response.context["form"].errors["address_private"]
    assert "The call is not the broker's" in said and "started with --broker" in said


def test_one_gateway_is_not_registered_twice(admin: Client, scripted: Scripted) -> None:
    first = registered(scripted)
    for address, why in ((scripted.address, "is called at this address already"),
                         (f"localhost:{scripted.port}", "is registered already, as “Edge”")):  # fmt: skip
        response = admin.post(ADD, typed(name="Other", address_private=address))
        assert why in " ".join(response.context["form"].errors["address_private"])
    assert scripted.uid == str(first.uid)  # the one that was meant for another has not renamed it
    other = gateway(name="Moved", address_private=f"localhost:{scripted.port}")
    assert "is registered already, as “Edge”" in checks.check(other)
    other.refresh_from_db()
    assert not other.public_key and scripted.uid == str(first.uid)


def test_another_key_or_certificate_takes_it_offline_until_somebody_trusts_it(
    admin: Client, scripted: Scripted
) -> None:
    row = registered(scripted)
    scripted.key = Ed25519PrivateKey.generate()
    Gateway.objects.update(certificate_sha256="0" * 64)
    assert "another key than the pinned one" in words(admin.post(f"{LIST}{row.pk}/check/", follow=True))
    row.refresh_from_db()
    assert (row.state, row.key_shown, row.certificate_shown) == (
        "offline", public_text(scripted.key), scripted.certificate,
    )  # fmt: skip
    page = words(admin.get(f"{LIST}{row.pk}/"))
    assert "Compare the fingerprint" in page and set(fingerprints(page)) == {"0" * 64, scripted.certificate}
    asked = admin.post(f"{LIST}{row.pk}/trust/")
    assert asked.status_code == 200 and scripted.certificate in words(asked)
    assert "Edge answers." in words(admin.post(f"{LIST}{row.pk}/trust/", {"confirmed": "yes"}, follow=True))
    row.refresh_from_db()
    assert row.is_up and row.public_key == public_text(scripted.key) and not row.key_shown
    logged = LogEntry.objects.filter(event="gateway.pinned").latest("id")
    assert logged.changes["certificate_sha256"] == ["0" * 64, scripted.certificate] and logged.actor_name


def test_what_changed_again_since_somebody_looked_is_not_trusted(admin: Client, scripted: Scripted) -> None:
    row = registered(scripted)
    scripted.key = Ed25519PrivateKey.generate()
    checks.check(row)
    row.refresh_from_db()
    seen = row.key_shown
    scripted.key = Ed25519PrivateKey.generate()
    checks.check(row)  # the job, while somebody compares
    row.refresh_from_db()
    assert row.key_shown == seen
    said = words(admin.post(f"{LIST}{row.pk}/trust/", {"confirmed": "yes"}, follow=True))
    row.refresh_from_db()
    assert "yet another key or certificate" in said and row.public_key not in (seen, row.key_shown)
    assert row.key_shown == public_text(scripted.key)
    before = row.public_key
    admin.post(f"{LIST}{row.pk}/trust/", {"confirmed": "yes"})
    assert LogEntry.objects.filter(event="gateway.pinned").latest("id").changes == {
        "public_key": [before, public_text(scripted.key)]
    }


def test_another_gateway_of_ours_is_not_trusted_in_its_place_and_keeps_its_number(
    admin: Client, scripted: Scripted, tls: tuple[Path, Path]
) -> None:
    row = registered(scripted)
    with listening(Scripted(tls, broker_public_key())) as other:
        second = registered(other, name="Second")
        Gateway.objects.filter(pk=row.pk).update(address_private=f"localhost:{other.port}")  # its name leads there now
        row.refresh_from_db()
        assert "another key" in checks.check(row)
        said = words(admin.post(f"{LIST}{row.pk}/trust/", {"confirmed": "yes"}, follow=True))
        assert "is registered already, as “Second”" in said
        assert other.uid == str(second.uid) and checks.check(second) == "Second answers."


def test_several_gateways_that_answer_by_turns_are_not_pinned_as_one(admin: Client, scripted: Scripted) -> None:
    keys, usual = cycle([scripted.key, Ed25519PrivateKey.generate()]), scripted.usual

    def by_turns(name: str, told: dict[str, Any], call: Call) -> dict[str, Any]:
        scripted.key = next(keys)
        return usual(name, told, call)

    scripted.usual = by_turns  # type: ignore[method-assign]
    response = admin.post(ADD, typed(address_private=scripted.address))
    assert "Several gateways answer there" in " ".join(response.context["form"].errors["address_private"])
    assert not Gateway.objects.exists() and scripted.uid == ""


def test_editing_a_registered_gateway_keeps_what_heartbeats_write(admin: Client, scripted: Scripted) -> None:
    row = registered(scripted)
    Gateway.objects.update(sessions=7)
    scripted.calls.clear()
    fields = typed(name="Edge of Berlin", address="gw.example.test", address_private=scripted.address)
    assert admin.post(f"{LIST}{row.pk}/", fields).status_code == 303
    row.refresh_from_db()
    assert (row.name, row.sessions, scripted.calls) == ("Edge of Berlin", 7, [])  # nothing to ask


BAD = [
    ("name", "", "is needed"),
    ("address", "", "is needed"),
    ("address", "https://gw.example.test/", "web address"),
    ("address", "gw example", "neither a host name nor an IP address"),
    ("address", "10.0.0.300", "not an IP address"),
    ("address", "gw.example.test:0", "not a port"),
    ("address_private", "10.0.0.1:99999", "not a port"),
    ("address_private", "https://10.0.0.1", "web address"),
]


def test_bad_input_is_refused_beside_its_field(admin: Client) -> None:
    for field, value, why in BAD:
        response = admin.post(ADD, typed(**{field: value}))
        assert why in " ".join(response.context["form"].errors[field]), value
    assert not Gateway.objects.exists()


def test_what_is_no_gateway_is_named(tls: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_client, "SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        row = gateway(address_private=f"127.0.0.1:{silent.getsockname()[1]}")
        assert "within" in checks.check(row)
    row.address_private = "no-such-host.invalid"
    row.save()
    assert "not known to the name server" in checks.check(row)
    with plain_server() as port:
        row.address_private = f"127.0.0.1:{port}"
        row.save()
        assert "does not speak TLS" in checks.check(row)


@contextmanager
def plain_server() -> Iterator[int]:
    """A web server without TLS; its port."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_what_is_something_else_is_refused_on_save(admin: Client, scripted: Scripted) -> None:
    with plain_server() as port:
        response = admin.post(ADD, typed(address_private=f"127.0.0.1:{port}"))
    assert "does not speak TLS" in " ".join(response.context["form"].errors["address_private"])
    scripted.garbage = b"<html>"
    response = admin.post(ADD, typed(address="127.0.0.1:" + str(scripted.port), address_private=""))
    assert "it said 200 and no JSON" in " ".join(response.context["form"].errors["address"])
    assert not Gateway.objects.exists()


def test_a_gateway_that_answers_but_does_not_report_is_offline(scripted: Scripted) -> None:
    row = registered(scripted)
    Gateway.objects.update(heard_at=now() - timedelta(seconds=40), forward_to="https://broker.example.test")
    assert "does not reach the broker at https://broker.example.test" in checks.check(row)


def test_the_check_repeats_itself_every_half_minute() -> None:
    row = gateway()
    checks.ask_for_check(row)
    checks.ask_for_check(row)
    assert jobs.work(HANDLERS) == 1
    done, following = Job.objects.order_by("pk")
    assert (done.state, following.state, following.key) == ("finished", "pending", f"gateway_status:{row.pk}")
    assert timedelta(seconds=20) < following.run_at - now() < timedelta(seconds=31)
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


def test_clusters_are_made_used_and_kept_while_they_have_gateways(admin: Client, scripted: Scripted) -> None:
    fields = {"name": "Edges", "balance": "E", "address": "", "use_src_ip": "1", "notes": ""}
    refused = admin.post(f"{CLUSTERS}add/", fields)
    assert "load balancer" in " ".join(refused.context["form"].errors["address"])
    assert admin.post(f"{CLUSTERS}add/", {**fields, "address": "edges.example.test"}).status_code == 303
    made = GatewayCluster.objects.get()
    row = registered(scripted)
    assert "Gateway cluster" in words(admin.get(f"{LIST}{row.pk}/"))
    changed = typed(address_private=scripted.address, address="gw.example.test", cluster=made.pk)
    assert admin.post(f"{LIST}{row.pk}/", changed).status_code == 303
    assert list(made.gateways.all()) == [row]
    assert "All gateways (an external load balancer picks one)" in words(admin.get(CLUSTERS))
    assert "Edge" in words(admin.get(f"{CLUSTERS}{made.pk}/"))
    assert admin.post(f"{CLUSTERS}{made.pk}/delete/").status_code == 409
    row.refresh_from_db()
    row.cluster = None
    row.save()
    assert admin.post(f"{CLUSTERS}{made.pk}/delete/").status_code == 303
