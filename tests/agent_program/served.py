"""The broker's own Django behind a real socket, on the test's own transaction: no flush, no second process.

Every request runs under one lock on the test's connection; a test that looks at rows meanwhile holds it, too.
"""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from django.db import connections
from django.test import Client

from broker.connect import events

Hook = Callable[[str, str], tuple[int, dict[str, str], bytes] | None]


@dataclass
class Served:
    """`hook` answers in the broker's place where it returns something; `calls` is what was asked."""

    url: str = ""
    lock: threading.RLock = field(default_factory=threading.RLock)
    calls: list[tuple[str, str]] = field(default_factory=list)
    hook: Hook | None = None

    def drain(self) -> None:
        """Act on what the agents told."""
        with self.lock:
            events.drain()


@contextmanager
def served(tls: ssl.SSLContext | None = None) -> Iterator[Served]:
    """A broker at `url`, until the block ends."""
    broker = Served()
    shared = connections["default"]
    shared.inc_thread_sharing()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._pass_on()

        def do_POST(self) -> None:
            self._pass_on()

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            broker.calls.append((self.command, self.path))
            answer = broker.hook(self.command, self.path) if broker.hook else None
            status, headers, content = answer or self._django(body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _django(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
            connections["default"] = shared
            key = self.headers.get("Authorization")
            with broker.lock:
                answer: Any = Client().generic(
                    self.command, self.path, body, "application/json", headers={"Authorization": key} if key else {}
                )
            return answer.status_code, {"Content-Type": answer["Content-Type"]}, answer.content

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    broker.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield broker
    finally:
        server.shutdown()
        server.server_close()
        shared.dec_thread_sharing()
