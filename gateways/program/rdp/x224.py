"""TPKT and X.224: how RDP begins, and what kind of security both sides agree on (MS-RDPBCGR 2.2.1.1, 2.2.1.2)."""

import struct
from dataclasses import dataclass

from gateways.program.rdp.reading import Garbled, unpack

RDP, TLS, NLA, NLA_EX = 0, 1, 2, 8  # protocols
DATA = b"\x02\xf0\x80"  # X.224's header of everything after the negotiation
REQUEST, CONFIRM = 0xE0, 0xD0
NLA_REQUIRED = 5
LOGIN_LIMIT = 64  # of what is said in a cookie; the packet has no room for much more
FAILURES = {
    1: "it demands TLS, but does not offer it",
    2: "it does not offer TLS, only the old encryption of RDP, which is not safe",
    3: "it has no certificate for TLS",
    4: "it takes our request for contradictory",
    NLA_REQUIRED: "it demands the password before it shows anything (NLA)",
    6: "it demands TLS with certificates of the users",
}


@dataclass(frozen=True, slots=True)
class Confirm:
    """The server's answer: the protocol that it chose and its flags, or else why it refuses (a key of FAILURES)."""

    protocol: int = RDP
    flags: int = 0
    failure: int = 0


def tpkt(body: bytes) -> bytes:
    """A packet with its length in front. Raises Garbled where it would be too long."""
    if len(body) > 0xFFFF - 4:
        raise Garbled("a packet too long to be passed on")
    return struct.pack(">BBH", 3, 0, 4 + len(body)) + body


def length(head: bytes) -> int:
    """How long the packet is whose first four bytes these are. Raises Garbled."""
    version, _reserved, count = unpack(">BBH", head, 0, "a TPKT header")
    if version != 3 or count < 7:
        raise Garbled("not a TPKT packet")
    return count


def request(protocols: int, login: str = "") -> bytes:
    """The client's request. Its cookie names the user, as other clients' do: for farms, and for the demo's desktops."""
    named = login[:LOGIN_LIMIT] if login.isascii() and login.isprintable() else ""
    cookie = f"Cookie: mstshash={named}\r\n".encode() if named else b""
    head = bytes((14 + len(cookie), REQUEST, 0, 0, 0, 0, 0))
    return tpkt(head + cookie + struct.pack("<BBHI", 1, 0, 8, protocols))


def confirm(protocol: int, flags: int) -> bytes:
    """The server's answer, as the browser is told."""
    return tpkt(bytes((14, CONFIRM, 0, 0, 0x12, 0x34, 0)) + struct.pack("<BBHI", 2, flags, 8, protocol))


def read_confirm(packet: bytes) -> Confirm:
    """Raises Garbled."""
    if length(packet[:4]) != len(packet) or packet[5] & 0xF0 != CONFIRM:
        raise Garbled("not an X.224 confirm")
    if len(packet) == 11:  # servers before 2003
        return Confirm()
    kind, flags, size, value = unpack("<BBHI", packet, 11, "the X.224 negotiation")
    if size != 8 or kind not in (2, 3):
        raise Garbled("an X.224 negotiation of that kind")
    return Confirm(value, flags) if kind == 2 else Confirm(failure=value or 2)
