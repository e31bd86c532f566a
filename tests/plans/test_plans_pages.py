"""Configuration > Protocol Plans, Power Control Plans, Release Plans, through the front door."""

from typing import Any

import pytest
from django.test import Client

from broker.core.fields import secret
from broker.core.models import LogEntry
from gateways.models import Gateway, GatewayCluster
from plans.models import PowerControlPlan, ProtocolPlan, ReleasePlan
from plans.rdp import DEFAULT_RDP_TEMPLATE
from plans.steps import power_words, release_words
from tests import make

pytestmark = pytest.mark.django_db
PROTOCOL, POWER, RELEASE = (f"/configuration/{kind}-plans/" for kind in ("protocol", "power-control", "release"))
AREAS = {PROTOCOL: "protocol_plans", POWER: "power_control_plans", RELEASE: "release_plans"}


@pytest.fixture
def admin(client: Client) -> Client:
    make.defaults()
    return make.admin_client(client)


def typed(client: Client, url: str, **changes: Any) -> dict[str, Any]:
    """What the form at an address shows, as a browser would send it, with some of it changed."""
    form = client.get(url).context["form"]
    shown = {name: form[name].value() for name in form.fields}
    data = {name: value for name, value in shown.items() if value is not None and value is not False}
    return {name: value for name, value in {**data, **changes}.items() if value is not None}


def test_a_power_plan_shuts_down_on_logout(admin: Client) -> None:
    page = admin.get(f"{POWER}add/").content.decode()
    for heading in (
        "When User Disconnects from Desktop", "When User Logs Out of Desktop", "When Desktop is Released",
        "When Desktop is Idle", "When Nobody Logs In After Start",
    ):  # fmt: skip
        assert f"<legend>{heading}</legend>" in page
    assert page.count(">Wait</label>") == 5
    assert page.count(">then</label>") == 5
    data = typed(admin, f"{POWER}add/", name="Shutdown on logout", logged_out_wait="0", logged_out_action="shutdown")
    answer = admin.post(f"{POWER}add/", data)
    assert answer.status_code == 303, answer.context["form"].errors
    plan = PowerControlPlan.objects.get(name="Shutdown on logout")
    assert (plan.logged_out_wait, plan.logged_out_action) == (0, "shutdown")
    assert (plan.started_wait, plan.started_action) == (1800, "shutdown")
    listed = admin.get(POWER).content.decode()
    assert "Shut down at log-out." in listed
    assert "Shut down when nobody logs in within 30 minutes of the start." in listed
    assert "Always On" in admin.get(f"{POWER}{plan.pk}/").content.decode()


def test_a_wait_that_is_not_in_the_list_is_refused_unless_it_is_stored(admin: Client) -> None:
    answer = admin.post(f"{POWER}add/", typed(admin, f"{POWER}add/", name="Odd", logged_out_wait="77"))
    assert "logged_out_wait" in answer.context["form"].errors
    plan = PowerControlPlan.objects.create(name="Odd", logged_out_wait=77)
    answer = admin.post(f"{POWER}{plan.pk}/", typed(admin, f"{POWER}{plan.pk}/", notes="kept"))
    assert answer.status_code == 303, answer.context["form"].errors


def test_a_release_plan_that_never_releases(admin: Client) -> None:
    data = typed(admin, f"{RELEASE}add/", name="Persistent WorkSpaces Assignment", logged_out_release="-1")
    answer = admin.post(f"{RELEASE}add/", data)
    assert answer.status_code == 303, answer.context["form"].errors
    plan = ReleasePlan.objects.get(name="Persistent WorkSpaces Assignment")
    assert plan.logged_out_release == -1
    default = ReleasePlan.objects.get(is_default=True)
    assert "Release to the pool at log-out." in admin.get(f"{RELEASE}{default.pk}/").content.decode()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://x.example/", "begins with http"),
        ("https://x.example/?port={PORT}", "{PORT} is not known when this URL is called."),
        ("https://x.example/?user={USR}", "There is no dynamic tag {USR}."),
        ("https://{USER}.example/", "part of the host name"),
        ("https://bot:s3cret@x.example/", "a user name or password in it"),
        ("https://x.example:99999/", "Its port is not between 1 and 65535."),
        ("https:///x", "no host name in it"),
        ("http://[::1/", "no web address"),
        ("https://x.example/\u00e4", "plain ASCII characters only"),
    ],
)
def test_a_bad_url_is_refused_beside_its_field(admin: Client, url: str, why: str) -> None:
    answer = admin.post(f"{RELEASE}add/", typed(admin, f"{RELEASE}add/", name="Calls", logged_out_url=url))
    assert why in " ".join(answer.context["form"].errors["logged_out_url"])
    assert not ReleasePlan.objects.filter(name="Calls").exists()


