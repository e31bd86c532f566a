"""The real thing, started as a user starts it: `python -m broker.embedded demo` in a folder of its own."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from broker.demo.aws.remote import Remote
from tests.ports import free_port

PROJECT = Path(__file__).resolve().parents[2]
READY_WITHIN, ENDED_WITHIN = 150, 10  # seconds; ready: a cold start of two cores that others use, too
_OURS = re.compile(r"USHER_|AWS_|DJANGO_|PYTEST_|(DATA|PORT|BIND)$")


@dataclass(frozen=True)
class Demo:
    """A running demo: its folder, where it is, and what its card says."""

    data: Path
    url: str
    card: dict[str, Any]

    @property
    def aws(self) -> Remote:
        """The simulated account's other side."""
        return Remote(self.card["aws"]["endpoint"])

    def password(self, name: str) -> str:
        """Of one of the accounts that the start prints; everybody else's is that of the users."""
        accounts = self.card["accounts"]
        return str(accounts.get(name, accounts["alice"]))

    def manage(self, *words: str) -> str:
        """`manage.py …` beside this demo, as its documents say; what it printed."""
        told = {**environment(), "DATA": str(self.data)}
        command = [sys.executable, "manage.py", *words]
        done = subprocess.run(command, cwd=PROJECT, env=told, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout.strip()


def environment() -> dict[str, str]:
    """The caller's environment without what this test run set for its own database."""
    return {name: value for name, value in os.environ.items() if not _OURS.match(name)}


@contextmanager
def running_demo() -> Iterator[Demo]:
    """Start, wait for `Ready:`, and at the end Ctrl-C: it must be gone within ten seconds, with all that it started."""
    data = Path(tempfile.mkdtemp(prefix="usher-browser-"))
    data.chmod(0o711)
    ports = {name: str(free_port()) for name in ("PORT", "AGENT_PORT", "GATEWAY_PORT")}
    told = {**environment(), "DATA": str(data), **ports, "PYTHONUNBUFFERED": "1", "USHER_SETTLE_SECONDS": "3"}
    command = [sys.executable, "-m", "broker.embedded", "demo"]
    with (data / "said").open("w") as said:
        process = subprocess.Popen(
            command, cwd=PROJECT, env=told, stdout=said, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        url = address_when_ready(process, data)
        yield Demo(data, url, json.loads((data / "demo.json").read_text()))
        end(process, data)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        shutil.rmtree(data, ignore_errors=True)


def address_when_ready(process: "subprocess.Popen[bytes]", data: Path) -> str:
    """What stands behind `Ready:`; the output and the ends of the logs where it never comes."""
    until = time.monotonic() + READY_WITHIN
    while time.monotonic() < until and process.poll() is None:
        ready = re.search(r"^Ready: (\S+)$", (data / "said").read_text(), re.MULTILINE)
        if ready:
            return ready[1]
        time.sleep(0.1)
    logs = [data / "said", *sorted((data / "log").glob("*.log"))]
    raise AssertionError("\n".join(["Not ready.", *(f"--- {log.name}\n{log.read_text()[-2000:]}" for log in logs)]))


def end(process: "subprocess.Popen[bytes]", data: Path) -> None:
    """Ctrl-C to the supervisor alone; AssertionError where anything is left after ten seconds."""
    process.send_signal(signal.SIGINT)
    until = time.monotonic() + ENDED_WITHIN
    while time.monotonic() < until:
        if process.poll() is not None and not left_running(data):
            return
        time.sleep(0.05)
    raise AssertionError(f"After {ENDED_WITHIN} s: supervisor ended: {process.poll()}, left: {left_running(data)}")


def left_running(data: Path) -> list[str]:
    """The processes that know this demo's folder."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            known = (each / "environ").read_bytes() + (each / "cmdline").read_bytes()
            zombie = (each / "stat").read_text().rpartition(") ")[2].startswith("Z")
            if str(data).encode() in known and not zombie:
                found.append((each / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip())
        except OSError:
            continue
    return found
