"""`manage.py demo_seed` and `demo_desktop`: against the look-alike directory, the account, and the desktops program."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from pytest_django.live_server_helper import LiveServer

from agents.models import Agent, EnrolmentToken
from authservers.models import AuthenticationServer, User
from broker.connect import inventory
from broker.core.models import Job
from broker.demo.aws import constants
from broker.demo.aws.server import Simulator
from broker.demo.desktops import client, image
from broker.demo.desktops.control import Control
from broker.demo.directory.__main__ import describe
from broker.demo.directory.certificates import Certificates
from broker.demo.directory.seed import LAB, STAFF
from broker.demo.directory.server import DirectoryServer
from broker.demo.management.commands import demo_desktop, demo_seed
from broker.demo.walk import PERSON
from centers.models import Center, Desktop
from plans.models import PowerControlPlan, ReleasePlan
from policies.models import AssignmentRule, Policy
from pools.models import Assignment, Pool
from pools.rules import desktops
from tests import make
from tests.aws_simulator import simulator
from tests.demo.desktop_world import NETWORK, world
from tests.directory_fixtures import directory_certificates, directory_server
from tests.services import wait_for

__all__ = ["directory_certificates", "directory_server"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def data(
    tmp_path: Path,
    directory_server: DirectoryServer,
    directory_certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A demo's folder, as the directory's program leaves it, with the Defaults in the database."""
    (tmp_path / "directory").mkdir()
    facts = {"CORP": describe(directory_server, directory_certificates.ca)}
    (tmp_path / "directory" / "directory.json").write_text(json.dumps(facts))
    monkeypatch.setenv("DATA", str(tmp_path))
    make.defaults()
    return tmp_path


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """The simulated account, as the product reaches it."""
    with simulator(network=NETWORK) as aws:
        for service in ("WORKSPACES", "STS"):
            monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", aws.endpoint)
        yield aws


def seed() -> str:
    """Run the command; what it says."""
    said = StringIO()
    call_command(demo_seed.Command(), stdout=said)
    return said.getvalue()


def do(*words: str) -> str:
    """Run demo_desktop; what it says."""
    said = StringIO()
    call_command(demo_desktop.Command(), *words, stdout=said)
    return said.getvalue().strip()


def test_the_first_start_configures_one_directory_and_queues_a_scan(data: Path) -> None:
    assert "Configured: WorkSpaces us-east-1" in seed()
    server = AuthenticationServer.objects.get(name="Corp directory")
    assert (server.directory_ids, server.netbios) == (["d-9067aaaaaa"], "CORP")
    assert {"alice", "bob", "carol", "priya"} <= set(User.objects.filter(server=server).values_list("sam", flat=True))
    assert User.objects.get(server=server, sam="alice").group_sids
    center = Center.objects.get()
    assert Job.objects.filter(kind="poll", subject=f"center:{center.pk}", state="pending").exists()
    assert PowerControlPlan.objects.get(name__contains="Shutdown on logout").logged_out_action == "shutdown"
    assert ReleasePlan.objects.get(name__contains="Persistent WorkSpaces Assignment").logged_out_release == -1
    assert AssignmentRule.objects.filter(server=server).count() == 2
    assert not server.default_domain


def test_the_person_of_the_walk_is_in_the_second_directory_alone(settings: Any) -> None:
    assert PERSON in {person[0] for person in LAB} - {person[0] for person in STAFF}
    page = (settings.BASE_DIR / "docs" / "walk.md").read_text(encoding="utf-8")
    assert page.count(f"`{PERSON}`") == 3


def test_the_image_holds_a_token_of_the_center_that_nobody_else_can_read(data: Path) -> None:
    seed()
    path = data / "image.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(image.tokens(data)) == ["d-9067aaaaaa"]
    token = EnrolmentToken.objects.get()
    assert token.center == Center.objects.get()
    assert image.tokens(data)["d-9067aaaaaa"] not in str(vars(token))


def test_a_second_start_changes_nothing(data: Path) -> None:
    seed()
    Policy.objects.filter(name="Corp desktops").update(name="Ours now")
    before = [model.objects.count() for model in (User, Center, Pool, Policy, AssignmentRule, EnrolmentToken)]
    assert "Already configured" in seed()
    assert before == [model.objects.count() for model in (User, Center, Pool, Policy, AssignmentRule, EnrolmentToken)]
    assert Policy.objects.filter(name="Ours now").exists()


