"""Setup > Authentication Servers through HTTP, with the look-alike directory behind it."""

import re
from typing import Any

import pytest
from django.test import Client

from authservers.directories.base import DirectoryError
from authservers.models import AuthenticationServer
from authservers.services import directory
from broker.core.fields import secret
from broker.core.models import LogEntry
from broker.demo.directory import seed
from broker.demo.directory.certificates import Certificates
from broker.demo.directory.server import DirectoryServer
from tests import make
from tests.directory_fixtures import directory_certificates, directory_server

__all__ = ["directory_certificates", "directory_server"]
LIST = "/setup/authentication-servers/"
ADD = f"{LIST}add/"


@pytest.fixture(autouse=True)
def database(db: None) -> None:
    """Every test here uses the database."""


@pytest.fixture
def admin(client: Client) -> Client:
    return make.admin_client(client)


def typed(**changes: Any) -> dict[str, Any]:
    """The form as somebody fills it in, with the seed's fields."""
    fields = {
        "name": "Corp", "domain": "corp.example.test", "kind": "active_directory", "address_by": "host",
        "host": "127.0.0.1", "port": "9", "ldaps": "on", "upgrade": "starttls", "ca_pem": "",
        "directory_ids": "d-9067aaaaaa", "search_user": "svc-usher", "search_password": "Planted-Secret1",
        "base_dn": "", "user_filter": "", "match_field": "sAMAccountName", "query_groups": "on", "netbios": "",
        "unmatched": "default", "active": "on", "position": "1", "in_domain_list": "on", "notes": "",
    }  # fmt: skip
    return {name: value for name, value in {**fields, **changes}.items() if value is not None}


def living(server: DirectoryServer, made: Certificates, **changes: Any) -> dict[str, Any]:
    """The form for the look-alike."""
    ca = made.ca.read_text()
    return typed(
        host="localhost", port=str(server.ldaps_port), ca_pem=ca, search_password=seed.SEARCH_PASSWORD, **changes
    )


def words(response: Any) -> str:
    """What is to be read on a page."""
    text = re.sub(r"<[^>]*>", " ", response.content.decode())
    return " ".join(text.replace("&#x27;", "'").replace("&gt;", ">").split())


def error_at(response: Any, field: str) -> str:
    """What stands beside a field."""
    return " ".join(response.context["form"].errors.get(field, []))


def test_a_saved_server_says_what_it_found(
    admin: Client, directory_server: DirectoryServer, directory_certificates: Certificates
) -> None:
    response = admin.post(ADD, living(directory_server, directory_certificates), follow=True)
    row = AuthenticationServer.objects.get(name="Corp")
    assert response.redirect_chain == [(LIST, 303)]
    assert "Connected" in words(response)
    assert row.netbios == "CORP" and row.trouble == "" and row.checked_at
    assert "Mechanics" in {group["name"] for group in row.groups}
    page = words(admin.get(f"{LIST}{row.pk}/"))
    assert "Connected to" in page and "DC=corp,DC=example,DC=test" in page and "NetBIOS name CORP" in page


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"search_password": "wrong-Passw0rd"}, "wrong user name or password"),
        ({"port": "9"}, "No server of the directory can be used"),
        ({"ca_pem": ""}, "certificate"),
        ({"host": "127.0.0.9"}, "127.0.0.9"),
    ],
)
def test_a_server_in_trouble_is_saved_and_says_why(
    admin: Client, directory_server: DirectoryServer, directory_certificates: Certificates, changes: Any, why: str
) -> None:
    response = admin.post(ADD, {**living(directory_server, directory_certificates), **changes}, follow=True)
    row = AuthenticationServer.objects.get(name="Corp")
    assert response.redirect_chain == [(f"{LIST}{row.pk}/", 303)]
    assert why in words(response) and "The directory cannot be used now." in words(response)
    assert why in words(admin.get(LIST))


def test_the_port_follows_the_checkbox_where_it_was_left_alone(admin: Client) -> None:
    admin.post(ADD, typed(port="389"))
    assert AuthenticationServer.objects.get(name="Corp").config["port"] == 636
    row = AuthenticationServer.objects.get(name="Corp")
    edited = typed(ldaps=None, port="636", search_password="")
    admin.post(f"{LIST}{row.pk}/", edited)
    row.refresh_from_db()
    assert (row.config["port"], row.config["security"]) == (389, "starttls")


def test_a_port_of_ones_own_stays(admin: Client) -> None:
    admin.post(ADD, typed(port="7636"))
    assert AuthenticationServer.objects.get(name="Corp").config["port"] == 7636


def test_plain_is_a_choice_with_a_warning(admin: Client) -> None:
    assert "passwords of your users" in words(admin.get(ADD)) or "users' passwords" in words(admin.get(ADD))
    admin.post(ADD, typed(ldaps=None, upgrade="plain", port="389"))
    assert AuthenticationServer.objects.get(name="Corp").config["security"] == "plain"


BAD = [
    ("directory_ids", "d-12", "not an AWS Directory ID"),
    ("directory_ids", "d-9067bbbbbb", "belongs to the authentication server"),
    ("ca_pem", "no certificate", "not a certificate in PEM"),
    ("ca_pem", "-----BEGIN PRIVATE KEY-----", "private key"),
    ("user_filter", "(department=Sales", "parentheses"),
    ("match_field", "no attribute!", "not the name of an attribute"),
    ("base_dn", "Staff", "not a distinguished name"),
    ("host", "ldap://dc1", "without https://"),
    ("host", "", "is needed"),
    ("domain", "", "is needed"),
    ("domain", "corp", "not a domain name"),
    ("search_password", "", "is needed"),
    ("name", "Lab", "already"),
]


