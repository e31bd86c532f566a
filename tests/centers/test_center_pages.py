"""Setup > Centers through HTTP, with the simulated AWS account behind it."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client

from agents.keys import key_hash
from agents.models import EnrolmentToken
from broker.core.clock import now
from broker.core.fields import secret
from broker.core.models import Job, LogEntry
from broker.demo.aws import constants
from broker.demo.aws.server import Simulator
from centers.checks import look, problem
from centers.models import Center, Desktop
from centers.providers.base import ProviderError
from centers.services import provider
from pools.services import release
from tests import make
from tests.aws_simulator import simulator

LIST = "/setup/centers/"
ADD = f"{LIST}add/"


@pytest.fixture(autouse=True)
def database(db: None) -> None:
    """Every test here uses the database."""


@pytest.fixture(scope="module")
def aws_server() -> Iterator[Simulator]:
    """One account for this module."""
    with simulator() as running:
        yield running


@pytest.fixture
def aws(aws_server: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    """The product talks to it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_WORKSPACES", aws_server.endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", aws_server.endpoint)
    return aws_server


@pytest.fixture
def no_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing answers where AWS should be."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_WORKSPACES", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9")


@pytest.fixture
def admin(client: Client) -> Client:
    return make.admin_client(client)


def typed(**changes: Any) -> dict[str, Any]:
    """The form as somebody fills it in."""
    fields = {
        "kind": "workspaces", "name": "Virginia", "region": "us-east-1", "directory_id": "", "auth": "access_key",
        "access_key": constants.ACCESS_KEY, "secret_key": constants.SECRET_KEY, "role_arn": "", "external_id": "",
        "proxy": "", "offer_desktops": "on", "refresh_minutes": "2", "offer_bound": "owner",
        "start_deadline_minutes": "60", "notes": "",
    }  # fmt: skip
    if "server" not in changes:
        fields["server"] = str(make.server(name="Corp", directory_ids=[constants.CORP_DIRECTORY]).pk)
    return {name: value for name, value in {**fields, **changes}.items() if value is not None}


def words(response: Any) -> str:
    """What is to be read on a page."""
    return " ".join(re.sub(r"<[^>]*>", " ", response.content.decode()).replace("&#x27;", "'").split())


def error_at(response: Any, field: str) -> str:
    """What stands beside a field."""
    return " ".join(response.context["form"].errors.get(field, []))


def test_a_saved_center_is_scanned_at_once(admin: Client, aws: Simulator) -> None:
    response = admin.post(ADD, typed(), follow=True)
    row = Center.objects.get(name="Virginia")
    assert row.directory_id == constants.CORP_DIRECTORY
    assert Job.objects.get(kind="poll").key == f"poll:{row.pk}"
    assert "Virginia" in words(response)
    page = words(admin.get(f"{LIST}{row.pk}/"))
    assert "Signed in to AWS account" in page and "is registered" in page
    assert all(label in words(admin.get(LIST)) for label in ("Edit", "Deploy", "Scan", "Amazon WorkSpaces"))


BAD: list[tuple[dict[str, str], str, str]] = [
    ({"access_key": "AKIAWRONG00000000001"}, "access_key", "does not know this access key"),
    ({"secret_key": "wrong"}, "secret_key", "does not fit the access key"),
    ({"access_key": ""}, "access_key", "is needed"),
    ({"secret_key": ""}, "secret_key", "is needed"),
    ({"region": "mars-1"}, "region", "mars-1"),
    ({"server": ""}, "server", "is needed"),
    ({"auth": "assume_role", "role_arn": "me"}, "role_arn", "role's ARN"),
    ({"proxy": "http://me:secret@proxy"}, "proxy", "not the address of a proxy"),
]


def test_bad_input_is_refused_beside_its_field(admin: Client, aws: Simulator) -> None:
    server = make.server(directory_ids=[constants.CORP_DIRECTORY])
    for changes, field, why in BAD:
        response = admin.post(ADD, typed(**{"server": server.pk, **changes}))
        assert (response.status_code, why in error_at(response, field)) == (200, True), changes
    assert not Center.objects.exists() and not Job.objects.exists()


def test_without_a_server_the_form_says_what_comes_first(admin: Client) -> None:
    assert "No authentication server has an AWS Directory ID yet" in words(admin.get(ADD))


def test_an_unknown_directory_is_refused_beside_the_server(admin: Client, aws: Simulator) -> None:
    server = make.server(directory_ids=["d-9067eeeeee"])
    response = admin.post(ADD, typed(server=server.pk))
    assert "not registered with WorkSpaces in us-east-1" in error_at(response, "server")


