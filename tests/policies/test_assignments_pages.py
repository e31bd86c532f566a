"""Configuration > Assignments, through the front door."""

from typing import Any

import pytest
from django.test import Client

from authservers.directories.base import DirectoryBusy, Group
from authservers.models import AuthenticationServer
from broker.core import jobs
from broker.core.models import Job, LogEntry
from broker.handlers import HANDLERS
from policies import rule_views
from policies.models import AssignmentRule, Location, Policy
from tests import make

pytestmark = pytest.mark.django_db
URL = "/configuration/assignments/"
GROUPS = [{"sid": "S-1-5-1", "name": "Engineers", "dn": "CN=E"}, {"sid": "S-1-5-2", "name": "Sales", "dn": "CN=S"}]


@pytest.fixture
def admin(client: Client) -> Client:
    make.defaults()
    return make.admin_client(client)


@pytest.fixture
def corp() -> AuthenticationServer:
    return make.server(name="CORP", groups=GROUPS)


def rows(*given: dict[str, Any], **more: Any) -> dict[str, Any]:
    data: dict[str, Any] = {"unmatched": "default", **more}
    for number, row in enumerate(given):
        given_by_default = {"role": make.role().pk, "policy": make.default_policy().pk}
        whole = {"enabled": "on", "group": "", "location": "", **given_by_default, **row}
        data |= {f"rules-{number}-{name}": value for name, value in whole.items() if value is not None}
    return data


def test_the_list_has_one_entry_for_each_server_with_edit(admin: Client, corp: AuthenticationServer) -> None:
    page = admin.get(URL).content.decode()
    assert "CORP" in page
    assert f'href="{URL}{corp.pk}/">Edit</a>' in page


def test_a_rule_for_any_group_is_added_without_javascript(admin: Client, corp: AuthenticationServer) -> None:
    answer = admin.post(f"{URL}{corp.pk}/", {"unmatched": "default", "_step": "rules:add"})
    page = answer.content.decode()
    assert answer.status_code == 200
    assert 'aria-label="Group"' in page
    assert "[any group]" in page
    assert "Engineers" in page
    assert not corp.rules.exists()
    answer = admin.post(f"{URL}{corp.pk}/", rows({}))
    assert answer.status_code == 303, answer.context["form"].errors
    rule = corp.rules.get()
    assert (rule.group_sid, rule.location, rule.enabled, rule.order) == ("", None, True, 1)
    entry = LogEntry.objects.filter(event="admin.object_updated").latest("pk")
    assert entry.changes["rules"][1] == ["[any group] at All: role User, policy Default"]


def test_group_location_and_order_are_kept(admin: Client, corp: AuthenticationServer) -> None:
    office, policy = Location.objects.create(name="Office"), Policy.objects.create(name="Engineering")
    typed = {"group": "S-1-5-1", "location": office.pk, "policy": policy.pk}
    admin.post(f"{URL}{corp.pk}/", rows(typed, {"enabled": None}))
    first, second = corp.rules.order_by("order")
    assert (first.group_sid, first.group_name, first.location, first.policy) == ("S-1-5-1", "Engineers", office, policy)
    assert (second.group_sid, second.enabled, second.order) == ("", False, 2)
    moved = admin.post(f"{URL}{corp.pk}/", {**rows({"group": "S-1-5-1"}, {}), "_step": "rules:up-1"})
    shown = moved.context["form"]["rules"].value()
    assert [row["group"] for row in shown] == ["", "S-1-5-1"]
    gone = admin.post(f"{URL}{corp.pk}/", {**rows({"group": "S-1-5-1"}, {}), "_step": "rules:remove-0"})
    assert [row["group"] for row in gone.context["form"]["rules"].value()] == [""]


def test_saving_without_a_change_writes_no_log_entry(admin: Client, corp: AuthenticationServer) -> None:
    admin.post(f"{URL}{corp.pk}/", rows({"group": "S-1-5-1"}, {"enabled": None}))
    before = LogEntry.objects.count()
    admin.post(f"{URL}{corp.pk}/", rows({"group": "S-1-5-1"}, {"enabled": None}))
    assert LogEntry.objects.count() == before
    assert corp.rules.count() == 2


def test_people_without_a_rule_can_be_refused(admin: Client, corp: AuthenticationServer) -> None:
    admin.post(f"{URL}{corp.pk}/", rows(unmatched="refuse"))
    corp.refresh_from_db()
    assert corp.unmatched == "refuse"


def test_a_group_that_the_directory_lost_stays_until_it_is_changed(admin: Client, corp: AuthenticationServer) -> None:
    AssignmentRule.objects.create(
        server=corp, group_sid="S-1-5-9", group_name="Old team", role=make.role(), policy=make.default_policy()
    )
    page = admin.get(f"{URL}{corp.pk}/").content.decode()
    assert "Old team (not in the directory)" in page
    admin.post(f"{URL}{corp.pk}/", rows({"group": "S-1-5-9"}))
    assert corp.rules.get().group_name == "Old team"


def test_an_invented_group_is_refused_beside_its_row(admin: Client, corp: AuthenticationServer) -> None:
    answer = admin.post(f"{URL}{corp.pk}/", rows({"group": "S-1-5-404"}))
    assert answer.status_code == 200
    assert "This does not exist any more." in answer.content.decode()
    assert not corp.rules.exists()


