"""A gateway of the tests' own: it proves its key, obeys signed calls, and misbehaves as a test wants.

What the real program does is tested with the real program; this one is for refusals, slowness, garbage and absence.
"""

import hashlib
import http.server
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateways.wire import BROKER, Call, Untrusted, check_call, public_key, public_text, sign_call

STARTED_AT = 1_700_000_000.5
Answer = tuple[int, dict[str, Any]]


class Scripted:
    """`calls` is what it was told, in order; `says[name]` overrides its answer to a call."""

    def __init__(self, tls: tuple[Path, Path], broker: str) -> None:
        self.tls, self.broker = tls, public_key(broker)
        self.key = Ed25519PrivateKey.generate()
        pem = tls[0].read_text()
        first = pem[: pem.index("-----END CERTIFICATE-----")] + "-----END CERTIFICATE-----\n"
        self.certificate = hashlib.sha256(ssl.PEM_cert_to_DER_cert(first)).hexdigest()
        self.uid, self.port, self.started_at = "", 0, STARTED_AT
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.says: dict[str, Callable[[dict[str, Any]], Answer]] = {}
        self.garbage = b""  # what it says in place of JSON
        self.drip = 0.0  # seconds between two bytes of an answer

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"

    def told(self, name: str) -> list[dict[str, Any]]:
        """The bodies of the calls of one name."""
        return [body for called, body in self.calls if called == name]

    def answer(self, path: str, authorization: str, body: bytes) -> Answer:
        """What a gateway says to a control call."""
        name = path.removeprefix("/control/v1/")
        call = Call("POST", path, body)
        try:
            check_call(authorization, self.broker, "gateway" if name == "hello" else self.uid, call, at=time.time())
        except Untrusted as error:
            return 401, {"error": "untrusted", "detail": f"The call is not the broker's: {error}."}
        told = json.loads(body)
        if name == "open" and told.pop("started_at", None) != self.started_at:
            return 409, {"error": "restarted", "detail": "This gateway was started anew a moment ago."}
        self.calls.append((name, told))
        if name in self.says:
            return self.says[name](told)
        return 200, self.usual(name, told, call)

    def usual(self, name: str, told: dict[str, Any], call: Call) -> dict[str, Any]:
        """As a good one answers."""
        if name == "hello":
            if told["key"] == public_text(self.key):
                self.uid = told["gateway"]
            proof = sign_call(self.key, told["gateway"], BROKER, call, at=time.time())
            return {
                "key": public_text(self.key), "version": "1.2", "certificate": self.certificate,
                "ports": [20001, 30000], "ports_free": 9999, "sessions": 0, "proof": proof,
                "started_at": self.started_at,
            }  # fmt: skip
        if name == "open":
            return {"port": 20001 if told["protocol"] == "tcp" else 0, "started_at": self.started_at}
        return {"closed": len(told["ids"])} if name == "close" else {}


class Handler(http.server.BaseHTTPRequestHandler):
    """One request."""

    gateway: Scripted

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status, said = self.gateway.answer(self.path, self.headers.get("Authorization", ""), body)
        content = self.gateway.garbage or json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if not self.gateway.drip:
            self.wfile.write(content)
            return
        for byte in content:
            time.sleep(self.gateway.drip)
            self.wfile.write(bytes([byte]))

    def log_message(self, *_: Any) -> None:
        """Nothing."""


class Server(http.server.ThreadingHTTPServer):
    """Who hangs up is no news."""

    def handle_error(self, *_: Any) -> None:
        """Nothing."""


@contextmanager
def listening(gateway: Scripted) -> Iterator[Scripted]:
    """It listens until the block ends."""
    handler = type("Its", (Handler,), {"gateway": gateway})
    server = Server(("127.0.0.1", gateway.port), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*gateway.tls)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    gateway.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield gateway
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