def test_one_of_several_directories_is_chosen(admin: Client, aws: Simulator) -> None:
    server = make.server(directory_ids=[constants.CORP_DIRECTORY, constants.LAB_DIRECTORY])
    assert "is needed" in error_at(admin.post(ADD, typed(server=server.pk)), "directory_id")
    admin.post(ADD, typed(server=server.pk, directory_id=constants.LAB_DIRECTORY))
    assert Center.objects.get().directory_id == constants.LAB_DIRECTORY


def test_an_unreachable_aws_refuses_nothing_and_says_so(admin: Client, no_aws: None) -> None:
    response = admin.post(ADD, typed(), follow=True)
    row = Center.objects.get(name="Virginia")
    assert response.redirect_chain == [(f"{LIST}{row.pk}/", 303)]
    assert "cannot be reached" in words(response)


def test_one_center_for_a_region_and_directory(admin: Client, aws: Simulator) -> None:
    server = make.server(directory_ids=[constants.CORP_DIRECTORY])
    admin.post(ADD, typed(server=server.pk))
    response = admin.post(ADD, typed(server=server.pk, name="Again"))
    assert "Virginia" in error_at(response, "region") and "already" in error_at(response, "region")


def test_the_secret_is_nowhere_to_be_read(admin: Client, aws: Simulator) -> None:
    response = admin.post(ADD, typed(), follow=True)
    row = Center.objects.get()
    assert secret(row, "secret_key") == constants.SECRET_KEY
    shown = [response, admin.get(LIST), admin.get(f"{LIST}{row.pk}/"), admin.post(ADD, typed(server="1", name=""))]
    assert not any(constants.SECRET_KEY in page.content.decode() for page in shown)
    assert constants.SECRET_KEY not in f"{list(LogEntry.objects.values())}{list(Job.objects.values())}{row.config}"
    assert LogEntry.objects.get(event="admin.object_created").changes["secret_key"] == ["not set", "set"]


def test_a_blank_secret_keeps_the_stored_one_but_not_for_another_key(admin: Client, aws: Simulator) -> None:
    server = make.server(directory_ids=[constants.CORP_DIRECTORY])
    admin.post(ADD, typed(server=server.pk))
    row = Center.objects.get()
    admin.post(f"{LIST}{row.pk}/", typed(server=server.pk, secret_key="", notes="more"))
    row.refresh_from_db()
    assert (secret(row, "secret_key"), row.notes) == (constants.SECRET_KEY, "more")
    response = admin.post(f"{LIST}{row.pk}/", typed(server=server.pk, secret_key="", access_key="AKIAOTHER00000000001"))
    assert "enter the key that belongs to it" in error_at(response, "secret_key")


def test_a_center_with_desktops_keeps_its_place(admin: Client, aws: Simulator) -> None:
    server = make.server(directory_ids=[constants.CORP_DIRECTORY])
    admin.post(ADD, typed(server=server.pk))
    row = Center.objects.get()
    make.desktop(row)
    response = admin.post(f"{LIST}{row.pk}/", typed(server=server.pk, secret_key="", region="us-west-2"))
    assert "1 desktop" in words(response) and "Add a center for another place" in words(response)


def test_scan_while_scanning_says_so(admin: Client) -> None:
    row = make.center()
    admin.post(f"{LIST}{row.pk}/scan/")
    job = Job.objects.get(kind="poll")
    assert LogEntry.objects.filter(event="center.scan_requested").exists()
    Job.objects.filter(pk=job.pk).update(state="running")
    assert "is scanning now" in words(admin.post(f"{LIST}{row.pk}/scan/", follow=True))
    assert Job.objects.count() == 1


def test_the_test_says_it_in_words(admin: Client, aws: Simulator) -> None:
    admin.post(ADD, typed())
    row = Center.objects.get()
    assert "Signed in to AWS account" in words(admin.post(f"{LIST}{row.pk}/test/", follow=True))
    Center.objects.filter(pk=row.pk).update(directory_id="d-9067eeeeee")
    assert "not registered" in words(admin.post(f"{LIST}{row.pk}/test/", follow=True))


def test_a_center_with_desktops_or_pools_is_not_deleted(admin: Client) -> None:
    row = make.center()
    pool = make.pool(row, name="Engineers")
    machine = make.desktop(row)
    lent = make.assignment(make.user(), machine)
    response = admin.post(f"{LIST}{row.pk}/delete/")
    assert response.status_code == 409 and "Engineers" in words(response) and "1 desktop" in words(response)
    pool.delete()
    release(lent.pk, "test")
    Desktop.objects.update(availability="deleted", deleted_at=now())
    assert admin.post(f"{LIST}{row.pk}/delete/").status_code == 303
    assert not Center.objects.exists() and not Desktop.objects.exists()


