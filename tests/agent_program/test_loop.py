"""The agent as a whole, with a machine made of lists and the real broker."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from agents.models import AgentEvent
from agents.program import loop
from agents.program.loop import Agent
from agents.program.machine import CannotDo, Session
from agents.program.settings import Settings
from agents.program.ticks import date_of, ticks, utc_now
from broker.connect.models import DesktopSession
from tests.agent_program.fake import FakeMachine, alice
from tests.agent_program.served import Served
from tests.services import wait_for


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "EVERY", 0.05)


@contextmanager
def at_work(settings: Settings, machine: FakeMachine) -> Iterator[Agent]:
    agent = Agent(settings, machine)
    thread = threading.Thread(target=agent.run, daemon=True)
    thread.start()
    yield agent
    agent.stop("service")
    thread.join(15)
    assert not thread.is_alive()


def told(broker: Served) -> list[str]:
    with broker.lock:
        return list(AgentEvent.objects.exclude(type__in=["register", "heartbeat"]).values_list("type", flat=True))


def spooled(agent: Agent) -> list[str]:
    return [each["type"] for each in agent.spool.batch(99)[1]]


def test_a_day_at_work(broker: Served, settings_here: Settings, machine: FakeMachine) -> None:
    with at_work(settings_here, machine):
        wait_for(lambda: told(broker) == ["agent_start"], 20, "the start is told")
        machine.there = [alice()]
        wait_for(lambda: told(broker)[-1] == "login", 20, "the login is told")
        machine.there = [alice(connected=False)]
        wait_for(lambda: told(broker)[-1] == "disconnect", 20, "the disconnect is told")
        broker.drain()
        with broker.lock:
            assert DesktopSession.objects.get().state == "disconnected"
    assert told(broker) == ["agent_start", "login", "disconnect", "agent_stop"]


def test_what_happened_while_the_agent_was_away_is_made_up_for(
    broker: Served, settings_here: Settings, machine: FakeMachine
) -> None:
    before = Agent(settings_here, machine)
    machine.there = [alice(), Session("3", "CORP\\bob")]
    before.look()
    machine.there = [alice(connected=False)]
    again = Agent(settings_here, machine)
    again.look()
    assert spooled(again) == ["login", "login", "logout", "disconnect"]


def test_of_another_boot_nothing_is_remembered(settings_here: Settings, machine: FakeMachine) -> None:
    before = Agent(settings_here, machine)
    machine.there = [alice()]
    before.look()
    machine.boot_id = "boot-2"
    again = Agent(settings_here, machine)
    again.spool.drop("boot-1")
    again.look()
    assert spooled(again) == ["login"]


@pytest.mark.parametrize("text", ["", "{", '{"boot_id": "boot-1"}', '{"boot_id": "boot-1", "sessions": [{"x": 1}]}'])
def test_a_spoilt_memory_is_none(settings_here: Settings, machine: FakeMachine, text: str) -> None:
    settings_here.state.mkdir()
    (settings_here.state / "sessions.json").write_text(text)
    assert Agent(settings_here, machine).watch.seen == {}


def test_nobody_is_idle_while_the_machine_works_for_them(settings_here: Settings, machine: FakeMachine) -> None:
    agent = Agent(settings_here, machine)
    machine.there, machine.is_busy = [alice(idle=4000)], True
    agent.look()
    assert spooled(agent) == ["login"]
    machine.is_busy = False
    agent.look()
    assert spooled(agent) == ["login"]  # counts from now on
    fresh = Agent(settings_here, machine)
    fresh.look()
    assert spooled(fresh) == ["login", "idle"]  # a restart of the agent is no sign of life


def test_a_sleep_is_told_when_it_is_over(
    settings_here: Settings, machine: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = Agent(settings_here, machine)
    agent.look()
    assert spooled(agent) == []
    asleep = ticks() + 3_600_000_000
    monkeypatch.setattr(loop, "ticks", lambda: asleep)
    agent.look()
    stop, start = agent.spool.batch(9)[1]
    assert (stop["type"], stop["data"], start["type"]) == ("agent_stop", {"reason": "suspend"}, "agent_start")
    assert stop["exact"] is False


def test_sessions_that_cannot_be_seen_are_not_over(
    settings_here: Settings, machine: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = Agent(settings_here, machine)
    machine.there = [alice()]
    agent.look()

    def fails() -> list[Session]:
        raise CannotDo("the directory is away")

    monkeypatch.setattr(machine, "sessions", fails)
    agent.look()
    assert spooled(agent) == ["login"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_agent_that_is_not_whole_ends_so_that_it_is_started_again(
    broker: Served, settings_here: Settings, machine: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = Agent(settings_here, machine)

    def fails() -> float:
        raise ZeroDivisionError

    monkeypatch.setattr(agent.commands, "turn", fails)
    agent.run()
    assert agent.broken


def test_the_date_of_an_event_follows_the_clock() -> None:
    assert abs((utc_now() - date_of(ticks() - 60_000_000)).total_seconds() - 60) < 1
