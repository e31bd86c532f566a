"""A broker of the tests' own: says what it is told to, keeps what it hears, and checks what gateways sign."""

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gateways.wire import Call, Untrusted, check_call, public_text
from tests.services import wait_for


class Request(BaseHTTPRequestHandler):
    """One request; `self.server.broker` answers."""

    protocol_version = "HTTP/1.1"

    def do(self) -> None:
        """Any method."""
        broker: Scripted = self.server.broker  # type: ignore[attr-defined]
        broker.handle(self)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_OPTIONS = do  # noqa: N815 - the library's names

    def body(self) -> bytes:
        """All of it, whichever way it was sent."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        whole = bytearray()
        while size := int(self.rfile.readline(), 16):
            whole += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return bytes(whole)

    def say(self, status: int, content: bytes, *headers: tuple[str, str]) -> None:
        """An answer."""
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if not any(name.lower() in ("content-length", "transfer-encoding") for name, _value in headers):
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def say_json(self, told: Any, status: int = 200) -> None:
        """An answer of the API."""
        self.say(status, json.dumps(told).encode(), ("Content-Type", "application/json"))

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@dataclass
class Heard:
    """A signed call of a gateway."""

    path: str
    told: dict[str, Any]
    trusted: bool


class Crowd(ThreadingHTTPServer):
    """Does not complain of those who hang up."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def process_request(self, request: Any, client_address: Any) -> None:
        """Kept, so that `hang_up` can end it."""
        self.open: list[Any] = [*getattr(self, "open", []), request]
        super().process_request(request, client_address)

    def hang_up(self) -> None:
        """On everybody, as a process that ends does."""
        for each in getattr(self, "open", []):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def handle_error(self, *_: Any) -> None:
        """Quiet."""


@dataclass
class Scripted:
    """Started by `start`; `page` answers everything that is no gateway call."""

    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    gateway_key: Ed25519PublicKey | None = None  # as learnt by hello
    heard: list[Heard] = field(default_factory=list)
    page: Callable[[Request], None] = lambda request: request.say(200, b"a page")
    answer: Callable[[Heard], tuple[int, Any]] = lambda heard: (200, {})
    context: ssl.SSLContext | None = None
    ca: bytes = b""
    port: int = 0
    _server: Crowd | None = None

    def start(self) -> None:
        """Listen, at the same port as before where there was one."""
        self._server = Crowd(("127.0.0.1", self.port), Request)
        self._server.broker = self  # type: ignore[attr-defined]
        self.port = int(self._server.server_address[1])
        if self.context:
            self._server.socket = self.context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=[0.02], daemon=True).start()

    def stop(self) -> None:
        """Away."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server.hang_up()
            self._server = None

    @property
    def url(self) -> str:
        """For --broker."""
        return f"{'https' if self.context else 'http'}://127.0.0.1:{self.port}"

    def handle(self, request: Request) -> None:
        """Key, CA, signed calls, pages."""
        if request.path == "/gateway/v1/key":
            request.say_json({"key": public_text(self.key)})
        elif request.path == "/agent/v1/ca":
            request.say(200, self.ca)
        elif request.path.startswith("/gateway/v1/"):
            heard = self._heard(request)
            self.heard.append(heard)
            status, told = self.answer(heard)
            request.say_json(told, status)
        else:
            self.page(request)

    def _heard(self, request: Request) -> Heard:
        content = request.body()
        call = Call(request.command, request.path, content)
        try:
            assert self.gateway_key is not None
            check_call(request.headers.get("Authorization", ""), self.gateway_key, "broker", call, at=time.time())
            trusted = True
        except (Untrusted, AssertionError):
            trusted = False
        return Heard(request.path, json.loads(content), trusted)

    def wait_heard(self, found: Callable[[Heard], bool], what: str, seconds: float = 5) -> Heard:
        """The first call like that."""
        wait_for(lambda: any(found(each) for each in list(self.heard)), seconds, what)
        return next(each for each in self.heard if found(each))
