"""The broker, the simulated AWS, and two estates whose stories are told: one in chaos, one in peace."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from broker.demo.aws import constants
from broker.demo.aws.account import Account
from broker.demo.aws.server import Simulator
from broker.demo.aws.world import Timings, Workspace
from tests.chaos.agents import Agent, Line, Machine, apart, live
from tests.chaos.broker import Broker
from tests.chaos.stories import Story
from tests.chaos.watch import Watch
from tests.services import wait_for

CHAOS, CALM = constants.CORP_DIRECTORY, constants.LAB_DIRECTORY
QUICK = Timings(stopping=1.0, power_lag=0.3, describe_lag=0.0)
# Jobs of an estate's desktops that are not over, and agents whose news nobody has read. A stop is held for as long as
# somebody sits there who was late with his word; whether he was, the test asks.
UNDONE = """
SELECT (SELECT count(*) FROM core_job JOIN centers_desktop d ON subject = 'desktop:' || d.id
        WHERE (state = 'running' OR state = 'pending' AND reason NOT LIKE '%% is still connected')
          AND d.center_id = %s)
     + (SELECT count(*) FROM agents_agent WHERE waiting AND center_id = %s)
     + (SELECT count(*) FROM core_job JOIN centers_center c ON subject = 'center:' || c.id
        WHERE state IN ('pending', 'running') AND c.id = %s)
"""
LEFT = """
SELECT subject, kind, state, run_at - now(), leased_until - now(), reason, message FROM core_job
WHERE state IN ('pending', 'running') ORDER BY id LIMIT 20
"""
UNREAD = """
SELECT a.desktop_id, a.waiting, e.type, e.received_at FROM agents_agent a
LEFT JOIN agents_agentevent e ON e.agent_id = a.id AND e.handled_at IS NULL WHERE a.waiting LIMIT 20
"""
SCANS = "SELECT count(*) FROM core_job WHERE kind = 'poll' AND state <> 'finished'"
COME = (
    "UPDATE authservers_user SET is_active = true FROM centers_center c WHERE c.id = %s AND c.server_id = {}.server_id"
)
SCAN = """
INSERT INTO core_job (kind, subject, subject_name, context, payload, cause, plan, key, batch, priority, run_at, state,
                      reason, message, tries, node, actor_name, correlation_id, created_at, history)
SELECT 'poll', 'center:' || id, name, '', '{}', '', '', 'poll:' || id, '', 0, now(), 'pending',
       '', '', 0, '', '', '', now(), '[]' FROM centers_center WHERE id = %s
ON CONFLICT DO NOTHING  -- one that the center's own turn has made is begun first, and then there is place for ours
"""


@dataclass
class Site:
    """What the test holds in its hands."""

    broker: Broker
    aws: Simulator
    watch: Watch
    planted: dict[str, Any]
    told: dict[str, list[Story]]
    late: set[tuple[str, str]] = field(default_factory=set)  # directory, user: who came back when a wait was over
    said_at: dict[str, float] = field(default_factory=dict)  # by WorkSpace: when its agent last spoke (monotonic)

    def machines(self, directory: str) -> list[Workspace]:
        """The WorkSpaces of a directory, in the order of its stories."""
        with self.aws.account.at_present():
            rows = [row for row in self.aws.account.workspaces.values() if row.directory_id == directory]
        return sorted([row for row in rows if row.user_name != constants.UNDEFINED], key=lambda row: row.user_name)

    def spare(self) -> Workspace:
        """The machine that has no story."""
        with self.aws.account.at_present():
            return next(row for row in self.aws.account.workspaces.values() if row.user_name == constants.UNDEFINED)

    def token(self, directory: str) -> str:
        """What its machines register with."""
        return str(self.planted[directory]["token"])

    def live(self, directory: str, line: Line, seconds: float) -> None:
        """Tell an estate's stories, from the first registration until nothing is left to be done."""
        agents = [
            Agent(story, Machine(row.id, row.computer_name, row.ip_address), self.token(directory), line)
            for story, row in zip(self.told[directory], self.machines(directory), strict=True)
        ]
        self.lend_the_unused(directory)
        try:
            apart(live(agents, lambda: self.over(directory), seconds))
        except TimeoutError as error:
            raise AssertionError(f"{error}; {self.broker.ask(LEFT)}; {self.broker.ask(UNREAD)}") from None
        self.late |= {(directory, agent.story.user) for agent in agents if agent.late}
        self.said_at |= {agent.machine.ref: agent.said_at for agent in agents}

    def lend_the_unused(self, directory: str) -> None:
        """The people of the unused desktops appear, and a scan lends them what AWS has for them."""
        center = self.planted[directory]["center"]
        self.broker.make(COME.format("authservers_user"), center)
        self.broker.make(SCAN, center)

    def over(self, directory: str) -> bool:
        """Is nothing of an estate still to be done?"""
        center = self.planted[directory]["center"]
        return self.broker.ask(UNDONE, center, center, center) == [(0,)]


@contextmanager
def site(folder: Path, told: dict[str, list[Story]]) -> Iterator[Site]:
    """Both nodes running and the estates scanned; whoever is to be lent a desktop later is not there yet."""
    with Simulator(Account(timings=QUICK), seeded="empty") as aws:
        for directory, stories in told.items():
            furnish(aws.account, directory, [story.user for story in stories])
        furnish(aws.account, CALM, [constants.UNDEFINED])
        broker = Broker(folder, aws.endpoint)
        try:
            planted = broker.plant(told)
            broker.wait_ready()
            wait_for(lambda: broker.ask(SCANS) == [(0,)], 60, "the first scans")
            yield Site(broker, aws, Watch(aws, broker.kill_worker_of), planted, told)
        finally:
            broker.end()
        assert aws.desk.problems == []


def furnish(account: Account, directory: str, users: Sequence[str]) -> None:
    """A running WorkSpace for each of them."""
    for user in users:
        ref = account.new_id()
        account.workspaces[ref] = Workspace(
            id=ref, directory_id=directory, user_name=user, bundle_id=constants.CORE_STANDARD,
            state="AVAILABLE", running_mode="MANUAL", created=account.clock.now() - 3600,
            computer_name=account.new_computer_name(), ip_address=account.new_address(),
            subnet_id="subnet-0a1b2c3d4e5f60001",
        )  # fmt: skip
