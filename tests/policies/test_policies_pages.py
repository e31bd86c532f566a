"""Configuration > Policies, through the front door."""

from typing import Any

import pytest
from django.test import Client

from broker.core.models import LogEntry
from plans.redirection import Redirection
from policies.models import AssignmentRule, Policy, PoolAssignment
from tests import make

pytestmark = pytest.mark.django_db
URL = "/configuration/policies/"
# What a browser sends for the sections Connections and Redirection.
CONNECTIONS = {
    "port_close": "5", "longest": "-1", "clipboard": "both", "redirect_drives": "on", "redirect_printers": "on",
    "redirect_audio": "on", "usb": "file",
}  # fmt: skip


@pytest.fixture
def admin(client: Client) -> Client:
    make.defaults()
    return make.admin_client(client)


def line_data(**changes: Any) -> dict[str, Any]:
    plans = make.plan_rows()
    return {
        "quantity": "1", "pool": make.root_pool().pk, "display": "5", "offer_order": "1", "offer_stopped": "agent",
        "offer_without_agent": "on", "offer_pending_reboot": "on", "allow_stop": "0", "allow_restart": "0",
        "start_if_stopped": "on", "log_in_as": "R", "protocol_plan": plans["protocol_plan"].pk,
        "power_plan": plans["power_plan"].pk, "release_plan": plans["release_plan"].pk, **changes,
    }  # fmt: skip


def test_a_new_policy_is_saved_before_its_pool_assignments(admin: Client) -> None:
    page = admin.get(f"{URL}add/").content.decode()
    assert "Save the policy first" in page
    answer = admin.post(
        f"{URL}add/", {"name": "Engineers", "max_desktops": "-1", "session_expire": "2880", **CONNECTIONS}
    )
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
        "hard_display": "1", "hard_log_in_as": "L", "hard_allow_stop": "1", "hard_allow_restart": "0",
        "hard_disconnected_log_out": "600",
        "hard_idle_lock": "-1", "hard_idle_disconnect": "-1", "hard_idle_log_out": "-1", "hard_offer_stopped": "agent",
        "hard_closed_as": "logout", "hard_idle_url_after": "900", "hard_idle_url": "https://x.example/{USER}",
        "hard_log_out_rogue": "on", "hard_disconnected_url": "https://x.example/gone",
        "hard_backup_pool": make.root_pool().pk, "hard_backup_if_silent": "on",
    }  # fmt: skip
    answer = admin.post(f"{URL}{policy.pk}/hard/", data)
    assert answer.status_code == 303, answer.context["form"].errors
    policy.refresh_from_db()
    assert policy.hard_log_in_as == "L"
    assert (policy.hard_display, policy.hard_disconnected_log_out, policy.hard_start_if_stopped) == (1, 600, False)
    assert (policy.hard_offer_stopped, policy.hard_closed_as, policy.hard_log_out_rogue) == ("agent", "logout", True)
    assert (policy.hard_idle_url_after, policy.hard_offer_without_agent) == (900, False)
    assert (policy.hard_backup_pool, policy.hard_backup_if_closed) == (make.root_pool(), False)
    port = admin.post(f"{URL}{policy.pk}/hard/", {**data, "hard_disconnected_url": "https://x.example/{PORT}"})
    assert list(port.context["form"].errors) == ["hard_disconnected_url"]
    wrong = admin.post(f"{URL}{policy.pk}/hard/", {**data, "hard_idle_url": "", "hard_backup_if_silent": ""})
    assert set(wrong.context["form"].errors) == {"hard_idle_url", "hard_backup_pool"}


def test_a_line_that_calls_a_url_names_it_with_tags_that_exist(admin: Client) -> None:
    policy = Policy.objects.create(name="Engineers")
    where = f"{URL}{policy.pk}/lines/add/"
    calling = line_data(send_url="on", assigned_timeout="9")
    for wrong in ("", "ftp://x.example/", "https://x.example/{NOTHING}", "https://x.example/{TOKEN}"):
        assert list(admin.post(where, {**calling, "assigned_url": wrong}).context["form"].errors) == ["assigned_url"]
    assert (
        "{CLIENT_IP} is not known when a desktop is assigned."
        in admin.post(where, {**calling, "assigned_url": "https://x.example/{CLIENT_IP}"}).content.decode()
    )
    assert "assigned_timeout" in admin.post(where, {**calling, "assigned_timeout": "31"}).context["form"].errors
    answer = admin.post(where, {**calling, "assigned_url": "https://x.example/{POOL}/{USER}"})
    assert answer.status_code == 303, answer.context["form"].errors
    line = policy.lines.get()
    assert (line.send_url, line.assigned_url, line.assigned_timeout) == (True, "https://x.example/{POOL}/{USER}", 9)


