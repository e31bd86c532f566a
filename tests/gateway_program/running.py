"""The program itself, as a process, beside a scripted broker."""

import base64
import http.client
import json
import os
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from broker.embedded.spawn import spawn
from broker.settings import BASE_DIR
from gateways.wire import Call, Grant, Opening, destination, make_token, public_key, sign_call
from tests.gateway_program.scripted import Scripted
from tests.gateway_program.world import UID
from tests.ports import PROGRAM
from tests.services import wait_for

FIRST_PORT, LAST_PORT = PROGRAM[0], PROGRAM[-1]
READY = 60  # seconds, on a machine that others use, too


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def told(self) -> Any:
        """As JSON."""
        return json.loads(self.body)


class Program:
    """`python -m gateways.program` on a free port of 127.0.0.1. `end` or `kill` it."""

    def __init__(self, broker: Scripted, data: Path, *more: str, host: str = "127.0.0.1") -> None:
        self.broker, self.data = broker, data
        command = [sys.executable, "-m", "gateways.program", "--broker", broker.url, "--data", str(data)]
        listen = f"[{host}]:0" if ":" in host else f"{host}:0"
        words = ["--listen", listen, "--ports", f"{FIRST_PORT}-{LAST_PORT}", "--drain-seconds", "0", *more]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(BASE_DIR)}
        self.process = spawn(command + words, signal.SIGKILL, environment, subprocess.PIPE)
        self.lines: list[str] = []
        self._kept: http.client.HTTPSConnection | None = None
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        wait_for(lambda: bool(self.logged("gateway.ready")) or self.process.poll() is not None, READY, "ready")
        if self.process.poll() is not None:
            self.kill()
            raise AssertionError("".join(self.lines))
        ready = self.logged("gateway.ready")[0]
        self.port, self.certificate, self.started_at = int(ready["port"]), str(ready["certificate"]), 0.0

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.decode())

    def logged(self, event: str) -> list[dict[str, Any]]:
        """All lines about that."""
        lines = [json.loads(line) for line in list(self.lines) if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """In order; the exit code."""
        self.process.send_signal(number)
        try:
            return self.process.wait(READY)
        finally:
            self.kill()

    def kill(self) -> None:
        """At once."""
        if self._kept:
            self._kept.close()
        self.process.kill()
        self.process.wait()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def socket(self, timeout: float = 10) -> ssl.SSLSocket:
        """Through the TLS handshake."""
        context = ssl._create_unverified_context()
        return context.wrap_socket(socket.create_connection(("127.0.0.1", self.port), timeout))

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """One request on a connection of its own."""
        context = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=15, context=context)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, answer.msg, answer.read())
        finally:
            connection.close()

    def ask_again(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """One of many requests, on the connection of those before where it still stands."""
        if self._kept is None:
            context = ssl._create_unverified_context()
            self._kept = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=15, context=context)
        try:
            self._kept.request(method, path, body, headers or {})
            answer = self._kept.getresponse()
            return Answer(answer.status, answer.msg, answer.read())
        except (OSError, http.client.HTTPException):
            self._kept.close()
            self._kept = None
            return self.ask(method, path, body, headers)

    def control(self, name: str, told: Any, audience: str = UID, at: float | None = None) -> Answer:
        """A call of the broker."""
        if name == "open" and isinstance(told, dict):
            told = {"started_at": self.started_at, **told}
        body, path = json.dumps(told).encode(), f"/control/v1/{name}"
        call = Call("POST", path, body)
        signature = sign_call(self.broker.key, "broker", audience, call, at=time.time() if at is None else at)
        return self.ask_again("POST", path, body, {"Authorization": signature})

    def register(self) -> dict[str, Any]:
        """What Save does at the broker."""
        wait_for(lambda: bool(self.logged("broker.pinned")), READY, "the broker's key is known")
        nonce = base64.b64encode(secrets.token_bytes(16)).decode()
        said = {"gateway": UID, "nonce": nonce, "certificate": self.certificate}
        key = self.control("hello", {**said, "key": ""}, "gateway").told["key"]
        told: dict[str, Any] = self.control("hello", {**said, "key": key}, "gateway").told
        self.broker.gateway_key, self.started_at = public_key(told["key"]), told["started_at"]
        return told

    def token(self, opening: Opening, **more: Any) -> str:
        """As the broker makes it, now."""
        said: dict[str, Any] = {
            "id": opening.id, "audience": (UID,), "user": opening.user, "protocol": opening.protocol,
            "destination": destination(opening.host, opening.port), "redeem": opening.redeem,
        }  # fmt: skip
        return make_token(self.broker.key, Grant(**{**said, **more}), at=time.time())
