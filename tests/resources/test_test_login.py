"""Test Login: it says what would happen, and nothing happens."""

import json
from typing import Any

import pytest
from django.apps import apps
from django.test import Client

from authservers.directories.base import DirectoryBusy, Person
from authservers.models import AuthenticationServer
from broker.connect import explain as explaining
from broker.connect.explain import explain
from broker.connect.models import QueuePlace
from broker.connect.report import PoolLine, Report
from broker.core.clock import now
from broker.core.models import Job, LogEntry
from centers.models import Center
from plans.models import PowerControlPlan
from policies.models import AssignmentRule, Location, Policy
from tests import make
from tests.resources.test_desktops_list import agent, session

pytestmark = pytest.mark.django_db
PAGE = "/resources/users/test-login/"


class Directory:
    """A directory that knows one person, or does not answer."""

    def __init__(self, *people: Person, down: bool = False) -> None:
        self.people, self.down = people, down

    def find(self, login: str) -> Person | None:
        if self.down:
            raise DirectoryBusy("ldap.example.test does not answer.")
        return next((each for each in self.people if each.sam == login), None)


def person(sam: str = "alice", **fields: Any) -> Person:
    """Somebody as a directory knows them."""
    made = {
        "dn": f"CN={sam}", "upn": f"{sam}@corp.example.test", "sid": f"S-1-5-21-9-{sam}", "guid": sam, "email": "",
        "display_name": sam.capitalize(), "disabled": False, "created_at": None, "group_sids": ("S-1-5-21-5130",),
    }  # fmt: skip
    return Person(sam=sam, **{**made, **fields})


@pytest.fixture
def server() -> AuthenticationServer:
    make.defaults()
    return make.server(name="Corp", groups=[{"sid": "S-1-5-21-5130", "name": "Designers", "dn": "CN=Designers"}])


@pytest.fixture
def center(server: AuthenticationServer) -> Center:
    return make.center(server)


def knows(monkeypatch: pytest.MonkeyPatch, *people: Person, down: bool = False) -> None:
    """What the directory answers."""
    monkeypatch.setattr(explaining, "directory", lambda _: Directory(*people, down=down))


def ruled(server: AuthenticationServer, policy: Policy, **fields: Any) -> AssignmentRule:
    """A rule for everybody of a server."""
    return AssignmentRule.objects.create(server=server, role=make.role(), policy=policy, **fields)


def verdicts(line: PoolLine) -> dict[str, str]:
    """Name -> verdict."""
    return {each.name: each.verdict for each in line.candidates}


def everything() -> dict[str, list[Any]]:
    """Every row of every table of ours."""
    return {model._meta.label: list(model._default_manager.order_by("pk").values()) for model in apps.get_models()}