def test_a_policy_that_calls_a_url_at_the_start_of_a_session_names_it_with_tags_that_mean_something_then(
    admin: Client,
) -> None:
    given = {"name": "Engineers", "max_desktops": "-1", "session_expire": "2880", **CONNECTIONS}
    calling = {**given, "start_call": "on", "start_timeout": "5", "start_blocks": "on", "start_message": ""}
    for wrong in ("", "https://x.example/{IP}", "https://{USER}.example/"):
        answer = admin.post(f"{URL}add/", {**calling, "start_url": wrong})
        assert list(answer.context["form"].errors) == ["start_url"]
    assert (
        "{IP} is not known at the start of a session."
        in admin.post(f"{URL}add/", {**calling, "start_url": "https://x.example/{IP}"}).content.decode()
    )
    good = "https://x.example/?u={USER}&d={USER:department}"
    assert admin.post(f"{URL}add/", {**calling, "start_url": good}).status_code == 303
    policy = Policy.objects.get(name="Engineers")
    assert (policy.start_call, policy.start_url, policy.start_blocks) == (True, good, True)
    assert policy.start_message == "Unable to initialize session"


def test_a_policy_that_calls_nothing_can_be_saved_whatever_url_it_once_had(admin: Client) -> None:
    policy = Policy.objects.create(name="Engineers", start_url="http://[::1/")
    given = {"name": "Staff", "max_desktops": "-1", "session_expire": "2880", **CONNECTIONS}
    assert admin.post(f"{URL}{policy.pk}/", given).status_code == 303
    policy.refresh_from_db()
    assert (policy.name, policy.start_url) == ("Staff", "http://[::1/")


def test_the_rogue_tab_is_saved(admin: Client) -> None:
    policy, plans = Policy.objects.create(name="Engineers"), make.plan_rows()
    assert "without going through the broker" in admin.get(f"{URL}{policy.pk}/rogue/").content.decode()
    answer = admin.post(f"{URL}{policy.pk}/rogue/", {"rogue_release_plan": plans["release_plan"].pk})
    assert answer.status_code == 303
    policy.refresh_from_db()
    assert (policy.rogue_release_plan, policy.rogue_power_plan) == (plans["release_plan"], None)


def test_a_lines_filters_are_typed_and_said_in_words(admin: Client) -> None:
    policy = Policy.objects.create(name="Engineers")
    users = {
        "filter_kind": "users", "user_join": "or", "user_rows-0-attribute": "department",
        "user_rows-0-condition": "eq", "user_rows-0-value": "<Design>", "confirm_power": "on",
        "desktop_rows-0-attribute": "notes", "desktop_rows-0-condition": "ct", "desktop_rows-0-kind": "user",
        "desktop_rows-0-value": "department",
    }  # fmt: skip
    answer = admin.post(f"{URL}{policy.pk}/lines/add/", line_data(**users))
    assert answer.status_code == 303, answer.context["form"].errors
    line = policy.lines.get()
    assert line.offer_filter == {
        "kind": "users", "match_all": False,
        "rules": [{"attribute": "department", "condition": "eq", "value": "<Design>"}],
    }  # fmt: skip
    assert line.confirm_power
    assert line.desktop_filter["rules"][0]["kind"] == "user"
    page = admin.get(f"{URL}{policy.pk}/lines/").content.decode()
    assert "Only for users whose department is equal to “&lt;Design&gt;”." in page
    assert "Only where the desktop&#x27;s notes contains the user&#x27;s department." in page
    times = {
        "filter_kind": "times", "time_rows-0-days": "weekdays", "time_rows-0-begin": "08:00",
        "time_rows-0-end": "18:00", "time_zone": "Europe/Berlin", "time_last": "2027-01-31",
    }  # fmt: skip
    form = admin.get(f"{URL}{policy.pk}/lines/{line.pk}/").context["form"]
    assert form.initial["user_rows"][0]["value"] == "<Design>"
    answer = admin.post(f"{URL}{policy.pk}/lines/{line.pk}/", line_data(**times))
    assert answer.status_code == 303, answer.context["form"].errors
    line.refresh_from_db()
    assert line.offer_filter == {
        "kind": "times", "zone": "Europe/Berlin", "first": "", "last": "2027-01-31",
        "ranges": [{"days": "weekdays", "from": "08:00", "until": "18:00"}],
    }  # fmt: skip
    assert line.desktop_filter == {}
    again = admin.get(f"{URL}{policy.pk}/lines/{line.pk}/").content.decode()
    assert 'value="2027-01-31"' in again
    assert 'value="08:00"' in again


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"filter_kind": "users"}, "user_rows"),
        ({"filter_kind": "times"}, "time_rows"),
        ({"filter_kind": "times", "time_rows-0-days": "all", "time_rows-0-begin": "25:00", "time_rows-0-end": "1"},
         "time_rows"),
        ({"desktop_rows-0-attribute": "name", "desktop_rows-0-condition": "ct", "desktop_rows-0-kind": "client",
          "desktop_rows-0-value": "shoe size"}, "desktop_rows"),
        ({"desktop_rows-0-attribute": "user_gb", "desktop_rows-0-condition": "gt", "desktop_rows-0-kind": "text",
          "desktop_rows-0-value": "many"}, "desktop_rows"),
    ],
)  # fmt: skip
def test_a_filter_that_cannot_be_meant_is_refused_beside_its_field(
    admin: Client, data: dict[str, str], field: str
) -> None:
    policy = Policy.objects.create(name="Engineers")
    answer = admin.post(f"{URL}{policy.pk}/lines/add/", line_data(**data))
    assert list(answer.context["form"].errors) == [field]


