"""Setup > Authentication Servers > Load users through HTTP, with the look-alike directory behind it (seed ch. 6)."""

import re
from typing import Any

import pytest
from django.test import Client

from authservers.models import AuthenticationServer, User
from broker.core.fields import set_secret
from broker.core.models import Job, LogEntry
from broker.demo.directory import seed
from broker.demo.directory.certificates import Certificates
from broker.demo.directory.domain import NewUser
from broker.demo.directory.server import DirectoryServer
from tests import make
from tests.directory_fixtures import directory_certificates, directory_server

__all__ = ["directory_certificates", "directory_server"]


@pytest.fixture(autouse=True)
def database(db: None) -> None:
    """Every test here uses the database."""


@pytest.fixture
def admin(client: Client) -> Client:
    return make.admin_client(client)


@pytest.fixture
def corp(directory_server: DirectoryServer, directory_certificates: Certificates) -> AuthenticationServer:
    """The authentication server for the look-alike."""
    config = {
        "host": "localhost", "port": directory_server.ldaps_port, "security": "ldaps", "query_groups": True,
        "ca_pem": directory_certificates.ca.read_text(), "search_user": seed.SEARCH_USER,
        "match_field": "sAMAccountName",
    }  # fmt: skip
    row = make.server(name="Corp", config=config)
    set_secret(row, "search_password", seed.SEARCH_PASSWORD)
    row.save()
    return row


def words(response: Any) -> str:
    """What is to be read on a page."""
    text = re.sub(r"<[^>]*>", " ", response.content.decode())
    return " ".join(text.replace("&#x27;", "'").replace("&gt;", ">").split())


def first_step(server: AuthenticationServer) -> str:
    """Where Load users begins."""
    return f"/setup/authentication-servers/{server.pk}/load-users/"


def asked(client: Client, server: AuthenticationServer, **scope: Any) -> Any:
    """The answer to Next >."""
    fields = {"username": "", "hours": "24", "expression": "", "group": "", **scope}
    return client.post(first_step(server), fields, follow=True)


def offered(response: Any) -> dict[str, str]:
    """Login to value of what stands in the Available list."""
    found = re.findall(r'<option value="([^"]+)">[^<]*\(([^)]+)\)', response.content.decode())
    return {login: value for value, login in found}


def saved(client: Client, response: Any, *logins: str) -> Any:
    """Save in the second step."""
    values = offered(response)
    return client.post(response.request["PATH_INFO"] + "?" + response.request["QUERY_STRING"],
                       {"users": [values[login] for login in logins]}, follow=True)  # fmt: skip


def test_the_first_step_has_the_seeds_words(admin: Client, corp: AuthenticationServer) -> None:
    page = words(admin.get(first_step(corp)))
    for text in (
        "Load Users from Corp", "Select a specific user", "Select from recently created users",
        "Select from users that match an expression", "Select users from a group", "Select from all the users",
        "Enter the username", "Next >",
    ):  # fmt: skip
        assert text in page


def test_users_are_loaded_with_their_groups(admin: Client, corp: AuthenticationServer) -> None:
    center = make.center(at=corp)
    second = asked(admin, corp, scope="all")
    assert {"alice", "bob", "carol"} <= set(offered(second))
    assert "Available users" in words(second) and "Selected users" in words(second) and "Add item" in words(second)
    done = saved(admin, second, "alice", "bob", "carol")
    assert "3 users loaded" in words(done)
    alice = User.objects.get(server=corp, login="alice")
    assert (alice.sam, alice.display_name, alice.netbios) == ("alice", "Alice Andersson", "CORP")
    assert alice.sid.startswith("S-1-5-21-") and len(alice.group_sids) > 2 and not alice.has_usable_password()
    assert Job.objects.get(kind="poll").key == f"poll:{center.pk}"
    assert "alice" in LogEntry.objects.get(event="admin.users_loaded").message.lower()


def test_known_users_are_brought_up_to_date(admin: Client, corp: AuthenticationServer) -> None:
    saved(admin, asked(admin, corp, scope="all"), "alice")
    User.objects.filter(login="alice").update(display_name="Old Name")
    again = asked(admin, corp, scope="user", username="alice")
    assert "loaded already" in words(again)
    assert "1 of them was known" in words(saved(admin, again, "alice"))
    assert User.objects.get(login="alice").display_name == "Alice Andersson"


def test_whoever_is_found_in_other_groups_is_judged_anew(admin: Client, corp: AuthenticationServer) -> None:
    saved(admin, asked(admin, corp, scope="all"), "alice", "bob")
    assert not Job.objects.filter(kind="session_expire").exists()
    User.objects.filter(login="bob").update(group_sids=["S-1-5-21-0-0-0-1"])
    saved(admin, asked(admin, corp, scope="all"), "alice", "bob")
    bob = User.objects.get(login="bob")
    assert Job.objects.get(kind="session_expire").payload == {"server": corp.pk, "user": bob.pk}


FOUND = [
    ({"scope": "user", "username": "alice"}, {"alice"}),
    ({"scope": "recent", "hours": "60"}, {"samir", "tuuli"}),
    ({"scope": "expression", "expression": "(department=Legal)"}, {"uma"}),
]


