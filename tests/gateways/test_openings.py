"""Ways through a gateway: opened, refused, closed; what the gateway was told, and what the rows say."""

import time
from pathlib import Path
from typing import Any

import pytest

from broker.core import jobs
from broker.core.models import Job, LogEntry
from gateways import client
from gateways import opening as opening_module
from gateways.jobs import HANDLERS
from gateways.models import Gateway, GatewayCluster, Tunnel
from gateways.services import Down, choose, close_tunnels, new_id, open_tunnel, token_for
from gateways.wire import Opening, Untrusted, public_text, read_token
from tests.gateways.conftest import registered
from tests.gateways.scripted import STARTED_AT, Scripted, listening

pytestmark = pytest.mark.django_db


def opening(**fields: Any) -> Opening:
    made = {"id": new_id(), "protocol": "rdp", "host": "10.0.0.4", "port": 3389, "user": "user:5", "seconds": 60}
    return Opening(**{**made, **fields})


def test_a_viewer_session_is_opened_and_its_token_is_good_at_this_gateway_alone(
    edge: Gateway, scripted: Scripted
) -> None:
    asked = opening(password="hunter2-Secret", origin="https://desk.example.test")
    opened = open_tunnel(choose(edge), asked, subject="launch:4")
    assert scripted.told("open") == [asked.json()]
    row = Tunnel.objects.get()
    assert (row.subject, row.user, row.protocol, row.destination) == ("launch:4", "user:5", "rdp", "10.0.0.4:3389")
    assert (row.gateway, row.gateway_name, row.closed_at, opened.port) == (edge, "Edge", None, 0)
    token = token_for(opened)
    grant = read_token(token, scripted.broker, str(edge.uid), at=time.time())
    assert (grant.id, grant.audience, grant.user, grant.destination) == (
        asked.id, (str(edge.uid),), "user:5", "10.0.0.4:3389",
    )  # fmt: skip
    with pytest.raises(Untrusted):
        read_token(token, scripted.broker, "another", at=time.time())
    assert "hunter2-Secret" not in token and not LogEntry.objects.filter(message__contains="hunter2").exists()


@pytest.mark.parametrize(
    ("method", "client_ip", "same"), [(0, "", False), (1, "192.0.2.7", True), (2, "192.0.2.7", False)]
)
def test_a_forwarded_port_follows_the_method_of_source_ip_filtering(
    edge: Gateway, scripted: Scripted, method: int, client_ip: str, same: bool
) -> None:
    Gateway.objects.update(use_src_ip=method)
    opened = open_tunnel(choose(edge), opening(protocol="tcp", client_ip="192.0.2.7"), subject="launch:4")
    (told,) = scripted.told("open")
    assert (told["client_ip"], told["same_port"]) == (client_ip, same)
    assert (opened.address, opened.port) == ("gw.example.test", 20001)
    assert Tunnel.objects.get().port == 20001


def test_a_gateway_that_refuses_leaves_nothing_open_and_its_words_reach_the_user(
    edge: Gateway, scripted: Scripted
) -> None:
    scripted.says["open"] = lambda _: (409, {"error": "full", "detail": "Every port is taken."})
    with pytest.raises(Down, match=r"Edge refused: Every port is taken\."):
        open_tunnel(choose(edge), opening(), subject="launch:4")
    row = Tunnel.objects.get()
    assert row.closed_at and "Every port is taken." in row.close_reason
    edge.refresh_from_db()
    assert edge.state == "online"


@pytest.mark.parametrize("said", [{"port": 2**40}, {"port": -1}, {"port": float("inf")}, {"started_at": float("nan")}])
def test_an_answer_that_makes_no_sense_leaves_nothing_open(
    edge: Gateway, scripted: Scripted, said: dict[str, Any]
) -> None:
    scripted.says["open"] = lambda _: (200, {"port": 20001, "started_at": scripted.started_at, **said})
    with pytest.raises(Down, match="does not answer"):
        open_tunnel(choose(edge), opening(), subject="launch:4")
    assert Tunnel.objects.get().closed_at


def test_a_gateway_that_is_gone_goes_offline_and_is_not_chosen_again(
    db: None, tls: tuple[Path, Path], scripted: Scripted
) -> None:
    edge = registered(scripted)
    way = choose(edge)
    Gateway.objects.filter(pk=edge.pk).update(address_private="127.0.0.1:9")
    way.gateways[0].refresh_from_db()
    with pytest.raises(Down, match="does not answer"):
        open_tunnel(way, opening(), subject="launch:4")
    with pytest.raises(Down, match="The gateway Edge, through which your connection goes, does not answer"):
        choose(edge)
    assert LogEntry.objects.filter(event="gateway.down").count() == 1


