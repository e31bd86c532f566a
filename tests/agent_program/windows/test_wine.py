"""The installer, the service and the companion's pipe under Debian's Wine, against a real broker.

Wine is no Windows: it has no sessions, no accounts, no power, and its functions for them answer nothing or "done". What
runs here is everything around them. Not part of CI (Wine takes 0.7 GB, a prefix as much again): needs `wine64` and
`makensis`, and USHER_WINDOWS_PYTHON, a zip that `python -m tests.agent_program.windows.python_for_wine` makes.
"""

import contextlib
import http.client
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from agents import pack_windows
from agents.models import Agent, AgentEvent
from broker.resources import enrolment
from centers.models import Desktop
from tests.agent_program.served import Served
from tests.ports import free_port
from tests.services import wait_for

PYTHON = os.environ.get("USHER_WINDOWS_PYTHON", "")
LACKING = [name for name in ("wine", "makensis") if shutil.which(name) is None] + ([] if PYTHON else ["a Python"])
SLOW = 60.0
PIPE = """
import subprocess
from agents.program.windows.api import Windows
from agents.program.windows.launch import companion_command
from agents.program.windows.pipe import Pipe
pipe = Pipe(Windows(), "S-1-5-32-544")
child = subprocess.Popen(companion_command(pipe.name), stdin=subprocess.DEVNULL)
pipe.connect(child.pid, 30)
print([pipe.ask(each, 10) for each in ("idle", "nonsense")])
pipe.close()
print("ended", child.wait(30))
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(LACKING), reason=f"Under Wine only, and not in CI; here lacks: {', '.join(LACKING)}"),
]


@dataclass
class Wine:
    """A fresh Windows, as Wine makes it."""

    prefix: Path

    @property
    def environment(self) -> dict[str, str]:
        quiet = {"WINEDEBUG": "-all", "WINEDLLOVERRIDES": "mscoree,mshtml="}
        return {**os.environ, "WINEPREFIX": str(self.prefix), **quiet}

    @property
    def drive(self) -> Path:
        return self.prefix / "drive_c"

    @property
    def installed(self) -> Path:
        return self.drive / "Program Files/Usher Agent"

    @property
    def folder(self) -> Path:
        return self.drive / "ProgramData/Usher Agent"

    def run(self, *command: object, output: int = subprocess.DEVNULL) -> subprocess.CompletedProcess[str]:
        """Output is not for what starts a service: that would keep the pipe open for ever."""
        return subprocess.run(
            ["wine", *map(str, command)], env=self.environment, stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT, timeout=SLOW, check=False, text=True, errors="replace",
        )  # fmt: skip

    def why(self) -> list[str]:
        """What a setup that failed has left."""
        return [each.read_text("utf-16") for each in self.drive.glob("users/*/Temp/usher-agent-setup.log")]

    def python(self, *arguments: object) -> str:
        done = self.run(self.installed / "python.exe", *arguments, output=subprocess.PIPE)
        assert done.returncode == 0, done.stdout
        return str(done.stdout)


@pytest.fixture(scope="module")
def wine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wine]:
    folder = tmp_path_factory.mktemp("wine")
    made = Wine(folder / "prefix")
    assert made.run("wineboot", "-i").returncode == 0
    # Wine ends its services with the last program of a person: here is one.
    person = subprocess.Popen(["wine", "cmd"], env=made.environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        yield made
    finally:
        person.communicate()
        for log in (*made.folder.glob("*.log"), *made.drive.glob("users/*/Temp/*.log")):
            print(log.read_bytes().replace(b"\0", b"").decode(errors="replace"))  # noqa: T201 - pytest shows it where something failed
        with contextlib.suppress(subprocess.TimeoutExpired):
            made.run("wineboot", "-k")
        shutil.rmtree(made.prefix, ignore_errors=True)


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist") / "usher-agent-setup.exe"
    subprocess.run(
        ["python3", "agents/pack_windows.py", "--python", PYTHON, "--out", out],
        cwd=Path(pack_windows.__file__).parent.parent, check=True,
    )  # fmt: skip
    return out


def heard(broker: Served) -> list[tuple[str, str]]:
    """What the broker was told, heartbeats left out: type, and why where something stopped."""
    with broker.lock:
        rows = AgentEvent.objects.exclude(type__in=("register", "heartbeat")).order_by("id")
        return [(each.type, (each.data or {}).get("reason", "")) for each in rows]


def test_installed_silently_the_service_registers_tells_and_listens(
    broker: Served, desktop: Desktop, wine: Wine, setup: Path
) -> None:
    with broker.lock:
        token = enrolment.issue(desktop.center)
        Desktop.objects.update(computer_name=socket.gethostname())  # Wine's machine is called as this one
    port = free_port()

    said = ["--broker", broker.url, "--token", token, "--workspace-id", desktop.ref, "--port", port]
    assert wine.run(setup, "/S", *said).returncode == 0, wine.why()
    wait_for(lambda: heard(broker) == [("agent_start", "")], SLOW, "the service has started")
    with broker.lock:
        agent = Agent.objects.get()
        assert agent.desktop == desktop
        assert "Windows" in agent.os

    wait_for(lambda: answers(port), SLOW, "the listener answers")
    assert "Registered" in wine.python("-m", "agents.program", "status")


def answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/status")
        return "usher-agent" in connection.getresponse().read().decode()
    except OSError:
        return False
    finally:
        connection.close()


def test_wrong_arguments_leave_no_service_behind_and_say_why(wine: Wine, setup: Path) -> None:
    assert wine.run(setup, "/S", "--brokr", "https://b.example.com").returncode == 1
    assert "Known are: broker" in "".join(wine.why())
    assert "UsherAgent" not in wine.run("net", "start", output=subprocess.PIPE).stdout
    assert wine.run(wine.installed / "uninstall.exe", "/S").returncode == 0
    wait_for(lambda: not wine.installed.exists(), SLOW, "the files are gone")  # it goes on in the background


def test_the_companion_answers_over_its_pipe_and_ends_with_it(wine: Wine, setup: Path, tmp_path: Path) -> None:
    wine.run(setup, "/S", "--brokr", "x")  # the files alone
    (tmp_path / "pipe.py").write_text(PIPE)
    said = wine.python(tmp_path / "pipe.py")
    idle, _comma, rest = said.removeprefix("['").partition("', ")
    assert idle.isdecimal(), said
    assert rest.split() == ["'no", "such", "question']", "ended", "0"]


def test_facts_of_a_machine_that_is_no_windows_machine_are_whole(wine: Wine, setup: Path) -> None:
    wine.run(setup, "/S", "--brokr", "x")
    code = (
        "from agents.program.windows.host import Host; from agents.program.settings import Settings;"
        "f = Host(Settings()).facts(); print(len(f.fingerprint), bool(f.boot_id), bool(f.hostname), bool(f.os))"
    )
    assert wine.python("-c", code).split() == ["64", "True", "True", "True"]
