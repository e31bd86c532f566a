"""Whatever a broker answers, the agent goes on: nothing raises, nothing spins."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.program.commands import Commands
from agents.program.grants import Grants
from tests.agent_program.fake import FakeMachine, settings_for, teller_of
from tests.agent_program.served import Served, served
from tests.services import wait_for

WORDS = ["commands", "id", "type", "data", "retry_after", "accepted", "duplicate", "rejected", "seq", "reason", "error",
         "detail", "uuid", "key", "desktop", "approved", "session", "snooze", "logout", "unknown_boot", "invalid",
         "bad_key", "slow_down", "too_large", "not_approved"]  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(WORDS)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5),
    max_leaves=15,
)
ANSWERS = st.tuples(
    st.sampled_from([200, 201, 202, 204, 302, 400, 401, 403, 404, 409, 413, 422, 429, 500, 503]), VALUES
)


@pytest.fixture(scope="module")
def nobody() -> Iterator[Served]:
    with served(share=False) as running:
        yield running


@given(said=st.lists(ANSWERS, min_size=1, max_size=4))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_answer_leaves_the_agent_whole(said: list[tuple[int, Any]], nobody: Served, tmp_path: Path) -> None:
    answers = iter(said * 200)

    def hook(verb: str, path: str) -> tuple[int, dict[str, str], bytes]:
        status, value = next(answers)
        return status, {}, json.dumps(value).encode()

    nobody.hook = hook
    machine = FakeMachine()
    mine = settings_for(nobody.url, "token", tmp_path / str(time.monotonic_ns()))
    teller = teller_of(mine, machine)
    teller.link.state.registered("uuid", "key", "", True)
    teller.spool.add(teller.spool.event("agent_start"), teller.spool.event("login", session="2", user="x"))
    commands = Commands(teller.link, machine, mine.state, Grants(machine, mine.state))
    pauses = [teller.turn() for _ in range(25)]
    assert sum(each == 0 for each in pauses) < 25 or len(teller.spool) == 0
    assert all(commands.turn() >= 0 for _ in range(3))
    assert len(machine.done) <= 12


def test_a_message_that_waits_for_its_reader_holds_up_no_other_command_and_storms_nobody(
    nobody: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = {"id": 1, "type": "message", "data": {"text": "x", "snooze": 30, "seconds": 60}}
    outbox = [message]
    posted: list[str] = []

    def hook(verb: str, path: str) -> tuple[int, dict[str, str], bytes]:
        if verb == "POST":
            posted.append(path)
            return 200, {}, b"{}"
        return 200, {}, json.dumps({"commands": outbox}).encode()

    read = threading.Event()
    machine = FakeMachine()

    def do(kind: str, data: Any) -> str:
        if kind == "message":
            read.wait(60)
        return "snooze" if kind == "message" else "done"

    monkeypatch.setattr(machine, "do", do)
    nobody.hook = hook
    mine = settings_for(nobody.url, "token", tmp_path)
    teller = teller_of(mine, machine)
    teller.link.state.registered("uuid", "key", "", True)
    commands = Commands(teller.link, machine, mine.state, Grants(machine, mine.state))
    assert commands.turn() == 0
    assert [commands.turn() >= 1 for _ in range(3)] == [True] * 3
    outbox.append({"id": 2, "type": "reboot", "data": {}})
    commands.turn()
    assert posted == ["/agent/v1/commands/2"]
    read.set()
    wait_for(lambda: posted[-1] == "/agent/v1/commands/1", 20, "the answer is posted")
    wait_for(commands.wake.is_set, 20, "the next poll need not wait")
