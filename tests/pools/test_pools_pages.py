"""Configuration > Pools, through the front door."""

from typing import Any

import pytest
from django.test import Client

from broker.core.models import LogEntry
from centers.models import Desktop
from pools import rules
from pools.models import Pool
from tests import make

pytestmark = pytest.mark.django_db
URL = "/configuration/pools/"


@pytest.fixture
def admin(client: Client) -> Client:
    make.defaults()
    return make.admin_client(client)


def data(**changes: Any) -> dict[str, Any]:
    made = {"name": "WorkSpaces", "parent": make.root_pool().pk, "defined_by": "centers", "join": "and"}
    return {**made, "distribute": "0", **changes}


def rule(number: int, attribute: str, condition: str, value: str) -> dict[str, str]:
    return {f"rules-{number}-{name}": text for name, text in
            (("attribute", attribute), ("condition", condition), ("value", value))}  # fmt: skip


def test_a_pool_of_a_center_is_created_with_the_dual_list(admin: Client) -> None:
    center = make.center(name="WorkSpaces Virginia")
    machine = make.desktop(center)
    page = admin.get(f"{URL}add/").content.decode()
    for text in ("Available centers", "Selected centers", "Add item", "Define pool using", "Subset of pool"):
        assert text in page
    step = admin.post(f"{URL}add/", data(centers_available=center.pk, _step="centers:add"))
    assert step.context["form"]["centers"].value() == [str(center.pk)]
    assert not Pool.objects.filter(name="WorkSpaces").exists()
    answer = admin.post(f"{URL}add/", data(display_name="Your desktops", centers=[center.pk]))
    assert answer.status_code == 303, answer.context["form"].errors
    pool = Pool.objects.get(name="WorkSpaces")
    assert list(rules.desktops(pool)) == [machine]
    assert LogEntry.objects.filter(event="admin.object_created", subject_name="WorkSpaces").exists()
    page = admin.get(f"{URL}{pool.pk}/").content.decode()
    assert machine.name in page
    assert "1 desktop in this pool" in page


def test_a_pool_of_attributes_with_or(admin: Client) -> None:
    center = make.center()
    one = make.desktop(center, name="alpha", address="10.1.0.5")
    two = make.desktop(center, name="beta", address="10.2.0.5")
    make.desktop(center, name="gamma", address="10.3.0.5")
    typed = rule(0, "name", "bw", "al") | rule(1, "address", "cidr", "10.2.0.0/16")
    answer = admin.post(f"{URL}add/", data(defined_by="attributes", join="or", **typed))
    assert answer.status_code == 303, answer.context["form"].errors
    pool = Pool.objects.get(name="WorkSpaces")
    assert set(rules.desktops(pool)) == {one, two}
    assert "Name begins with “al” or IP address matches CIDR “10.2.0.0/16”" in admin.get(URL).content.decode()


def test_a_bad_rule_is_refused_beside_its_row(admin: Client) -> None:
    for typed, why in (
        (rule(0, "address", "cidr", "10.2.0.0/99"), "is not a network such as"),
        (rule(0, "root_gb", "gt", "big"), "is compared with a whole number"),
    ):
        answer = admin.post(f"{URL}add/", data(defined_by="attributes", **typed))
        assert answer.status_code == 200
        assert why in answer.content.decode()
    answer = admin.post(f"{URL}add/", data(defined_by="attributes"))
    assert "rules" in answer.context["form"].errors
    assert not Pool.objects.filter(name="WorkSpaces").exists()


def test_a_pool_of_tags_and_one_of_picked_desktops(admin: Client) -> None:
    center = make.center()
    one, two = make.desktop(center, tags=["gpu", "cad"]), make.desktop(center, tags=["gpu"])
    assert admin.post(f"{URL}add/", data(name="CAD", defined_by="tags", tags=" gpu, cad , gpu ")).status_code == 303
    cad = Pool.objects.get(name="CAD")
    assert cad.tags == ["gpu", "cad"]
    assert list(rules.desktops(cad)) == [one]
    inside = data(name="Picked", defined_by="selection", parent=cad.pk)
    refused = admin.post(f"{URL}add/", {**inside, "desktops": [two.pk]})
    assert "desktops" in refused.context["form"].errors
    assert admin.post(f"{URL}add/", {**inside, "desktops": [one.pk]}).status_code == 303
    assert list(rules.desktops(Pool.objects.get(name="Picked"))) == [one]


def test_a_pool_without_a_definition_is_refused(admin: Client) -> None:
    assert list(admin.post(f"{URL}add/", data()).context["form"].errors) == ["centers"]
    assert list(admin.post(f"{URL}add/", data(defined_by="tags", tags=" , ")).context["form"].errors) == ["tags"]


def test_a_pool_is_never_below_itself(admin: Client) -> None:
    center = make.center()
    top = make.pool(center, name="Top")
    middle = make.pool(center, name="Middle", parent=top)
    low = make.pool(center, name="Low", parent=middle)
    answer = admin.post(f"{URL}{top.pk}/", data(name="Top", parent=low.pk, centers=[center.pk]))
    assert "parent" in answer.context["form"].errors
    answer = admin.post(f"{URL}{low.pk}/", data(name="Low", parent=top.pk, centers=[center.pk]))
    assert answer.status_code == 303, answer.context["form"].errors


