"""From Connect to the desktop in the browser: the page, its tokens, the password that the browser never sees."""

import re
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from agents.models import Agent
from broker.connect import actions, openings
from broker.connect.models import Launch, PortalSession
from broker.core.clock import now
from broker.core.models import Job, LogEntry
from centers.models import Desktop
from gateways import opening
from gateways.models import Gateway, GatewayCluster, Tunnel
from gateways.wire import read_token
from policies.models import Policy
from tests import make
from tests.connect.browser_way import SECRET, Site, site
from tests.gateways.conftest import edge, scripted, tls
from tests.gateways.scripted import STARTED_AT, Scripted
from tests.gateways.test_forwarded import CLIENT, HOST, Passing

__all__ = ["edge", "scripted", "tls"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def here(scripted: Scripted, edge: Gateway) -> Iterator[Site]:
    with site(scripted, edge) as made:
        yield made


def test_connect_on_a_running_desktop_leads_straight_to_the_viewer(here: Site) -> None:
    address = here.connect()
    launch = here.launch()
    assert address == f"/launches/{launch.pk}/viewer/"
    assert (launch.protocol, launch.through) == ("html5_rdp", "Edge")
    page = here.browser.get(address)
    assert page.status_code == 200
    assert f'data-token-url="/launches/{launch.pk}/token/"' in page.content.decode()
    assert 'data-protocol="rdp"' in page.content.decode()
    policy = page.headers["Content-Security-Policy"]
    assert "wss://gw.example.test https://gw.example.test" in policy
    assert "'wasm-unsafe-eval'" in policy
    assert Tunnel.objects.count() == 0


def test_the_page_may_reach_every_gateway_of_a_cluster_also_one_that_is_down_now(here: Site) -> None:
    cluster = GatewayCluster.objects.create(name="Both", balance="L")
    Gateway.objects.update(cluster=cluster)
    Gateway.objects.create(name="Down", address="other.example.test:8443", cluster=cluster, state="offline")
    here.choose("html5_rdp", gateway=None, cluster=cluster)
    policy = here.browser.get(here.connect()).headers["Content-Security-Policy"]
    assert "wss://gw.example.test https://gw.example.test" in policy
    assert "wss://other.example.test:8443 https://other.example.test:8443" in policy


def test_the_token_opens_exactly_this_desktop_with_the_password_of_the_sign_in(here: Site) -> None:
    here.connect()
    Policy.objects.filter(pk=here.policy.pk).update(clipboard="in", longest=480)
    answer = here.token(layout=0x407)
    assert answer.status_code == 200, answer.content
    said, told = answer.json(), here.opening()
    assert (said["url"], said["protocol"], said["clipboard"]) == ("wss://gw.example.test/viewer/v1/rdp", "rdp", "in")
    assert (told["host"], told["login"], told["domain"], told["password"]) == ("127.0.0.1", "alice", "CORP", SECRET)
    assert (told["seconds"], told["longest"], told["clipboard"], told["layout"]) == (60, 8 * 3600, "in", 0x407)
    assert (told["origin"], told["client_ip"]) == ("http://testserver", "")
    grant = read_token(said["token"], here.gateway.broker, str(here.edge.uid), at=time.time())
    assert (grant.id, grant.user, grant.destination) == (
        told["id"], f"user:{here.alice.pk}", f"127.0.0.1:{told['port']}",
    )  # fmt: skip
    assert Tunnel.objects.get().subject == f"launch:{here.launch().pk}"


def test_a_page_that_came_by_the_gateway_goes_back_there_and_the_token_is_for_its_address(here: Site) -> None:
    address = here.connect()
    outside = Passing(here.edge, here.gateway)
    outside.cookies = here.browser.cookies
    assert 'data-protocol="rdp"' in outside.get(address).content.decode()
    said = outside.post(f"/launches/{here.launch().pk}/token/", {"width": 1280, "height": 800})
    assert said.json()["url"] == f"wss://{HOST}/viewer/v1/rdp"
    assert (here.opening()["client_ip"], here.opening()["origin"]) == (CLIENT, f"https://{HOST}")


def test_the_password_is_in_nothing_that_the_browser_gets_and_in_no_log(
    here: Site, caplog: pytest.LogCaptureFixture
) -> None:
    pages = [here.browser.get(here.connect()), here.token(), here.token()]
    for answer in pages:
        assert SECRET not in answer.content.decode()
        assert SECRET not in str(answer.headers) + str(answer.cookies)
    stored = repr([*LogEntry.objects.values(), *Job.objects.values(), *Tunnel.objects.values()])
    assert SECRET not in stored + caplog.text


def says_no(here: Site, _monkeypatch: pytest.MonkeyPatch) -> None:
    here.gateway.says["open"] = lambda told: (409, {"error": "full", "detail": "The gateway has 2000 sessions."})


def babbles(here: Site, _monkeypatch: pytest.MonkeyPatch) -> None:
    here.gateway.garbage = b"<html>"


def is_away(here: Site, _monkeypatch: pytest.MonkeyPatch) -> None:
    Gateway.objects.update(address_private="127.0.0.1:9")


def breaks(here: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: Any) -> None:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(opening, "control", broken)
    here.browser.raise_request_exception = False


@pytest.mark.parametrize(
    ("trouble", "status"), [(None, 200), (says_no, 503), (babbles, 503), (is_away, 503), (breaks, 500)]
)
def test_a_typed_password_is_in_no_log_and_no_answer_whatever_becomes_of_it(
    here: Site,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    trouble: Callable[[Site, pytest.MonkeyPatch], None] | None,
    status: int,
) -> None:
    caplog.set_level("DEBUG")
    here.connect()
    if trouble:
        trouble(here, monkeypatch)
    typed = [{"password": "planted-Own1"}, {"login": "LAB\\root", "password": "planted-Other1"}]
    answers = [here.token(**each) for each in typed]
    assert answers[0].status_code == status  # the second one may find the gateway out of the choice
    answers.append(here.token(refused="1"))
    shown = "".join(f"{each.content.decode()} {each.headers} {each.cookies}" for each in answers)
    stored = repr(
        [*LogEntry.objects.values(), *Job.objects.values(), *Tunnel.objects.values(), *Launch.objects.values()]
    )
    told = shown + stored + caplog.text + capfd.readouterr().err
    assert "planted" not in told and SECRET not in told
    assert ("a mistake of ours" in told) == (trouble is breaks)


def test_no_address_holds_a_token(here: Site, caplog: pytest.LogCaptureFixture) -> None:
    """It is in the answer's body and in the first message of a WebSocket, never in a URL, a header or a log."""
    caplog.set_level("DEBUG")
    page = here.browser.get(here.connect())
    answer = here.token()
    token, url = answer.json()["token"], answer.json()["url"]
    assert url == "wss://gw.example.test/viewer/v1/rdp"
    assert token not in page.content.decode() + str(page.headers) + str(answer.headers) + caplog.text
    assert token not in repr([*LogEntry.objects.values(), *Job.objects.values(), *Tunnel.objects.values()])
    assert here.browser.get(f"/launches/{here.launch().pk}/token/?token={token}").status_code == 405


def test_each_request_is_a_new_opening(here: Site) -> None:
    here.connect()
    first, second = here.token().json()["token"], here.token().json()["token"]
    assert first != second
    assert Tunnel.objects.values("token_id").distinct().count() == 2


@pytest.mark.parametrize("wanted", [False, True])
def test_viewers_open_in_new_windows_where_the_policy_says_so_and_files_do_not(here: Site, wanted: bool) -> None:
    Policy.objects.filter(pk=here.policy.pk).update(new_windows=wanted)
    page = here.browser.get("/desktops/").content.decode()
    buttons = re.findall(r"<button[^>]*>(?:Reconnect|Connect by an RDP file)</button>", page)
    assert [("_blank" in each) for each in buttons] == [False, wanted]


def test_the_certificate_that_the_agent_tells_is_pinned(here: Site) -> None:
    Desktop.objects.update(rdp_cert_sha256="ab" * 32)
    here.connect()
    here.token()
    assert here.opening()["pin"] == "ab" * 32


def test_without_an_agent_the_certificate_of_the_first_use_is_pinned_until_the_machine_is_made_anew(here: Site) -> None:
    here.connect()
    here.token()
    assert here.opening()["pin"] == ""
    Tunnel.objects.update(used_at=now(), certificate="cd" * 32)
    here.token()
    assert here.opening()["pin"] == "cd" * 32
    Tunnel.objects.filter(certificate="").update(used_at=now(), certificate="ef" * 32)
    here.token()
    assert here.opening()["pin"] == "cd" * 32


def test_an_address_that_was_another_desktops_does_not_bring_that_ones_certificate(here: Site) -> None:
    other = make.desktop(here.desktop.center, name="Before", address=here.desktop.address)
    before = Launch.objects.create(
        user=here.alice, desktop=other, assignment=make.assignment(here.alice, other), step="connecting",
        started_at=now(), step_at=now(), deadline=now(), opened_at=now(),
    )  # fmt: skip
    here.connect()
    here.token()
    Tunnel.objects.update(subject=f"launch:{before.pk}", used_at=now(), certificate="ee" * 32)
    here.token()
    assert here.opening()["pin"] == ""
    Tunnel.objects.filter(subject=f"launch:{here.launch().pk}").update(used_at=now(), certificate="cd" * 32)
    here.token()
    assert here.opening()["pin"] == "cd" * 32


def test_only_ones_own_launch_and_only_by_post(here: Site) -> None:
    here.connect()
    launch = here.launch()
    other = make.signed_in(Client(), make.user("mallory"))
    assert other.post(f"/launches/{launch.pk}/token/").status_code == 404
    assert other.get(f"/launches/{launch.pk}/viewer/").status_code == 404
    assert here.browser.get(f"/launches/{launch.pk}/token/").status_code == 405
    assert Client().post(f"/launches/{launch.pk}/token/").status_code == 302
    strict = Client(enforce_csrf_checks=True, headers={"Origin": "https://evil.example"})
    strict.cookies.load({"sessionid": here.browser.cookies["sessionid"].value})
    assert strict.post(f"/launches/{launch.pk}/token/").status_code == 403
    assert Tunnel.objects.count() == 0


def test_somebody_faster_than_anybody_has_to_wait(here: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openings, "AT_MOST", 2)
    here.connect()
    assert [here.token().status_code for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize("how", ["offline", "silent", "refuses"])
def test_a_gateway_that_is_down_opens_nothing_and_says_so(here: Site, how: str) -> None:
    here.connect()
    if how == "offline":
        Gateway.objects.update(state="offline")
    if how == "silent":
        Gateway.objects.update(heard_at=now() - timedelta(minutes=5))
    if how == "refuses":
        here.gateway.says["open"] = lambda _: (409, {"error": "full", "detail": "It is full."})
    answer = here.token()
    assert answer.status_code == (503 if how == "refuses" else 409)
    assert ("It is full." if how == "refuses" else "does not answer") in answer.json()["error"]
    assert not Tunnel.objects.filter(closed_at=None).exists()


def test_the_next_protocol_is_used_where_the_gateway_is_down(here: Site) -> None:
    Gateway.objects.update(state="offline")
    address = here.connect()
    assert address == f"/launches/{here.launch().pk}/file/"
    assert here.browser.get(address).headers["Content-Type"] == "application/x-rdp"
    assert here.launch().protocol == "rdp"


def test_a_page_opened_before_the_gateway_went_down_leads_to_the_file(here: Site) -> None:
    address = here.connect()
    Gateway.objects.update(state="offline")
    answer = here.browser.get(address, follow=True)
    assert answer.headers["Content-Type"] == "application/x-rdp"


def test_where_nothing_can_be_had_the_person_reads_why(here: Site) -> None:
    here.choose("rdp", priority=None)
    Gateway.objects.update(state="offline")
    page = here.browser.get(here.connect(), follow=True).content.decode()
    assert "You cannot be connected just now" in page
    assert "Edge, through which your connection goes, does not answer" in page


def test_a_token_in_a_row_that_was_released_meanwhile_opens_nothing(here: Site) -> None:
    here.connect()
    actions.release(here.held.pk, "in the test")
    answer = here.token()
    assert answer.status_code == 409
    assert "no longer yours" in answer.json()["error"]
    assert here.gateway.told("open") == []


def test_a_release_while_the_gateway_is_asked_leaves_nothing_open(here: Site) -> None:
    here.connect()

    def slow(_: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return 200, {"port": 0, "started_at": STARTED_AT}

    here.gateway.says["open"] = slow
    still = iter([True, False])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(openings, "may", lambda *_: next(still))
        assert here.token().status_code == 409
    assert not Tunnel.objects.filter(closed_at=None).exists()


def test_a_stopped_desktop_gives_no_token(here: Site) -> None:
    here.connect()
    Desktop.objects.update(power="stopped")
    answer = here.token()
    assert (answer.status_code, answer.json()["again"]) == (409, False)
    assert "does not run any more" in answer.json()["error"]


def test_another_press_of_connect_ends_the_first_windows_launch(here: Site) -> None:
    Agent.objects.create(
        uuid="00000000-0000-4000-8000-000000000009", key_digest="b" * 64, center=here.desktop.center,
        desktop=here.desktop, approved=True, registered_at=now(), last_seen=now(),
    )  # fmt: skip
    here.connect()
    first = here.launch()
    again = Client()
    again.post("/", {"login": "alice", "password": SECRET})
    again.post(f"/desktops/{here.desktop.pk}/connect/", {"take_over": "1"})
    answer = here.browser.post(f"/launches/{first.pk}/token/")
    assert answer.json()["error"] == "You have connected to this desktop from another window."


def test_a_plan_that_was_changed_meanwhile_leads_to_a_new_connect(here: Site) -> None:
    here.connect()
    port = here.choose("html5_rdp", priority=None).port
    here.choose("html5_vnc", priority=1, gateway=here.edge, port=port)
    answer = here.token()
    assert (answer.status_code, answer.json()["again"]) == (409, False)
    assert "Press Connect again" in answer.json()["error"]


def test_signed_out_means_no_token(here: Site) -> None:
    here.connect()
    here.browser.post("/sign-out/")
    assert here.token().status_code == 302
    assert PortalSession.objects.get().vault == ""
    assert here.gateway.told("open") == []


def test_a_reload_under_a_new_sign_in_goes_on(here: Site) -> None:
    here.connect()
    launch = here.launch()
    here.browser.post("/sign-out/")
    here.sign_in()
    assert here.browser.post(f"/launches/{launch.pk}/token/").status_code == 200
    launch.refresh_from_db()
    assert launch.portal_session == PortalSession.objects.latest("pk")


def test_the_progress_page_leads_to_the_viewer_and_names_the_gateways_step(here: Site) -> None:
    Desktop.objects.update(power="starting")
    here.connect()
    launch = here.launch()
    assert "Opening gateway" in here.browser.get(f"/launches/{launch.pk}/").content.decode()
    assert here.browser.get(f"/launches/{launch.pk}/viewer/").headers["Location"] == f"/launches/{launch.pk}/"
    Desktop.objects.update(power="running")
    Launch.objects.update(step="connecting", opened_at=now())
    page = here.browser.get(f"/launches/{launch.pk}/").content.decode()
    assert f"/launches/{launch.pk}/viewer/" in page
    assert "Open your desktop" in page
