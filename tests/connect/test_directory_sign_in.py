"""Sign-in through a directory: real LDAPS to the look-alike, from form to policy (SPEC 1.2; CONTRACTS 3)."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from authservers.models import AuthenticationServer, User
from broker.connect.models import PortalSession
from broker.core import jobs
from broker.core.clock import now
from broker.core.models import Job, LogEntry
from broker.demo.directory import seed
from broker.demo.directory.certificates import Certificates
from broker.demo.directory.server import DirectoryServer
from broker.handlers import HANDLERS
from gateways.models import Tunnel
from policies.models import AssignmentRule, Role
from tests import make
from tests.connect.directory import directory_row
from tests.directory_fixtures import directory_certificates, directory_server

__all__ = ["directory_certificates", "directory_server"]
pytestmark = pytest.mark.django_db
WRONG = "User name or password is wrong."


@pytest.fixture(autouse=True)
def broker() -> None:
    make.defaults()


@pytest.fixture
def corp(directory_server: DirectoryServer, directory_certificates: Certificates) -> AuthenticationServer:
    return directory_row(directory_server, directory_certificates)


@pytest.fixture
def down(directory_server: DirectoryServer, directory_certificates: Certificates) -> Iterator[AuthenticationServer]:
    """A directory that is tried first and is not there."""
    yield directory_row(directory_server, directory_certificates, position=0, name="Far away", config={"port": 1})


def sign_in(login: str, password: str = seed.PASSWORD, **extra: str) -> Any:
    return Client().post("/", {"login": login, "password": password, **extra})


def words(answer: Any) -> str:
    return str(answer.content.decode())


@pytest.mark.parametrize("login", ["alice", "ALICE", "CORP\\alice", "alice@corp.example.test"])
def test_the_right_password_opens_the_portal_however_the_name_is_written(
    login: str, corp: AuthenticationServer
) -> None:
    assert sign_in(login).headers["Location"] == "/desktops/"
    alice = User.objects.get(server=corp)
    assert (alice.login, alice.sam, alice.netbios, alice.display_name) == ("alice", "alice", "CORP", "Alice Andersson")
    assert (alice.upn, alice.sid.startswith("S-1-5-21-"), alice.has_usable_password()) == (
        "alice@corp.example.test",
        True,
        False,
    )
    assert PortalSession.objects.get().user == alice


def test_a_wrong_password_an_unknown_name_and_a_locked_account_read_the_same(corp: AuthenticationServer) -> None:
    for login, password in (("alice", "nonsense"), ("nobody", seed.PASSWORD), ("liam", seed.PASSWORD)):
        answer = sign_in(login, password)
        assert (answer.status_code, WRONG in words(answer)) == (200, True), login
    assert not User.objects.filter(server=corp).exists()
    assert not PortalSession.objects.exists()


@pytest.mark.parametrize(
    ("login", "said"), [("xavier", "disabled"), ("yusuf", "expired"), ("zoe", "password"), ("olga", "password")]
)
def test_a_state_is_told_after_the_right_password_and_only_then(
    login: str, said: str, corp: AuthenticationServer
) -> None:
    assert WRONG in words(sign_in(login, "nonsense"))
    told = words(sign_in(login))
    assert WRONG not in told
    assert said in told.lower()
    assert not PortalSession.objects.exists()


def test_an_empty_password_never_reaches_the_directory(
    corp: AuthenticationServer, directory_server: DirectoryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr("broker.connect.login.directory", lambda server: asked.append(server))
    assert "This field is required" in words(sign_in("alice", ""))
    assert asked == []


def test_a_directory_that_is_down_is_said_with_503(down: AuthenticationServer) -> None:
    answer = sign_in("alice")
    assert answer.status_code == 503
    assert "a directory does not answer" in words(answer)
    assert "Far away" in LogEntry.objects.get(event="auth.login_failed").message
    assert seed.PASSWORD not in LogEntry.objects.get(event="auth.login_failed").message


def test_the_other_server_is_tried_all_the_same(down: AuthenticationServer, corp: AuthenticationServer) -> None:
    assert sign_in("alice").headers["Location"] == "/desktops/"
    assert User.objects.get(login="alice").server == corp


def test_local_people_get_in_while_the_directory_is_down(down: AuthenticationServer) -> None:
    make.user("root")
    assert sign_in("root", make.PASSWORD).headers["Location"] == "/desktops/"


def test_a_wrong_search_password_is_no_wrong_password_of_the_person(
    directory_server: DirectoryServer, directory_certificates: Certificates
) -> None:
    row = directory_row(directory_server, directory_certificates)
    row.secrets = {"search_password": {"value": "not-the-one", "set_at": ""}}
    row.save()
    answer = sign_in("alice")
    assert WRONG not in words(answer) or answer.status_code == 302
    assert "not-the-one" not in words(answer)


def test_a_person_who_was_renamed_keeps_the_row_by_sid(
    corp: AuthenticationServer, directory_server: DirectoryServer
) -> None:
    sign_in("alice")
    before = User.objects.get(server=corp)
    dn = directory_server.domain.lookup("samaccountname", "alice")[0].dn
    directory_server.domain.put(dn, "sAMAccountName", "alicia")
    directory_server.domain.put(dn, "userPrincipalName", "alicia@corp.example.test")
    assert sign_in("alicia").status_code == 302
    after = User.objects.get(server=corp)
    assert (after.pk, after.login, after.sam, after.key) == (before.pk, "alicia", "alicia", f"{corp.pk}:alicia")


def test_nested_groups_decide_role_and_policy(corp: AuthenticationServer) -> None:
    """Alice is in Mechanics, which is in Engineering, which is in Usher Users."""
    sign_in("alice")
    groups = User.objects.get(server=corp).group_sids
    assert len(groups) >= 3
    policy = make.policy()
    role = Role.objects.create(name="Engineer", web_client=True)
    for order, sid in enumerate(["S-1-5-21-0-0-0-1", groups[-1]]):
        AssignmentRule.objects.create(
            server=corp, order=order, group_sid=sid, group_name=f"group {order}", role=role, policy=policy
        )
    sign_in("alice")
    portal = PortalSession.objects.latest("pk")
    assert (portal.policy, portal.role) == (policy, role)
    assert "Rule 2" in LogEntry.objects.filter(event="auth.login_ok").latest("pk").message


def test_people_without_a_rule_are_refused_where_the_server_says_so(corp: AuthenticationServer) -> None:
    AuthenticationServer.objects.filter(pk=corp.pk).update(unmatched="refuse")
    answer = sign_in("alice")
    assert answer.status_code == 403
    assert "You have no access to desktops here" in words(answer)
    assert not PortalSession.objects.exists()


@pytest.mark.parametrize("refused", [True, False], ids=["no access", "a smaller role"])
def test_who_comes_back_without_a_group_loses_at_once_what_is_open_elsewhere(
    corp: AuthenticationServer, refused: bool
) -> None:
    """The directory tells it at the next sign-in, on whatever device (RULES 22)."""
    lost, terminals = "S-1-5-21-0-0-0-1", Role.objects.create(name="Terminals", web_client=False)
    rules = {"server": corp, "policy": make.policy()}
    AssignmentRule.objects.create(**rules, order=1, group_sid=lost, role=make.role())
    sign_in("alice")
    before, alice = PortalSession.objects.get(), User.objects.get(server=corp)
    User.objects.filter(pk=alice.pk).update(group_sids=[lost])
    open_way = Tunnel.objects.create(
        token_id="t", subject="launch:4", user=f"user:{alice.pk}", opened_at=now(), lease_until=now(), used_at=now()
    )
    if refused:
        AuthenticationServer.objects.filter(pk=corp.pk).update(unmatched="refuse")
    else:
        AssignmentRule.objects.create(**rules, order=2, role=terminals)
    assert sign_in("alice").status_code == (403 if refused else 302)
    jobs.work({"session_expire": HANDLERS["session_expire"]})
    for row in (before, open_way):
        row.refresh_from_db()
    assert open_way.closed_at is not None
    assert before.closed_at is not None if refused else before.role == terminals


def test_a_sign_in_that_changes_no_group_asks_for_nothing(corp: AuthenticationServer) -> None:
    for _ in range(2):
        assert sign_in("alice").status_code == 302
    assert not Job.objects.filter(kind="session_expire").exists()


def test_the_chosen_domain_narrows_the_servers(down: AuthenticationServer, corp: AuthenticationServer) -> None:
    assert sign_in("alice", domain=str(corp.pk)).status_code == 302
    assert sign_in("alice", domain=str(down.pk)).status_code == 503


def test_wrong_passwords_count_towards_the_wait(corp: AuthenticationServer) -> None:
    for _ in range(5):
        sign_in("alice", "nonsense")
    assert sign_in("alice").status_code == 429
