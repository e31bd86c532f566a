"""Which congestion control a forwarded connection has (tcp(7), TCP_CONGESTION).

BBR sends by timers. To the Internet that is its strength, and where a machine is set to it, it stays. On a short way,
to this machine or a private network, the timers cost half of what a gateway can pass on, measured: there Linux's usual
control takes its place. A socket that BBR has once had is paced for ever, so listeners begin without it, and who comes
from afar is given it back.
"""

import socket
from contextlib import suppress
from ipaddress import ip_address

PACED = b"bbr"
USUAL = (b"cubic", b"reno")  # the second is there and allowed everywhere
OPTION = getattr(socket, "TCP_CONGESTION", 0)  # Linux
LONGEST = 16  # bytes of a name


def control(connection: socket.socket) -> bytes:
    """The name of a socket's congestion control; b"" where there is no choice."""
    if not OPTION:
        return b""
    return connection.getsockopt(socket.IPPROTO_TCP, OPTION, LONGEST).rstrip(b"\0")


def unpaced(connection: socket.socket) -> bytes:
    """Take BBR from a socket that is not connected yet, and from those it will accept; returns what it has lost."""
    had = control(connection)
    if not had.startswith(PACED):
        return b""
    for name in USUAL:
        with suppress(OSError):  # not allowed here
            connection.setsockopt(socket.IPPROTO_TCP, OPTION, name)
            return had
    return b""


def give_back(connection: socket.socket, lost: bytes, address: str) -> None:
    """An accepted connection from afar gets what its listener has lost."""
    if lost and not near(address):
        with suppress(OSError):  # it has gone already
            connection.setsockopt(socket.IPPROTO_TCP, OPTION, lost)


def near(address: str) -> bool:
    """Whether it is this machine's or of a private network; a name is not."""
    try:
        return ip_address(address).is_private
    except ValueError:
        return False
