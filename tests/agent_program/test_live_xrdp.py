"""The agent program on a real desktop: xrdp, a real user, FreeRDP, and a real broker that hears of everything in 3 s.

One story, because signing in takes longest. logind does not run in CI (PID 1 is no systemd): see test_linux.py.
"""

import grp
import http.client
import json
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from agents.keys import wake_signature
from agents.models import Agent, AgentCommand, AgentEvent
from agents.pack import pack
from agents.services import command
from broker.connect import events
from broker.connect.models import DesktopSession
from broker.core.clock import now
from broker.resources import enrolment
from tests import make
from tests.agent_program import xrdp_world
from tests.agent_program.served import served
from tests.agent_program.xrdp_world import Desktop
from tests.agents.server import endpoint
from tests.parts import demand
from tests.ports import free_port
from tests.services import wait_for

SOON = 3.0  # what is promised: that the broker knows of it
ACTS = 20  # for programs of the desktop, which only have to come
IDLE = 3


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desktop]:
    demand(xrdp_world.missing())
    folder = tmp_path_factory.mktemp("xrdp")
    for each in (folder, *folder.parents[:2]):
        each.chmod(0o755)
    with xrdp_world.desktop(folder) as desktop:
        yield desktop


@dataclass
class Story:
    """The broker, the agent on the desktop, and what the broker knows."""

    desktop: Desktop
    port: int
    token: str
    ref: str
    agent_port: int
    polls_are_held: bool = True
    agents: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    @property
    def agent(self) -> "subprocess.Popen[bytes]":
        return self.agents[-1]

    def start_agent(self) -> None:
        folder = self.desktop.folder
        pack(folder / "usher-agent.pyz")
        settings = folder / "usher-agent.conf"
        said = {
            "broker": f"http://127.0.0.1:{self.port}", "token": self.token, "workspace-id": self.ref,
            "port": self.agent_port, "listen": "127.0.0.1", "idle": IDLE, "state": folder / "state",
            "groups": self.desktop.group, "lock": "i3lock -n -c 000000",
        }  # fmt: skip
        settings.write_text("".join(f"{name} = {value}\n" for name, value in said.items()))
        python = shutil.which("python3", path="/usr/bin") or "python3"
        command = [python, "-I", str(folder / "usher-agent.pyz"), "run", "--config", str(settings)]
        self.agents.append(self.desktop.start(command))

    def hears(self, what: str, condition: Callable[[DesktopSession], bool], seconds: float = SOON) -> DesktopSession:
        """Wait until the newest session's row is so; the clock starts now."""

        def so() -> bool:
            events.drain()
            row = DesktopSession.objects.order_by("-pk").first()
            return row is not None and condition(row)

        wait_for(so, seconds, f"the broker knows: {what}")
        return DesktopSession.objects.order_by("-pk")[0]

    def asks(self, kind: str, **data: object) -> AgentCommand:
        """Put a command into the outbox; where polls are not held, wake the agent as the broker does."""
        agent = Agent.objects.get()
        row = command(agent, kind, "a test", data)
        if self.polls_are_held:
            return row
        when, nonce = int(now().timestamp()), secrets.token_hex(8)
        said = {"time": when, "nonce": nonce, "signature": wake_signature(agent.key_digest, when, nonce)}
        connection = http.client.HTTPConnection("127.0.0.1", self.agent_port, timeout=5)
        connection.request("POST", "/wake", json.dumps(said))
        assert connection.getresponse().status == 204
        connection.close()
        return row

    def answer(self, row: AgentCommand, seconds: float = ACTS) -> tuple[bool | None, str]:
        wait_for(lambda: AgentCommand.objects.filter(pk=row.pk, done_at__isnull=False).exists(), seconds, "an answer")
        row.refresh_from_db()
        return row.ok, row.detail


