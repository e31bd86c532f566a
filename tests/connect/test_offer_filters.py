"""To whom, when and of which desktops a policy offers; Test Login names the rule."""

from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine

from authservers.models import User
from broker.connect import offers
from broker.connect.explain import explain
from broker.connect.models import Client as ClientRow
from broker.connect.models import PortalSession
from broker.core.clock import now
from centers.models import Center
from policies import offer_filters
from policies.models import AssignmentRule, Policy
from tests import make

pytestmark = pytest.mark.django_db
DESIGN = {
    "kind": "users",
    "match_all": True,
    "rules": [{"attribute": "Department", "condition": "eq", "value": "design"}],
}
OFFICE = {"kind": "times", "zone": "Europe/Berlin", "ranges": [{"days": "weekdays", "from": "08:00", "until": "18:00"}]}
NIGHT = {"kind": "times", "zone": "UTC", "ranges": [{"days": "4", "from": "22:00", "until": "06:00"}]}


@pytest.fixture
def center() -> Center:
    make.defaults()
    return make.center()


def person(center: Center, **attributes: list[str]) -> User:
    return make.user(at=center.server, attributes=attributes)


def seen(who: User, policy: Policy, **more: Any) -> list[str]:
    return [offer.name for offer in offers.build(who, policy, **more).offers]


def told(who: User, policy: Policy) -> dict[str, str]:
    """What Test Login says of each candidate of the first pool: name -> why."""
    AssignmentRule.objects.create(server=who.server, role=make.role(), policy=policy)
    who.server.kind = "local"
    type(who.server).objects.filter(pk=who.server.pk).update(kind="directory", active=True)
    report = explain(who.server, who.login)
    return {each.verdict: each.words for each in report.pools[0].candidates}


def test_a_line_is_only_for_users_whose_directory_record_matches(center: Center) -> None:
    make.desktop(center)
    policy = make.policy(make.pool(center), offer_filter=DESIGN)
    designer, other = person(center, department=["Design"]), person(center, department=["Sales"])
    assert len(seen(designer, policy)) == 1
    found = offers.build(other, policy)
    assert (found.offers, found.empty) == ([], []), "nobody is told that a pool is empty that is not for them"
    assert told(other, policy) == {"FILTERED": "offered only to users whose Department is equal to “design”"}


def test_what_she_has_already_stays_hers_whatever_the_filter_says(center: Center) -> None:
    policy = make.policy(make.pool(center), offer_filter=DESIGN)
    other = person(center, department=["Sales"])
    hers = make.assignment(other, make.desktop(center)).desktop
    assert [offer.desktop for offer in offers.build(other, policy).offers] == [hers]


@pytest.mark.parametrize(
    ("rules", "match_all", "passes"),
    [
        ([("title", "ct", "lead")], True, True),
        ([("title", "ct", "lead"), ("department", "eq", "sales")], True, False),
        ([("title", "ct", "lead"), ("department", "eq", "sales")], False, True),
        ([("memberOf", "bw", "cn=cad")], True, True),
        ([("memberOf", "ne", "CN=CAD,DC=x")], True, False),
        ([("employeeID", "gt", "99")], True, True),
        ([("unknown", "eq", "")], True, False),
        ([("unknown", "ne", "x")], True, True),
        ([], True, False),
    ],
)
def test_rules_on_the_directory_record(rules: list[tuple[str, str, str]], match_all: bool, passes: bool) -> None:
    rows = [dict(zip(("attribute", "condition", "value"), rule, strict=True)) for rule in rules]
    record = {
        "title": ["Team lead"],
        "department": ["Design"],
        "memberof": ["CN=All", "CN=CAD,DC=x"],
        "employeeid": ["100"],
    }
    assert offer_filters.is_for({"rules": rows, "match_all": match_all}, record) is passes


@pytest.mark.parametrize(
    ("offer_filter", "at", "is_open"),
    [
        pytest.param(OFFICE, "2026-11-23T07:00", True, id="8 o'clock in Berlin is 7 in UTC"),
        pytest.param(OFFICE, "2026-11-23T06:59", False, id="a minute before"),
        pytest.param(OFFICE, "2026-07-06T06:00", True, id="in summer it is 6"),
        pytest.param(OFFICE, "2026-11-23T17:00", False, id="the end is not inside"),
        pytest.param(OFFICE, "2026-11-21T10:00", False, id="not on Saturday"),
        pytest.param(NIGHT, "2026-11-27T23:00", True, id="Friday night"),
        pytest.param(NIGHT, "2026-11-28T05:59", True, id="goes on into Saturday"),
        pytest.param(NIGHT, "2026-11-28T23:00", False, id="but Saturday night is another"),
        pytest.param({**OFFICE, "last": "2026-11-20"}, "2026-11-23T10:00", False, id="after the last day"),
        pytest.param({**OFFICE, "first": "2026-11-23"}, "2026-11-23T10:00", True, id="from the first day on"),
        pytest.param({**NIGHT, "last": "2026-11-27"}, "2026-11-28T05:00", True, id="the last night goes on to its end"),
    ],
)
def test_ranges_of_time_name_their_zone(offer_filter: dict[str, Any], at: str, is_open: bool) -> None:
    assert offer_filters.is_open(offer_filter, datetime.fromisoformat(at).replace(tzinfo=UTC)) is is_open