def test_a_backup_pool_is_another_pool_and_for_something(admin: Client) -> None:
    policy, spare = Policy.objects.create(name="Engineers"), make.pool(name="Spare")
    add, plan = f"{URL}{policy.pk}/lines/add/", make.plan_rows()["power_plan"]
    same = admin.post(add, line_data(backup_pool=make.root_pool().pk, backup_if_empty="on"))
    assert same.context["form"].errors["backup_pool"] == ["Choose another pool than the one above."]
    never = admin.post(add, line_data(backup_pool=spare.pk))
    assert never.context["form"].errors["backup_pool"] == ["Tick below when it is to be used."]
    good = line_data(backup_pool=spare.pk, backup_if_empty="on", backup_if_closed="on", backup_power_plan=plan.pk)
    answer = admin.post(add, good)
    assert answer.status_code == 303, answer.context["form"].errors
    line = policy.lines.get()
    assert (line.backup_pool, line.backup_power_plan, line.backup_release_plan) == (spare, plan, None)
    page = admin.get(f"{URL}{policy.pk}/lines/").content.decode()
    assert "Backup pool: Spare, if this pool has nothing or the viewer port is unreachable." in page


def test_what_may_pass_between_device_and_desktop_is_saved(admin: Client) -> None:
    policy = Policy.objects.create(name="Engineers")
    said = {
        **CONNECTIONS, "name": "Engineers", "max_desktops": "-1", "session_expire": "2880", "desktop_join": "and",
        "clipboard": "in", "redirect_drives": "", "usb": "some", "usb_devices": "USB\\VID_046D&PID_C52B\n",
        "port_close": "15", "longest": "480",
    }  # fmt: skip
    assert admin.post(f"{URL}{policy.pk}/", said).status_code == 303
    policy.refresh_from_db()
    assert (policy.port_close, policy.longest) == (15, 480)
    assert policy.redirection == Redirection("in", drives=False, usb="some", usb_devices=("USB\\VID_046D&PID_C52B",))


def test_some_usb_devices_have_to_be_named(admin: Client) -> None:
    policy = Policy.objects.create(name="Engineers")
    for devices in ("", "nonsense;usb", "USB\\VID_1;*"):
        said = {**CONNECTIONS, "name": "Engineers", "usb": "some", "usb_devices": devices}
        assert "usb_devices" in admin.post(f"{URL}{policy.pk}/", said).context["form"].errors


def test_the_policys_own_rows_on_desktops_are_saved(admin: Client) -> None:
    policy = Policy.objects.create(name="Engineers")
    data = {
        "name": "Engineers", "max_desktops": "-1", "session_expire": "2880", **CONNECTIONS, "desktop_join": "or",
        "desktop_rows-0-attribute": "os", "desktop_rows-0-condition": "ct", "desktop_rows-0-kind": "text",
        "desktop_rows-0-value": "11",
    }  # fmt: skip
    assert admin.post(f"{URL}{policy.pk}/", data).status_code == 303
    policy.refresh_from_db()
    assert policy.desktop_filter == {
        "match_all": False, "rules": [{"attribute": "os", "condition": "ct", "kind": "text", "value": "11"}],
    }  # fmt: skip


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
