"""Forwarded ports in a process of their own, to be weighed: `python -m tests.gateway_program.ports.forwarder A B`.

It reads lines of JSON, [how many leases, to which port, engine], and answers each with the ports that it opened; none
are opened: with how many were used.
"""

import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateways.program.ports import Options, Ports
from gateways.program.ports.engines import engine_named
from gateways.program.registry import Limits as RegistryLimits
from gateways.program.registry import Registry
from gateways.wire import Opening

HOME = "127.0.0.1"


@dataclass
class Forwarder:
    """The process, from outside."""

    child: subprocess.Popen[str]

    def open(self, count: int, port: int, engine: str = "auto") -> list[int]:
        """Leases to that port of this machine; their own ports."""
        return list(self._ask(count, port, engine))

    def used(self) -> int:
        """How many of them have been used."""
        return int(self._ask(0, 0, "auto"))

    def _ask(self, *words: int | str) -> Any:
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        self.child.stdin.write(json.dumps(words) + "\n")
        self.child.stdin.flush()
        return json.loads(self.child.stdout.readline())

    def memory(self) -> int:
        """Bytes that are its own."""
        return private_memory(self.child.pid)


@contextmanager
def forwarder(ports: range = range(20_001, 30_001)) -> Iterator[Forwarder]:
    """It runs while the block does."""
    command = [sys.executable, "-m", __name__, str(ports[0]), str(ports[-1])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield Forwarder(child)
        finally:
            child.kill()


def private_memory(pid: int) -> int:
    """Bytes that a process has for itself alone."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


async def main(first: int, last: int) -> None:
    """Until standard input ends."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    registry = Registry(RegistryLimits(gateway=10_000, user=10_000), time.time)
    made: dict[str, Ports] = {}
    while line := await asyncio.to_thread(sys.stdin.readline):
        count, port, name = json.loads(line)
        ports = made.setdefault(name, Ports(first, last, HOME, time.time, Options(engine_named(name))))
        answer = [ports.open(registry.add(opening(len(registry), port))) for _ in range(count)]
        used = sum(each.used_at > 0 for each in registry.live())
        sys.stdout.write(json.dumps(answer if count else used) + "\n")
        sys.stdout.flush()


def opening(number: int, port: int) -> Opening:
    """A lease that outlives every measurement."""
    return Opening(f"{number}", "tcp", HOME, port, "user:5", seconds=3600)


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