def test_outside_its_hours_a_line_offers_nothing_and_test_login_names_them(center: Center) -> None:
    make.desktop(center)
    policy, who = make.policy(make.pool(center), offer_filter=OFFICE), person(center)
    with time_machine.travel(datetime(2026, 11, 23, 12, tzinfo=UTC), tick=False):
        assert len(seen(who, policy)) == 1
    with time_machine.travel(datetime(2026, 11, 22, 12, tzinfo=UTC), tick=False):
        assert seen(who, policy) == []
        assert told(who, policy) == {"TIME_WINDOW": "offered only Monday to Friday 08:00–18:00 (Europe/Berlin)"}


def rows(*rules: dict[str, str], match_all: bool = True) -> dict[str, Any]:
    return {"match_all": match_all, "rules": list(rules)}


def rule(attribute: str, condition: str, value: str, kind: str = "text") -> dict[str, str]:
    return {"attribute": attribute, "condition": condition, "kind": kind, "value": value}


def test_desktops_are_compared_with_an_attribute_of_the_user(center: Center) -> None:
    make.desktop(center, display_name="A", notes="for Design")
    make.desktop(center, display_name="B", notes="for Sales")
    policy = make.policy(
        make.pool(center), quantity=0, display=5, desktop_filter=rows(rule("notes", "ct", "department", "user"))
    )
    assert seen(person(center, department=["sales"]), policy) == ["B"]
    assert seen(person(center), policy) == [], "who has no such attribute matches nothing, not everything"
    words = told(person(center, department=["sales"]), policy)
    assert (
        words["FILTERED"]
        == "filtered out: it must hold that the desktop's notes contains the user's department (“sales”)"
    )


def test_desktops_are_compared_with_an_attribute_of_the_client(center: Center) -> None:
    make.desktop(center, display_name="Near", address="10.1.0.5")
    make.desktop(center, display_name="Far", address="10.2.0.5")
    policy = make.policy(
        make.pool(center), quantity=0, display=5, desktop_filter=rows(rule("notes", "ne", "browser", "client"))
    )
    make.desktop(center, display_name="For Firefox", notes="Firefox")
    who = person(center)
    assert "For Firefox" not in seen(who, policy, client={"browser": "Firefox"})
    row = ClientRow.objects.create(user_agent="Mozilla/5.0 Firefox/130.0", first_seen_at=now(), seen_at=now())
    portal = PortalSession(user=who, client=row, address="10.9.9.9")
    assert sorted(seen(who, policy, portal=portal)) == ["Far", "Near"]


def test_the_rows_of_the_policy_hold_for_all_its_lines(center: Center) -> None:
    make.desktop(center, display_name="Old", user_gb=10)
    make.desktop(center, display_name="New", user_gb=100)
    policy = make.policy(make.pool(center), make.pool(center), quantity=0, display=5)
    Policy.objects.filter(pk=policy.pk).update(desktop_filter=rows(rule("user_gb", "gt", "50")))
    assert seen(person(center), Policy.objects.get(pk=policy.pk)) == ["New"]


@pytest.mark.parametrize(("match_all", "expected"), [(True, []), (False, ["One"])])
def test_rows_are_joined_by_and_or_or(center: Center, match_all: bool, expected: list[str]) -> None:
    make.desktop(center, display_name="One", os="Windows 11", notes="x")
    both = rows(rule("os", "ct", "11"), rule("notes", "eq", "y"), match_all=match_all)
    assert seen(person(center), make.policy(make.pool(center), display=5, desktop_filter=both)) == expected


def test_a_word_where_a_number_is_asked_for_is_no_match_and_no_error(center: Center) -> None:
    make.desktop(center, user_gb=10)
    policy = make.policy(make.pool(center), desktop_filter=rows(rule("user_gb", "gt", "department", "user")))
    assert seen(person(center, department=["'; drop table"]), policy) == []
