"""The backup pool stands in where a pool has nothing, or where what it has cannot be reached (SPEC 1.3, 2g)."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from agents.models import Agent
from broker.connect import offers, plans_in_force, sources
from broker.connect.explain import explain
from broker.core.clock import now
from centers.models import Center, Desktop
from centers.services import port_seen
from plans.models import PowerControlPlan
from policies.models import AssignmentRule, Policy
from pools.models import Assignment
from tests import make
from tests.resources.test_desktops_list import agent

pytestmark = pytest.mark.django_db


@pytest.fixture
def center() -> Center:
    make.defaults()
    return make.center()


@pytest.fixture
def spare(center: Center) -> Desktop:
    """A desktop of the backup pool."""
    return make.desktop(make.center(center.server, directory_id="d-9067ffffff"), display_name="Spare")


def policy_with(center: Center, spare: Desktop, **line: Any) -> Policy:
    return make.policy(make.pool(center), **{"display": 5, "backup_pool": make.pool(spare.center), **line})


def shown(person: Any, policy: Policy) -> list[str]:
    return [offer.name for offer in offers.build(person, policy).offers]


def falls_silent(machine: Desktop) -> None:
    agent(machine, heard=False)
    Agent.objects.filter(desktop=machine).update(silent=True)


def test_the_backup_pool_is_offered_only_while_the_pool_has_nothing(center: Center, spare: Desktop) -> None:
    policy, person = policy_with(center, spare), make.user(at=center.server)
    assert shown(person, policy) == ["Spare"]
    make.desktop(center, display_name="First")
    assert shown(person, policy) == ["First"]
    assert shown(person, policy_with(make.center(), spare, backup_if_empty=False)) == []


def test_a_free_desktop_whose_agent_is_silent_is_replaced_where_the_line_says_so(
    center: Center, spare: Desktop
) -> None:
    person, machine = make.user(at=center.server), make.desktop(center, display_name="First")
    falls_silent(machine)
    assert shown(person, policy_with(center, spare)) == ["First"]
    policy = policy_with(center, spare, backup_if_silent=True)
    assert shown(person, policy) == ["Spare"]
    make.assignment(make.user(), spare)
    assert shown(person, policy) == ["First"], "without a backup the silent one is better than nothing"


def test_beside_her_own_desktop_that_cannot_be_reached_a_backup_is_offered(center: Center, spare: Desktop) -> None:
    person, machine = make.user(at=center.server), make.desktop(center, display_name="Hers")
    make.assignment(person, machine)
    policy = policy_with(center, spare, backup_if_closed=True)
    assert shown(person, policy) == ["Hers"]
    port_seen(machine.pk, "refuses connections")
    assert shown(person, policy) == ["Hers", "Spare"]
    Desktop.objects.filter(pk=machine.pk).update(port_checked_at=now() - timedelta(minutes=11))
    assert shown(person, policy) == ["Hers"], "after ten minutes it is worth another try"
    port_seen(machine.pk, "refuses connections")
    make.assignment(person, spare)
    make.desktop(spare.center, display_name="Another")
    assert sorted(shown(person, policy)) == ["Hers", "Spare"], "one backup stands in for one desktop"


def test_connect_lends_the_backup_under_its_own_plans(client: Client, center: Center, spare: Desktop) -> None:
    plan = PowerControlPlan.objects.create(name="Stop backups")
    policy = policy_with(center, spare, backup_power_plan=plan)
    person = make.grant(make.user(at=center.server), policy=policy)
    card = offers.build(person, policy).offers[0]
    assert card.line is not None
    assert card.line.slot < 0
    make.signed_in(client, person, policy_row=policy)
    page = client.get("/desktops/").content.decode()
    assert f'name="line" value="{card.line.slot}"' in page
    client.post(f"/desktops/{spare.pk}/connect/", {"line": card.line.slot, "held": "0"})
    lent = Assignment.objects.get(user=person, closed_at=None)
    assert (lent.desktop, lent.pool, lent.line) == (spare, spare.center.pools.get(), policy.lines.get().pk)
    assert plans_in_force.for_assignment(lent).power == plan
    assert [offer.assigned for offer in offers.build(person, policy).offers] == [True]
    again = sources.lent_from(lent)
    assert again is not None
    assert again.is_backup


def test_a_hard_assigned_desktop_that_is_silent_brings_the_policys_backup_pool(center: Center, spare: Desktop) -> None:
    person, machine = make.user(at=center.server), make.desktop(center, display_name="Hers")
    make.assignment(person, machine, kind="hard")
    policy = make.policy()
    policy.hard_backup_pool = make.pool(spare.center)
    policy.save()
    assert shown(person, policy) == ["Hers"]
    agent(machine, heard=False)
    assert shown(person, policy) == ["Hers", "Spare"]
    make.assignment(person, spare)
    make.desktop(spare.center)
    assert sorted(shown(person, policy)) == ["Hers", "Spare"]


def test_test_login_shows_the_backup_pool_and_why_it_stands_by(center: Center, spare: Desktop) -> None:
    make.desktop(center)
    person, policy = make.user(), policy_with(center, spare)
    AssignmentRule.objects.create(server=person.server, role=make.role(), policy=policy)
    report = explain(person.server, person.login)
    assert [(line.pool, line.backup) for line in report.pools] == [
        (str(center.pools.get()), False), (str(spare.center.pools.get()), True)
    ]  # fmt: skip
    assert report.pools[1].candidates[0].words == "the backup pool stands by: nothing has to be replaced"


@pytest.mark.parametrize(
    ("fields", "desktop", "words"),
    [
        ({"hard_offer_stopped": "no"}, {"power": "stopped"}, "It is stopped, and your policy does not offer it then."),
        ({"hard_offer_stopped": "agent"}, {"power": "stopped"}, "only with the Usher Agent"),
        ({"hard_offer_without_agent": False}, {}, "Its Usher Agent is not heard"),
        ({}, {"power": "stopped"}, ""),
    ],
)
def test_the_hard_section_can_withhold_a_desktop_and_says_so_on_its_card(
    client: Client, center: Center, fields: dict[str, Any], desktop: dict[str, Any], words: str
) -> None:
    policy = make.policy()
    Policy.objects.filter(pk=policy.pk).update(**fields)
    person = make.grant(make.user(at=center.server), policy=policy)
    machine = make.desktop(center, **desktop)
    make.assignment(person, machine, kind="hard")
    make.signed_in(client, person, policy_row=policy)
    page = client.get("/desktops/").content.decode()
    assert words in page
    assert ("Reconnect" in page) is not bool(words)
    if words:
        answer = client.post(f"/desktops/{machine.pk}/connect/")
        assert answer["Location"] == "/desktops/"
        assert page.count(words) < client.get("/desktops/").content.decode().count(words)


def test_a_line_that_is_not_for_her_cannot_be_had_by_its_number_either(client: Client, center: Center) -> None:
    machine = make.desktop(center)
    policy = make.policy(make.pool(center), offer_filter={"kind": "users", "rules": []})
    person = make.grant(make.user(at=center.server), policy=policy)
    make.signed_in(client, person, policy_row=policy)
    line = policy.lines.get().pk
    client.post(f"/desktops/{machine.pk}/connect/", {"line": line, "held": "0"})
    assert "no longer offered to you" in client.get("/desktops/").content.decode()
    assert not Assignment.objects.exists()
