"""Somebody at a machine's RDP port: who they say they are, and the bytes between them and the screen's server."""

import re
import socket
import struct
import threading

PATIENCE = 10  # seconds until a visitor must have sent its first packet
LONGEST = 2_048  # bytes of it
COOKIE = re.compile(rb"Cookie: mstshash=([^\r\n]+)\r\n")


def asked_for(client: socket.socket) -> str | None:
    """The name in the first packet (MS-RDPBCGR 2.2.1.1), "" where it has none; None: it does not speak RDP.

    The packet stays where it is, for the server. A port probe says nothing and goes.
    """
    patience(client, PATIENCE)
    try:
        head = client.recv(4, socket.MSG_PEEK | socket.MSG_WAITALL)
        if len(head) < 4 or head[0] != 3:
            return None
        (length,) = struct.unpack(">H", head[2:])
        packet = client.recv(min(length, LONGEST), socket.MSG_PEEK | socket.MSG_WAITALL)
    except OSError:
        return None
    finally:
        patience(client, 0)
    found = COOKIE.search(packet)
    return found[1].decode(errors="replace") if found else ""


def patience(client: socket.socket, seconds: int) -> None:
    """How long a read may take, 0: for ever. The kernel's clock: with Python's it would take half of a packet."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", seconds, 0))


class Visit:
    """`seen`: the server has let the client in; `user` is who that is, where it is known."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client, self.server, self.seen = client, server, False
        self.user = ""

    def run(self) -> None:
        """Pass bytes on until either side ends."""
        back = threading.Thread(target=self._copy, args=[self.server, self.client], name="visit", daemon=True)
        back.start()
        self._copy(self.client, self.server)
        back.join()

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65_536):
                target.sendall(data)
        except OSError:
            pass
        self.cut()

    def cut(self) -> None:
        """End both sides."""
        for each in (self.client, self.server):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:  # it is over already
                continue
