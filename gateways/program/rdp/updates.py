"""What a desktop draws, packet by packet: bitmap updates are made to fit (bitmaps.py), everything else passes as it is.

Fast path: MS-RDPBCGR 2.2.9.1.2; slow path: updates in share data, 2.2.9.1.1.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from gateways.program.rdp import bitmaps
from gateways.program.rdp.reading import Garbled, part, unpack

SINGLE, LAST, FIRST, NEXT = 0, 1, 2, 3  # of a fragmented update
HAS_COMPRESSION, IS_COMPRESSED = 2, 0x20
LARGEST_FRAGMENT = 16_000
LARGEST_WHOLE = 1 << 20  # bytes of a fragmented bitmap update that is put together here
SHARE_HEAD, DATA_KIND = 18, 7
UPDATE, ERROR_INFO = 2, 47  # kinds of share data


@dataclass(frozen=True, slots=True)
class Update:
    """One update of a fast-path packet."""

    code: int
    fragment: int
    compressed: bool
    data: bytes


def read_fast(packet: bytes) -> list[Update]:
    """The updates in a fast-path packet of a server. Raises Garbled."""
    first, length = unpack("<BB", packet, 0, "a fast-path packet")
    if first & 0xC0:
        raise Garbled("encryption inside of TLS")
    at, found = 3 if length & 0x80 else 2, []
    while at < len(packet):
        head, at = packet[at], at + 1
        flags = 0
        if head >> 6 == HAS_COMPRESSION:
            (flags,), at = unpack("<B", packet, at, "an update"), at + 1
        (size,) = unpack("<H", packet, at, "an update")
        data = part(packet, at + 2, size, "an update")
        found.append(Update(head & 0x0F, head >> 4 & 0x03, bool(flags & IS_COMPRESSED), data))
        at += 2 + size
    return found


def written(code: int, fragment: int, data: bytes) -> bytes:
    """A fast-path packet with one update."""
    size = 6 + len(data)
    return struct.pack(">BH", 0, 0x8000 | size) + struct.pack("<BH", code | fragment << 4, len(data)) + data


def fast(code: int, data: bytes) -> Iterator[bytes]:
    """An update in as many packets as it takes."""
    if len(data) <= LARGEST_FRAGMENT:
        yield written(code, SINGLE, data)
        return
    places = range(0, len(data), LARGEST_FRAGMENT)
    for at in places:
        fragment = FIRST if at == 0 else LAST if at == places[-1] else NEXT
        yield written(code, fragment, data[at : at + LARGEST_FRAGMENT])


class Updates:
    """Rewrites what does not fit. It keeps a fragmented bitmap update until it is whole."""

    def __init__(self) -> None:
        self._whole = bytearray()

    def fast(self, packet: bytes) -> bytes:
        """A fast-path packet as the browser shall have it; maybe several, or none yet. Raises Garbled."""
        updates = read_fast(packet)
        if all(each.code != bitmaps.BITMAP for each in updates):
            return packet
        made, changed = [], False
        for each in updates:
            packets = self._update(each)
            changed = changed or packets is None or len(packets) != 1 or packets[0] != each.data
            made.append((each, packets or []))
        if not changed:
            return packet
        return b"".join(one for each, packets in made for one in self._packed(each, packets))

    def _update(self, update: Update) -> list[bytes] | None:
        """Updates in the place of one; None: there is more to come. Raises Garbled."""
        if update.code != bitmaps.BITMAP:
            return [update.data]
        if update.compressed:
            raise Garbled("a bitmap that is compressed as a whole, which was not asked for")
        if update.fragment == SINGLE:
            return bitmaps.fitting(update.data)
        if update.fragment == FIRST:
            self._whole.clear()
        self._whole += update.data
        if len(self._whole) > LARGEST_WHOLE:
            raise Garbled("a bitmap update without end")
        return bitmaps.fitting(bytes(self._whole)) if update.fragment == LAST else None

    @staticmethod
    def _packed(update: Update, packets: list[bytes]) -> Iterator[bytes]:
        for data in packets:
            if update.code == bitmaps.BITMAP:
                yield from fast(update.code, data)
            else:
                yield written(update.code, update.fragment, data)


@dataclass(frozen=True, slots=True)
class Share:
    """Share data on the main channel: what kind they are, and they."""

    kind: int
    compressed: bool
    data: bytes


def read_share(data: bytes) -> Share | None:
    """None: something else is sent on the main channel."""
    if len(data) < SHARE_HEAD:
        return None
    total, control, _source = struct.unpack_from("<HHH", data, 0)
    if control & 0x0F != DATA_KIND or total != len(data):
        return None
    return Share(data[14], bool(data[15] & IS_COMPRESSED), data[SHARE_HEAD:])


def slow(share: Share) -> bytes | None:
    """Fast-path packets in the place of a slow bitmap update; None: it may pass as it is. Raises Garbled."""
    if share.kind != UPDATE or share.data[:2] != struct.pack("<H", bitmaps.BITMAP):
        return None
    if share.compressed:
        raise Garbled("a bitmap that is compressed as a whole, which was not asked for")
    updates = bitmaps.fitting(share.data)
    if updates == [share.data]:
        return None
    return b"".join(packet for each in updates for packet in fast(bitmaps.BITMAP, each))


ENDINGS = {
    0x1: "An administrator disconnected the session.",
    0x2: "An administrator logged the session off.",
    0x3: "The desktop ended the session: nobody had used it for too long.",
    0x4: "The desktop ended the session: it had lasted as long as it may.",
    0x5: "Somebody connected to the session from elsewhere.",
    0x6: "The desktop has no memory left for the session.",
    0x7: "The desktop denied the connection.",
    0x9: "The user may not sign in at that desktop over the network.",
    0xA: "The desktop wants the credentials anew.",
    0xB: "The user disconnected the session from within.",
    0xC: "The user logged off.",
}


def farewell(share: Share) -> str:
    """Why the desktop is about to end the connection, in words; "" where this says nothing of it."""
    if share.kind != ERROR_INFO or len(share.data) < 4:
        return ""
    number = int.from_bytes(share.data[:4], "little")
    return ENDINGS.get(number, f"The desktop ended the session with error 0x{number:x}." if number else "")
