"""The broker's own Django behind a real socket.

Usually on the test's own transaction: no flush, no second process; every request then runs under one lock on the test's
connection, and a test that looks at rows meanwhile holds it, too. Otherwise with connections of its own.
"""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client

from broker.connect import events

Answer = tuple[int, dict[str, str], bytes]
Hook = Callable[[str, str], Answer | None]


@dataclass
class Served:
    """`hook` answers in the broker's place where it returns something; `calls` is what was asked."""

    url: str = ""
    lock: threading.RLock = field(default_factory=threading.RLock)
    calls: list[tuple[str, str]] = field(default_factory=list)
    statuses: set[int] = field(default_factory=set)
    hook: Hook | None = None

    def drain(self) -> None:
        """Act on what the agents told."""
        with self.lock:
            events.drain()


@contextmanager
def served(tls: ssl.SSLContext | None = None, share: bool = True, port: int = 0) -> Iterator[Served]:
    """A broker at `url`, until the block ends."""
    broker = Served()
    server = Server(("127.0.0.1", port), Handler)
    server.broker, server.shared = broker, connections["default"] if share else None
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    broker.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    if server.shared:
        server.shared.inc_thread_sharing()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield broker
    finally:
        server.shutdown()
        server.server_close()
        if server.shared:
            server.shared.dec_thread_sharing()


class Server(ThreadingHTTPServer):
    """One thread a request."""

    daemon_threads = True
    broker: Served
    shared: BaseDatabaseWrapper | None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """An agent that hangs up in the middle is what some tests are about."""

    def answer(self, verb: str, path: str, body: bytes, key: str | None) -> Answer:
        """By the hook, or by Django."""
        self.broker.calls.append((verb, path))
        said = self.broker.hook(verb, path) if self.broker.hook else None
        if said:
            return said
        if self.shared:
            connections["default"] = self.shared
            with self.broker.lock:
                return django(verb, path, body, key)
        try:
            return django(verb, path, body, key)
        finally:
            connections["default"].close()


class Handler(BaseHTTPRequestHandler):
    """Carries requests over."""

    server: Server

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, headers, content = self.server.answer(self.command, self.path, body, self.headers.get("Authorization"))
        self.server.broker.statuses.add(status)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


def django(verb: str, path: str, body: bytes, key: str | None) -> Answer:
    """What the product's views answer."""
    headers = {"Authorization": key} if key else {}
    answer: Any = Client().generic(verb, path, body, "application/json", headers=headers)
    return answer.status_code, {"Content-Type": answer["Content-Type"]}, answer.content