def test_somebody_who_never_signed_in_is_explained_without_a_trace(
    server: AuthenticationServer, center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    knows(monkeypatch, person())
    make.desktop(center, name="One", power="stopped", raw_state="STOPPED")
    ruled(
        server, make.policy(make.pool(center), offer_stopped="any"), group_sid="S-1-5-21-5130", group_name="Designers"
    )
    before = everything()
    report = explain(server, "alice")
    assert everything() == before
    assert not Job.objects.filter(kind="power").exists()
    assert report.found is not None
    assert (report.found.known, report.groups, report.role) == (False, ["Designers"], "User")
    assert report.rules[0].chosen
    assert [each.name for each in report.connecting] == ["One"]
    assert report.connecting[0].button == "Connect"
    assert "started first" in report.connecting[0].start
    assert "would sign in" in report.verdict


def test_where_nothing_is_free_connect_would_give_a_place_in_the_queue(
    server: AuthenticationServer, center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    knows(monkeypatch, person())
    make.assignment(make.user("other", at=server), make.desktop(center))
    policy = make.policy(make.pool(center, name="Design"))
    ruled(server, policy)
    assert explain(server, "alice").queues == [
        "Pool Design: nothing is free. The person would wait in the queue; now nobody waits."
    ]
    waiter = make.user("waiter", at=server)
    QueuePlace.objects.create(user=waiter, line=policy.lines.get(), since=now(), seen_at=now(), held=0)
    assert "now 1 person waits" in explain(server, "alice").queues[0]


def test_each_desktop_has_its_reason(
    server: AuthenticationServer, center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    knows(monkeypatch, person())
    other = make.user("other", at=server)
    make.assignment(other, make.desktop(center, name="Lent"))
    make.desktop(center, name="Away", availability="unavailable")
    make.desktop(center, name="Stopped", power="stopped", raw_state="STOPPED")
    make.desktop(center, name="Bound", bound_user="bob")
    make.desktop(center, name="Broken", power="error")
    make.desktop(center, name="Bare")
    agent(make.desktop(center, name="Silent"), heard=False, silent=True)
    busy = make.desktop(center, name="Busy")
    agent(busy)
    session(busy, other)
    for name in ("Good", "Spare"):
        agent(make.desktop(center, name=name))
    ruled(server, make.policy(make.pool(center), offer_without_agent=False))
    report = explain(server, "alice")
    assert verdicts(report.pools[0]) == {
        "Lent": "ASSIGNED_TO_OTHER", "Away": "UNAVAILABLE", "Stopped": "STOPPED_NOT_OFFERED", "Bound": "BOUND_TO_OTHER",
        "Broken": "ERROR", "Bare": "NO_AGENT", "Silent": "AGENT_UNREACHABLE", "Busy": "SESSION_OF_OTHER",
        "Good": "OFFERED", "Spare": "QUANTITY_REACHED",
    }  # fmt: skip
    assert report.pools[0].totals["OFFERED"] == 1
    assert report.pools[0].totals["QUANTITY_REACHED"] == 1
    assert sum(report.pools[0].totals.values()) == 10


def test_the_maximum_of_the_policy_is_named(
    server: AuthenticationServer, center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    knows(monkeypatch, person())
    for name in ("One", "Two"):
        make.desktop(center, name=name)
    policy = make.policy(make.pool(center), quantity=2)
    Policy.objects.filter(pk=policy.pk).update(max_desktops=1)
    ruled(server, policy)
    report = explain(server, "alice")
    assert verdicts(report.pools[0]) == {"One": "OFFERED", "Two": "MAX_DESKTOPS"}
    assert report.pools[0].totals == {"OFFERED": 1, "MAX_DESKTOPS": 1}


def test_a_pool_of_many_shows_100_and_counts_all(
    server: AuthenticationServer, center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    knows(monkeypatch, person())
    for _ in range(103):
        make.desktop(center)
    ruled(server, make.policy(make.pool(center), offer_order=0))
    line = explain(server, "alice").pools[0]
    assert (len(line.candidates), line.left_out) == (100, 3)
    assert line.candidates[0].verdict == "OFFERED"
    assert line.totals == {"OFFERED": 1, "QUANTITY_REACHED": 102}


def test_what_is_theirs_already_is_reconnected_under_its_plans(
    server: AuthenticationServer, center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    knows(monkeypatch, person())
    alice = make.user("alice", at=server, sid=person().sid)
    plan = PowerControlPlan.objects.create(name="Night", logged_out_wait=600, logged_out_action="shutdown")
    ruled(server, make.policy(make.pool(center), plans={"power_plan": plan}), group_sid="S-1-5-21-5130")
    make.assignment(alice, make.desktop(center, name="Hers"))
    make.desktop(center, name="Another")
    report = explain(server, "alice")
    assert [each.name for each in report.assigned] == [str(each.desktop) for each in alice.assignments.all()]
    assert [(each.button, each.power_plan) for each in report.connecting] == [("Reconnect", "Night")]
    assert "Shut down 10 minutes after log-out." in report.connecting[0].timers
    assert verdicts(report.pools[0]) == {"Another": "QUANTITY_REACHED"}
    assert report.pools[0].held == 1


def test_an_address_is_placed_by_the_locations(
    server: AuthenticationServer, center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    knows(monkeypatch, person())
    office = Location.objects.create(
        name="Office", rules=[{"attribute": "ip", "condition": "cidr", "value": "10.0.0.0/8"}]
    )
    inside, outside = make.policy(), make.policy()
    ruled(server, inside, location=office, order=1)
    ruled(server, outside, order=2)
    assert explain(server, "alice", "10.1.2.3").policy == str(inside)
    assert explain(server, "alice", "192.0.2.1").policy == str(outside)
    assert explain(server, "alice", office).location == "Office"
    report = explain(server, "alice")
    assert [each.why for each in report.rules] == ["the client is not in Office", "matches"]


def test_nobody_a_dead_directory_and_a_disabled_account(
    server: AuthenticationServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    knows(monkeypatch)
    assert "was found" in explain(server, "ghost").verdict
    knows(monkeypatch, down=True)
    report = explain(server, "alice")
    assert report.found is None
    assert report.tried[0].result == "ldap.example.test does not answer."
    make.user("alice", at=server)
    assert "cannot sign in" in explain(server, "alice").verdict
    knows(monkeypatch, person(disabled=True))
    assert "disabled in the directory" in explain(server, "alice").verdict


def test_people_without_a_rule_may_be_refused(server: AuthenticationServer, monkeypatch: pytest.MonkeyPatch) -> None:
    knows(monkeypatch, person())
    assert explain(server, "alice").policy == "Default"
    server.unmatched = "refuse"
    server.save()
    assert "would be refused" in explain(server, "alice").verdict


def test_a_local_user_is_found_before_the_directories(
    server: AuthenticationServer, center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    knows(monkeypatch, person())
    local = make.grant(make.user("alice"), role=make.role(), policy=make.policy(make.pool(center)))
    report = explain(None, "ALICE")
    assert report.found is not None
    assert (report.found.server, report.policy) == (str(local.server), str(local.access.policy))
    assert len(report.tried) == 1


def run(client: Client, **data: Any) -> Any:
    """Press Run Test."""
    return client.post(PAGE, {"login": "alice", "server": "", "location": "", "address": "", **data})


def test_the_page_shows_the_ten_parts(
    client: Client, server: AuthenticationServer, center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    knows(monkeypatch, person())
    make.desktop(center, name="One")
    ruled(server, make.policy(make.pool(center)))
    admin = make.admin_client(client)
    empty = admin.get(f"{PAGE}?login=alice&server={server.pk}").content.decode()
    assert 'value="alice"' in empty
    for label in ("User Name", "Domain", "Run Test", "Client location"):
        assert label in empty
    page = run(admin, server=server.pk).content.decode()
    for part in (
        "1. What",
        "2. Auth",
        "3. Groups",
        "4. Client",
        "5. Assign",
        "6. Role",
        "7, 8. Pool",
        "9. Assigned",
        "10. What",
    ):
        assert part in page, part
    assert LogEntry.objects.filter(event="admin.test_login").count() == 1


def test_the_report_is_a_file_for_support(
    client: Client, server: AuthenticationServer, center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    knows(monkeypatch, person())
    make.desktop(center, name="One")
    ruled(server, make.policy(make.pool(center)))
    admin = make.admin_client(client)
    answer = run(admin, format="json")
    report = json.loads(answer.content)
    assert answer["Content-Disposition"].endswith('.json"')
    assert report["pools"][0]["candidates"][0]["verdict"] == "OFFERED"
    text = run(admin, format="text").content.decode()
    assert "One: OFFERED (offered)" in text
    assert "10. On Connect" in text


def test_bad_input_stands_beside_its_field(client: Client, server: AuthenticationServer) -> None:
    admin = make.admin_client(client)
    assert "login" in run(admin, login="").context["form"].errors
    assert "not an IP address" in str(run(admin, address="somewhere").context["form"].errors["address"])


def test_it_needs_the_permission_for_users(client: Client, server: AuthenticationServer) -> None:
    assert make.client_with(client, users="view").get(PAGE).status_code == 200
    assert make.client_with(Client(), desktops="edit").get(PAGE).status_code == 403


def test_the_report_is_plain_data(server: AuthenticationServer, monkeypatch: pytest.MonkeyPatch) -> None:
    knows(monkeypatch, person())
    assert isinstance(explain(server, "alice"), Report)
