"""What answers on the agent's port: that it is there, and the broker's signed "fetch your commands now" (DESIGN 8)."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import socket
import threading
from collections.abc import Callable
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from agents.program import VERSION
from agents.program.files import log
from agents.program.ticks import utc_now

WINDOW = 60.0
BODY_LIMIT = 2000
AT_ONCE = 16
PATIENCE = 5
LONGEST = 10.0  # seconds for a whole call


class Wakes:
    """Judges wake calls: signed with the SHA-256 of our key, of this minute, each nonce once."""

    def __init__(self, key_digest: Callable[[], bytes], ahead: Callable[[], timedelta]) -> None:
        self._key_digest, self._ahead = key_digest, ahead
        self._seen: dict[str, float] = {}
        self._lock = threading.Lock()

    def accepts(self, body: bytes) -> bool:
        """Whether the broker, and nobody else, and not before, has sent this."""
        try:
            said = json.loads(body)
            when, nonce, signature = said["time"], said["nonce"], said["signature"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return False
        if type(when) is not int or not isinstance(nonce, str) or not isinstance(signature, str):
            return False
        key = self._key_digest()
        right = hmac.new(key, f"{when}\n{nonce}".encode(errors="replace"), hashlib.sha256).hexdigest()
        if not key or not hmac.compare_digest(right.encode(), signature.encode(errors="replace")):
            return False
        now = (utc_now() - self._ahead()).timestamp()
        return abs(now - when) <= WINDOW and self._first(nonce, now)

    def _first(self, nonce: str, now: float) -> bool:
        with self._lock:
            self._seen = {name: at for name, at in self._seen.items() if now - at <= 3 * WINDOW}
            new = nonce not in self._seen
            self._seen[nonce] = now
        return new


class Listener(ThreadingHTTPServer):
    """Never more than a few callers at once: anybody on the network may knock."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], wakes: Wakes, woken: Callable[[], None]) -> None:
        self.wakes, self.woken = wakes, woken
        self._places = threading.BoundedSemaphore(AT_ONCE)
        super().__init__(address, Answer)

    def process_request(self, request: Any, client_address: Any) -> None:
        """A caller too many is hung up on."""
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """One caller, in a thread. The socket's time-out begins anew with every byte: this ends who drips."""
        limit = threading.Timer(LONGEST, _cut, [request])
        limit.daemon = True
        limit.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            limit.cancel()
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who hangs up or is slow is no news."""
        log.debug("A caller from %s went away.", client_address)


def _cut(caller: socket.socket) -> None:
    with contextlib.suppress(OSError):
        caller.shutdown(socket.SHUT_RDWR)


class Answer(BaseHTTPRequestHandler):
    """Two addresses, nothing else."""

    server: Listener
    timeout = PATIENCE
    server_version = "usher-agent"
    sys_version = ""

    def do_GET(self) -> None:
        """GET /status: who listens here."""
        if self.path == "/status":
            self._answer(200, {"program": "usher-agent", "version": VERSION})
        else:
            self._answer(404, {"error": "not_found"})

    def do_POST(self) -> None:
        """POST /wake."""
        length = self.headers.get("Content-Length", "")
        if self.path != "/wake":
            self._answer(404, {"error": "not_found"})
        elif not length.isdecimal() or int(length) > BODY_LIMIT:
            self._answer(413, {"error": "too_large"})
        elif self.server.wakes.accepts(self.rfile.read(int(length))):
            self.server.woken()
            self._answer(204)
        else:
            self._answer(403, {"error": "bad_signature"})

    def _answer(self, status: int, said: dict[str, str] | None = None) -> None:
        body = json.dumps(said).encode() if said else b""
        self.close_connection = True
        self.send_response(status)
        self.send_header("Connection", "close")
        if body:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Callers are not logged one by one."""
        log.debug(format, *args)


def listen(host: str, port: int, wakes: Wakes, woken: Callable[[], None]) -> Listener | None:
    """Start listening in a thread; None where the port is not to be had: everything works without."""
    try:
        listener = Listener((host, port), wakes, woken)
    except OSError as error:
        log.warning("Nothing listens on port %d, the broker cannot wake us: %s", port, error)
        return None
    threading.Thread(target=listener.serve_forever, name="listener", daemon=True).start()
    return listener
