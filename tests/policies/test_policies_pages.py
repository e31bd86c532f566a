"""Configuration > Policies, through the front door."""

from typing import Any

import pytest
from django.test import Client

from broker.core.models import LogEntry
from policies.models import AssignmentRule, Policy, PoolAssignment
from tests import make

pytestmark = pytest.mark.django_db
URL = "/configuration/policies/"


@pytest.fixture
def admin(client: Client) -> Client:
    make.defaults()
    return make.admin_client(client)


def line_data(**changes: Any) -> dict[str, Any]:
    plans = make.plan_rows()
    return {
        "quantity": "1", "pool": make.root_pool().pk, "display": "5", "offer_order": "1", "offer_stopped": "agent",
        "offer_without_agent": "on", "offer_pending_reboot": "on", "allow_stop": "0", "allow_restart": "0",
        "start_if_stopped": "on", "protocol_plan": plans["protocol_plan"].pk, "power_plan": plans["power_plan"].pk,
        "release_plan": plans["release_plan"].pk, **changes,
    }  # fmt: skip


def test_a_new_policy_is_saved_before_its_pool_assignments(admin: Client) -> None:
    page = admin.get(f"{URL}add/").content.decode()
    assert "Save the policy first" in page
    answer = admin.post(f"{URL}add/", {"name": "Engineers", "max_desktops": "-1", "session_expire": "2880"})
    policy = Policy.objects.get(name="Engineers")
    assert answer.status_code == 303
    assert answer["Location"] == f"{URL}{policy.pk}/lines/"
    assert "Add Pool Assignments" in admin.get(answer["Location"]).content.decode()
    assert LogEntry.objects.filter(event="admin.object_created", subject_name="Engineers").exists()


def test_a_line_is_added_with_the_default_plans_chosen_and_said_in_words(admin: Client) -> None:
    policy = Policy.objects.create(name="Engineers")
    form = admin.get(f"{URL}{policy.pk}/lines/add/").context["form"]
    assert form.initial["release_plan"] == make.plan_rows()["release_plan"].pk
    answer = admin.post(f"{URL}{policy.pk}/lines/add/", line_data())
    assert answer.status_code == 303, answer.context["form"].errors
    line = policy.lines.get()
    assert (line.quantity, line.display, line.offer_stopped) == (1, 5, "agent")
    page = admin.get(f"{URL}{policy.pk}/lines/").content.decode()
    assert "Offers 1 desktop from All Desktops" in page
    assert "Release to the pool at log-out." in page
    again = admin.post(f"{URL}{policy.pk}/lines/add/", line_data())
    assert list(again.context["form"].errors) == ["pool"]
    assert policy.lines.count() == 1


def test_a_line_without_a_pool_is_refused_beside_the_field(admin: Client) -> None:
    policy = Policy.objects.create(name="Engineers")
    answer = admin.post(f"{URL}{policy.pk}/lines/add/", line_data(pool=""))
    assert answer.status_code == 200
    assert answer.context["form"].errors["pool"] == ["This is needed."]
    assert not policy.lines.exists()


def test_lines_are_edited_moved_and_deleted(admin: Client) -> None:
    policy = make.policy(make.pool(name="One"), make.pool(name="Two"))
    first, second = policy.lines.order_by("order")
    admin.post(f"{URL}{policy.pk}/lines/{second.pk}/up/")
    assert [str(line.pool) for line in policy.lines.order_by("order")] == ["Two", "One"]
    answer = admin.post(f"{URL}{policy.pk}/lines/{first.pk}/", line_data(quantity="0", pool=first.pool_id))
    assert answer.status_code == 303, answer.context["form"].errors
    assert PoolAssignment.objects.get(pk=first.pk).quantity == 0
    assert "keep the desktops" in admin.get(f"{URL}{policy.pk}/lines/{first.pk}/delete/").content.decode()
    admin.post(f"{URL}{policy.pk}/lines/{first.pk}/delete/")
    assert [line.pk for line in policy.lines.all()] == [second.pk]


def test_the_hard_assigned_tab_is_saved(admin: Client) -> None:
    policy = Policy.objects.create(name="Engineers")
    data = {
        "hard_display": "1", "hard_allow_stop": "1", "hard_allow_restart": "0", "hard_disconnected_log_out": "600",
        "hard_idle_lock": "-1", "hard_idle_disconnect": "-1", "hard_idle_log_out": "-1",
    }  # fmt: skip
    answer = admin.post(f"{URL}{policy.pk}/hard/", data)
    assert answer.status_code == 303, answer.context["form"].errors
    policy.refresh_from_db()
    assert (policy.hard_display, policy.hard_disconnected_log_out, policy.hard_start_if_stopped) == (1, 600, False)


def test_a_policy_is_duplicated_with_its_lines(admin: Client) -> None:
    policy = make.policy(make.pool(), make.pool())
    admin.post(f"{URL}{policy.pk}/duplicate/")
    admin.post(f"{URL}{policy.pk}/duplicate/")
    copies = Policy.objects.filter(name__startswith="Copy").order_by("name")
    assert [copy.name for copy in copies] == [f"Copy 2 of {policy.name}", f"Copy of {policy.name}"]
    assert [copy.lines.count() for copy in copies] == [2, 2]
    assert policy.lines.count() == 2


def test_the_default_policy_and_one_in_use_are_not_deleted(admin: Client) -> None:
    default = Policy.objects.get(is_default=True)
    assert admin.post(f"{URL}{default.pk}/delete/").status_code == 409
    policy = Policy.objects.create(name="Engineers")
    AssignmentRule.objects.create(server=make.server(name="CORP"), role=make.role(), policy=policy)
    answer = admin.post(f"{URL}{policy.pk}/delete/")
    assert answer.status_code == 409
    assert "Assignment rules of “CORP”" in answer.content.decode()
    assert Policy.objects.filter(pk=policy.pk).exists()


def test_who_may_only_look_changes_nothing(client: Client) -> None:
    policy = make.policy(make.pool())
    line = policy.lines.get()
    make.client_with(client, policies="view")
    assert client.get(f"{URL}{policy.pk}/lines/").status_code == 200
    shown = client.get(f"{URL}{policy.pk}/lines/{line.pk}/").content.decode()
    assert "Delete" not in shown
    assert "data-save" not in shown
    assert client.post(f"{URL}{policy.pk}/lines/{line.pk}/", line_data()).status_code == 403
    assert client.post(f"{URL}{policy.pk}/hard/", {}).status_code == 403
    assert client.get(f"{URL}{policy.pk}/lines/add/").status_code == 403
    assert client.post(f"{URL}{policy.pk}/lines/{line.pk}/up/").status_code == 403


def test_others_see_no_policies(client: Client) -> None:
    make.client_with(client, pools="edit")
    assert client.get(URL).status_code == 403


def test_the_list_costs_the_same_for_many(admin: Client, django_assert_max_num_queries: Any) -> None:
    make.policy(make.pool())
    with django_assert_max_num_queries(100) as few:
        admin.get(URL)
    for _ in range(20):
        make.policy(make.pool(), make.pool())
    with django_assert_max_num_queries(len(few.captured_queries)):
        admin.get(URL)