def test_a_url_that_is_stored_already_keeps_nobody_from_editing_its_plan(admin: Client) -> None:
    old = "https://bot:s3cret@x.example/{CLIENT_IP}"
    plan = ReleasePlan.objects.create(name="Old", logged_out_url=old)
    where = f"{RELEASE}{plan.pk}/"
    assert admin.post(where, typed(admin, where, name="Older")).status_code == 303
    plan.refresh_from_db()
    assert (plan.name, plan.logged_out_url) == ("Older", old)
    answer = admin.post(where, typed(admin, where, logged_out_url=f"{old}/more"))
    assert list(answer.context["form"].errors) == ["logged_out_url"]


def test_the_log_of_a_change_shows_no_query_of_a_url_and_no_password(admin: Client) -> None:
    plan = ReleasePlan.objects.create(name="Calls", logged_out_url="https://bot:s3cret@x.example/hook?key=K3Y1#K3Y1")
    where = f"{RELEASE}{plan.pk}/"
    new = {"logged_out_url": "https://x.example/hook?key=K3Y2", "released_url": "https://x.example/plain"}
    assert admin.post(where, typed(admin, where, **new)).status_code == 303
    changes = LogEntry.objects.filter(event="admin.object_updated").latest("pk").changes
    assert changes == {
        "logged_out_url": ["https://…@x.example/hook?…", "https://x.example/hook?…"],
        "released_url": ["", "https://x.example/plain"],
    }


def test_a_url_with_tags_is_kept_and_a_url_without_a_time_is_refused(admin: Client) -> None:
    url = "https://cmdb.example/left?user={USER}&desktop={NAME}"
    data = typed(admin, f"{RELEASE}add/", name="Calls", logged_out_url=url, idle_url=url)
    answer = admin.post(f"{RELEASE}add/", data)
    assert list(answer.context["form"].errors) == ["idle_url_after"]
    data = typed(admin, f"{RELEASE}add/", name="Calls", logged_out_url=url, idle_url=url, idle_url_after="300")
    assert admin.post(f"{RELEASE}add/", data).status_code == 303
    assert ReleasePlan.objects.get(name="Calls").idle_url == url


def test_a_signed_call_needs_a_secret_which_is_never_shown_again(admin: Client) -> None:
    data = typed(admin, f"{RELEASE}add/", name="Signed", url_method="post")
    assert list(admin.post(f"{RELEASE}add/", data).context["form"].errors) == ["url_secret"]
    assert admin.post(f"{RELEASE}add/", {**data, "url_secret": "tell-nobody"}).status_code == 303
    plan = ReleasePlan.objects.get(name="Signed")
    assert secret(plan, "url_secret") == "tell-nobody"
    assert "tell-nobody" not in admin.get(f"{RELEASE}{plan.pk}/").content.decode()
    assert admin.post(f"{RELEASE}{plan.pk}/", typed(admin, f"{RELEASE}{plan.pk}/", notes="x")).status_code == 303
    plan.refresh_from_db()
    assert secret(plan, "url_secret") == "tell-nobody"


def test_a_release_plan_has_the_headings_of_the_product_and_all_its_columns(admin: Client) -> None:
    page = admin.get(f"{RELEASE}add/").content.decode()
    for heading in (
        "When User Disconnects from Desktop", "When User Logs Out from Desktop", "When Connection is Closed",
        "When Desktop is Idle", "When Desktop is First Assigned", "When Desktop is Released", "Warnings", "URLs",
    ):  # fmt: skip
        assert f"<legend>{heading}</legend>" in page
    shown = {"uid", "secrets", "id", "is_default"} | set(admin.get(f"{RELEASE}add/").context["form"].fields)
    assert {column.name for column in ReleasePlan._meta.concrete_fields} <= shown
    data = typed(
        admin, f"{RELEASE}add/", name="Full", closed_as="logout", warn_before="600", warn_text="{USER}, save.",
        released_warning="60", released_warning_text="Bye {NOPE}",
    )  # fmt: skip
    assert list(admin.post(f"{RELEASE}add/", data).context["form"].errors) == ["released_warning_text"]
    assert admin.post(f"{RELEASE}add/", {**data, "released_warning_text": "Bye"}).status_code == 303
    assert "A connection whose end is unknown counts as a log-out." in admin.get(RELEASE).content.decode()


def test_the_default_protocol_plan_can_be_edited_but_not_deleted(admin: Client) -> None:
    plan = ProtocolPlan.objects.get(is_default=True)
    template = "screen mode id:i:2\r\nusername:s:{USER}\r\n"
    answer = admin.post(f"{PROTOCOL}{plan.pk}/", typed(admin, f"{PROTOCOL}{plan.pk}/", web_rdp_template=template))
    assert answer.status_code == 303, answer.context["form"].errors
    assert plan.choices.get(client="web").template == "screen mode id:i:2\nusername:s:{USER}\n"
    assert plan.choices.get(client="native").template == DEFAULT_RDP_TEMPLATE
    assert list(LogEntry.objects.filter(event="admin.object_updated").latest("pk").changes) == ["web_rdp_template"]
    assert admin.post(f"{PROTOCOL}{plan.pk}/delete/").status_code == 409


