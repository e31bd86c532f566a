"""Setup > Centers > Deploy through HTTP (seed ch. 6; RULES 25, 27)."""

import re
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client

from authservers.models import User
from broker.core.models import Job, LogEntry
from broker.resources import deploy
from broker.resources.deploy_form import DeployForm
from centers.models import Center, Desktop, Image
from pools.models import Assignment
from tests import make


@pytest.fixture(autouse=True)
def database(db: None) -> None:
    """Every test here uses the database."""


@pytest.fixture
def admin(client: Client) -> Client:
    return make.admin_client(client)


@pytest.fixture
def center() -> Center:
    return make.center(name="Virginia")


@pytest.fixture
def alice(center: Center) -> User:
    return make.user("alice", at=center.server, display_name="Alice Adams")


def image(center: Center, name: str = "Core Win11", **fields: Any) -> Image:
    """A bundle that is ready."""
    made = {"ref": f"wsb-{name.lower().replace(' ', '')}", "state": "AVAILABLE", "is_core": True}
    return Image.objects.create(center=center, name=name, **{**made, **fields})


def page_of(center: Center) -> str:
    """The address of the form."""
    return f"/setup/centers/{center.pk}/deploy/"


def wanted(what: Image, who: User, **changes: Any) -> dict[str, Any]:
    """The form as somebody fills it in."""
    return {"image": what.pk, "user": who.pk, "running_mode": "MANUAL", "deletable": "on", **changes}


def words(response: Any) -> str:
    """What is to be read on a page."""
    return " ".join(re.sub(r"<[^>]*>", " ", response.content.decode()).replace("&#x27;", "'").split())


def error_at(response: Any, field: str) -> str:
    """What stands beside a field."""
    return " ".join(response.context["form"].errors.get(field, []))


def test_the_form_has_the_seeds_words(admin: Client, center: Center, alice: User) -> None:
    image(center)
    page = words(admin.get(page_of(center)))
    for text in ("Images", "User", "Running mode", "Allow this desktop to be permanently deleted from disk", "Deploy",
                 "Manual – billed hourly", "Always on – billed monthly", "Advanced"):  # fmt: skip
        assert text in page


def test_a_deployment_is_written_down_before_anything_is_asked_of_aws(
    admin: Client, center: Center, alice: User
) -> None:
    response = admin.post(page_of(center), wanted(image(center), alice))
    assert response.status_code == 303 and "desktops" in response["Location"]
    desktop = Desktop.objects.get()
    assert (desktop.ref, desktop.bound_user, desktop.power, desktop.deletable) == (None, "alice", "starting", True)
    assert (str(desktop), desktop.scan_assigned, desktop.lent) == ("Core Win11 – alice", True, True)
    lent = Assignment.objects.get()
    assert (lent.user, lent.kind, lent.origin) == (alice, Assignment.Kind.POLICY, "deploy")
    job = Job.objects.get(kind="deploy")
    assert job.key == f"deploy:{desktop.pk}" and job.subject == f"desktop:{desktop.pk}"
    assert job.payload == {
        "bundle": "wsb-corewin11", "user_name": "alice", "running_mode": "MANUAL", "workspace_name": "",
        "root_gb": 0, "user_gb": 0, "compute_type": "", "encryption_key": "", "tags": {},
    }  # fmt: skip
    assert LogEntry.objects.filter(event="deploy.requested", user_name="Alice Adams").exists()


def test_advanced_choices_go_with_the_request(admin: Client, center: Center, alice: User) -> None:
    more = {"root_gb": "100", "user_gb": "50", "compute_type": "POWER", "encryption_key": "alias/aws/workspaces"}
    admin.post(page_of(center), wanted(image(center), alice, **more))
    payload = Job.objects.get(kind="deploy").payload
    assert (payload["root_gb"], payload["user_gb"], payload["compute_type"]) == (100, 50, "POWER")
    assert payload["encryption_key"] == "alias/aws/workspaces"


