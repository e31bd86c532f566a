"""A listening TCP port, as a running machine's RDP service has one: it lets the broker's probe in.

Where nobody receives the visitors, they are sent away.
"""

import socket
import threading
from collections.abc import Callable

AT_ONCE = 16  # visitors


class Door:
    """Open from the start until `close()`. `receive` has a thread for each visitor, who goes when it returns.

    Raises OSError where the address is not ours or the port is taken.
    """

    def __init__(self, address: str, port: int, receive: Callable[[socket.socket], None] | None = None) -> None:
        self._listener = socket.create_server((address, port))
        self._receive, self._room = receive, threading.Semaphore(AT_ONCE)
        self._thread = threading.Thread(target=self._accept, name=f"door {address}", daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                visitor, _ = self._listener.accept()
            except OSError:  # closed
                return
            if self._receive is None or not self._room.acquire(blocking=False):
                visitor.close()
            else:
                threading.Thread(target=self._serve, args=[visitor, self._receive], daemon=True).start()

    def _serve(self, visitor: socket.socket, receive: Callable[[socket.socket], None]) -> None:
        try:
            with visitor:
                receive(visitor)
        finally:
            self._room.release()

    def close(self) -> None:
        """Listen no more."""
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in accept()
        self._listener.close()
        self._thread.join()