@pytest.mark.slow
@pytest.mark.alone
def test_the_broker_sees_what_happens_on_a_real_desktop_and_is_obeyed(there: Desktop, transactional_db: None) -> None:
    """First beside the endpoint process, which holds polls; then nobody listens; then beside the web process."""
    make.defaults()
    row = make.desktop(make.center(), computer_name=socket.gethostname())
    with endpoint() as door:
        story = Story(there, door.port, enrolment.issue(row.center), row.ref or "", free_port())
        story.start_agent()
        wait_for(lambda: Agent.objects.filter(approved=True, desktop=row).exists(), 10, "the agent registers")
        signs_in_and_is_idle(story)
        reads_a_message(story)
        locks(story)
        is_disconnected_and_comes_back(story)
        there.close_window()
        story.hears("disconnect", lambda session: session.state == "disconnected")
    happened = while_the_broker_is_away(story)
    with served(share=False, port=story.port):
        story.polls_are_held = False
        story.hears("what happened meanwhile", lambda session: session.state == "ended", 20)
        told = {each.type: each.at for each in AgentEvent.objects.filter(type__in=happened).order_by("pk")}
        assert {kind for kind in happened if abs(told[kind].timestamp() - happened[kind]) > SOON} == set()
        gets_a_right_for_a_while(story)
        is_logged_out(story)
        story.agent.send_signal(signal.SIGTERM)
        assert story.agent.wait(10) == 0
    assert AgentEvent.objects.filter(type="agent_stop").get().data["reason"] == "service"


def signs_in_and_is_idle(story: Story) -> None:
    story.desktop.sign_in()
    session = story.hears("login", lambda session: session.state == "active")
    assert session.user_name == story.desktop.user
    story.desktop.touch()
    story.hears("idle", lambda session: session.idle_since is not None, IDLE + SOON)
    story.desktop.touch()
    story.hears("active", lambda session: session.idle_since is None)


def reads_a_message(story: Story) -> None:
    row = story.asks("message", text="<b>You</b> will be logged out", seconds=20, snooze=30)
    story.desktop.inside("search", "--sync", "--name", "^Message$", "windowfocus", "--sync", "key", "Return")
    assert story.answer(row) == (True, "snooze")
    assert story.answer(story.asks("message", text="Hello")) == (True, "shown")
    story.desktop.inside("search", "--sync", "--name", "^Message$", "windowfocus", "--sync", "key", "Return")


def locks(story: Story) -> None:
    row = story.asks("lock")
    wait_for(lambda: story.desktop.runs("i3lock"), ACTS, "the screen is locked")
    story.hears("lock", lambda session: session.locked)
    assert story.answer(row) == (True, "locked by i3lock")
    story.desktop.unlock()
    story.hears("unlock", lambda session: not session.locked)


def is_disconnected_and_comes_back(story: Story) -> None:
    row = story.asks("disconnect")
    wait_for(lambda: not story.desktop.connected, ACTS, "xrdp lets go")
    story.hears("disconnect", lambda session: session.state == "disconnected")
    assert story.answer(row) == (True, "disconnected")
    story.desktop.sign_in()
    story.hears("reconnect", lambda session: session.state == "active")


def while_the_broker_is_away(story: Story) -> dict[str, float]:
    """Back in, and out for good; nobody listens, and the agent is killed in between. When each happened."""
    happened = {}
    story.desktop.sign_in()
    happened["reconnect"] = time.time()
    spool = story.desktop.folder / "state/spool.jsonl"
    wait_for(lambda: b'"reconnect"' in spool.read_bytes(), ACTS, "the spool has it")
    story.agent.kill()
    story.agent.wait()
    story.start_agent()
    story.desktop.log_out()
    happened["logout"] = time.time()
    wait_for(lambda: b'"logout"' in spool.read_bytes(), ACTS, "the spool has it")
    return happened


def gets_a_right_for_a_while(story: Story) -> None:
    who = {"name": story.desktop.user, "group": story.desktop.group}
    assert story.answer(story.asks("grant", **who))[0]
    assert story.desktop.user in grp.getgrnam(story.desktop.group).gr_mem
    assert story.answer(story.asks("revoke", **who))[0]
    assert grp.getgrnam(story.desktop.group).gr_mem == []
    assert story.answer(story.asks("grant", **{**who, "group": "sudo"}))[0] is False


def is_logged_out(story: Story) -> None:
    story.desktop.sign_in()
    first = story.hears("login", lambda session: session.state == "active")
    row = story.asks("logout", session=first.os_session)
    wait_for(lambda: story.desktop.display is None, 5, "the session ends")
    story.hears("logout", lambda session: session.state == "ended")
    assert story.answer(row) == (True, "logged out")