def test_the_list_is_a_tree_with_numbers(admin: Client) -> None:
    center = make.center()
    free, lent = make.desktop(center), make.desktop(center, power=Desktop.Power.STOPPED)
    make.assignment(make.user(), lent)
    parent = make.pool(center, name="A parent")
    make.pool(center, name="Z child", parent=parent)
    make.pool(name="M empty")
    table = admin.get(URL).context["listing"]
    shown = [[str(cell) for _, cell in row.cells] for row in table.rows]
    assert [row.record.name for row in table.rows] == ["All Desktops", "A parent", "Z child", "M empty"]
    assert [row[3:] for row in shown] == [["2", "1", "1", "1", "1"]] * 3 + [["0"] * 5]
    assert "└" in shown[2][0]
    assert free.lent is False


def test_all_desktops_is_fixed_and_stays(admin: Client) -> None:
    root = make.root_pool()
    page = admin.get(f"{URL}{root.pk}/")
    assert "defined_by" not in page.context["form"].fields
    assert (
        admin.post(f"{URL}{root.pk}/", {"name": "Everything", "defined_by": "tags", "distribute": "1"}).status_code
        == 303
    )
    root.refresh_from_db()
    assert (root.name, root.defined_by, root.is_root, root.distribute) == ("Everything", "all", True, 1)
    assert admin.post(f"{URL}{root.pk}/delete/").status_code == 409
    assert Pool.objects.filter(is_root=True).exists()


def test_a_pool_in_use_is_not_deleted(admin: Client) -> None:
    center = make.center()
    pool = make.pool(center)
    child = make.pool(center, parent=pool)
    policy = make.policy(pool)
    answer = admin.post(f"{URL}{pool.pk}/delete/")
    assert answer.status_code == 409
    assert f"Pool “{child}”" in answer.content.decode()
    assert f"Policy “{policy}”" in answer.content.decode()
    assert admin.post(f"{URL}{child.pk}/delete/").status_code == 303


def test_the_count_is_known_before_saving(admin: Client) -> None:
    center = make.center()
    make.desktop(center, name="alpha")
    make.desktop(center, name="beta")
    answer = admin.post(f"{URL}0/draft/", data(centers=[center.pk]))
    assert "2 desktops" in answer.content.decode()
    one = admin.post(f"{URL}0/draft/", data(defined_by="attributes", **rule(0, "name", "eq", "ALPHA")))
    assert "1 desktop</b> matches" in one.content.decode()
    assert "not complete" in admin.post(f"{URL}0/draft/", data(name="")).content.decode()
    assert "2 desktops" in admin.post(f"{URL}0/draft/", data(name="", centers=[center.pk])).content.decode()
    assert not Pool.objects.filter(name="WorkSpaces").exists()


def test_permissions_of_pools(client: Client) -> None:
    make.defaults()
    pool = make.pool(make.center())
    make.client_with(client, pools="view")
    assert client.get(URL).status_code == 200
    assert client.get(f"{URL}{pool.pk}/").status_code == 200
    assert client.post(f"{URL}{pool.pk}/", data()).status_code == 403
    assert client.post(f"{URL}{pool.pk}/delete/").status_code == 403
    assert make.client_with(Client(), policies="edit").get(URL).status_code == 403


def test_the_list_costs_the_same_for_many(admin: Client, django_assert_max_num_queries: Any) -> None:
    center = make.center()
    make.desktop(center)
    make.pool(center)
    with django_assert_max_num_queries(100) as few:
        admin.get(URL)
    for _ in range(30):
        make.pool(center)
    with django_assert_max_num_queries(len(few.captured_queries)):
        admin.get(URL)
    text = admin.get(f"{URL}?format=csv").content.decode()
    assert text.count("Centers: ") == 31


def test_all_desktops_has_no_draft(admin: Client) -> None:
    assert admin.post(f"{URL}{make.root_pool().pk}/draft/", {"name": "x"}).status_code == 404


def test_what_only_looks_like_an_address_is_in_no_network(admin: Client) -> None:
    center = make.center()
    for address in ("999.1.1.1", "010.1.1.1", "10.1.1", "10.1.1.256", ""):
        make.desktop(center, address=address)
    inside = make.desktop(center, address="10.1.255.0")
    networks = [{"attribute": "address", "condition": "cidr", "value": "0.0.0.0/0"}]
    assert list(rules.desktops(make.pool(defined_by=Pool.By.ATTRIBUTES, rules=networks))) == [inside]


def test_a_number_that_no_number_is_is_refused_beside_its_row(admin: Client) -> None:
    for value in ("²", "9" * 30, "-1"):
        answer = admin.post(f"{URL}add/", data(defined_by="attributes", **rule(0, "root_gb", "gt", value)))
        assert "is compared with a whole number" in answer.content.decode()