def test_a_directory_that_listens_elsewhere_now_is_followed(data: Path) -> None:
    seed()
    server = AuthenticationServer.objects.get(name="Corp directory")
    right = server.config["port"]
    AuthenticationServer.objects.filter(pk=server.pk).update(config={**server.config, "port": 1})
    assert "Corp directory" in seed()
    server.refresh_from_db()
    assert server.config["port"] == right


def test_the_scan_after_the_seed_gives_bound_desktops_to_their_people_and_alice_has_none(
    data: Path, account: Simulator
) -> None:
    seed()
    inventory.scan(Center.objects.get())
    owners = {each.user.sam: each.desktop for each in Assignment.objects.filter(closed_at=None)}
    assert {"bob", "carol"} <= set(owners)
    assert "alice" not in owners
    assert not Desktop.objects.filter(bound_user__iexact="alice").exists()
    shared = desktops(Pool.objects.get(name="Corp shared desktops"))
    assert sorted(each.display_name for each in shared) == ["shared-win11-01", "shared-win11-02"]
    assert desktops(Pool.objects.get(name="Corp personal WorkSpaces")).count() == 6


def test_without_the_simulated_world_the_command_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA", str(tmp_path))
    with pytest.raises(CommandError, match="make demo"):
        seed()
    with pytest.raises(CommandError, match="not running"):
        do("bob", "login")


def test_a_person_at_a_desktop_is_named_as_the_directory_names_them(
    live_server: LiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA", str(tmp_path))
    with world(live_server.url, tmp_path) as here, Control(tmp_path, here.fleet):
        here.settled()
        bob = make.user("bob", here.center.server)
        carol = make.user("carol", here.center.server)
        desktop = Desktop.objects.get(bound_user="bob")
        make.assignment(bob, desktop)
        assert do("bob", "login") == f"CORP\\bob logged in to {desktop.name}."
        session = here.machine("bob").disk.sessions[0]
        assert (session.user, session.sid) == ("CORP\\bob", bob.sid)
        assert "idle" in do(str(desktop.ref), "idle", "--seconds", "900")
        assert "logged out" in do(desktop.display_name, "logout")
        assert do(desktop.computer_name, "login", "--user", "carol").startswith("CORP\\carol")
        assert here.machine("bob").disk.sessions[0].sid == carol.sid
        assert "WSAMZN\\local" in do(desktop.name, "login", "--user", "WSAMZN\\local")
        with pytest.raises(CommandError, match="say which"):
            do("bob", "logout")
        with pytest.raises(CommandError, match="AWS says STOPPED"):
            do("carol", "login")
        with pytest.raises(CommandError, match="There is no desktop nobody"):
            do("nobody", "login")


def test_a_name_that_may_mean_two_desktops_is_asked_about(
    live_server: LiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA", str(tmp_path))
    with world(live_server.url, tmp_path) as here, Control(tmp_path, here.fleet):
        here.settled()
        bob = make.user("bob", here.center.server)
        for desktop in Desktop.objects.filter(raw_state="STOPPED")[:2]:
            make.assignment(bob, desktop)
        Desktop.objects.filter(bound_user="bob").update(availability="deleted")
        with pytest.raises(CommandError, match="give the id"):
            do("bob", "login")


def heard_back(data: Path) -> bool:
    """Whether every machine that is on knows that it is registered: rows stand before the answer arrives."""
    return {each["registered"] for each in client.ask(data, "state") if each["on"]} == {True}


def test_the_program_runs_by_the_environment_alone_and_is_small(
    live_server: LiveServer, data: Path, account: Simulator
) -> None:
    seed()
    inventory.scan(Center.objects.get())
    environment = {
        **os.environ,
        "USHER_PUBLIC_URL": live_server.url,
        "DATA": str(data),
    }
    command = [sys.executable, "-m", "broker.demo.desktops", "--look", "0.05", "--poll", "0.05", "--rdp-port", "0"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as program:
        try:
            wait_for(lambda: Agent.objects.filter(approved=True).count() == 3, 60, "three machines have registered")
            wait_for(lambda: heard_back(data), 60, "each machine has heard that it is registered")
            status = Path(f"/proc/{program.pid}/status").read_text()
            resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
            assert resident < 60_000
        finally:
            program.terminate()
            assert program.wait(30) == 0
    assert constants.CORP_DIRECTORY in image.tokens(data)
