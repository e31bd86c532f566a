"""A web request and the job that walks the same launch both come to the desktop: its agent is asked once."""

import pytest

from agents.models import Agent, AgentCommand
from agents.protocol import COMMANDS
from broker.connect import zones
from broker.connect.models import Launch
from broker.core.clock import now
from tests import make
from tests.races.test_queue import together

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


def test_two_that_walk_one_launch_ask_for_its_time_zone_once() -> None:
    make.defaults()
    desktop, alice, moment = make.desktop(make.center()), make.user("alice"), now()
    Agent.objects.create(
        uuid="00000000-0000-4000-8000-000000000007", key_digest="a" * 64, center=desktop.center, desktop=desktop,
        approved=True, registered_at=moment, last_seen=moment, abilities=sorted(COMMANDS),
    )  # fmt: skip
    held = make.assignment(alice, desktop)
    for trial in range(1, 9):
        launch = Launch.objects.create(
            user=alice, desktop=desktop, assignment=held, step="opening", step_at=moment, started_at=moment,
            deadline=moment, time_zone="Europe/Berlin",
        )  # fmt: skip
        together(4, lambda _, pk=launch.pk: zones.adjust(Launch.objects.get(pk=pk), desktop))  # type: ignore[misc]
        assert AgentCommand.objects.count() == trial
        Launch.objects.update(step="done", ended_at=moment)