def test_a_dripping_gateway_is_cut_off_in_time(
    edge: Gateway, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "SECONDS", 0.4)
    scripted.drip = 0.1
    began = time.monotonic()
    with pytest.raises(Down):
        open_tunnel(choose(edge), opening(), subject="launch:4")
    assert time.monotonic() - began < 0.8


def test_nothing_is_sent_to_who_shows_another_certificate(edge: Gateway, scripted: Scripted) -> None:
    Gateway.objects.update(certificate_sha256="0" * 64)
    with pytest.raises(Down):
        open_tunnel(choose(edge), opening(password="hunter2-Secret"), subject="launch:4")
    assert scripted.told("open") == []
    edge.refresh_from_db()
    assert "another certificate" in edge.reason


def test_closing_marks_the_rows_and_tells_the_gateway_at_once(
    edge: Gateway, scripted: Scripted, django_capture_on_commit_callbacks: Any
) -> None:
    opened = open_tunnel(choose(edge), opening(), subject="launch:4")
    other = open_tunnel(choose(edge), opening(user="user:6"), subject="launch:5")
    Tunnel.objects.update(used_at=opened.tunnels[0].opened_at)
    with django_capture_on_commit_callbacks(execute=True):
        assert close_tunnels("The desktop was released.", subjects=["launch:4"]) == 1
    assert scripted.told("close") == [{"ids": [opened.id], "reason": "The desktop was released."}]
    row = Tunnel.objects.get(token_id=opened.id)
    assert (row.closed_by, row.close_reason, bool(row.told_at)) == ("broker", "The desktop was released.", True)
    follows = Job.objects.get(kind="tunnel_closed")
    assert (follows.subject, follows.payload["tunnel"], follows.payload["by"]) == ("launch:4", row.pk, "broker")
    with django_capture_on_commit_callbacks(execute=True):
        assert close_tunnels("You were signed out.", users=["user:6"]) == 1
    assert scripted.told("close")[1]["ids"] == [other.id]
    assert close_tunnels("Again.", users=["user:5", "user:6"]) == 0


