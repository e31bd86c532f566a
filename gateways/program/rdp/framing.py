"""The stream of RDP, cut into its packets: TPKT (the slow path) or fast path (MS-RDPBCGR 2.2.9.1.2)."""

from collections.abc import Iterator

from gateways.program.rdp.reading import Garbled

SLOW = 3  # the first byte of TPKT
LONGEST_MESSAGE = 4 << 20  # bytes that are fed at once


class Frames:
    """Feed it what comes, in whatever pieces; it keeps at most one unfinished packet (65 kB)."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Every packet that is whole now. Raises Garbled."""
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        while (count := size(data, at)) and at + count <= end:
            yield data[at : at + count]
            at += count
        self._rest = data[at:]


def size(data: bytes, at: int) -> int:
    """How long the packet is that begins there; 0: not enough is there to say. Raises Garbled."""
    have = len(data) - at
    if have < 2:
        return 0
    if data[at] == SLOW:
        least, head = 7, 4
        count = int.from_bytes(data[at + 2 : at + 4], "big")
    elif data[at] & 0x03:
        raise Garbled("neither TPKT nor fast path")
    elif data[at + 1] & 0x80:
        least, head = 3, 3
        count = int.from_bytes(data[at + 1 : at + 3], "big") & 0x7FFF
    else:
        least, head = 2, 2
        count = data[at + 1]
    if have < head:
        return 0
    if count < least:
        raise Garbled("a packet shorter than its header")
    return count