def test_each_scope_finds_its_people(admin: Client, corp: AuthenticationServer) -> None:
    for scope, logins in FOUND:
        found = set(offered(asked(admin, corp, **scope)))
        assert logins <= found and "kim" not in found, scope


def test_a_group_is_chosen_from_the_groups_of_the_directory(admin: Client, corp: AuthenticationServer) -> None:
    page = admin.post(first_step(corp), {"scope": "group", "_step": "group:refresh"})
    corp.refresh_from_db()
    assert "Refresh groups" in words(page) and "read just now" in words(page)
    group = next(each for each in corp.groups if each["name"] == "Engineering")
    found = set(offered(asked(admin, corp, scope="group", group=group["dn"])))
    assert {"alice", "elena", "greta"} <= found and "kim" not in found


def test_without_group_information_there_is_no_group(admin: Client, corp: AuthenticationServer) -> None:
    corp.config["query_groups"] = False
    corp.save()
    assert "Select users from a group" not in words(admin.get(first_step(corp)))
    assert asked(admin, corp, scope="group", group="CN=x").context["form"].errors["scope"]


BAD = [
    ({"scope": "user", "username": "nobody"}, "username", "knows nobody with the user name nobody"),
    ({"scope": "user", "username": ""}, "username", "is needed"),
    ({"scope": "expression", "expression": "(department=Legal"}, "expression", "parentheses"),
    ({"scope": "expression", "expression": "(department=None)"}, "expression", "Nobody in Corp fits this"),
    ({"scope": "recent", "hours": "0"}, "hours", "greater than or equal to 1"),
    ({"scope": "group", "group": ""}, "group", "is needed"),
]


def test_bad_input_is_refused_in_words(admin: Client, corp: AuthenticationServer) -> None:
    for scope, field, why in BAD:
        response = asked(admin, corp, **scope)
        assert why in " ".join(response.context["form"].errors[field]), scope
    assert not User.objects.filter(server=corp).exists()


def test_a_directory_that_goes_away_in_between_loses_nothing(
    admin: Client, corp: AuthenticationServer, directory_server: DirectoryServer
) -> None:
    second = asked(admin, corp, scope="all")
    directory_server.stop()
    response = saved(admin, second, "alice", "bob")
    assert "Nobody was loaded" in words(response) and "Alice Andersson (alice)" in words(response)
    assert not User.objects.filter(server=corp).exists()
    assert "No server of the directory can be used" in words(asked(admin, corp, scope="all"))


def test_add_item_works_without_javascript(admin: Client, corp: AuthenticationServer) -> None:
    second = asked(admin, corp, scope="all")
    values = offered(second)
    address = second.request["PATH_INFO"] + "?" + second.request["QUERY_STRING"]
    moved = admin.post(address, {"users_available": [values["alice"]], "_step": "users:add"})
    assert f'<input type="hidden" name="users" value="{values["alice"]}">' in moved.content.decode()
    assert not User.objects.filter(server=corp).exists()
    assert "Select at least one user" in words(admin.post(address, {}))


def test_more_people_than_fit_are_searched_in_the_directory(
    admin: Client, corp: AuthenticationServer, directory_server: DirectoryServer
) -> None:
    for number in range(210):
        directory_server.domain.add_user(NewUser(f"student{number:03}", seed.PASSWORD, name=f"Student {number:03}"))
    second = asked(admin, corp, scope="all")
    assert len(offered(second)) == 200 and "More than 200 people fit" in words(second)
    address = second.request["PATH_INFO"] + "?" + second.request["QUERY_STRING"]
    narrowed = admin.post(address, {"users_search": "student 209", "_step": "users:search"})
    assert set(offered(narrowed)) == {"student209"}
    curious = admin.post(address, {"users_search": "*)(cn=*", "_step": "users:search"})
    assert curious.status_code == 200 and not offered(curious)


def test_an_invented_selection_is_refused(admin: Client, corp: AuthenticationServer) -> None:
    second = asked(admin, corp, scope="all")
    address = second.request["PATH_INFO"] + "?" + second.request["QUERY_STRING"]
    for value in ("1", "x" * 36, "zzzzzzzz-zzzz-zzzz-zzzz-zzzzzzzzzzzz"):
        assert "cannot be read" in words(admin.post(address, {"users": [value]})), value
    gone = admin.post(address, {"users": ["00000000-0000-0000-0000-000000000001 Ghost"]}, follow=True)
    assert "1 user could not be found" in words(gone)
    assert admin.get(f"{first_step(corp)}select/?scope=moon").status_code == 303


def test_users_are_loaded_by_another_login_field(admin: Client, corp: AuthenticationServer) -> None:
    corp.config["match_field"] = "mail"
    corp.save()
    saved(admin, asked(admin, corp, scope="user", username="alice@corp.example.test"), "alice")
    assert (User.objects.get(server=corp).login, User.objects.get(server=corp).sam) == (
        "alice@corp.example.test",
        "alice",
    )
