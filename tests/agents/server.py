"""The real endpoint, in a thread of the test process: uvicorn, psycopg's pool, Redis."""

import asyncio
import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.core.management import call_command

from agents.endpoint.server import Endpoint, Loop, Options
from agents.limits import Limits
from tests import make
from tests.ports import free_port
from tests.services import wait_for

PLENTY = 1e6


@dataclass
class Said:
    """An answer."""

    status_code: int
    content: bytes
    headers: dict[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        return json.loads(self.content)


@dataclass
class Running:
    """A running endpoint."""

    port: int
    endpoint: Endpoint

    def connect(self, timeout: float = 30) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def send(self, method: str, path: str, body: Any = None, key: str = "", **headers: str) -> Said:
        """One call of the protocol; the body may be bytes that are no JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        if key:
            headers["Authorization"] = f"Bearer {key}"
        return self.ask(method, f"/agent/v1/{path}", content, headers)

    def ask(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Said:
        connection = self.connect()
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return Said(answer.status, answer.read(), {k.lower(): v for k, v in answer.getheaders()})
        finally:
            connection.close()


@contextmanager
def endpoint(limits: Limits | None = None, **options: Any) -> Iterator[Running]:
    """Run one until the block ends."""
    port, made = free_port(), []

    async def run() -> None:
        made.append(Endpoint(Options("127.0.0.1", port, limits or Limits(PLENTY, PLENTY, PLENTY), **options)))
        await made[0].serve()

    def work() -> None:
        with asyncio.Runner(loop_factory=Loop) as runner:
            runner.run(run())

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        wait_for(lambda: bool(made) and made[0].server.started, 60, "the endpoint listens")
        yield Running(port, made[0])
    finally:
        if made:
            made[0].server.should_exit = True
        thread.join(15)
        assert not thread.is_alive()


@contextmanager
def committed(blocker: Any) -> Iterator[None]:
    """Rows are committed, so that the endpoint's own connections see them; all are removed at the end.

    For a module's fixture of the name `db`: pytest-django makes the database where a test asks for that name.
    """
    with blocker.unblock():
        make.defaults()
        yield
        call_command("flush", interactive=False, verbosity=0)
