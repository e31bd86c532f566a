"""What is offered, and why not."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import Q

from broker.connect import actions, offers, power, verdicts
from broker.connect.askers import Asker
from broker.connect.models import DesktopSession
from broker.core.clock import now
from broker.core.jobs import Wish, enqueue
from broker.core.models import Job, ref
from centers.models import Center, Desktop
from centers.providers.base import PowerOp
from plans.models import ReleasePlan
from policies.models import PoolAssignment
from pools.models import Pool
from tests import make

pytestmark = pytest.mark.django_db
Stopped = PoolAssignment.Stopped


@pytest.fixture
def center() -> Center:
    return make.center()


def names(person: Any, policy: Any) -> list[str]:
    return [offer.name for offer in offers.build(person, policy).offers]


def verdict(center: Center, person: Any = None, line: dict[str, Any] | None = None, **desktop: Any) -> str:
    """The verdict of one desktop of a pool of this center."""
    machine = make.desktop(center, **desktop)
    policy = make.policy(make.pool(center), **(line or {}))
    row = policy.lines.get()
    asker = Asker.of(person or make.user(at=center.server))
    return str(verdicts.judged(Desktop.objects.filter(pk=machine.pk), row, asker).get().verdict)


def test_as_many_desktops_are_offered_as_the_policy_says(center: Center) -> None:
    for _ in range(3):
        make.desktop(center)
    person = make.user(at=center.server)
    assert len(names(person, make.policy(make.pool(center), quantity=2))) == 2
    assert len(names(person, make.policy(make.pool(center), quantity=0))) == 3


def test_a_desktop_that_is_hers_is_always_offered_and_counts(center: Center) -> None:
    make.desktop(center)
    person = make.user(at=center.server)
    hers = make.assignment(person, make.desktop(center)).desktop
    shown = offers.build(person, make.policy(make.pool(center)))
    assert [(offer.desktop, offer.assigned) for offer in shown.offers] == [(hers, True)]
    elsewhere = make.policy(make.pool(make.center()))
    assert [offer.desktop for offer in offers.build(person, elsewhere).offers] == [hers]


def test_no_desktop_is_offered_twice_by_two_lines(center: Center) -> None:
    for _ in range(3):
        make.desktop(center)
    policy = make.policy(make.pool(center), make.pool(center), quantity=2)
    found = [offer.desktop.pk for offer in offers.build(make.user(at=center.server), policy).offers]
    assert len(found) == len(set(found)) == 3


def test_the_maximum_of_the_policy_caps_all_lines(center: Center) -> None:
    for _ in range(3):
        make.desktop(center)
    policy = make.policy(make.pool(center), quantity=3)
    policy.max_desktops = 1
    assert len(names(make.user(at=center.server), policy)) == 1


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({}, "OFFERED", id="a running one is offered"),
        pytest.param({"lent": True}, "ASSIGNED_TO_OTHER", id="a lent one is somebody's"),
        pytest.param({"availability": "missing"}, "MISSING", id="a missing one"),
        pytest.param({"availability": "unavailable"}, "UNAVAILABLE", id="one taken out of service"),
        pytest.param({"bound_user": "somebody"}, "BOUND_TO_OTHER", id="one that AWS holds for another"),
        pytest.param({"bound_user": "[UNDEFINED]"}, "OFFERED", id="a decoupled one is free"),
        pytest.param({"plans_off": True}, "IMAGE_BASE", id="one that images are built on"),
        pytest.param({"power": "maintenance"}, "MAINTENANCE", id="one in maintenance"),
        pytest.param({"power": "error"}, "ERROR", id="one in error"),
        pytest.param({"power": "stopped"}, "STOPPED_NOT_OFFERED", id="a stopped one, by default"),
        pytest.param({"power": "running", "wish": "stop"}, "PENDING_STOP", id="one being stopped"),
        pytest.param({"running_mode": "AUTO_STOP"}, "FILTERED", id="an AUTO_STOP one"),
    ],
)
def test_each_desktop_has_its_verdict(center: Center, fields: dict[str, Any], expected: str) -> None:
    assert verdict(center, **fields) == expected


def test_her_own_bound_desktop_is_offered_whatever_the_case_of_her_name(center: Center) -> None:
    person = make.user("alice", at=center.server)
    assert verdict(center, person, bound_user="ALICE") == "OFFERED"


def test_a_center_can_offer_bound_desktops_to_anyone(center: Center) -> None:
    Center.objects.update(offer_bound="anyone")
    assert verdict(Center.objects.get(pk=center.pk), bound_user="somebody") == "OFFERED"


def test_a_center_that_offers_nothing_offers_nothing(center: Center) -> None:
    Center.objects.update(offer_desktops=False)
    assert verdict(center) == "CENTER_OFF"


def test_stopped_desktops_are_offered_when_the_line_says_so(center: Center) -> None:
    assert verdict(center, line={"offer_stopped": Stopped.ANY}, power="stopped") == "OFFERED"
    assert verdict(center, line={"offer_stopped": Stopped.AGENT}, power="stopped") == "STOPPED_NOT_OFFERED"


def test_a_session_of_somebody_else_keeps_a_desktop_from_being_offered(center: Center) -> None:
    machine = make.desktop(center)
    DesktopSession.objects.create(
        desktop=machine, boot_id="b", os_session="1", user_name="CORP\\bob", started_at=now(), changed_at=now()
    )
    line = make.policy(make.pool(center)).lines.get()
    asker = Asker.of(make.user(at=center.server))
    assert verdicts.judged(Desktop.objects.all(), line, asker).get().verdict == "SESSION_OF_OTHER"


def test_a_desktop_about_to_be_stopped_is_offered_last(center: Center) -> None:
    first, second = make.desktop(center), make.desktop(center)
    enqueue(Wish("power", ref(first), run_at=now() + timedelta(hours=1)))
    shown = offers.build(make.user(at=center.server), make.policy(make.pool(center)))
    assert [offer.desktop for offer in shown.offers] == [second]


def test_the_desktop_she_had_before_is_offered_first(center: Center) -> None:
    make.desktop(center)
    person = make.user(at=center.server)
    earlier = make.assignment(person, make.desktop(center))
    earlier.desktop.assignments.update(closed_at=now(), close_reason="by the test")
    Desktop.objects.update(lent=False)
    shown = offers.build(person, make.policy(make.pool(center)))
    assert [offer.desktop for offer in shown.offers] == [earlier.desktop]


@pytest.mark.parametrize(
    ("rule", "matches"),
    [
        ({"attribute": "name", "condition": "bw", "value": "wsamzn"}, True),
        ({"attribute": "name", "condition": "nc", "value": "WSAMZN"}, False),
        ({"attribute": "address", "condition": "cidr", "value": "10.9.0.0/16"}, True),
        ({"attribute": "address", "condition": "ncidr", "value": "10.9.0.0/16"}, False),
        ({"attribute": "user_gb", "condition": "gt", "value": "50"}, True),
        ({"attribute": "user_gb", "condition": "lt", "value": "50"}, False),
        ({"attribute": "center", "condition": "ct", "value": "enter"}, True),
        ({"attribute": "notes", "condition": "eq", "value": ""}, True),
        ({"attribute": "os", "condition": "ew", "value": "11"}, True),
    ],
)
def test_an_attribute_pool_compiles_to_a_query(center: Center, rule: dict[str, str], matches: bool) -> None:
    make.desktop(center, name="WSAMZN-X", address="10.9.1.2", user_gb=100, os="Windows 11")
    pool = make.pool(defined_by=Pool.By.ATTRIBUTES, rules=[rule])
    assert bool(names(make.user(at=center.server), make.policy(pool))) is matches


def test_a_subset_holds_only_what_its_parents_hold(center: Center) -> None:
    other = make.desktop(make.center())
    mine = make.desktop(center, tags=["red"])
    make.desktop(center)
    parent = make.pool(center)
    child = make.pool(parent=parent, defined_by=Pool.By.TAGS, tags=["red"])
    Desktop.objects.filter(pk=other.pk).update(tags=["red"])
    shown = offers.build(make.user(at=center.server), make.policy(child, quantity=0))
    assert [offer.desktop for offer in shown.offers] == [mine]
    assert Desktop.objects.filter(Q(tags__contains=["red"])).count() == 2


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (0, "n"), (5, "d"), (1, "m"),
        (2, "Blue"), (3, "Blue: n"), (6, "Blue: d"), (4, "Blue: m"),
        (7, "Sky"), (8, "Sky: n"), (9, "Sky: d"), (10, "Sky: m"),
    ],
)  # fmt: skip
def test_a_desktop_is_shown_as_the_policy_says(mode: int, expected: str) -> None:
    machine = Desktop(name="n", display_name="d", computer_name="m")
    assert offers.shown(machine, mode, Pool(name="Blue", display_name="Sky")) == expected
    assert offers.shown(Desktop(name="n"), mode, Pool(name="Sky")).replace("Blue", "Sky") == (
        expected.replace("Blue", "Sky").replace("d", "n").replace("m", "n")
    ), "what has no name of its own says the next best"


def free_ones(person: Any, policy: Any) -> list[str]:
    """What Connect would give, in order."""
    line, pools = policy.lines.get(), offers.pools_by_id()
    return [str(each) for each in offers.free(line, Asker.of(person), pools)]


def past(person: Any, machine: Desktop, days: int) -> None:
    """Somebody had it, and gave it back so many days ago."""
    held = make.assignment(person, machine)
    held.desktop.assignments.filter(pk=held.pk).update(
        closed_at=now() - timedelta(days=days), close_reason="in the test"
    )
    Desktop.objects.filter(pk=machine.pk).update(lent=False)


@pytest.mark.parametrize(
    ("order", "expected"),
    [("PREVIOUS", "CABD"), ("OLDEST", "DBCA"), ("LEAST_OFFERED", "BDCA"), ("RUNNING", "ACDB")],
)
def test_the_offer_orders(center: Center, order: str, expected: str) -> None:
    ages, offered = {"A": 1, "B": 3, "C": 2, "D": 4}, {"A": 1, "C": 2, "D": 3}
    power = {"B": "stopped"}
    machines = {
        name: make.desktop(
            center, display_name=name, first_seen_at=now() - timedelta(days=age), power=power.get(name, "running"),
            offered_at=now() - timedelta(days=offered[name]) if name in offered else None,
        )
        for name, age in ages.items()
    }  # fmt: skip
    person = make.user(at=center.server)
    if order == "PREVIOUS":
        past(person, machines["C"], 1)
    line: dict[str, Any] = {"offer_order": PoolAssignment.Order[order], "offer_stopped": Stopped.ANY}
    assert "".join(free_ones(person, make.policy(make.pool(center), **line))) == expected


def test_at_random_every_desktop_comes_first_some_time(center: Center) -> None:
    for name in "AB":
        make.desktop(center, display_name=name)
    person = make.user(at=center.server)
    policy = make.policy(make.pool(center), offer_order=PoolAssignment.Order.RANDOM)
    assert {free_ones(person, policy)[0] for _ in range(64)} == {"A", "B"}


def test_a_kiosk_gives_the_desktop_that_was_hers_longest_ago(center: Center) -> None:
    machines = {name: make.desktop(center, display_name=name) for name in "ABC"}
    person, policy = make.user(at=center.server), make.policy(make.pool(center), kiosk=True)
    past(person, machines["A"], 2)
    assert "".join(free_ones(person, policy)) == "BCA"
    past(person, machines["B"], 1)
    past(person, machines["C"], 3)
    assert "".join(free_ones(person, policy)) == "CAB"


@pytest.mark.parametrize(("distribute", "expected"), [("LEAST_ASSIGNED", "A"), ("MOST_AVAILABLE", "B")])
def test_a_pool_spreads_its_offers_over_its_centers(center: Center, distribute: str, expected: str) -> None:
    other = make.center(center.server, directory_id="d-9067ffffff")
    make.desktop(center, display_name="A")
    make.assignment(make.user(), make.desktop(center))
    for _ in range(2):
        make.desktop(other, display_name="B")
        make.assignment(make.user(), make.desktop(other))
    pool = make.pool(other, center, distribute=Pool.Distribute[distribute])
    assert free_ones(make.user(at=center.server), make.policy(pool))[0] == expected


def test_at_random_each_person_meets_the_centers_in_an_order_of_their_own(center: Center) -> None:
    other = make.center(center.server, directory_id="d-9067ffffff")
    make.desktop(center, display_name="A")
    make.desktop(other, display_name="B")
    policy = make.policy(make.pool(center, other))
    people = [make.user(f"p{number}", at=center.server) for number in range(16)]
    first = {person.login: free_ones(person, policy)[0] for person in people}
    assert set(first.values()) == {"A", "B"}
    assert first == {person.login: free_ones(person, policy)[0] for person in people}, "the same at every look"


def test_fifty_pools_cost_as_many_statements_as_one(center: Center, django_assert_max_num_queries: Any) -> None:
    for _ in range(3):
        make.desktop(center)
    person = make.user(at=center.server)
    make.assignment(person, make.desktop(center))
    one, fifty = make.policy(make.pool(center)), make.policy(*[make.pool(center) for _ in range(50)])
    with django_assert_max_num_queries(5):
        offers.build(person, one)
    with django_assert_max_num_queries(5):
        offers.build(person, fifty)


@pytest.mark.parametrize("state", ["pending", "running", "finished"])
def test_a_desktop_whose_reboot_is_pending_is_offered_only_where_the_line_says_so(center: Center, state: str) -> None:
    machine, person = make.desktop(center), make.user(at=center.server)
    power.ask(machine, PowerOp.REBOOT, "in the test")
    Job.objects.update(state=state)
    refusing = make.policy(make.pool(center), offer_pending_reboot=False)
    assert len(names(person, make.policy(make.pool(center)))) == 1
    assert len(names(person, refusing)) == (1 if state == "finished" else 0)


def test_the_least_recently_offered_desktop_comes_first(center: Center) -> None:
    first, second = (make.desktop(center, display_name=name) for name in ("A", "B"))
    policy = make.policy(make.pool(center), offer_order=PoolAssignment.Order.LEAST_OFFERED)
    held = make.assignment(make.user(at=center.server), first)
    actions.release(held.pk, "in the test")
    assert names(make.user(at=center.server), policy) == [second.name]


def test_a_release_plan_makes_the_desktop_unavailable_until_somebody_makes_it_available(center: Center) -> None:
    plan = ReleasePlan.objects.create(name="Once only", released_unavailable=True)
    policy = make.policy(make.pool(center), plans={"release_plan": plan})
    person = make.grant(make.user(at=center.server), policy=policy)
    machine = make.desktop(center)
    actions.release(make.assignment(person, machine).pk, "in the test")
    machine.refresh_from_db()
    assert (machine.availability, machine.unavailable_reason) == ("unavailable", "by release plan Once only")
    assert names(person, policy) == []


def test_a_plan_that_must_not_act_on_a_desktop_leaves_it_available(center: Center) -> None:
    plan = ReleasePlan.objects.create(name="Once only", released_unavailable=True)
    policy = make.policy(make.pool(center), plans={"release_plan": plan})
    person = make.grant(make.user(at=center.server), policy=policy)
    machine = make.desktop(center, plans_off=True)
    actions.release(make.assignment(person, machine).pk, "in the test")
    machine.refresh_from_db()
    assert machine.availability == "available"
