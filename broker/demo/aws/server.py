"""The simulator as a server on loopback: for `python -m broker.demo.aws` and, in a thread, for tests."""

import socket
import threading
from pathlib import Path
from typing import Any

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import make_server

from broker.demo.aws import seed, store
from broker.demo.aws.account import Account
from broker.demo.aws.control import Control
from broker.demo.aws.front import Front
from broker.demo.aws.service import Service
from broker.demo.aws.trouble import Desk


class _Handler(MotoRequestHandler):
    """Writes no access log: the desk counts the calls."""

    protocol_version = "HTTP/1.0"  # one request a connection, so that a lost answer is a closed connection

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        """Nothing."""


def _listening(port: int) -> socket.socket:
    """A listening socket on loopback. Raises OSError; werkzeug itself would print and exit."""
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


class Simulator:
    """The account and its server: it listens from the start and serves inside `with`.

    `seeded` counts only where `state` holds no account yet; `poll` is how long its end may take, in seconds.
    """

    def __init__(
        self, account: Account, *, state: Path | None = None, seeded: str = "demo", port: int = 0, poll: float = 0.05
    ) -> None:
        self.account = account
        self._poll = poll
        self.desk = Desk()
        self._state = state
        if state is None or not store.load(account, state):
            seed.fill(account, seeded)
            self.save()
        self.service = Service(account, self.desk, self.save)
        front = Front(self.service, Control(account, self.desk, self.save))
        with _listening(port) as listener:  # the server listens on a duplicate
            self._server = make_server(
                "127.0.0.1",
                listener.getsockname()[1],
                front,
                threaded=True,
                request_handler=_Handler,
                fd=listener.fileno(),
            )
        self._thread: threading.Thread | None = None

    def save(self) -> None:
        """Write the state file, if there is one."""
        if self._state is not None:
            store.save(self.account, self._state)

    @property
    def endpoint(self) -> str:
        """What `AWS_ENDPOINT_URL_WORKSPACES` and `AWS_ENDPOINT_URL_STS` must say."""
        return f"http://127.0.0.1:{self._server.port}"

    def __enter__(self) -> "Simulator":
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=[self._poll], name="aws-simulator", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        if self._thread is not None:
            self._thread.join()
        self._server.server_close()
        self.save()
