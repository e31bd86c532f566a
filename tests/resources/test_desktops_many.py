"""What is done to many desktops: assigned from rows or CSV, released, told something; and the rights of a help desk."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from agents.models import AgentCommand
from broker.connect.models import DesktopSession
from broker.core.models import LogEntry
from centers.models import Center, Desktop
from policies.models import Role
from pools.models import Assignment
from tests import make
from tests.resources.test_desktops_list import agent, session

pytestmark = pytest.mark.django_db
LIST = "/resources/desktops/"
BULK = f"{LIST}bulk-assign/"


@pytest.fixture
def center() -> Center:
    make.defaults()
    return make.center()


@pytest.fixture
def admin(client: Client) -> Client:
    return make.admin_client(client)


@pytest.fixture
def help_desk(client: Client) -> Client:
    return make.client_with(client, desktops="execute", sessions="execute")


def results(admin: Client, rows: str, **more: Any) -> list[str]:
    """What the preview says of each row."""
    answer = admin.post(BULK, {"rows": rows, **more})
    return [row.problem or ("so already" if row.unchanged else "would be") for row in answer.context["rows"]]


def test_rows_are_looked_at_first_and_then_carried_out(admin: Client, center: Center) -> None:
    first, second = make.desktop(center, display_name="CAD, big"), make.desktop(center)
    alice, bob = make.user("alice"), make.user("bob", at=center.server)
    rows = f'desktop,user,kind\n"cad, BIG",Alice,\n{second.ref},CORP\\bob,hard\n'
    assert results(admin, rows) == ["would be", "would be"]
    assert not Assignment.objects.exists(), "a preview does nothing"
    answer = admin.post(BULK, {"rows": rows, "confirmed": "yes"}, follow=True).content.decode()
    assert "2 desktops assigned." in answer
    held = {row.desktop: (row.user, row.kind) for row in Assignment.objects.filter(closed_at=None)}
    assert held == {first: (alice, "policy"), second: (bob, "hard")}
    assert LogEntry.objects.filter(event="desktop.assigned").count() == 2
    assert results(admin, rows) == ["so already", "so already"]


def test_a_csv_file_does_the_same(admin: Client, center: Center) -> None:
    machine = make.desktop(center)
    make.user("alice")
    file = SimpleUploadedFile("list.csv", f"﻿desktop,user,kind\r\n{machine.name},alice,hard\r\n".encode())
    answer = admin.post(BULK, {"file": file})
    assert [row.todo for row in answer.context["rows"]] == [True]
    assert machine.name in answer.context["text"], "the confirmation carries the rows of the file"
    binary = admin.post(BULK, {"file": SimpleUploadedFile("list.csv", b"\xff\xfe\x00")})
    assert binary.context["form"].errors["file"] == ["The file is no text in UTF-8."]


def test_each_row_that_cannot_be_carried_out_says_why_and_stops_no_other(admin: Client, center: Center) -> None:
    machine, taken, bound = make.desktop(center), make.desktop(center), make.desktop(center, bound_user="carol")
    make.desktop(center, display_name="Twin")
    make.desktop(center, display_name="Twin")
    make.user("alice")
    make.assignment(make.user("bob"), taken)
    name = machine.name
    rows = "\n".join([
        f"{name},alice,policy", f"{name},alice,policy", "nowhere,alice,", "twin,alice,", f"{taken.name},alice,",
        f"{bound.name},alice,policy", f"{bound.name},alice,hard", f"{machine.ref},nobody,", f"{machine.ref},,",
        f"{machine.ref},alice,soft", "<script>,alice,",
    ])  # fmt: skip
    said = results(admin, rows)
    assert said[:5] == [
        "would be", "The desktop stands in an earlier row already.", "No desktop is called “nowhere”.",
        "Several desktops are called “twin”.", "It is assigned to Bob. Release it first.",
    ]  # fmt: skip
    assert "only a hard assignment" in said[5]
    assert said[7:] == [
        "No user is called “nobody”.", "The user is missing.", "“soft” is no kind: write policy or hard.",
        "No desktop is called “<script>”.",
    ]  # fmt: skip
    page = admin.post(BULK, {"rows": rows}).content.decode()
    assert "<script>,alice" not in page
    answer = admin.post(BULK, {"rows": rows, "confirmed": "yes"}, follow=True).content.decode()
    assert "1 desktop assigned. 10 rows left out." in answer
    assert Assignment.objects.filter(closed_at=None).count() == 2


def test_a_binding_by_aws_gives_way_to_a_confirmed_hard_assignment(admin: Client, center: Center) -> None:
    bound = make.desktop(center, bound_user="carol")
    make.user("alice")
    make.user("carol", at=center.server)
    assert results(admin, f"{bound.name},carol,") == ["would be"]
    assert "Confirm that Alice gets" in results(admin, f"{bound.name},alice,hard")[0]
    assert results(admin, f"{bound.name},alice,hard", override="on") == ["would be"]
    assert "only a hard assignment" in results(admin, f"{bound.name},alice,policy", override="on")[0]


def test_the_ticked_rows_of_the_list_begin_the_page(admin: Client, center: Center) -> None:
    machines = [make.desktop(center) for _ in range(2)]
    make.assignment(make.user("alice"), machines[0])
    asked = admin.post(f"{LIST}actions/bulk_assign/", {"ids": [each.pk for each in machines]})
    page = admin.get(asked["Location"]).context["form"].initial["rows"]
    assert page == f"{machines[0].ref},alice,policy\n{machines[1].ref},,policy\n"


@pytest.mark.parametrize(
    ("rows", "field"), [("", "rows"), ("a,b\n" * 1001, "rows"), ('"open,alice', "rows"), ("x" * 200_001, "rows")]
)
def test_what_is_no_list_is_refused(admin: Client, center: Center, rows: str, field: str) -> None:
    assert field in admin.post(BULK, {"rows": rows}).context["form"].errors


def test_the_preview_costs_the_same_for_many_rows(
    admin: Client, center: Center, django_assert_max_num_queries: Any
) -> None:
    make.user("alice")
    rows = "\n".join(f"{make.desktop(center).ref},alice,hard" for _ in range(30))
    with django_assert_max_num_queries(12):
        admin.post(BULK, {"rows": rows})


def test_many_are_released_with_a_reason(admin: Client, center: Center) -> None:
    machines = [make.desktop(center) for _ in range(3)]
    for machine in machines[:2]:
        make.assignment(make.user(), machine)
    asked = admin.post(f"{LIST}actions/release/", {"ids": [each.pk for each in machines]})
    assert "will no longer have 2 desktops" in admin.get(asked["Location"]).content.decode()
    answer = admin.post(asked["Location"], {"reason": "end of the project"}, follow=True).content.decode()
    assert "Release: 2 desktops." in answer
    reasons = set(Assignment.objects.values_list("close_reason", flat=True))
    assert all(reason.endswith(": end of the project") for reason in reasons)


def test_a_message_goes_to_everybody_on_the_ticked_desktops(admin: Client, center: Center) -> None:
    heard, silent, empty = (make.desktop(center, display_name=name) for name in ("Heard", "Silent", "Empty"))
    agent(heard)
    agent(silent, heard=False)
    for machine in (heard, heard, silent):
        session(machine, make.user())
    asked = admin.post(f"{LIST}actions/message/", {"ids": [heard.pk, silent.pk]})
    answer = admin.post(asked["Location"], {"text": "Save your <work>"}, follow=True).content.decode()
    assert [each.data["text"] for each in AgentCommand.objects.filter(type="message")] == ["Save your <work>"] * 2
    assert "Send message: 1 desktop." in answer
    assert "The Usher Agent of Silent does not answer" in answer
    assert LogEntry.objects.filter(event="session.message_requested").count() == 2
    late = admin.post(f"{LIST}change/message/?ids={empty.pk}", {"text": "Hi"}, follow=True).content.decode()
    assert "Nobody has a session on Empty." in late
    assert admin.post(f"{LIST}change/message/?ids={heard.pk}", {"text": ""}).context["form"].errors


def test_the_help_desk_helps_without_a_right_to_edit(help_desk: Client, center: Center) -> None:
    machine, person = make.desktop(center), make.user()
    make.assignment(person, machine)
    agent(machine)
    session(machine, person)
    page = help_desk.get(f"{LIST}{machine.pk}/").content.decode()
    assert "Send message" in page
    assert "data-save" not in page
    assert "Shut down" not in page
    help_desk.post(f"{LIST}change/message/?ids={machine.pk}", {"text": "Hello"})
    help_desk.post(f"{LIST}{machine.pk}/logout/", {"confirmed": "yes"})
    help_desk.post(f"{LIST}change/release/?ids={machine.pk}", {"reason": ""})
    assert AgentCommand.objects.filter(type="message").exists()
    assert Assignment.objects.get().closed_at is not None


def test_the_help_desk_clears_a_stuck_session(help_desk: Client, center: Center) -> None:
    machine = make.desktop(center)
    session(machine, make.user())
    help_desk.post(f"{LIST}{machine.pk}/clear/", {"confirmed": "yes"})
    assert not DesktopSession.objects.filter(ended_at=None).exists()


def test_the_help_desk_changes_nothing_else(help_desk: Client, center: Center) -> None:
    machine = make.desktop(center)
    for action in ("start", "shutdown", "unavailable", "tag", "delete_list"):
        assert help_desk.post(f"{LIST}{machine.pk}/{action}/", {"confirmed": "yes"}).status_code == 403, action
    for key in ("unavailable", "tags", "note"):
        assert help_desk.get(f"{LIST}change/{key}/?ids={machine.pk}").status_code == 403, key
    assert help_desk.get(BULK).status_code == 403
    assert help_desk.post(f"{LIST}{machine.pk}/", {"notes": "x"}).status_code == 403
    assert help_desk.get(f"{LIST}{machine.pk}/assign/").status_code == 403
    assert Desktop.objects.get().availability == "available"


def test_who_may_only_look_helps_nobody(client: Client, center: Center) -> None:
    make.client_with(client, desktops="view")
    machine = make.desktop(center)
    make.assignment(make.user(), machine)
    assert client.post(f"{LIST}{machine.pk}/release/").status_code == 403
    assert client.get(f"{LIST}change/release/?ids={machine.pk}").status_code == 403
    assert client.get(f"{LIST}change/message/?ids={machine.pk}").status_code == 403


def test_a_role_can_be_given_the_help_desks_rights(admin: Client, center: Center) -> None:
    role = Role.objects.create(name="Help desk", admin_ui=True)
    page = admin.get(f"/configuration/roles/{role.pk}/").context["form"]
    assert "execute" in dict(page.fields["page_desktops"].choices)
    assert "execute" not in dict(page.fields["page_pools"].choices)
    data = {"name": "Help desk", "admin_ui": "on", "page_desktops": "execute", "page_log": "view"}
    answer = admin.post(f"/configuration/roles/{role.pk}/", data)
    assert answer.status_code == 303, answer.context["form"].errors
    role.refresh_from_db()
    assert role.pages == {"desktops": "execute", "log": "view"}
    assert "0 to edit, 1 to help, 1 to view" in admin.get("/configuration/roles/").content.decode()