def test_a_form_posted_twice_makes_one(admin: Client, center: Center, alice: User) -> None:
    what = image(center)
    admin.post(page_of(center), wanted(what, alice))
    again = admin.post(page_of(center), wanted(what, alice))
    assert "is being deployed already" in error_at(again, "user")
    assert (Desktop.objects.count(), Job.objects.filter(kind="deploy").count()) == (1, 1)


def test_two_at_the_same_moment_make_one(admin: Client, center: Center, alice: User) -> None:
    what = image(center)
    order = deploy.Order(center, what, alice, "MANUAL", False)
    form = DeployForm(wanted(what, alice), center=center)
    assert form.is_valid()  # the other's row is not there yet
    deploy.request_deployment(order)
    with pytest.raises(IntegrityError), transaction.atomic():
        deploy.request_deployment(order)
    assert Desktop.objects.count() == 1


def test_a_user_with_a_workspace_is_shown_as_such_and_refused(admin: Client, center: Center, alice: User) -> None:
    what = image(center)
    held = make.desktop(center, bound_user="Alice")
    assert "Alice Adams (alice) – has a WorkSpace" in words(admin.get(page_of(center)))
    response = admin.post(page_of(center), wanted(what, alice))
    assert f"({held.ref}) already" in error_at(response, "user")
    Desktop.objects.update(availability="deleted")
    assert admin.post(page_of(center), wanted(what, alice)).status_code == 303


def test_an_image_that_is_not_marked_asks_for_a_confirmation(admin: Client, center: Center, alice: User) -> None:
    unmarked = image(center, "Office", is_core=None)
    core = image(center, "Zebra Core")
    choices = [label for _, label in admin.get(page_of(center)).context["form"].fields["image"].choices]
    assert choices[1:] == ["Zebra Core (wsb-zebracore)", "Office (wsb-office) – not marked as Core"]
    assert "Confirm" in error_at(admin.post(page_of(center), wanted(unmarked, alice)), "core")
    assert admin.post(page_of(center), wanted(unmarked, alice, core="on")).status_code == 303
    bob = make.user("bob", at=center.server)
    assert admin.post(page_of(center), wanted(core, bob)).status_code == 303


def test_what_cannot_be_deployed_is_not_offered(admin: Client, center: Center, alice: User) -> None:
    image(center, "Broken", state="ERROR")
    vanished = image(center, "Vanished", missing=True)
    assert "There is nothing to deploy from" in words(admin.get(page_of(center)))
    assert "gone from AWS" in error_at(admin.post(page_of(center), wanted(vanished, alice)), "image")
    stranger = make.user("eve", at=make.server())
    assert "not, or no longer" in error_at(admin.post(page_of(center), wanted(image(center), stranger)), "user")


def test_where_nobody_is_loaded_the_page_says_what_to_do(admin: Client, center: Center) -> None:
    assert "Load users" in words(admin.get(page_of(center)))


BAD = [("root_gb", "3"), ("user_gb", "x"), ("encryption_key", "my key"), ("running_mode", "AUTO_STOP")]


def test_bad_input_is_refused_beside_its_field(admin: Client, center: Center, alice: User) -> None:
    what = image(center)
    for field, value in BAD:
        assert error_at(admin.post(page_of(center), wanted(what, alice, **{field: value})), field), field
    assert not Desktop.objects.exists() and not Job.objects.exists()


def test_only_those_who_may_edit_deploy(center: Center, alice: User) -> None:
    viewer = make.client_with(Client(), centers="view")
    assert viewer.get(page_of(center)).status_code == 403
    assert Client().get(page_of(center)).status_code == 302


def test_the_form_costs_the_same_for_many(
    admin: Client, center: Center, alice: User, django_assert_max_num_queries: Any
) -> None:
    image(center)
    admin.get(page_of(center))
    with django_assert_max_num_queries(16) as few:
        admin.get(page_of(center))
    for number in range(30):
        make.desktop(center, bound_user=f"u{number}")
        make.user(f"u{number}", at=center.server)
    with django_assert_max_num_queries(16) as many:
        admin.get(page_of(center))
    assert len(many) == len(few)