def test_an_enrolment_token_is_shown_once_and_revoked(admin: Client) -> None:
    row = make.center()
    response = admin.post(f"{LIST}{row.pk}/enrolment/", {"valid": "30", "note": "<b>Image</b> 7"})
    text = re.search(r"<code>([^<]+)</code>", response.content.decode())
    assert text
    token = EnrolmentToken.objects.get()
    assert token.digest == key_hash(text[1].partition(".")[0]) and token.expires_at
    page = admin.get(f"{LIST}{row.pk}/")
    assert text[1] not in page.content.decode() and f"{token.hint}…" in words(page)
    assert "&lt;b&gt;Image&lt;/b&gt; 7" in page.content.decode() and "Never" in words(page)
    admin.post(f"{LIST}{row.pk}/enrolment/{token.pk}/revoke/")
    token.refresh_from_db()
    assert token.revoked_at
    commands = re.findall(r"<pre[^>]*>(.*?)</pre>", response.content.decode(), re.DOTALL)
    assert len(commands) == 2 and all(text[1] in each and settings.AGENT_URL in each for each in commands)
    assert text[1] not in str(list(LogEntry.objects.values()))


def test_the_command_prints_the_string_alone(capsys: pytest.CaptureFixture[str]) -> None:
    make.center(name="Virginia")
    call_command("enrolment_token", "--center", "Virginia")
    out = capsys.readouterr().out.strip()
    assert len(out.split()) == 1
    assert EnrolmentToken.objects.get().digest == key_hash(out.partition(".")[0])
    with pytest.raises(CommandError, match="Virginia"):
        call_command("enrolment_token", "--center", "Nowhere")


def test_the_policy_is_there_to_paste(admin: Client) -> None:
    assert "workspaces:CreateWorkspaces" in admin.get(f"{LIST}aws-policy.json").json()["Statement"][1]["Action"]


def test_permissions(client: Client) -> None:
    row = make.center()
    assert make.client_with(client, gateways="edit").get(LIST).status_code == 403
    viewer = make.client_with(Client(), centers="view")
    assert viewer.get(LIST).status_code == 200 and viewer.get(f"{LIST}{row.pk}/").status_code == 200
    assert "Deploy" not in words(viewer.get(LIST))
    for address in ("deploy/", "enrolment/", "scan/", "test/", "delete/"):
        assert viewer.post(f"{LIST}{row.pk}/{address}").status_code == 403, address
    assert viewer.post(f"{LIST}{row.pk}/", {}).status_code == 403
    assert Client().get(LIST).status_code == 302


def test_the_list_costs_the_same_for_many(admin: Client, django_assert_max_num_queries: Any) -> None:
    make.center()
    admin.get(LIST)
    with django_assert_max_num_queries(12) as few:
        admin.get(LIST)
    for _ in range(30):
        make.desktop(make.center())
    with django_assert_max_num_queries(12) as many:
        admin.get(f"{LIST}?per_page=100")
    assert len(many) == len(few)


def test_the_list_is_searched_and_saved_as_a_file(admin: Client) -> None:
    make.center(name="Virginia", status="offline", status_reason="AWS does not know this access key.")
    make.center(name="Oregon")
    found = admin.get(f"{LIST}?search=virg&format=csv").content.decode()
    assert "Virginia" in found and "Offline" in found and "Oregon" not in found and "<" not in found


def test_a_secret_that_does_not_open_is_a_trouble_of_the_center() -> None:
    center = make.center()
    center.secrets.sealed_for = "center:0"
    with pytest.raises(ProviderError, match="sealed for another row"):
        provider(center)
    assert "sealed for another row" in problem(look(center))


def test_what_becomes_of_rogue_users_and_silent_desktops_is_said_per_center(admin: Client, aws: Simulator) -> None:
    policy = make.policy()
    wanted = {"rogue": "prevent", "rogue_wait": "120", "rogue_text": "Not yours.", "rogue_ignored": "CORP\\svc-*",
              "silent_warn_hours": "4", "silent_stop_hours": "2"}  # fmt: skip
    admin.post(ADD, typed(**wanted))
    row = Center.objects.get(name="Virginia")
    assert (row.rogue, row.rogue_wait, row.rogue_text) == ("prevent", 120, "Not yours.")
    assert row.rogue_ignored == "CORP\\svc-*"
    assert (row.silent_warn_hours, row.silent_stop_hours, row.rogue_policy) == (4, 2, None)
    page = f"{LIST}{row.pk}/"
    chosen = typed(server=str(row.server_id), secret_key="", rogue="assign", rogue_policy=str(policy.pk))
    assert admin.post(page, chosen).status_code == 303
    row.refresh_from_db()
    assert (row.rogue, row.rogue_policy, row.rogue_wait) == ("assign", policy, 120)
    assert "Assign rogue users" in words(admin.get(page))
    assert str(policy) in words(admin.post(f"/configuration/policies/{policy.pk}/delete/"))
    assert Center.objects.get(pk=row.pk).rogue_policy == policy
