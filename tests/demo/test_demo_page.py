"""/demo/: the card, the desktops and their buttons, the switches, and the image's tokens."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from pytest_django.live_server_helper import LiveServer

from agents.keys import split_enrolment
from agents.models import Agent, EnrolmentToken
from broker.connect.models import DesktopSession
from broker.core.clock import now
from broker.core.models import LogEntry
from broker.demo.aws import constants
from broker.demo.desktops import image
from broker.demo.desktops.control import Control
from broker.demo.directory.__main__ import describe
from broker.demo.directory.certificates import Certificates
from broker.demo.directory.server import DirectoryServer
from broker.demo.places import DirectoryFacts
from broker.demo.walk import steps
from centers.models import Desktop
from plans.models import PowerControlPlan, ReleasePlan
from policies.models import AssignmentRule
from tests import make
from tests.aws_simulator import of_user
from tests.demo.desktop_world import PATIENCE, World, known, world
from tests.directory_fixtures import directory_certificates, directory_server
from tests.services import wait_for

__all__ = ["directory_certificates", "directory_server"]

PLANS: dict[str, dict[str, Any]] = {
    "Shutdown on logout": {"logged_out_action": "shutdown"},
    "Persistent WorkSpaces Assignment": {"logged_out_release": -1},
}

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.demo.demo_urls")]


@pytest.fixture
def here(live_server: LiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The world, with its program's control socket, and the page looking at it."""
    monkeypatch.setenv("DATA", str(tmp_path))
    with world(live_server.url, tmp_path) as made, Control(tmp_path, made.fleet):
        monkeypatch.setenv("AWS_ENDPOINT_URL_WORKSPACES", made.aws.endpoint)
        yield made


def test_the_card_has_every_value_that_the_walk_needs(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    client: Client,
    directory_server: DirectoryServer,
    directory_certificates: Certificates,
) -> None:
    (tmp_path / "directory").mkdir()
    facts = describe(directory_server, directory_certificates.ca)
    lab = {**facts, "domain": "lab.example.test", "netbios": "LAB"}
    (tmp_path / "directory" / "directory.json").write_text(json.dumps({"CORP": facts, "LAB": lab}))
    monkeypatch.setenv("DATA", str(tmp_path))
    page = make.admin_client(client).get("/demo/").content.decode()
    values = ["lab.example.test", "localhost", str(facts["ldaps_port"]), constants.LAB_DIRECTORY, "demo-Search1"]
    values += [
        constants.ACCESS_KEY,
        constants.SECRET_KEY,
        constants.REGION,
        "BEGIN CERTIFICATE",
        "clara",
        "demo-Admin1",
    ]
    assert [value for value in values if value not in page] == []
    assert "simulated on this machine" in page


def test_the_walk_ticks_off_what_is_done() -> None:
    make.defaults()
    facts = DirectoryFacts("lab.example.test", "LAB", "", "localhost", 389, 636, "", "svc", "secret")

    def done() -> list[str]:
        return [step.label for step in steps(facts) if step.done]

    assert done() == []
    lab = make.server(domain="lab.example.test", netbios="LAB", directory_ids=[constants.LAB_DIRECTORY])
    clara, desktop = make.user("clara", lab), make.desktop(make.center(lab), power="stopped")
    make.assignment(clara, desktop)
    policy = make.policy(make.pool(desktop.center))
    AssignmentRule.objects.create(server=lab, role=make.role(), policy=policy)
    for name, model in (("Shutdown on logout", PowerControlPlan), ("Persistent WorkSpaces Assignment", ReleasePlan)):
        model._default_manager.create(name=name, **PLANS[name])
    assert len(done()) == 9
    moment = now()
    DesktopSession.objects.create(
        desktop=desktop, boot_id="1", os_session="2", started_at=moment, changed_at=moment, ended_at=moment
    )
    assert done()[-1] == "Log in and out again"


def test_the_page_shows_the_desktops_and_its_buttons_act(here: World, client: Client) -> None:
    make.admin_client(client)
    here.settled()
    bob = make.user("bob", here.center.server)
    make.assignment(bob, Desktop.objects.get(bound_user="bob"))
    page = client.get("/demo/").content.decode()
    assert "Log in as CORP\\bob" in page
    ref = of_user(here.aws, "bob").id
    for action, state in (
        ("login", "CORP\\bob: connected"),
        ("idle", "connected, idle"),
        ("disconnect", "CORP\\bob: disconnected"),
        ("reconnect", "CORP\\bob: connected"),
        ("lock", "connected, locked"),
    ):
        answer = client.post(f"/demo/desktops/{ref}/", {"action": action})
        assert (answer.status_code, answer["Location"]) == (303, "/demo/#desktops")
        assert state in client.get("/demo/desktops/").content.decode()
    client.post(f"/demo/desktops/{ref}/", {"action": "logout"})
    here.told("bob", "login", "logout")
    assert LogEntry.objects.filter(event="demo.desktop").count() == 6