@pytest.mark.parametrize("protocol", ["rdp", "tcp"])
def test_what_is_withdrawn_while_it_is_opened_is_ended_at_the_gateway_too(
    edge: Gateway, scripted: Scripted, monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    real = client.control

    def slow(place: Any, uid: str, key: Any, name: str, told: dict[str, Any]) -> dict[str, Any]:
        if name == "open":
            assert close_tunnels("The desktop was released.", subjects=["launch:4"]) == 1
            Tunnel.objects.update(told_at=Tunnel.objects.get().closed_at)  # the gateway heard, and knew of nothing
        return real(place, uid, key, name, told)

    monkeypatch.setattr(opening_module, "control", slow)
    asked = opening(protocol=protocol)
    with pytest.raises(Down, match="withdrawn while it was being opened"):
        open_tunnel(choose(edge), asked, subject="launch:4")
    assert [each["ids"] for each in scripted.told("close")] == [[asked.id]]
    assert Tunnel.objects.get().close_reason == "The desktop was released."


def test_a_gateway_that_is_away_hears_of_the_end_when_it_is_back(
    db: None, tls: tuple[Path, Path], scripted: Scripted
) -> None:
    edge = registered(scripted)
    opened = open_tunnel(choose(edge), opening(), subject="launch:4")
    scripted.says["close"] = lambda _: (500, {"error": "oops"})
    close_tunnels("The desktop was released.", subjects=["launch:4"])
    assert jobs.work({"port_close": HANDLERS["port_close"]}) == 1
    job = Job.objects.get(kind="port_close")
    assert job.state == "pending" and "has not heard yet" in job.reason
    del scripted.says["close"]
    Job.objects.filter(pk=job.pk).update(run_at=job.created_at)
    assert jobs.work({"port_close": HANDLERS["port_close"]}) == 1
    assert scripted.told("close")[-1] == {"ids": [opened.id], "reason": "The desktop was released."}
    assert Tunnel.objects.get().told_at


def cluster(balance: str, *members: Gateway) -> GatewayCluster:
    made = GatewayCluster.objects.create(name="Edges", balance=balance, address="edges.example.test")
    made.gateways.set(members)
    return made


def test_a_cluster_of_fewest_connections_takes_the_idle_one_and_falls_back_to_the_other(
    scripted: Scripted, tls: tuple[Path, Path]
) -> None:
    with listening(Scripted(tls, public_text(scripted.broker))) as second:
        busy, idle = registered(scripted), registered(second, name="Edge 2", address="gw2.example.test")
        edges = cluster("L", busy, idle)
        open_tunnel(choose(busy), opening(), subject="launch:1")
        assert choose(edges).gateways == (idle,)
        second.says["open"] = lambda _: (409, {"error": "draining", "detail": "It is being shut down."})
        opened = open_tunnel(choose(edges), opening(protocol="tcp"), subject="launch:2")
        assert opened.tunnels[0].gateway == busy and opened.address == "gw.example.test"
        assert choose(edges, busy).gateways == (idle,)  # where one came by does not count here


def test_a_cluster_by_sign_in_takes_the_gateway_that_one_came_by(scripted: Scripted, tls: tuple[Path, Path]) -> None:
    with listening(Scripted(tls, public_text(scripted.broker))) as second:
        one, two = registered(scripted), registered(second, name="Edge 2")
        edges = cluster("P", one, two)
        for mine in (one, two):
            assert choose(edges, mine).gateways == (mine,)
        assert choose(edges).gateways == (one,)
        Gateway.objects.filter(pk=two.pk).update(state="offline")
        assert choose(edges, two).gateways == (one,)


def test_a_gateway_that_was_started_anew_a_moment_ago_is_asked_again(edge: Gateway, scripted: Scripted) -> None:
    """A call to open is good for one program of the gateway; the broker finds out which one runs there now."""
    scripted.started_at += 5
    opened = open_tunnel(choose(edge), opening(), subject="launch:4")
    assert [each["id"] for each in scripted.told("open")] == [opened.id]
    assert Gateway.objects.get().started_at == scripted.started_at
    assert Gateway.objects.get().is_up


def test_a_cluster_of_all_opens_everywhere_with_one_token(scripted: Scripted, tls: tuple[Path, Path]) -> None:
    with listening(Scripted(tls, public_text(scripted.broker))) as second:
        one, two = registered(scripted), registered(second, name="Edge 2")
        asked = opening()
        opened = open_tunnel(choose(cluster("E", one, two)), asked, subject="launch:4")
        assert opened.address == "edges.example.test"
        assert scripted.told("open") == second.told("open") == [{**asked.json(), "redeem": True}]
        for row in (one, two):
            assert read_token(token_for(opened), scripted.broker, str(row.uid), at=time.time()).redeem


def test_who_goes_through_a_cluster_that_is_down_is_told_so(edge: Gateway) -> None:
    edges = cluster("L")
    with pytest.raises(Down, match="has no gateways"):
        choose(edges)
    edges.gateways.set([edge])
    Gateway.objects.update(draining=True)
    with pytest.raises(Down, match=r"Edge is being shut down and takes no new connections\."):
        choose(edges)


def test_behind_a_load_balancer_the_same_port_is_opened_on_every_gateway(
    scripted: Scripted, tls: tuple[Path, Path]
) -> None:
    with listening(Scripted(tls, public_text(scripted.broker))) as second:
        edges = cluster("E", registered(scripted), registered(second, name="Edge 2"))
        for gateway in (scripted, second):
            gateway.says["open"] = lambda told: (200, {"port": told["listen"], "started_at": STARTED_AT})
        opened = open_tunnel(choose(edges), opening(protocol="tcp"), subject="launch:4")
        (one,), (two,) = scripted.told("open"), second.told("open")
        assert one == two and opened.port == one["listen"] in range(20001, 30001)
        assert (opened.host, one["redeem"]) == ("edges.example.test", False)
        assert set(Tunnel.objects.values_list("port", flat=True)) == {opened.port}


def test_a_port_that_one_gateway_cannot_open_is_open_nowhere(scripted: Scripted, tls: tuple[Path, Path]) -> None:
    with listening(Scripted(tls, public_text(scripted.broker))) as second:
        edges = cluster("E", registered(scripted), registered(second, name="Edge 2"))
        taken: list[int] = []

        def busy_at_first(told: dict[str, Any]) -> tuple[int, dict[str, Any]]:
            taken.append(told["listen"])
            busy = {"error": "no_port", "detail": "It is not free here."}
            return (409, busy) if len(taken) == 1 else (200, {"port": told["listen"], "started_at": STARTED_AT})

        second.says["open"] = busy_at_first
        opened = open_tunnel(choose(edges), opening(protocol="tcp"), subject="launch:4")
        assert opened.port == taken[1] != taken[0]
        assert {row.port for row in Tunnel.objects.filter(closed_at=None)} == {20001, taken[1]}  # as the first one says
        first = Tunnel.objects.get(token_id=scripted.told("open")[0]["id"], gateway__name="Edge")
        assert "could not open the same port" in first.close_reason
        Gateway.objects.filter(name="Edge 2").update(ports_first=40_000, ports_last=40_010)
        with pytest.raises(Down, match="no free port in common"):
            open_tunnel(choose(edges), opening(protocol="tcp"), subject="launch:5")
