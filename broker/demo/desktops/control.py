"""The control socket: one JSON line in, one out. A unix socket of mode 600 in the data folder's socket folder."""

import json
import os
import socketserver
import threading
from pathlib import Path
from typing import Any

from broker.demo.desktops.fleet import Fleet
from broker.demo.desktops.machine import CannotDo
from broker.demo.desktops.socket_path import LINE_LIMIT, socket_path


class Control(socketserver.ThreadingUnixStreamServer):
    """Serves while the `with` block runs."""

    daemon_threads = True

    def __init__(self, data: Path, fleet: Fleet) -> None:
        self.fleet = fleet
        self.path = socket_path(data)
        self.path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            super().__init__(str(self.path), _Visitor)
        finally:
            os.umask(before)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name="control", daemon=True)

    def __enter__(self) -> "Control":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()
        self.path.unlink(missing_ok=True)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A visitor who went away is no trouble."""


class _Visitor(socketserver.StreamRequestHandler):
    timeout = 5

    def handle(self) -> None:
        """One request."""
        assert isinstance(self.server, Control)
        try:
            ask = json.loads(self.rfile.readline(LINE_LIMIT))
            answer = {"ok": True, "answer": self.server.fleet.act(ask)}
        except CannotDo as refusal:
            answer = {"ok": False, "answer": str(refusal)}
        except (TimeoutError, ValueError, AttributeError):
            answer = {"ok": False, "answer": "Send one JSON object on one line."}
        self.wfile.write(json.dumps(answer).encode() + b"\n")
