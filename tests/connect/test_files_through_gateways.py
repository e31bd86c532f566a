"""A connection file through a gateway: its port, what the policy keeps out of it, and how long it stays open."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from agents.models import Agent
from broker.connect.models import Launch
from broker.core.clock import now
from gateways.keys import broker_public_key
from gateways.models import Gateway, GatewayCluster, Tunnel
from policies.models import Policy
from tests import make
from tests.connect.browser_way import Site, site
from tests.connect.talker import Talker
from tests.gateways.conftest import edge, registered, scripted, tls
from tests.gateways.scripted import Scripted, listening

__all__ = ["edge", "scripted", "tls"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def here(scripted: Scripted, edge: Gateway) -> Iterator[Site]:
    with site(scripted, edge) as made:
        made.choose("html5_rdp", priority=None)
        made.choose("rdp", priority=1, gateway=edge)
        yield made


def file(here: Site) -> list[str]:
    """Press Connect and take the file."""
    answer = here.browser.get(here.connect())
    assert answer.headers["Content-Type"] in ("application/x-rdp", "application/x-dcv"), answer.content
    return answer.content.decode().splitlines()


def test_the_file_names_the_gateway_and_its_port(here: Site) -> None:
    lines = file(here)
    assert "full address:s:gw.example.test:20001" in lines
    assert "username:s:CORP\\alice" in lines
    told = here.opening()
    assert (told["protocol"], told["host"], told["user"]) == ("tcp", "127.0.0.1", f"user:{here.alice.pk}")
    assert (told["password"], told["login"]) == ("", "")
    row = Tunnel.objects.get()
    assert (row.subject, row.port) == (f"launch:{here.launch().pk}", 20001)


def test_the_port_waits_as_long_as_the_policy_says(here: Site) -> None:
    Policy.objects.filter(pk=here.policy.pk).update(port_close=15, longest=60)
    file(here)
    assert (here.opening()["seconds"], here.opening()["longest"]) == (15 * 60, 3600)
    row = Tunnel.objects.get()
    assert timedelta(minutes=14) < row.lease_until - row.opened_at <= timedelta(minutes=15)


@pytest.mark.parametrize(("method", "client_ip"), [(0, ""), (1, "127.0.0.1"), (2, "127.0.0.1")])
def test_the_clients_address_is_the_filter_where_the_gateway_has_one(here: Site, method: int, client_ip: str) -> None:
    Gateway.objects.update(use_src_ip=method)
    file(here)
    assert here.opening()["client_ip"] == client_ip


def test_a_file_that_is_taken_twice_has_one_port_and_a_new_one_once_that_is_closed(here: Site) -> None:
    address = here.connect()
    first, second = here.browser.get(address).content, here.browser.get(address).content
    assert first == second
    assert len(here.gateway.told("open")) == 1
    Tunnel.objects.update(lease_until=now())
    here.browser.get(address)
    assert len(here.gateway.told("open")) == 2


def test_a_file_that_is_taken_again_names_another_gateway_where_the_first_has_died_or_was_started_anew(
    here: Site, tls: tuple[Path, Path]
) -> None:
    cluster = GatewayCluster.objects.create(name="Both", balance="L")
    Gateway.objects.update(cluster=cluster)
    here.choose("rdp", gateway=None, cluster=cluster)
    address = here.connect()
    assert b"gw.example.test:20001" in here.browser.get(address).content
    with listening(Scripted(tls, broker_public_key())) as other:
        busy = registered(other, name="Other", address="other.example.test", cluster=cluster)
        row = Tunnel.objects.get()
        Tunnel.objects.bulk_create(Tunnel(**{**values(row), "gateway": busy, "token_id": str(n)}) for n in range(2))
        assert b"gw.example.test:20001" in here.browser.get(address).content
        assert len(here.gateway.told("open")) == 1
        here.gateway.started_at += 1
        assert b"gw.example.test:20001" in here.browser.get(address).content
        assert len(here.gateway.told("open")) == 2
        here.gateway.garbage = b"gone"
        assert b"other.example.test:20001" in here.browser.get(address).content
        assert b"other.example.test:20001" in here.browser.get(address).content
        assert len(other.told("open")) == 1  # it stands there, whatever is left of the first one


def values(row: Tunnel) -> dict[str, object]:
    """What another one like it is made of."""
    names = ("gateway_name", "subject", "user", "protocol", "destination", "opened_at", "lease_until")
    return {**{name: getattr(row, name) for name in names}, "subject": "launch:0"}


def test_a_gateway_that_is_down_gives_no_file_but_a_reason(here: Site) -> None:
    address = here.connect()
    Gateway.objects.update(state="offline")
    page = here.browser.get(address, follow=True).content.decode()
    assert "Edge, through which your connection goes, does not answer" in page


def test_the_port_of_a_cluster_is_the_clusters_address(here: Site) -> None:
    cluster = GatewayCluster.objects.create(name="Both", address="desk.example.test", balance="L")
    Gateway.objects.update(cluster=cluster)
    here.choose("rdp", gateway=None, cluster=cluster)
    assert "full address:s:gw.example.test:20001" in file(here)
    assert here.launch().through == "Both"


def test_what_the_policy_forbids_stands_over_the_file(here: Site) -> None:
    here.choose("rdp", template="redirectclipboard:i:1\nredirectdrives:i:1\naudiomode:i:0\n")
    Policy.objects.filter(pk=here.policy.pk).update(
        clipboard="in", redirect_drives=False, redirect_audio=False, usb="some", usb_devices="USB\\VID_046D&PID_C52B"
    )
    lines = file(here)
    for line in ("redirectclipboard:i:0", "redirectdrives:i:0", "audiomode:i:2",
                 "usbdevicestoredirect:s:USB\\VID_046D&PID_C52B"):  # fmt: skip
        assert line in lines
    assert "redirectclipboard:i:1" not in lines


def test_without_a_gateway_the_file_leads_straight_to_the_desktop(here: Site) -> None:
    here.choose("rdp", gateway=None, port=here.plan.choices.get(protocol="rdp").port)
    lines = file(here)
    assert f"full address:s:127.0.0.1:{here.launch_port()}" in lines
    assert Tunnel.objects.count() == 0


def talker(here: Site) -> Talker:
    return Talker(here.desktop.center, here.desktop)


def test_the_port_is_closed_when_the_session_is_logged_out_and_not_when_it_is_left(here: Site) -> None:
    agent = talker(here)
    file(here)
    Tunnel.objects.update(used_at=now())
    here.alice.server = here.desktop.center.server
    type(here.alice).objects.filter(pk=here.alice.pk).update(server=here.desktop.center.server)
    agent.tell("login", user="CORP\\alice")
    agent.tell("disconnect", user="CORP\\alice")
    assert Tunnel.objects.get().closed_at is None
    agent.tell("logout", user="CORP\\alice")
    row = Tunnel.objects.get()
    assert row.close_reason == "The session was logged out."


def test_a_dcv_file_is_for_desktops_whose_agent_reports_it(here: Site) -> None:
    here.choose("rdp", priority=2)
    here.choose("dcv", priority=1, gateway=here.edge, template="[options]\nfullscreen=true\n")
    assert file(here)[0].startswith(("full address", "screen mode"))
    talker(here)
    Agent.objects.update(protocols=["rdp", "dcv"])
    Launch.objects.all().delete()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("broker.connect.launches.probe", lambda *_: "")
        lines = file(here)
    assert lines[:6] == ["[version]", "format=1.0", "[connect]", "host=gw.example.test", "port=20001", "user=alice"]
    assert here.opening()["port"] == 8443


def test_the_card_says_what_the_browser_cannot_do_and_offers_the_other_ways(here: Site) -> None:
    here.choose("rdp", priority=2)
    here.choose("html5_rdp", priority=1)
    page = here.browser.get("/desktops/").content.decode()
    assert "It opens in this browser, without sound, printers, drives and USB devices." in page
    assert "Connect by an RDP file" in page
    answer = here.browser.post(f"/desktops/{here.desktop.pk}/connect/", {"protocol": "rdp"})
    assert answer.headers["Location"] == f"/launches/{here.launch().pk}/file/"
    assert here.browser.get(answer.headers["Location"]).headers["Content-Type"] == "application/x-rdp"


def test_a_protocol_that_the_plan_does_not_use_is_not_to_be_had_by_asking(here: Site) -> None:
    answer = here.browser.post(f"/desktops/{here.desktop.pk}/connect/", {"protocol": "html5_ssh"})
    assert answer.headers["Location"] == f"/launches/{here.launch().pk}/file/"
    assert here.launch().protocol == "rdp"


def test_the_hard_section_has_its_own_plan(here: Site) -> None:
    make.default_policy()
    Policy.objects.filter(pk=here.policy.pk).update(hard_protocol_plan=here.plan)
    here.held.kind = "hard"
    here.held.save(update_fields=["kind"])
    assert "full address:s:gw.example.test:20001" in file(here)