def test_bad_input_is_refused_beside_its_field(admin: Client) -> None:
    make.server(name="Lab", directory_ids=["d-9067bbbbbb"])
    for field, value, why in BAD:
        response = admin.post(ADD, typed(**{field: value}))
        assert (response.status_code, why in error_at(response, field)) == (200, True), (field, value)
    assert not AuthenticationServer.objects.filter(name="Corp").exists()


def test_the_secret_is_nowhere_to_be_read(admin: Client) -> None:
    response = admin.post(ADD, typed(), follow=True)
    row = AuthenticationServer.objects.get(name="Corp")
    assert secret(row, "search_password") == "Planted-Secret1"
    pages = [response, admin.get(LIST), admin.get(f"{LIST}{row.pk}/")]
    assert not any("Planted-Secret1" in page.content.decode() for page in pages)
    entry = LogEntry.objects.get(event="admin.object_created")
    assert entry.changes["search_password"] == ["not set", "set"]
    assert "Planted-Secret1" not in str(list(LogEntry.objects.values()))


def test_a_password_does_not_follow_to_another_address(admin: Client) -> None:
    admin.post(ADD, typed())
    row = AuthenticationServer.objects.get(name="Corp")
    response = admin.post(f"{LIST}{row.pk}/", typed(host="evil.example.test", search_password=""))
    assert "type the password again" in error_at(response, "search_password")


def test_there_is_one_default_domain(admin: Client) -> None:
    admin.post(ADD, typed(default_domain="on"))
    admin.post(ADD, typed(name="Lab", domain="lab.example.test", directory_ids="d-9067bbbbbb", default_domain="on"))
    assert list(AuthenticationServer.objects.filter(default_domain=True).values_list("name", flat=True)) == ["Lab"]


def test_the_local_server_has_few_fields_and_stays(admin: Client) -> None:
    row = make.local_server()
    response = admin.get(f"{LIST}{row.pk}/")
    assert set(response.context["form"].fields) == {
        "name", "unmatched", "active", "position", "in_domain_list", "notes",
    }  # fmt: skip
    assert "Load users" not in words(response)
    fields = {"name": "People here", "unmatched": "default", "position": "3", "in_domain_list": "on", "notes": ""}
    assert "could not come back" in error_at(admin.post(f"{LIST}{row.pk}/", fields), "active")
    assert admin.post(f"{LIST}{row.pk}/", {**fields, "active": "on"}).status_code == 303
    assert admin.post(f"{LIST}{row.pk}/delete/").status_code == 409


def test_a_server_in_use_is_not_deleted(admin: Client) -> None:
    row = make.server(name="Corp")
    make.user("alice", at=row)
    center = make.center(at=row, name="Virginia")
    response = admin.post(f"{LIST}{row.pk}/delete/")
    assert response.status_code == 409
    assert "Virginia" in words(response) and "1 user" in words(response)
    row.users.all().delete()
    center.delete()
    assert admin.post(f"{LIST}{row.pk}/delete/").status_code == 303


def test_a_directory_id_in_use_stays(admin: Client) -> None:
    row = make.server(name="Corp", directory_ids=["d-9067aaaaaa"])
    make.center(at=row, name="Virginia")
    response = admin.post(f"{LIST}{row.pk}/", typed(directory_ids="d-9067cccccc"))
    assert "Virginia" in error_at(response, "directory_ids")


def test_the_test_says_it_in_words(
    admin: Client, directory_server: DirectoryServer, directory_certificates: Certificates
) -> None:
    admin.post(ADD, living(directory_server, directory_certificates))
    row = AuthenticationServer.objects.get(name="Corp")
    assert "Connected to" in words(admin.post(f"{LIST}{row.pk}/test/", follow=True))
    directory_server.stop()
    assert "No server of the directory can be used" in words(admin.post(f"{LIST}{row.pk}/test/", follow=True))


def test_permissions(client: Client) -> None:
    row = make.server(name="Corp")
    assert make.client_with(client, gateways="edit").get(LIST).status_code == 403
    viewer = make.client_with(Client(), authentication_servers="view")
    assert viewer.get(LIST).status_code == 200
    assert "Load users" not in words(viewer.get(LIST))
    assert viewer.get(f"{LIST}{row.pk}/").status_code == 200
    assert viewer.post(f"{LIST}{row.pk}/", typed()).status_code == 403
    assert viewer.get(f"{LIST}{row.pk}/load-users/").status_code == 403
    assert viewer.post(f"{LIST}{row.pk}/test/").status_code == 403
    assert Client().get(LIST).status_code == 302


def test_the_list_costs_the_same_for_many(admin: Client, django_assert_max_num_queries: Any) -> None:
    make.server()
    admin.get(LIST)
    with django_assert_max_num_queries(12) as few:
        admin.get(LIST)
    for _ in range(30):
        make.server()
    with django_assert_max_num_queries(12) as many:
        admin.get(f"{LIST}?per_page=100")
    assert len(many) == len(few)


def test_load_users_is_a_link_in_the_row(admin: Client) -> None:
    row = make.server(name="Corp")
    assert f'<a class="button small" href="{LIST}{row.pk}/load-users/"' in admin.get(LIST).content.decode()


def test_a_password_that_does_not_open_is_a_trouble_of_the_directory() -> None:
    server = make.server()
    server.secrets.sealed_for = "authenticationserver:0"
    with pytest.raises(DirectoryError, match="sealed for another row"):
        directory(server)
