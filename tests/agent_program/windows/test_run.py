"""The whole agent as a service, under a faked Service Control Manager and over faked sessions; the broker is away."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agents.program.windows import companions, run
from agents.program.windows.decisions import DISCONNECTED
from agents.program.windows.run import Running
from tests.agent_program.windows.fake import Lists
from tests.agent_program.windows.recordings import BARE, person
from tests.agent_program.windows.test_service import Manager
from tests.services import wait_for

SOON = 20.0


class Stage:
    """The service, its folder, and the sessions of its machine."""

    def __init__(self, folder: Path) -> None:
        self.spool = folder / "state/spool.jsonl"
        self.lists = Lists([*BARE, person(2)])
        self.manager = Manager()
        self.manager.answers |= self.lists.answers()
        # The companion cannot start, the registry is empty, there is no adapter.
        self.manager.answers |= {"WTSQueryUserToken": 0, "RegGetValueW": 2, "GetAdaptersAddresses": 232,
                                 "GetSystemFirmwareTable": 0, "OpenProcess": 0, "GetTickCount64": 9_000,
                                 "CertOpenStore": 0}  # fmt: skip
        self.running = Running(self.manager, folder)
        self.thread = threading.Thread(target=self.running.service.run)
        self.thread.start()

    def told(self) -> list[tuple[str, str]]:
        """What waits to be told: type, and session or reason."""
        lines = self.spool.read_text().splitlines() if self.spool.exists() else []
        events = [json.loads(each) for each in lines if each]
        return [(each["type"], each.get("session") or each.get("data", {}).get("reason", "")) for each in events]

    def wait(self, *last: tuple[str, str]) -> None:
        wait_for(lambda: self.told()[-len(last) :] == list(last), SOON, f"{last} in the spool")

    def tell(self, *order: int) -> None:
        assert self.manager.tell(*order) == 0

    def end(self) -> int:
        self.thread.join(SOON)
        assert not self.thread.is_alive()
        return self.manager.statuses[-1][2]


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr("agents.program.loop.EVERY", 600.0)  # only Windows' own events make it look
    monkeypatch.setattr("agents.program.loop.LAST_WORD", 0.2)
    monkeypatch.setattr(run, "BEFORE_SLEEP", 0.05)
    monkeypatch.setattr(companions, "AGAIN", 600.0)
    (tmp_path / "usher-agent.conf").write_text("broker = http://127.0.0.1:9\ntoken = abc\nport = 0\n")
    made = Stage(tmp_path)
    yield made
    made.manager.tell(1)
    made.thread.join(SOON)


def test_a_session_change_is_seen_at_once(stage: Stage) -> None:
    stage.wait(("agent_start", ""), ("login", "2"))
    stage.lists.seen = [*BARE, person(2, state=DISCONNECTED, station="")]
    stage.tell(14, 4)  # WTS_REMOTE_DISCONNECT
    stage.wait(("disconnect", "2"))
    stage.lists.seen = BARE
    stage.tell(14, 6)  # WTS_SESSION_LOGOFF
    stage.wait(("logout", "2"))


def test_a_suspension_is_in_the_spool_before_the_machine_sleeps_and_sessions_go_on(stage: Stage) -> None:
    stage.wait(("login", "2"))
    stage.tell(13, 4)
    assert stage.told()[-1] == ("agent_stop", "suspend")
    stage.tell(13, 0x12)
    stage.wait(("agent_stop", "suspend"), ("agent_start", ""))


def test_before_a_shutdown_the_last_word_is_why(stage: Stage) -> None:
    stage.wait(("login", "2"))
    stage.tell(15)
    assert stage.end() == 0
    assert stage.told()[-1] == ("agent_stop", "shutdown")


def test_wrong_settings_end_the_service_with_an_exit_code_and_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(companions, "AGAIN", 600.0)
    (tmp_path / "usher-agent.conf").write_text("broker = ftp://b.example.com\n")
    stage: Any = Stage(tmp_path)
    assert stage.end() == 1066
    assert "The agent cannot start: broker must be like" in caplog.text
