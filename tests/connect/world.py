"""A broker beside a simulated AWS account: two clocks that a test moves together, real boto3 on a real socket."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from authservers.models import User
from broker.connect import inventory
from broker.core import jobs
from broker.core.fields import set_secret
from broker.core.models import Job
from broker.demo.aws import constants
from broker.demo.aws.server import Simulator
from broker.demo.aws.trouble import Trouble
from broker.handlers import HANDLERS
from centers.models import Center, Desktop
from centers.providers import aws_clients
from pools.models import Assignment
from tests import make
from tests.aws_simulator import simulator

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@dataclass
class World:
    """The simulator, the broker's center for its directory, and the clock of both."""

    aws: Simulator
    center: Center
    clock: Any
    people: dict[str, User] = field(default_factory=dict)

    def shift(self, seconds: float) -> None:
        """Let time pass, here and at AWS."""
        self.clock.shift(timedelta(seconds=seconds))
        self.aws.account.clock.step(seconds)

    def scan(self) -> str:
        """One whole scan, as the job does it; returns its message."""
        self.center.refresh_from_db()
        moment = datetime.now(UTC)
        job = Job.objects.create(
            kind="poll", subject=f"center:{self.center.pk}", state="running", tries=1, run_at=moment,
            created_at=moment, leased_until=moment + inventory.SCAN_LEASE,
        )  # fmt: skip
        result = inventory.poll(job)
        job.delete()
        self.center.refresh_from_db()
        assert isinstance(result, jobs.Done)
        return result.message

    def work(self) -> int:
        """What the worker would do now."""
        return jobs.work(HANDLERS)

    def go_on(self, seconds: float, step: float = 5) -> None:
        """Let time pass in steps, the worker working."""
        for _ in range(int(seconds / step)):
            self.shift(step)
            self.work()

    def person(self, sam: str) -> User:
        """The directory's user of that name."""
        if sam not in self.people:
            self.people[sam] = make.user(sam, at=self.center.server)
        return self.people[sam]

    def of(self, user: str) -> Desktop:
        """The row of that AWS user's WorkSpace, or of that WorkSpace's name."""
        rows = Desktop.objects.filter(center=self.center)
        return rows.filter(bound_user=user).first() or rows.get(workspace_name=user)

    def trouble(self, kind: str, operation: str = "*", **more: Any) -> None:
        """From now on AWS makes this mistake."""
        self.aws.desk.add(Trouble(kind, operation, **more))

    def calm(self) -> None:
        """AWS works again."""
        self.aws.desk.set()

    def calls(self, operation: str) -> int:
        """How many calls of this operation reached AWS since the counters were cleared."""
        return self.aws.desk.counts().get(operation, {}).get("calls", 0)

    def holder(self, desktop: Desktop) -> User | None:
        """Whose it is."""
        found = Assignment.objects.filter(desktop=desktop, closed_at=None).select_related("user").first()
        return found.user if found else None


@contextmanager
def world(monkeypatch: pytest.MonkeyPatch, seeded: str = "demo", **fields: Any) -> Iterator[World]:
    """A world that made no mistake of its own when it ends. Reads are tried once: no test waits for a back-off."""
    monkeypatch.setattr(aws_clients, "READ_ATTEMPTS", 1)
    monkeypatch.setattr(aws_clients.Clients.__init__, "__defaults__", (1,))
    make.defaults()
    with simulator(seeded) as aws:
        point_at(monkeypatch, aws.endpoint)
        with time_machine.travel(NOON, tick=False) as clock:
            yield World(aws, aws_center(**fields), clock)
        assert aws.desk.problems == []


def point_at(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    """Where boto3 finds AWS."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_WORKSPACES", endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", endpoint)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def aws_center(**fields: Any) -> Center:
    """A center for the simulator's first directory, with its keys."""
    home = make.server(directory_ids=[constants.CORP_DIRECTORY])
    made = {"region": constants.REGION, "config": {"access_key": constants.ACCESS_KEY}, "start_deadline_minutes": 60}
    center = make.center(home, **{**made, **fields})
    set_secret(center, "secret_key", constants.SECRET_KEY)
    center.save()
    return center
