"""Drain a pool: no offers at once, people told, log-out at the deadline; and back again."""

from datetime import timedelta

import pytest
from django.test import Client

from agents.models import AgentCommand
from broker.connect import drains, offers
from broker.core import jobs
from broker.core.models import Job, LogEntry
from broker.handlers import HANDLERS
from centers.models import Center, Desktop
from pools.models import Assignment, Drain
from tests import make
from tests.resources.test_desktops_list import agent, session

pytestmark = pytest.mark.django_db


@pytest.fixture
def center() -> Center:
    make.defaults()
    return make.center()


@pytest.fixture
def admin(client: Client) -> Client:
    return make.admin_client(client)


def used(center: Center) -> Desktop:
    """A desktop with somebody on it, and an agent that answers."""
    machine, person = make.desktop(center), make.user(at=center.server)
    make.assignment(person, machine)
    agent(machine)
    session(machine, person)
    return machine


def test_a_drain_stops_the_offers_tells_people_and_logs_out_at_the_deadline(admin: Client, center: Center) -> None:
    machine, _ = used(center), make.desktop(center)
    pool = make.pool(center, name="CAD")
    policy, person = make.policy(make.root_pool()), make.user(at=center.server)
    assert len(offers.build(person, policy).offers) == 1
    page = admin.get(f"/resources/pools/{pool.pk}/drain/").content.decode()
    assert "2 desktops will be offered to nobody" in page
    admin.post(f"/resources/pools/{pool.pk}/drain/", {"message": "New image at five.", "wait": "900"})
    assert offers.build(person, policy).offers == [], "also not by a policy with another pool"
    assert [each.data["text"] for each in AgentCommand.objects.filter(type="message")] == ["New image at five."]
    assert Assignment.objects.get().closed_at is None
    job = Job.objects.get(kind="logout")
    assert timedelta(minutes=14) < job.run_at - Drain.objects.get().begun_at <= timedelta(minutes=15)
    jobs.work(HANDLERS)
    assert not AgentCommand.objects.filter(type="logout").exists()
    Job.objects.update(run_at=Drain.objects.get().begun_at)
    jobs.work(HANDLERS)
    assert AgentCommand.objects.get(type="logout").agent.desktop == machine
    assert LogEntry.objects.filter(event="pool.drain_begun", level="warning").exists()


def test_the_end_of_a_drain_puts_back_what_it_took_and_calls_the_log_outs_off(admin: Client, center: Center) -> None:
    used(center)
    broken = make.desktop(center, availability="unavailable", unavailable_reason="broken")
    pool = make.pool(center)
    address = f"/resources/pools/{pool.pk}/drain/"
    admin.post(address, {"message": "Soon.", "wait": "3600"})
    assert "Being drained" in admin.get(address).content.decode()
    admin.post(address, {"message": "Again.", "wait": "3600"})
    assert Drain.objects.count() == 1
    admin.post(address, {"end": "yes"})
    broken.refresh_from_db()
    assert (broken.availability, broken.unavailable_reason) == ("unavailable", "broken")
    assert Desktop.objects.filter(availability="available").count() == 1
    assert Job.objects.get(kind="logout").state == "cancelled"
    assert Drain.objects.get().ended_at is not None


def test_what_joins_the_pool_meanwhile_is_drained_too_and_comes_back_with_the_rest(
    admin: Client, center: Center
) -> None:
    pool = make.pool(center)
    old = make.desktop(center)
    address = f"/resources/pools/{pool.pk}/drain/"
    admin.post(address, {"message": "New image at five.", "wait": "900"})
    Desktop.objects.filter(pk=old.pk).update(availability="available", unavailable_reason="")  # by hand
    free, taken = make.desktop(center), used(center)
    drains.follow()
    drains.follow()
    assert set(Desktop.objects.filter(availability="unavailable")) == {free, taken}
    assert [each.data["text"] for each in AgentCommand.objects.filter(type="message")] == ["New image at five."]
    assert Job.objects.get(kind="logout").subject == f"desktop:{taken.pk}"
    admin.post(address, {"end": "yes"})
    assert not Desktop.objects.exclude(availability="available").exists()
    assert Job.objects.get(kind="logout").state == "cancelled"
    make.desktop(center)
    drains.follow()
    assert not Desktop.objects.exclude(availability="available").exists()


def test_a_drain_needs_a_message_and_the_right_to_edit_pools(client: Client, center: Center) -> None:
    pool = make.pool(center)
    make.client_with(client, pools="edit")
    answer = client.post(f"/resources/pools/{pool.pk}/drain/", {"message": "", "wait": "3600"})
    assert "message" in answer.context["form"].errors
    other = make.client_with(Client(), pools="view", desktops="edit")
    assert other.post(f"/resources/pools/{pool.pk}/drain/", {"message": "x", "wait": "900"}).status_code == 403
    assert not Drain.objects.exists()