def test_somebody_else_can_be_logged_in_and_a_wrong_wish_is_answered_in_words(here: World, client: Client) -> None:
    make.admin_client(client)
    ref = of_user(here.aws, "bob").id
    client.post("/demo/desktops/log-in/", {"desktop": ref, "user": "mallory"})
    assert "CORP\\mallory: connected" in client.get("/demo/").content.decode()
    for data in ({"desktop": ref, "user": "mallory"}, {"desktop": "", "user": ""}):
        assert client.post("/demo/desktops/log-in/", data).status_code == 303
        page = client.get("/demo/").content.decode()
        assert "logged in to" in page or "Choose a desktop" in page
    assert client.post(f"/demo/desktops/{ref}/", {"action": "explode"}).status_code == 303


def test_the_table_costs_the_same_for_one_and_for_many(
    here: World, client: Client, django_assert_max_num_queries: Any
) -> None:
    here.settled()
    make.admin_client(client)
    for desktop in Desktop.objects.all():
        make.assignment(make.user(at=here.center.server), desktop)
    with django_assert_max_num_queries(6):
        client.get("/demo/desktops/", headers={"X-Usher-Poll": "1"})


def test_without_the_program_the_page_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client: Client) -> None:
    monkeypatch.setenv("DATA", str(tmp_path))
    monkeypatch.setenv("AWS_ENDPOINT_URL_WORKSPACES", "http://127.0.0.1:9")
    page = make.admin_client(client).get("/demo/").content.decode()
    for words in ("desktops are not running", "have not written their addresses", "account does not answer"):
        assert words in page
    assert client.post("/demo/trouble/", {"trouble": "slow"}).status_code == 303
    assert client.post("/demo/desktops/ws-000000000/", {"action": "login"}).status_code == 303


def test_who_may_only_look_has_no_buttons_and_who_may_nothing_sees_nothing(here: World, client: Client) -> None:
    ref = of_user(here.aws, "bob").id
    assert client.get("/demo/").status_code == 302
    make.client_with(client, dashboard="view")
    page = client.get("/demo/").content.decode()
    assert '<form method="post" action="/demo/' not in page
    assert client.post(f"/demo/desktops/{ref}/", {"action": "login"}).status_code == 403
    assert client.post("/demo/trouble/", {"trouble": "slow"}).status_code == 403
    assert make.client_with(Client()).get("/demo/").status_code == 403


def test_the_account_misbehaves_as_chosen_and_behaves_again(here: World, client: Client) -> None:
    make.admin_client(client)
    for name in ("throttle", "slow", "fail", "no_start", "no_capacity"):
        client.post("/demo/trouble/", {"trouble": name})
        assert f'<option value="{name}" selected>' in client.get("/demo/").content.decode()
        assert len(here.aws.desk.switches) == 1
    client.post("/demo/trouble/", {"trouble": "none"})
    assert here.aws.desk.switches == []


def test_the_image_of_another_directory_is_baked_once_it_has_a_center(
    here: World, client: Client, tmp_path: Path
) -> None:
    key, _ca = split_enrolment(image.tokens(tmp_path)[constants.CORP_DIRECTORY])
    body = json.dumps({"directory": constants.LAB_DIRECTORY})

    def ask(token: str, said: str = body) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return client.post("/demo/image/", said, "application/json", headers=headers).status_code

    assert ask(key) == 404
    lab = make.center(make.server(directory_ids=[constants.LAB_DIRECTORY]))
    assert ask("wrong-" + key) == 401
    assert ask(key, "nonsense") == 400
    assert ask(key) == 200
    assert EnrolmentToken.objects.filter(center=lab).count() == 1
    assert ask(key) == 200
    assert EnrolmentToken.objects.filter(center=lab).count() == 1
    assert set(image.tokens(tmp_path)) == {constants.CORP_DIRECTORY, constants.LAB_DIRECTORY}


def test_a_machine_of_the_second_directory_gets_its_token_by_itself(here: World, client: Client) -> None:
    lab = make.center(make.server(directory_ids=[constants.LAB_DIRECTORY]))
    with here.aws.account.at_present():
        row = replace(of_user(here.aws, "bob"), id="ws-lab000001", directory_id=constants.LAB_DIRECTORY)
        row.ip_address, row.computer_name = here.aws.account.new_address(), "WSAMZN-LAB00001"
        here.aws.account.workspaces[row.id] = row
    known(lab, row)
    here.fleet.look()
    enrolled = Agent.objects.filter(desktop__ref=row.id, center=lab, approved=True)
    wait_for(enrolled.exists, PATIENCE, "the machine has registered")
