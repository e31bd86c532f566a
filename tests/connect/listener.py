"""Whom a URL calls: a web server that remembers what it was asked."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any


class Listener(HTTPServer):
    """Remembers what was asked; answers as it is told."""

    asked: list[str]
    posted: list[tuple[dict[str, str], bytes]]
    answer: int


class Handler(BaseHTTPRequestHandler):
    """What it says."""

    def do_GET(self) -> None:
        """Answer, or talk nonsense."""
        server: Any = self.server
        server.asked.append(self.path)
        if server.answer:
            self.send_response(server.answer)
            self.send_header("Location", "/elsewhere")
            self.end_headers()
        else:
            self.wfile.write(b"this is no HTTP\r\n\r\n")

    def do_POST(self) -> None:
        """The same, once the body is there."""
        server: Any = self.server
        server.posted.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def listening() -> Iterator[Listener]:
    """One that is there for a while."""
    server = Listener(("127.0.0.1", 0), Handler)
    server.asked, server.posted, server.answer = [], [], 200
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
