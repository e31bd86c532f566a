"""Resources > Users: list, local users, what ends sessions, leavers."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from authservers.models import User
from broker.connect.models import PortalSession
from broker.core.clock import now
from broker.core.models import LogEntry
from policies.models import Access, AssignmentRule
from tests import make

pytestmark = pytest.mark.django_db
LIST = "/resources/users/"
PASSWORD = "tall-Green-tree-42"


@pytest.fixture
def admin(client: Client) -> Client:
    make.defaults()
    return make.admin_client(client)


def names(client: Client, query: str) -> set[str]:
    """The logins that a narrowed list shows."""
    return {row.record.login for row in client.get(f"{LIST}{query}").context["listing"].rows}


def filled(**changes: Any) -> dict[str, Any]:
    """A form for a new local user."""
    return {
        "login": "ada", "display_name": "Ada Byron", "email": "ada@example.test", "password": PASSWORD,
        "password_again": PASSWORD, "role": "", "policy": "", "is_active": "on", "notes": "", **changes,
    }  # fmt: skip


def test_a_list_of_100_costs_what_a_list_of_1_costs(admin: Client) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as seen:
            assert admin.get(f"{LIST}?per_page=100").status_code == 200
        return len(seen)

    server, center = make.server(), make.center()
    make.assignment(make.user(at=server), make.desktop(center))
    few = statements()
    for number in range(100):
        person = make.user(at=server)
        if number % 5 == 0:
            make.assignment(person, make.desktop(center))
    assert statements() == few
    assert few <= 14


def test_the_list_shows_role_policy_and_desktops(admin: Client) -> None:
    person = make.grant(make.user("bea", email="bea@example.test"), policy=make.policy())
    make.assignment(person, make.desktop(make.center()))
    page = admin.get(f"{LIST}?search=bea").content.decode()
    for words in ("Bea", "bea@example.test", "By the rules", str(person.access.policy), "direct", "Active"):
        assert words in page, words
    assert "bea" in admin.get(f"{LIST}?format=csv").content.decode()


def test_a_local_user_is_added_and_can_sign_in(admin: Client) -> None:
    role, policy = make.role(), make.default_policy()
    answer = admin.post(f"{LIST}add/", filled(role=role.pk, policy=policy.pk))
    assert answer.status_code == 303
    ada = User.objects.get(login="ada")
    assert ada.check_password(PASSWORD)
    assert (ada.server.kind, ada.access.role, ada.access.policy) == ("local", role, policy)
    entry = LogEntry.objects.get(event="admin.object_created", subject_name="Ada Byron")
    assert entry.changes["password"] == ["not set", "set"]
    assert PASSWORD not in str(LogEntry.objects.values_list("changes", "message"))
    browser = Client()
    assert browser.post("/", {"login": "ada", "username": "ada", "password": PASSWORD}).status_code in {302, 303}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"password_again": "other-Green-tree-42"}, "password_again"),
        ({"password": "short", "password_again": "short"}, "password"),
        ({"password": "", "password_again": ""}, "password"),
        ({"login": ""}, "login"),
        ({"login": "BEA"}, "login"),
        ({"email": "nothing"}, "email"),
    ],
)
def test_bad_input_stands_beside_its_field(admin: Client, changes: dict[str, str], field: str) -> None:
    make.user("bea")
    answer = admin.post(f"{LIST}add/", filled(**changes))
    assert answer.status_code == 200
    assert field in answer.context["form"].errors
    assert not User.objects.filter(login="ada").exists()


def test_of_a_directory_user_only_our_own_columns_can_be_changed(admin: Client) -> None:
    person = make.user("carl", at=make.server())
    page = admin.get(f"{LIST}{person.pk}/").content.decode()
    assert 'name="password"' not in page
    assert 'name="login"' not in page
    role = make.role()
    answer = admin.post(
        f"{LIST}{person.pk}/", {"role": role.pk, "policy": "", "is_active": "on", "notes": "x", "login": "hacked"}
    )
    assert answer.status_code == 303
    person.refresh_from_db()
    assert (person.login, person.notes, person.access.role) == ("carl", "x", role)


def test_a_role_that_is_taken_back_leaves_the_rules(admin: Client) -> None:
    person = make.grant(make.user("dora"), role=make.role())
    data = filled(login="dora", password="", password_again="")
    assert admin.post(f"{LIST}{person.pk}/", data).status_code == 303
    assert not Access.objects.filter(user=person).exists()


def test_disabling_ends_the_sessions_at_once(admin: Client) -> None:
    person = make.user("emil")
    browser = make.signed_in(Client(), person)
    assert browser.get("/desktops/").status_code == 200
    admin.post(f"{LIST}{person.pk}/disable/", {"confirmed": "yes"})
    portal = PortalSession.objects.get(user=person)
    assert portal.close_reason.startswith("disabled by")
    assert browser.get("/desktops/").status_code in {302, 303}
    admin.post(f"{LIST}{person.pk}/enable/")
    person.refresh_from_db()
    assert person.is_active


def test_unticking_active_ends_the_sessions_too(admin: Client) -> None:
    person = make.user("finn")
    make.signed_in(Client(), person)
    data = filled(login="finn", password="", password_again="")
    del data["is_active"]
    assert admin.post(f"{LIST}{person.pk}/", data).status_code == 303
    assert PortalSession.objects.get(user=person).closed_at is not None


def test_a_new_password_replaces_the_old_one_and_is_never_logged(admin: Client) -> None:
    person = make.user("gina")
    assert admin.post(f"{LIST}{person.pk}/", filled(login="gina")).status_code == 303
    person.refresh_from_db()
    assert person.check_password(PASSWORD)
    assert PASSWORD not in str(list(LogEntry.objects.values()))
    assert PASSWORD not in admin.get(f"{LIST}{person.pk}/").content.decode()


def test_nobody_disables_themselves(admin: Client) -> None:
    me = User.objects.get(portal_sessions__isnull=False)
    page = admin.post(f"{LIST}{me.pk}/disable/", {"confirmed": "yes"}, follow=True).content.decode()
    assert "You cannot disable yourself." in page


def test_sign_out_ends_what_is_open(admin: Client) -> None:
    person = make.user("hugo")
    make.signed_in(Client(), person)
    page = admin.post(f"{LIST}{person.pk}/sign_out/", follow=True).content.decode()
    assert "Hugo is signed out" in page
    assert PortalSession.objects.get(user=person).closed_at is not None


def test_somebody_with_a_desktop_is_not_deleted(admin: Client) -> None:
    person = make.user("ines")
    make.assignment(person, make.desktop(make.center()))
    answer = admin.post(f"{LIST}{person.pk}/delete/")
    assert answer.status_code == 409
    assert User.objects.filter(pk=person.pk).exists()
    other = make.user("jan")
    assert admin.post(f"{LIST}{other.pk}/delete/").status_code == 303


def test_leavers_with_desktops_are_pointed_out(admin: Client) -> None:
    gone = make.user("kurt", at=make.server(), gone_at=now())
    make.assignment(gone, make.desktop(make.center()))
    make.user("left", is_active=False)
    assert "1 person left or were disabled and still hold 1 desktop" in admin.get(LIST).content.decode()
    assert names(admin, "?state=leavers") == {"kurt"}
    assert names(admin, "?state=disabled") == {"left"}


def test_people_without_a_rule_are_found(admin: Client) -> None:
    server = make.server()
    make.user("none", at=server, group_sids=["S-1-1"])
    make.user("ruled", at=server, group_sids=["S-1-1", "S-1-2"])
    make.grant(make.user("direct", at=server), role=make.role(), policy=make.default_policy())
    AssignmentRule.objects.create(server=server, group_sid="S-1-2", role=make.role(), policy=make.default_policy())
    assert names(admin, "?rule=none") == {"none"}


def test_the_page_shows_what_they_have_and_are_offered(admin: Client) -> None:
    center = make.center()
    person = make.grant(make.user("lars"), policy=make.policy(make.pool(center, name="Lab"), quantity=2))
    make.assignment(person, make.desktop(center, display_name="Mine"))
    make.desktop(center, name="Offered one")
    make.signed_in(Client(), person)
    page = admin.get(f"{LIST}{person.pk}/").content.decode()
    for words in ("Mine", "Offered one", "Lab", "Policy-assigned", "Sign-ins", "desktop.assigned", "Test Login"):
        assert words in page, words


def test_permissions(client: Client) -> None:
    viewer = make.client_with(client, users="view")
    person = make.user("mona")
    assert viewer.get(LIST).status_code == 200
    assert viewer.get(f"{LIST}{person.pk}/").status_code == 200
    assert viewer.get(f"{LIST}add/").status_code == 403
    assert viewer.post(f"{LIST}{person.pk}/disable/", {"confirmed": "yes"}).status_code == 403
    assert make.client_with(Client(), desktops="edit").get(LIST).status_code == 403


def test_who_may_edit_users_alone_does_not_make_an_administrator(client: Client) -> None:
    make.defaults()
    helper, full = make.client_with(client, users="edit"), make.role(admin=True)
    me, person = User.objects.get(portal_sessions__isnull=False), make.user("nora")
    answer = helper.post(f"{LIST}{person.pk}/", filled(login="nora", role=full.pk))
    assert "may do more than yours" in str(answer.context["form"].errors["role"])
    helper.post(f"{LIST}{me.pk}/", filled(login=me.login, role=full.pk))
    assert helper.post(f"{LIST}add/", filled(role=full.pk)).status_code == 200
    assert not Access.objects.filter(role=full, user__in=[person, me]).exists()
    assert helper.post(f"{LIST}{person.pk}/", filled(login="nora", role=make.role().pk)).status_code == 303


def test_how_an_administrator_gets_in_is_changed_by_those_who_may_change_roles(client: Client) -> None:
    make.defaults()
    helper = make.client_with(client, users="edit")
    boss = make.grant(make.user("boss"), role=make.role(admin=True))
    answer = helper.post(f"{LIST}{boss.pk}/", filled(login="other", role=make.role().pk, notes="seen", is_active=""))
    assert answer.status_code == 303
    helper.post(f"{LIST}{boss.pk}/disable/", {"confirmed": "yes"})
    assert helper.post(f"{LIST}{boss.pk}/delete/").status_code == 403
    boss = User.objects.get(pk=boss.pk)
    assert (boss.login, boss.is_active, boss.notes, boss.access.role) == ("boss", True, "seen", make.role(admin=True))
    assert boss.check_password(make.PASSWORD)


def test_an_administrator_by_a_rule_is_protected_too(client: Client) -> None:
    make.defaults()
    helper, home = make.client_with(client, users="edit"), make.server()
    boss = make.user("olga", at=home, group_sids=["S-1-7"])
    AssignmentRule.objects.create(
        server=home, group_sid="S-1-7", role=make.role(admin=True), policy=make.default_policy()
    )
    helper.post(f"{LIST}actions/disable/", {"ids": [boss.pk], "confirmed": "yes"})
    assert User.objects.get(pk=boss.pk).is_active


def test_the_last_local_administrator_stays_one(admin: Client) -> None:
    Access.objects.filter(role__admin_ui=True).delete()
    boss = make.grant(make.user("boss"), role=make.role(admin=True))
    data = filled(login="boss", password="", password_again="")
    for changes in ({"role": make.role().pk}, {"role": ""}, {"role": make.role(admin=True).pk, "is_active": ""}):
        answer = admin.post(f"{LIST}{boss.pk}/", {**data, **changes})
        assert "last local administrator" in str(answer.context["form"].errors)
    page = admin.post(f"{LIST}{boss.pk}/disable/", {"confirmed": "yes"}, follow=True).content.decode()
    assert "is the last local administrator" in page
    assert User.objects.get(pk=boss.pk).is_active
    make.grant(make.user("deputy"), role=make.role(admin=True))
    assert admin.post(f"{LIST}{boss.pk}/", {**data, "role": make.role().pk}).status_code == 303
