"""A listening TCP port, as a running machine's RDP service has one: it lets the broker's probe in and says good-bye.

It is no RDP server: whoever connects is heard and sent away.
"""

import socket
import threading


class Door:
    """Open from the start until `close()`. Raises OSError where the address is not ours or the port is taken."""

    def __init__(self, address: str, port: int) -> None:
        self._listener = socket.create_server((address, port))
        self._thread = threading.Thread(target=self._receive, name=f"door {address}", daemon=True)
        self._thread.start()

    def _receive(self) -> None:
        while True:
            try:
                visitor, _ = self._listener.accept()
            except OSError:  # closed
                return
            visitor.close()

    def close(self) -> None:
        """Listen no more."""
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in accept()
        self._listener.close()
        self._thread.join()