def test_without_group_queries_only_any_group_is_offered(admin: Client) -> None:
    server = make.server(name="LDAP", groups=GROUPS, config={"query_groups": False})
    page = admin.post(f"{URL}{server.pk}/", {"unmatched": "default", "_step": "rules:add"}).content.decode()
    assert "Engineers" not in page
    assert "Refresh groups" not in page


class FakeDirectory:
    """Answers with two groups, or not at all."""

    down = False

    def groups(self) -> list[Group]:
        if self.down:
            raise DirectoryBusy("dc1 did not answer within 5 s.")
        return [Group("S-1-5-7", "CN=Nurses", "Nurses")]


def test_refresh_groups_keeps_what_was_typed(
    admin: Client, corp: AuthenticationServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rule_views, "directory", lambda server: FakeDirectory())
    answer = admin.post(f"{URL}{corp.pk}/", {**rows({"group": "S-1-5-1"}), "_step": "groups:refresh"})
    page = answer.content.decode()
    assert "Nurses" in page
    assert answer.context["form"]["rules"].value()[0]["group"] == "S-1-5-1"
    corp.refresh_from_db()
    assert corp.groups[0]["name"] == "Nurses"
    assert corp.groups_at is not None


def test_a_directory_that_is_down_is_said_in_words(
    admin: Client, corp: AuthenticationServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeDirectory, "down", True)
    monkeypatch.setattr(rule_views, "directory", lambda server: FakeDirectory())
    page = admin.post(f"{URL}{corp.pk}/", {**rows(), "_step": "groups:refresh"}).content.decode()
    assert "dc1 did not answer within 5 s." in page
    corp.refresh_from_db()
    assert corp.groups == GROUPS


def test_two_editors_do_not_overwrite_each_other(admin: Client, corp: AuthenticationServer) -> None:
    opened = admin.get(f"{URL}{corp.pk}/").context["form"].version()
    admin.post(f"{URL}{corp.pk}/", rows({"group": "S-1-5-2"}))
    answer = admin.post(f"{URL}{corp.pk}/", rows({}, {}, _version=opened))
    assert "Somebody else changed this" in answer.content.decode()
    assert corp.rules.get().group_sid == "S-1-5-2"


def test_who_may_only_look_changes_nothing(client: Client, corp: AuthenticationServer) -> None:
    make.defaults()
    make.client_with(client, assignments="view")
    AssignmentRule.objects.create(server=corp, role=make.role(), policy=make.default_policy())
    page = client.get(f"{URL}{corp.pk}/").content.decode()
    assert "Add rule" not in page
    assert client.post(f"{URL}{corp.pk}/", rows()).status_code == 403
    assert corp.rules.count() == 1


def test_the_page_costs_the_same_for_many_rules(
    admin: Client, corp: AuthenticationServer, django_assert_max_num_queries: Any
) -> None:
    rule = {"role": make.role(), "policy": make.default_policy(), "server": corp}
    AssignmentRule.objects.create(**rule)
    with django_assert_max_num_queries(100) as few:
        admin.get(f"{URL}{corp.pk}/")
    AssignmentRule.objects.bulk_create([AssignmentRule(**rule) for _ in range(50)])
    with django_assert_max_num_queries(len(few.captured_queries)):
        admin.get(f"{URL}{corp.pk}/")


def test_who_is_signed_in_gets_what_the_changed_rules_give(admin: Client, corp: AuthenticationServer) -> None:
    boss, stranger = make.user("boss", corp, group_sids=["S-1-5-1"]), make.user("stranger", corp)
    browser, lost = make.signed_in(Client(), boss, make.role(admin=True)), make.signed_in(Client(), stranger)
    assert browser.get("/resources/users/").status_code == 200
    assert admin.post(f"{URL}{corp.pk}/", rows({"group": "S-1-5-1"}, unmatched="refuse")).status_code == 303
    jobs.work(HANDLERS)
    assert Job.objects.get(kind="session_expire").state == "finished"
    assert browser.get("/resources/users/").status_code == 403
    assert browser.get("/desktops/").status_code == 200
    assert lost.get("/desktops/").headers["Location"] == "/?ended=1"
    assert stranger.portal_sessions.get().close_reason == "the assignment rules give no access"


def test_nobody_gives_more_than_they_have_by_a_rule(client: Client, corp: AuthenticationServer) -> None:
    make.defaults()
    helper, full = make.client_with(client, assignments="edit"), make.role(admin=True).pk
    assert "may do more than yours" in helper.post(f"{URL}{corp.pk}/", rows({"role": full})).content.decode()
    corp.rules.create(order=1, group_sid="S-1-5-2", role_id=full, policy=make.default_policy())
    page = helper.post(f"{URL}{corp.pk}/", rows({"role": full, "group": ""})).content.decode()
    assert "may do more than yours" in page
    kept = rows({"role": full, "group": "S-1-5-2"}, {"group": "S-1-5-1"})
    assert helper.post(f"{URL}{corp.pk}/", kept).status_code == 303