def test_an_unknown_tag_and_a_password_line_are_refused_beside_the_field(admin: Client) -> None:
    data = typed(admin, f"{PROTOCOL}add/", name="Mine", web_rdp_template="a:s:{NOPE}\npassword 51:b:00")
    errors = admin.post(f"{PROTOCOL}add/", data).context["form"].errors
    unknown, secret = errors["web_rdp_template"]
    assert unknown == "There is no dynamic tag {NOPE}."
    assert secret == "Line 2: a password never stands in an .rdp file."
    data = typed(admin, f"{PROTOCOL}add/", name="Mine", native_rdp_command_line="/v:{NOPE}")
    assert admin.post(f"{PROTOCOL}add/", data).context["form"].errors["native_rdp_command_line"]
    assert not ProtocolPlan.objects.filter(name="Mine").exists()


def test_a_new_protocol_plan_starts_with_rdp_and_its_template(admin: Client) -> None:
    page = admin.get(f"{PROTOCOL}add/").content.decode()
    assert "<legend>Web client</legend>" in page
    assert "<legend>Native client</legend>" in page
    assert "{SESSION_ID}" in page
    assert "HTML5 RDP: Priority" not in page
    assert admin.post(f"{PROTOCOL}add/", typed(admin, f"{PROTOCOL}add/", name="Mine")).status_code == 303
    rows = ProtocolPlan.objects.get(name="Mine").choices.order_by("client")
    assert [(row.client, row.protocol, row.priority, row.template) for row in rows] == [
        ("native", "rdp", 1, DEFAULT_RDP_TEMPLATE), ("web", "rdp", 1, DEFAULT_RDP_TEMPLATE),
    ]  # fmt: skip


def test_a_section_without_a_usable_protocol_is_refused(admin: Client) -> None:
    data = typed(admin, f"{PROTOCOL}add/", name="Mine", web_rdp_priority="")
    errors = admin.post(f"{PROTOCOL}add/", data).context["form"].errors
    assert list(errors) == ["web_rdp_priority"]


def test_a_gateway_can_be_chosen_once_there_is_one(admin: Client) -> None:
    assert ">Gateway</label>" not in admin.get(f"{PROTOCOL}add/").content.decode()
    gateway = Gateway.objects.create(name="Edge", address="gw.example")
    data = typed(admin, f"{PROTOCOL}add/", name="Mine", web_rdp_gateway=f"gateway-{gateway.pk}")
    assert admin.post(f"{PROTOCOL}add/", data).status_code == 303
    assert ProtocolPlan.objects.get(name="Mine").choices.get(client="web").gateway == gateway
    assert "RDP through Edge" in admin.get(PROTOCOL).content.decode()


def edited(admin: Client, **changes: Any) -> Any:
    """A new plan with these values, or the form's errors."""
    answer = admin.post(f"{PROTOCOL}add/", typed(admin, f"{PROTOCOL}add/", name="Mine", **changes))
    return answer.context["form"].errors if answer.status_code == 200 else ProtocolPlan.objects.get(name="Mine")


def test_a_viewer_in_the_browser_first_and_a_file_where_it_cannot_be_had(admin: Client) -> None:
    gateway = Gateway.objects.create(name="Edge", address="gw.example")
    plan = edited(
        admin, web_html5_rdp_priority="1", web_html5_rdp_gateway=f"gateway-{gateway.pk}", web_html5_rdp_sign_in="on",
        web_html5_rdp_sso_user="{USER:mail}", web_html5_rdp_sso_domain="", web_rdp_priority="2",
    )  # fmt: skip
    row = plan.choices.get(protocol="html5_rdp")
    assert (row.priority, row.through, row.viewer, row.reaches) == (1, gateway, "rdp", 3389)
    assert (row.sign_in, row.sso_user, row.sso_domain) == (True, "{USER:mail}", "")
    assert plan.choices.filter(client="web").count() == 2
    assert "Web client: HTML5 RDP through Edge then RDP." in admin.get(PROTOCOL).content.decode()
    page = admin.get(f"{PROTOCOL}{plan.pk}/")
    assert page.context["form"]["web_html5_rdp_gateway"].value() == f"gateway-{gateway.pk}"


def test_a_cluster_carries_a_viewer_too(admin: Client) -> None:
    cluster = GatewayCluster.objects.create(name="Both")
    way = {"web_html5_ssh_gateway": f"cluster-{cluster.pk}"}
    plan = edited(admin, web_rdp_priority="", web_html5_ssh_priority="1", web_html5_ssh_port="2222", **way)
    row = plan.choices.get(client="web")
    assert (row.cluster, row.gateway, row.viewer, row.reaches, row.sign_in) == (cluster, None, "ssh", 2222, True)


