"""Alice at her desktop under plans that a test sets, her agent by its own protocol, and a clock that the test moves."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from agents.models import AgentCommand
from broker.connect import events, power
from broker.core import jobs
from broker.core.models import Job
from broker.handlers import HANDLERS
from plans.models import PowerControlPlan, ReleasePlan
from tests import make
from tests.connect.talker import Account, Talker

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class Stage:
    """Alice at her desktop, under plans that a test sets; a clock that it moves."""

    def __init__(self, clock: Any, account: Account) -> None:
        make.defaults()
        self.clock, self.account = clock, account
        self.desktop = make.desktop(make.center(refresh_minutes=0), display_name="Design 7")
        self.alice = make.user("alice", at=self.desktop.center.server)
        self.release = ReleasePlan.objects.create(name="Release", logged_out_release=-1, warn_before=300)
        self.power = PowerControlPlan.objects.create(name="Power", started_action="none", warn_before=300)
        plans = {"release_plan": self.release, "power_plan": self.power}
        make.grant(self.alice, policy=make.policy(make.pool(self.desktop.center), plans=plans))
        self.held = make.assignment(self.alice, self.desktop)
        self.talker = Talker(self.desktop.center, self.desktop)

    def plan(self, plan: Any, **columns: Any) -> None:
        type(plan).objects.filter(pk=plan.pk).update(**columns)

    def work(self) -> None:
        """What the worker would do now."""
        events.drain()
        jobs.work(HANDLERS)

    def pass_time(self, minutes: float, *, idle: int | None = None, state: str = "active") -> None:
        """Let it pass in half minutes, the agent heard from; `idle` is for how many seconds it was so before."""
        for step in range(int(minutes * 2)):
            self.clock.shift(timedelta(seconds=30))
            line = {"session": "2", "user": "CORP\\alice", "state": state}
            self.talker.beat(line if idle is None else {**line, "idle": idle + 30 * (step + 1)})
            self.work()

    def messages(self) -> list[dict[str, Any]]:
        return [each for each in self.talker.commands() if each["type"] == "message"]

    def asked(self) -> list[str]:
        return list(AgentCommand.objects.values_list("type", flat=True))

    def pending(self) -> list[tuple[str, str]]:
        """What waits, by kind and cause."""
        found = Job.objects.filter(state="pending").exclude(kind="housekeeping").order_by("run_at", "pk")
        return list(found.values_list("kind", "cause"))


@contextmanager
def staged(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """The stage at noon."""
    account = Account()
    monkeypatch.setattr(power, "provider", lambda center: account)
    with time_machine.travel(NOON, tick=False) as clock:
        yield Stage(clock, account)
