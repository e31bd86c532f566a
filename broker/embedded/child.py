"""One supervised program: its words, its process, its log."""

import os
import re
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from broker.embedded.spawn import signal_group, spawn

_TROUBLE = re.compile(rb'"level": "(error|critical)"|\b(ERROR|CRITICAL|FATAL|PANIC)\b')
_LOG_LIMIT = 10_000_000
_BACK_OFF = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_STEADY = 60.0


@dataclass(frozen=True)
class Program:
    """What to run. `stop` ends it in order, `orphan` is what the kernel sends when the supervisor is gone.

    `once`: runs to its end before the next stage. `speaks`: its output is for the console. One that is not `needed`
    may be late: the start goes on after `within` seconds.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[], None] = lambda: None
    ready: Callable[[], bool] = lambda: True
    once: bool = False
    speaks: bool = False
    within: float = 120.0
    needed: bool = True
    stop: signal.Signals = signal.SIGTERM
    orphan: signal.Signals = signal.SIGKILL


class Child:
    """A program that runs, has ended, or waits for its next start."""

    def __init__(self, program: Program, logs: Path) -> None:
        self.program = program
        self.last: deque[str] = deque(maxlen=8)
        self.next_start = 0.0
        self._path = logs / f"{program.name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        self._rest = b""
        self._started = 0.0
        self._failures = 0
        self._shown: dict[str, float] = {}

    @property
    def running(self) -> bool:
        """Is there a process that nobody has seen end?"""
        return self._process is not None

    @property
    def output(self) -> IO[bytes] | None:
        """The pipe of a running process."""
        return self._process.stdout if self._process else None

    def start(self) -> None:
        """Start the process; raises CannotStart from `prepare`."""
        self.program.prepare()
        if self._log is None:
            if self._path.exists() and self._path.stat().st_size > _LOG_LIMIT:
                self._path.rename(self._path.with_suffix(".log.1"))
            self._log = self._path.open("ab", buffering=0)
        environment = {**os.environ, **self.program.environment, "PYTHONUNBUFFERED": "1"}
        self._process = spawn(self.program.command, self.program.orphan, environment, subprocess.PIPE)
        os.set_blocking(self._pipe().fileno(), False)
        self._started = time.monotonic()

    def ended(self) -> int | None:
        """The exit code where the process has just ended, else None.

        What it left in its group is killed before the number of the process is given back, so no stranger is hit.
        """
        if self._process is None or not os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return None
        self.signal(signal.SIGKILL)
        code = self._process.wait()
        self.read()
        if self._rest:
            self._write(self._rest)
        self._rest = b""
        self._pipe().close()
        self._process = None
        self._failures = 0 if time.monotonic() - self._started > _STEADY else self._failures
        self.next_start = time.monotonic() + _BACK_OFF[min(self._failures, len(_BACK_OFF) - 1)]
        self._failures += 1
        return code

    def signal(self, number: signal.Signals) -> None:
        """Send to the process and all that it started."""
        if self._process is not None:
            signal_group(self._process, number)

    def ask_to_end(self) -> None:
        """Send its stop signal to the process alone: a server ends its own workers in order."""
        if self._process is not None:
            os.kill(self._process.pid, self.program.stop)  # not send_signal(): that one reaps

    def read(self) -> None:
        """Move what it wrote into its log, line by line with time and name; show trouble on the console."""
        while chunk := self._pipe().read(65_536):
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            for line in lines:
                self._write(line)

    def _write(self, line: bytes) -> None:
        text = line.decode(errors="replace")
        self.last.append(text)
        if self._log is not None:
            self._log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {self.program.name} | {text}\n".encode())
        if self.program.speaks:
            say(text)
        elif _TROUBLE.search(line) and self._is_news(text[:80]):
            say(f"{self.program.name} | {text[:400]}")

    def _is_news(self, start: str) -> bool:
        """The same trouble is shown once a minute; the log has all of it."""
        at = time.monotonic()
        news = at - self._shown.get(start, -_STEADY) >= _STEADY
        if news:
            self._shown = {**dict(list(self._shown.items())[-20:]), start: at}
        return news

    def _pipe(self) -> IO[bytes]:
        assert self._process is not None and self._process.stdout is not None  # noqa: S101 - for the type checker
        return self._process.stdout


def say(line: str) -> None:
    """One line for the person at the console; a console that is gone is no trouble."""
    try:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    except OSError:
        return
