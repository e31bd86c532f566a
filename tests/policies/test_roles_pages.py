"""Configuration > Roles and Locations, through the front door."""

from typing import Any

import pytest
from django.test import Client

from broker.navigation import MENU
from policies.models import AssignmentRule, Location, Role
from tests import make

pytestmark = pytest.mark.django_db
SHOWN = [entry.area for entries in MENU.values() for entry in entries]
ROLES, LOCATIONS = "/configuration/roles/", "/configuration/locations/"


@pytest.fixture
def admin(client: Client) -> Client:
    make.defaults()
    return make.admin_client(client)


def test_a_permission_is_asked_for_once_though_two_pages_need_it(admin: Client) -> None:
    page = admin.get(f"{ROLES}add/").content.decode()
    assert page.count('name="page_gateways"') == 1 and ">Gateways</label>" in page


def pages(**granted: str) -> dict[str, str]:
    return {f"page_{area}": granted.get(area, "none") for area in SHOWN}


def test_a_role_grants_pages_and_the_permissions_hold(admin: Client) -> None:
    page = admin.get(f"{ROLES}add/").content.decode()
    assert ">Job Queue</label>" in page
    data = {"name": "Help desk", "web_client": "on", "admin_ui": "on", **pages(pools="view")}
    answer = admin.post(f"{ROLES}add/", data)
    assert answer.status_code == 303, answer.context["form"].errors
    role = Role.objects.get(name="Help desk")
    assert (role.pages, role.web_client, role.may_stop) == ({"pools": "view"}, True, False)
    client = make.signed_in(Client(), make.user(), role)
    assert client.get("/configuration/pools/").status_code == 200
    assert client.get("/configuration/pools/add/").status_code == 403
    assert client.get(ROLES).status_code == 403


def test_permissions_of_pages_that_are_not_shown_stay(admin: Client) -> None:
    role = Role.objects.create(name="Auditor", admin_ui=True, pages={"maintenance": "view", "log": "edit"})
    admin.post(f"{ROLES}{role.pk}/", {"name": "Auditor", "admin_ui": "on", **pages(log="view")})
    role.refresh_from_db()
    assert role.pages == {"maintenance": "view", "log": "view"}


def test_the_administrator_role_never_loses_a_page(admin: Client) -> None:
    role = Role.objects.get(builtin="administrator")
    assert "page_roles" not in admin.get(f"{ROLES}{role.pk}/").context["form"].fields
    admin.post(f"{ROLES}{role.pk}/", {"name": "Administrator", **pages()})
    role.refresh_from_db()
    assert role.admin_ui
    assert role.pages["roles"] == "edit"
    assert admin.post(f"{ROLES}{role.pk}/delete/").status_code == 409


def test_a_role_in_use_is_not_deleted(admin: Client) -> None:
    role = Role.objects.create(name="Help desk")
    make.grant(make.user(), role=role)
    AssignmentRule.objects.create(server=make.server(name="CORP"), role=role, policy=make.default_policy())
    answer = admin.post(f"{ROLES}{role.pk}/delete/")
    assert answer.status_code == 409
    assert "Assignment rules of “CORP”" in answer.content.decode()
    assert "1 person to whom it was given directly" in answer.content.decode()


def location(name: str, *rows: tuple[str, str, str], **more: Any) -> dict[str, Any]:
    data: dict[str, Any] = {"name": name, "order": "1", "join": "and", **more}
    for number, row in enumerate(rows):
        data |= dict(zip((f"rules-{number}-{part}" for part in ("attribute", "condition", "value")), row, strict=True))
    return data


def test_a_location_is_made_and_the_tester_finds_it(admin: Client) -> None:
    answer = admin.post(f"{LOCATIONS}add/", location("Head office", ("ip", "cidr", "10.1.0.0/16")))
    assert answer.status_code == 303, answer.context["form"].errors
    page = admin.get(LOCATIONS, {"ip": "10.1.2.3"}).content.decode()
    assert "IP address matches CIDR “10.1.0.0/16”" in page
    assert "<b>Head office</b>" in page
    assert "no location matches" in admin.get(LOCATIONS, {"ip": "192.0.2.1"}).content.decode()
    assert "This is no IP address." in admin.get(LOCATIONS, {"ip": "ten"}).content.decode()


def test_the_tester_works_before_there_is_a_location(admin: Client) -> None:
    assert "no location matches" in admin.get(LOCATIONS, {"ip": "192.0.2.1"}).content.decode()


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (("ip", "cidr", "10.1.0.0/33"), "is not a network such as"),
        (("browser", "cidr", "10.1.0.0/16"), "Only an IP address can match a CIDR."),
    ],
)
def test_a_bad_location_rule_is_refused_beside_its_row(admin: Client, row: tuple[str, str, str], why: str) -> None:
    answer = admin.post(f"{LOCATIONS}add/", location("Head office", row))
    assert why in answer.content.decode()
    assert not Location.objects.exists()


def test_a_location_without_rules_is_refused(admin: Client) -> None:
    assert "rules" in admin.post(f"{LOCATIONS}add/", location("Nowhere")).context["form"].errors


def test_a_location_in_use_is_not_deleted(admin: Client) -> None:
    place = Location.objects.create(name="Office")
    AssignmentRule.objects.create(
        server=make.server(name="CORP"), role=make.role(), policy=make.default_policy(), location=place
    )
    assert "1 rule of CORP" in admin.get(LOCATIONS).content.decode()
    assert admin.post(f"{LOCATIONS}{place.pk}/delete/").status_code == 409


@pytest.mark.parametrize(("url", "area"), [(ROLES, "roles"), (LOCATIONS, "locations")])
def test_permissions(client: Client, url: str, area: str) -> None:
    row: Any = Role.objects.create(name="X") if area == "roles" else Location.objects.create(name="X")
    make.client_with(client, **{area: "view"})
    assert client.get(url).status_code == 200
    assert client.get(f"{url}{row.pk}/").status_code == 200
    assert client.post(f"{url}{row.pk}/", {"name": "Y"}).status_code == 403
    assert make.client_with(Client(), pools="edit").get(url).status_code == 403


@pytest.mark.parametrize("url", [ROLES, LOCATIONS])
def test_lists_cost_the_same_for_many(admin: Client, url: str, django_assert_max_num_queries: Any) -> None:
    Location.objects.create(name="First")
    with django_assert_max_num_queries(100) as few:
        admin.get(url)
    for number in range(20):
        Role.objects.create(name=f"Role {number}")
        Location.objects.create(name=f"Place {number}")
    with django_assert_max_num_queries(len(few.captured_queries)):
        admin.get(url)
