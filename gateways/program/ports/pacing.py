"""Which congestion control a forwarded connection has (tcp(7), TCP_CONGESTION).

BBR sends by timers. On a long way that is its strength, and where a machine is set to it, it stays. On a short way the
timers cost half of what a gateway can pass on, measured: there Linux's usual control takes its place. Which way it is,
the handshake has shown. A socket that BBR has once had is paced for ever, so listeners and those who dial begin without
it, and who turns out to be far away is given it back.
"""

import socket
import struct
from contextlib import suppress

PACED = b"bbr"
USUAL = (b"cubic", b"reno")  # the second is there and allowed everywhere
OPTION = getattr(socket, "TCP_CONGESTION", 0)  # Linux
LONGEST = 16  # bytes of a name
# Microseconds from our word in the handshake to the answer. Where one packet of a hundred is lost, the usual control
# still brings 28 Mbit/s over such a way (1,460 bytes * 1.22 / (5 ms * sqrt(0.01)), Mathis et al.): a desktop in motion.
# Buildings and cities are within it; the Internet, the VPN of who is at home and the lines between countries are not.
NEAR = 5_000
MEASURED = struct.Struct("68x I")  # linux/tcp.h, struct tcp_info: tcpi_rtt, which every Linux has


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


def give_back(connection: socket.socket, lost: bytes) -> None:
    """A connection that has come about gets what it, or its listener, has lost; unless it is a near one."""
    if lost and not near(connection):
        with suppress(OSError):  # it has gone already
            connection.setsockopt(socket.IPPROTO_TCP, OPTION, lost)


def near(connection: socket.socket) -> bool:
    """Whether the other end answered the handshake at once; it did not where that was not measured (SYN cookies)."""
    (took,) = MEASURED.unpack(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, MEASURED.size))
    return 0 < int(took) <= NEAR
