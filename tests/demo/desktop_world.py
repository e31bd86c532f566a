"""The demo's desktops for tests: the real program's parts against a live broker and the simulated account."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.keys import enrolment_string, key_hash, new_key
from agents.models import Agent as AgentRow
from agents.models import AgentEvent, EnrolmentToken
from broker.core.clock import now
from broker.demo.aws import constants
from broker.demo.aws.server import Simulator
from broker.demo.aws.world import Workspace
from broker.demo.desktops import image
from broker.demo.desktops.agent import Pace
from broker.demo.desktops.calls import Site
from broker.demo.desktops.fleet import Fleet, Options
from broker.demo.desktops.machine import Machine
from centers.models import Center, Desktop
from tests import make
from tests.aws_simulator import of_user, simulator
from tests.services import wait_for

PATIENCE = 30  # seconds, on a machine that others use, too
QUICK = Pace(poll=0.02, heartbeat=0.2, patience=0.05)
NETWORK = "127.88.0.0/16"  # every address of 127/8 is this machine's: ports can be opened there


@dataclass
class World:
    """An account, a broker that knows its WorkSpaces, and the machines."""

    aws: Simulator
    fleet: Fleet
    center: Center
    said: list[str]

    def machine(self, user: str) -> Machine:
        """The machine of that AWS user."""
        return self.fleet.places[of_user(self.aws, user).id].machine

    def row(self, user: str) -> AgentRow | None:
        """Its agent as the broker knows it."""
        return AgentRow.objects.filter(desktop__ref=of_user(self.aws, user).id).first()

    def enrolled(self, user: str) -> AgentRow:
        """Wait until the broker has its agent."""
        wait_for(lambda: self.row(user) is not None, PATIENCE, f"{user}'s machine has registered")
        row = self.row(user)
        assert row is not None
        return row

    def settled(self) -> None:
        """Wait until every running machine has registered: before that, a registration may hold a desktop's row."""
        running = sum(place.agent is not None for place in self.fleet.places.values())
        wait_for(lambda: AgentRow.objects.filter(approved=True).count() == running, PATIENCE, "all have registered")

    def told(self, user: str, *kinds: str) -> list[AgentEvent]:
        """Wait until the broker has these kinds of events of that machine; they come in the order of their filing."""
        ref = of_user(self.aws, user).id
        found = AgentEvent.objects.filter(agent__desktop__ref=ref, type__in=kinds).order_by("pk")
        wait_for(lambda: set(kinds) <= {each.type for each in found.all()}, PATIENCE, f"{user}'s machine told {kinds}")
        return list(found.all())

    def becomes(self, user: str, state: str) -> None:
        """AWS says so, and the machines see it."""
        with self.aws.account.at_present():
            row = self.aws.account.find_of_user(constants.CORP_DIRECTORY, user)
            assert row is not None
            row.state = state
            row.plan()
        self.fleet.look()


def known(center: Center, row: Workspace) -> Desktop:
    """A WorkSpace as a scan stores it."""
    return make.desktop(
        center,
        ref=row.id,
        name=row.computer_name,
        computer_name=row.computer_name,
        address=row.ip_address,
        bound_user="" if row.user_name == constants.UNDEFINED else row.user_name,
        raw_state=row.state,
    )


def enrolment(center: Center, **fields: Any) -> str:
    """An enrolment string of that center, as an image is baked with it: the token, and the hash of the broker's CA."""
    token = new_key()
    made = {"digest": key_hash(token), "hint": token[:6], "created_at": now()}
    EnrolmentToken.objects.create(center=center, **{**made, **fields})
    return enrolment_string(token, "ab" * 32)


@contextmanager
def world(broker: str, data: Path, scanned: bool = True, rdp_port: int = 0) -> Iterator[World]:
    """Everything, the image baked; `scanned`: the WorkSpaces known. Machines move when a test calls `fleet.look()`."""
    with simulator(network=NETWORK) as aws:
        server = make.server(directory_ids=[constants.CORP_DIRECTORY])
        center = make.center(server)
        for row in aws.account.workspaces.values() if scanned else ():
            known(center, row)
        image.bake(data, constants.CORP_DIRECTORY, enrolment(center))
        said: list[str] = []
        fleet = Fleet(Options(data, Site(broker), Site(aws.endpoint), rdp_port, QUICK, said.append))
        try:
            fleet.look()
            yield World(aws, fleet, center, said)
        finally:
            fleet.close()
