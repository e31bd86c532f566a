"""A running `python -m broker.embedded`, for tests that disturb it: its process, its children, its addresses."""

import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

from broker.settings import BASE_DIR
from tests.ports import free_port


class Running:
    """One `broker.embedded run` (or demo) and what it said."""

    def __init__(self, data: Path, port: int, mode: str = "run", **given: str) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("USHER_")}
        self.data, self.port = data, port
        self.agent_port = free_port()
        self.gateway_port = free_port()
        ports = {"PORT": str(port), "AGENT_PORT": str(self.agent_port), "GATEWAY_PORT": str(self.gateway_port)}
        self.environment = {**kept, "DATA": str(data), **ports, **given}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "broker.embedded", mode],
            cwd=BASE_DIR,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def wait_ready(self) -> str:
        """Everything said until the line `Ready: …`."""
        assert self.process.stdout is not None
        said = ""
        for line in self.process.stdout:
            said += line
            if line.startswith("Ready"):
                return said
        raise AssertionError(said)

    def end(self, number: signal.Signals) -> int:
        """Send a signal and return the exit code; fails after ten seconds."""
        self.process.send_signal(number)
        try:
            return self.process.wait(10)
        finally:
            assert self.process.stdout is not None
            self.process.stdout.close()

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of an address; 0 where nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def figures(self) -> str:
        """/metrics of the endpoint."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.agent_port}/metrics", timeout=5) as answer:
            return str(answer.read().decode())

    def manage(self, *words: str) -> str:
        """The output of a manage.py command that knows nothing but DATA."""
        command = [sys.executable, "manage.py", *words]
        done = subprocess.run(command, cwd=BASE_DIR, env=self.environment, capture_output=True, text=True, check=True)
        return done.stdout

    def is_alive(self) -> bool:
        """Does it say that it lives?"""
        return self.get("/index.pl?action=is_alive") == (200, "CB_IS_OKAY")


def processes(data: Path) -> dict[int, str]:
    """Number and command line of all that belongs to the instance: by its environment, or standing in its folder."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            ours = f"DATA={data}\0".encode() in (entry / "environ").read_bytes()
            if ours or (entry / "cwd").readlink().is_relative_to(data):
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, ValueError):
            continue
    return found


def memory(data: Path) -> int:
    """Bytes of the instance's processes, shared pages counted once."""
    found = 0
    for pid in processes(data):
        with suppress(OSError):  # it has ended meanwhile
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            found += sum(int(kilobytes) * 1024 for kilobytes in re.findall(r"^Pss: +(\d+)", text, re.MULTILINE))
    return found


def process(data: Path, words: str) -> int:
    """The lowest number of the processes whose command line holds these words; ValueError where there is none."""
    return min(pid for pid, line in processes(data).items() if words in line)


def database(data: Path) -> str:
    """The address of the instance's database, as `manage.py` learns it."""
    return str(re.findall(r"USHER_DATABASE_URL='?([^'\n]*)", (data / "env").read_text())[0])