def test_a_viewer_without_a_gateway_and_one_that_signs_nobody_known_in_are_refused(admin: Client) -> None:
    Gateway.objects.create(name="Edge", address="gw.example")
    errors = edited(admin, web_rdp_priority="2", web_html5_vnc_priority="1", web_html5_vnc_sso_user="{NOBODY}")
    assert errors["web_html5_vnc_gateway"] == [
        "A viewer in the browser runs on a gateway: choose the one that it goes through."
    ]
    assert errors["web_html5_vnc_sso_user"] == ["There is no dynamic tag {NOBODY}."]
    assert "web_html5_vnc_port" in edited(admin, web_html5_vnc_priority="2", web_html5_vnc_port="70000")


def test_two_protocols_of_a_section_do_not_share_a_priority(admin: Client) -> None:
    assert list(edited(admin, web_dcv_priority="1")) == ["web_dcv_priority"]


def test_a_dcv_file_has_a_template_of_its_own_without_secrets(admin: Client) -> None:
    plan = edited(admin, web_dcv_priority="2", web_dcv_template="[options]\nsound=false\n")
    assert plan.choices.get(protocol="dcv").template == "[options]\nsound=false\n"
    bad = typed(admin, f"{PROTOCOL}add/", name="Other", web_dcv_priority="2", web_dcv_template="nonsense\npassword=x")
    assert admin.post(f"{PROTOCOL}add/", bad).context["form"].errors["web_dcv_template"] == [
        "Line 1 is neither a [section] nor of the form name=value.", "Line 2: a password never stands in a .dcv file.",
    ]  # fmt: skip


def test_a_plan_in_use_is_not_deleted_and_names_its_policies(admin: Client) -> None:
    plan = PowerControlPlan.objects.create(name="Nightly")
    policy = make.policy(make.pool(), plans={"power_plan": plan})
    other = make.policy()
    other.hard_power_plan = plan
    other.save()
    answer = admin.post(f"{POWER}{plan.pk}/delete/")
    assert answer.status_code == 409
    for each in (policy, other):
        assert f"Policy “{each}”" in answer.content.decode()
    assert f'">Policy “{other}”</a>' in admin.get(POWER).content.decode()
    other.delete()
    policy.delete()
    assert admin.post(f"{POWER}{plan.pk}/delete/").status_code == 303
    assert not PowerControlPlan.objects.filter(name="Nightly").exists()


def test_a_name_is_taken_once(admin: Client) -> None:
    for url in AREAS:
        answer = admin.post(f"{url}add/", typed(admin, f"{url}add/", name="Default"))
        assert list(answer.context["form"].errors) == ["name"]


@pytest.mark.parametrize("url", AREAS)
def test_permissions_of_plans(client: Client, url: str) -> None:
    make.defaults()
    model: Any = {PROTOCOL: ProtocolPlan, POWER: PowerControlPlan, RELEASE: ReleasePlan}[url]
    pk = model.objects.get(is_default=True).pk
    make.client_with(client, **{AREAS[url]: "view"})
    assert client.get(url).status_code == 200
    assert client.get(f"{url}{pk}/").status_code == 200
    assert client.post(f"{url}{pk}/", {"name": "X"}).status_code == 403
    assert client.get(f"{url}add/").status_code == 403
    assert make.client_with(Client(), pools="edit").get(url).status_code == 403


@pytest.mark.parametrize("url", AREAS)
def test_lists_of_plans_cost_the_same_for_many(admin: Client, url: str, django_assert_max_num_queries: Any) -> None:
    model: Any
    model, column = {
        PROTOCOL: (ProtocolPlan, "protocol_plan"),
        POWER: (PowerControlPlan, "power_plan"),
        RELEASE: (ReleasePlan, "release_plan"),
    }[url]
    make.policy(make.pool())
    with django_assert_max_num_queries(100) as few:
        admin.get(url)
    for number in range(20):
        make.policy(make.pool(), plans={column: model.objects.create(name=f"Plan {number}")})
    with django_assert_max_num_queries(len(few.captured_queries)):
        assert admin.get(url).status_code == 200
    assert "Plan 7" in admin.get(f"{url}?format=csv").content.decode()


def test_a_plan_says_in_words_what_it_does() -> None:
    kept = ReleasePlan(logged_out_release=-1, released_log_out=False, released_unavailable=True)
    assert release_words(kept) == [
        "No event releases the desktop: it stays assigned.",
        "A connection whose end is unknown counts as a disconnect.",
        "Make the desktop unavailable at the release.",
    ]
    assert power_words(PowerControlPlan(started_action="none")) == ["Does not change the power state."]
