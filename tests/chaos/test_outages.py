"""Redis hangs, PostgreSQL restarts: web and endpoint answer within a bound, and nothing is lost (CONTRACTS X9, X10)."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.chaos.agents import Agent, Line, Machine, apart
from tests.chaos.broker import PASSWORD
from tests.chaos.site import CALM, Site
from tests.chaos.stories import said
from tests.chaos.visitor import Visitor
from tests.services import wait_for

pytestmark = pytest.mark.slow
DESKTOPS = 25  # nobody tells their stories here
BOUND = 9.0  # seconds, on a busy machine; a publish to a Redis that hangs takes four (X9) and rests after that
EVENTS = 12
SCANS = "SELECT count(*) FROM core_job WHERE kind = 'poll' AND state = 'finished'"
TOLD = "SELECT count(*) FROM agents_agentevent e JOIN agents_agent a ON a.id = agent_id WHERE a.fingerprint = %s"


@pytest.fixture(scope="module")
def agent(here: Site) -> Agent:
    """The agent of one more machine, which nobody sits at."""
    row = here.spare()
    line = Line(here.broker.agent_addresses)
    made = Agent(here.told[CALM][0], Machine(row.id, row.computer_name, row.ip_address), here.token(CALM), line)
    apart(made.register())
    return made


@pytest.fixture(scope="module")
def admin(here: Site) -> Visitor:
    """The administrator, signed in at the first node."""
    visitor = Visitor(f"http://127.0.0.1:{here.broker.a.port}")
    visitor.sign_in("admin", PASSWORD)
    return visitor


def tell(agent: Agent, first: int) -> None:
    """Some events, one to a POST, through every process in turn."""

    async def all_of_them() -> None:
        for seq in range(first, first + EVENTS):
            await agent.tell(said(seq, "lock" if seq % 2 else "unlock"))

    agent.line = Line(agent.line.addresses)
    apart(all_of_them())


def scan(here: Site, admin: Visitor) -> int:
    """Press Scan; the status."""
    return admin.press(f"/setup/centers/{here.planted[CALM]['center']}/scan/")[0]


def kept(here: Site, agent: Agent, events: int) -> None:
    """Every event is there once, and has been heard."""
    board = f"board-{agent.machine.ref}"
    wait_for(lambda: here.broker.ask(TOLD + " AND handled_at IS NULL", board) == [(0,)], 30, "all is heard")
    assert here.broker.ask(TOLD + " AND error = '' AND type <> 'register'", board) == [(events,)]


@contextmanager
def hanging(pid: int) -> Iterator[None]:
    """A process that is there and does nothing."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_while_redis_hangs_events_and_clicks_are_taken_in_time_and_nothing_is_lost(
    here: Site, agent: Agent, admin: Visitor
) -> None:
    scans = here.broker.ask(SCANS)[0][0]
    admin.slowest = 0.0
    with hanging(here.broker.redis()):
        tell(agent, 1)
        assert agent.line.failed == 0
        assert scan(here, admin) == 303
    assert max(agent.line.slowest, admin.slowest) < BOUND
    kept(here, agent, EVENTS)
    wait_for(lambda: here.broker.ask(SCANS)[0][0] > scans, 30, "the scan that was wished for meanwhile")


def test_while_postgresql_restarts_everybody_is_answered_in_time_and_nothing_is_lost(
    here: Site, agent: Agent, admin: Visitor
) -> None:
    scans = here.broker.ask(SCANS)[0][0]
    admin.slowest = 0.0
    here.broker.stop_postgres(signal.SIGINT)
    assert scan(here, admin) in {0, 303, 500, 503}
    tell(agent, 1 + EVENTS)
    until = time.monotonic() + 30
    while scan(here, admin) != 303:
        assert time.monotonic() < until
    assert max(agent.line.slowest, admin.slowest) < BOUND
    kept(here, agent, 2 * EVENTS)
    wait_for(lambda: here.broker.ask(SCANS)[0][0] > scans, 30, "the scan that was wished for")
