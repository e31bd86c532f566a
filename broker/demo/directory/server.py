"""The look-alike's listeners: LDAP with StartTLS, LDAPS, and switches for the ways a directory can fail."""

import socket
import socketserver
import ssl
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from broker.demo.directory.certificates import Certificates
from broker.demo.directory.connection import Handler, Shared
from broker.demo.directory.domain import Domain


class Fault(StrEnum):
    """How the server misbehaves; set `DirectoryServer.fault` while it runs. For refused connections: `pause()`."""

    NONE = "none"
    HANG = "hang"
    SLOW = "slow"
    GARBAGE = "garbage"
    CLOSE = "close"
    BUSY = "busy"


@dataclass(frozen=True)
class Listen:
    """Where to listen; port 0 takes a free one. `require_tls` refuses passwords over plain connections."""

    address: str = "127.0.0.1"
    port: int = 0
    ldaps_port: int = 0
    require_tls: bool = True


class _Listener(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], shared: Shared, tls: bool) -> None:
        self.shared, self.tls = shared, tls
        super().__init__(address, Handler)
        self.thread = threading.Thread(target=self.serve_forever, daemon=True)
        self.thread.start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A mistake of ours: told in the log, and to tests in `errors`."""
        self.shared.note_error()

    def close(self) -> None:
        """Stop listening; open connections go on."""
        with suppress(OSError):  # wakes the thread at once; not every system allows it
            self.socket.shutdown(socket.SHUT_RDWR)
        self.shutdown()
        self.thread.join()
        self.server_close()


class DirectoryServer:
    """A domain on the network. Use it as a context manager, or `start()` and `stop()`."""

    def __init__(self, domain: Domain, certificates: Certificates | None = None, listen: Listen | None = None) -> None:
        self.domain, self.listen = domain, listen or Listen()
        context = _context(certificates.certificate, certificates.key) if certificates else None
        self._shared = Shared(domain, context, self.listen.require_tls)
        self._listeners: list[_Listener] = []
        self.port, self.ldaps_port = self.listen.port, self.listen.ldaps_port

    @property
    def fault(self) -> Fault:
        """The fault in force; a slow server waits `delay` seconds before each answer."""
        return Fault(self._shared.fault)

    @fault.setter
    def fault(self, fault: Fault) -> None:
        self._shared.set_fault(fault.value)

    @property
    def delay(self) -> float:
        """Seconds a slow server waits before each answer."""
        return self._shared.delay

    @delay.setter
    def delay(self, seconds: float) -> None:
        self._shared.delay = seconds

    @property
    def garbage(self) -> bytes:
        """What a server with the fault *garbage* answers."""
        return self._shared.garbage

    @garbage.setter
    def garbage(self, answer: bytes) -> None:
        self._shared.garbage = answer

    @property
    def binds(self) -> deque[str]:
        """The names of the last simple binds, one for each try with a password."""
        return self._shared.binds

    @property
    def errors(self) -> list[str]:
        """Tracebacks of our own mistakes while answering; empty in a sound server."""
        return self._shared.errors

    def start(self) -> Self:
        """Listen, on the ports of last time if it listened before."""
        address = self.listen.address
        self._shared.open()
        try:
            self._listeners.append(_Listener((address, self.port), self._shared, tls=False))
            self.port = self._listeners[0].port
            if self._shared.context:
                self._listeners.append(_Listener((address, self.ldaps_port), self._shared, tls=True))
                self.ldaps_port = self._listeners[1].port
        except OSError:
            self.pause()
            raise
        return self

    def pause(self) -> None:
        """Refuse connections and drop the open ones, until `start()`."""
        while self._listeners:
            self._listeners.pop().close()
        self._shared.close()

    stop = pause

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    return context
