"""A broker of two nodes, as their supervisors start them: two web processes, two workers, two beats, one database."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg

from broker.settings import BASE_DIR
from tests.chaos.stories import WAIT, Story
from tests.embedded.running import Running, database, memory, process
from tests.ports import free_port
from tests.services import wait_for

SHARED = ("USHER_DATABASE_URL", "USHER_REDIS_URL", "USHER_SECRET_KEY", "USHER_ENCRYPTION_KEYS")
PASSWORD = "chaos-Admin1"
PROGRAM = "import django; django.setup(); from tests.chaos import estate; estate.main()"


class Broker:
    """Node `a` has PostgreSQL and Redis, node `b` shares them."""

    def __init__(self, folder: Path, aws: str) -> None:
        given = {
            "AWS_ENDPOINT_URL_WORKSPACES": aws, "AWS_ENDPOINT_URL_STS": aws,
            "AWS_EC2_METADATA_DISABLED": "true", "NO_PROXY": "127.0.0.1", "USHER_SETTLE_SECONDS": str(WAIT),
            "USHER_ADMIN_PASSWORD": PASSWORD,
        }  # fmt: skip
        self.a = started(folder / "a", USHER_NODE="a", **given)
        self.environment = variables(folder / "a" / "env") | given
        shared = {name: self.environment[name] for name in SHARED}
        self.b = Running(folder / "b", free_port(), USHER_NODE="b", **given, **shared)
        self.kills = 0

    def wait_ready(self) -> None:
        """Until the second node is there, too."""
        ready(self.b)

    @property
    def agent_addresses(self) -> list[str]:
        """Where agents find it: the endpoint processes, and the web processes, which serve them, too."""
        return [f"http://127.0.0.1:{port}" for node in (self.a, self.b) for port in (node.agent_port, node.port)]

    def plant(self, told: Mapping[str, Sequence[Story]]) -> dict[str, Any]:
        """Fill the database, a center per directory (estate.py)."""
        environment = {**os.environ, **self.environment}
        wanted = json.dumps({directory: [story.index for story in told[directory]] for directory in told})
        command = [sys.executable, "-c", PROGRAM]
        done = subprocess.run(
            command, cwd=BASE_DIR, env=environment, input=wanted, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    def ask(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """What the database says; [] where it is away."""
        try:
            with psycopg.connect(database(self.a.data), connect_timeout=3) as connection:
                found = connection.execute(statement.encode(), values)
                return found.fetchall() if found.description else []
        except psycopg.OperationalError:
            return []

    def make(self, statement: str, *values: Any) -> None:
        """Change something in the database, as soon as it is there."""

        def made() -> bool:
            try:
                with psycopg.connect(database(self.a.data), connect_timeout=3) as connection:
                    return bool(connection.execute(statement.encode(), values).rowcount)
            except psycopg.OperationalError:
                return False

        wait_for(made, 60, statement)

    def kill_worker(self, node: str) -> bool:
        """The kernel ends it now, whatever it does; its supervisor starts another. Whether there was one."""
        killed = self._kill((self.a if node == "a" else self.b).data, " worker ", signal.SIGKILL)
        self.kills += killed
        return killed

    def kill_worker_of(self, ref: str) -> bool:
        """The worker that asks AWS about this WorkSpace just now; whether there was one."""
        asking = "SELECT node FROM core_job JOIN centers_desktop AS d ON subject = 'desktop:' || d.id "
        found = self.ask(asking + "WHERE state = 'running' AND d.ref = %s LIMIT 1", ref)
        return any(self.kill_worker(node) for (node,) in found)

    def kill_redis(self) -> None:
        """All that it knew is gone."""
        self._kill(self.a.data, "redis-server", signal.SIGKILL)

    def redis(self) -> int:
        """Its process."""
        return process(self.a.data, "redis-server")

    def flush_redis(self) -> None:
        """All that it knew is gone, and it is still there."""
        path = self.environment["USHER_REDIS_URL"].removeprefix("redis+socket://")
        command(Path(path), b"FLUSHALL\r\n")

    def stop_postgres(self, number: signal.Signals) -> None:
        """SIGINT: every connection is closed in order; SIGQUIT: as if the machine had crashed."""
        self._kill(self.a.data, "/postgres -D", number)

    def memory(self) -> int:
        """Bytes of all its processes."""
        return memory(self.a.data) + memory(self.b.data)

    def end(self) -> None:
        """The second node first."""
        for node in (self.b, self.a):
            node.process.send_signal(signal.SIGTERM)
        for node in (self.b, self.a):
            try:
                node.process.wait(10)
            except subprocess.TimeoutExpired:
                node.process.kill()
                node.process.wait(10)
            if node.process.stdout is not None:
                node.process.stdout.close()

    def _kill(self, data: Path, words: str, number: signal.Signals) -> bool:
        try:
            os.kill(process(data, words), number)
        except (ValueError, ProcessLookupError):  # it is not there: killed a moment ago
            return False
        return True


def started(data: Path, **given: str) -> Running:
    """A node that is ready."""
    node = Running(data, free_port(), **given)
    ready(node)
    return node


def ready(node: Running) -> None:
    """Wait for its word, then let it speak to nobody."""
    node.wait_ready()
    assert node.process.stdout is not None
    threading.Thread(target=deque, args=(node.process.stdout, 0), daemon=True).start()


def variables(path: Path) -> dict[str, str]:
    """A node's environment, as its supervisor wrote it."""
    return dict(part.split("=", 1) for part in shlex.split(path.read_text()))


def command(path: Path, words: bytes) -> None:
    """One command to Redis."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(str(path))
        client.sendall(words)
        assert client.recv(16).startswith(b"+OK")
