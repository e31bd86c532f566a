"""MCS and GCC (T.125, T.124; MS-RDPBCGR 2.2.1.3 and on): who talks on which channel, and what the client says it can.

The browser's Connect Initial is changed before the desktop sees it; lengths stay, so nothing around has to change.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from gateways.program.rdp import der, x224
from gateways.program.rdp.reading import Garbled, part, unpack

CONNECT_INITIAL, CONNECT_RESPONSE = b"\x7f\x65", b"\x7f\x66"
CLIENT_CORE, CLIENT_NETWORK, SERVER_NETWORK = 0xC001, 0xC003, 0x0C03
CLIENT_KEY, SERVER_KEY = b"Duca", b"McDn"  # H.221 keys in front of the blocks
SEND_UP, SEND_DOWN = 25 << 2, 26 << 2  # SendDataRequest of a client, SendDataIndication of a server
# Besides: ErectDomain, DisconnectProviderUltimatum, AttachUser and ChannelJoin with their confirms; RDP has no others.
OTHERS = frozenset((1, 8, 10, 11, 14, 15))
HEAD = 7  # bytes of TPKT and X.224 in front of MCS
# What a Connect Initial consists of: two selectors, a flag, three times eight numbers, the GCC part (T.125 11.1).
BOOLEAN = 0x01
INITIAL = (der.OCTETS, der.OCTETS, BOOLEAN, der.SEQUENCE, der.SEQUENCE, der.SEQUENCE, der.OCTETS)
DOMAIN_NUMBERS = 8
TWO_BYTES = 0b10  # what a length of two bytes begins with
GCC_HEAD = 23  # bytes in front of the blocks: object key 7, length 2, what follows it 8, H.221 key 4, length 2
MOST_CHANNELS = 31
SMALLEST, LARGEST = 200, 8192  # pixels of a desktop's side

# Offsets in the core block, its header of four bytes counted (MS-RDPBCGR 2.2.1.3.2).
SIZE, LAYOUT, DEPTHS, NETWORK, SELECTED, CORE_LENGTH = 8, 16, 140, 210, 212, 216
TRUE_COLOUR, EVERY_DEPTH, WANTS_32_BITS = 24, 0x0F, 0x0002
NAMES_NETWORK, LAN = 0x0020, 6


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the gateway writes into the browser's Connect Initial."""

    protocol: int  # that the desktop chose
    layout: int = 0  # Windows keyboard layout; 0: as the browser says
    channels: frozenset[str] = frozenset()  # static virtual channels that may be


def connect_initial(packet: bytes, wishes: Wishes) -> tuple[bytes, list[str]]:
    """The browser's first packet as the desktop shall see it, and its channels' names ("" for those that may not be).

    A channel that may not be keeps its place under a name that no desktop knows, so nobody ever speaks on it. Raises
    Garbled.
    """
    made, names = bytearray(packet), list[str]()
    found = list(_blocks(packet, _clients(packet)))
    blocks = dict(found)
    if len(blocks) < len(found):
        raise Garbled("two GCC blocks of one kind")  # desktops differ in which of them counts
    if CLIENT_CORE not in blocks:
        raise Garbled("a Connect Initial without its core")
    _change_core(made, *blocks[CLIENT_CORE], wishes)
    if CLIENT_NETWORK in blocks:
        names = _change_channels(made, *blocks[CLIENT_NETWORK], wishes.channels)
    return bytes(made), names


def _change_core(made: bytearray, at: int, length: int, wishes: Wishes) -> None:
    if length < CORE_LENGTH:
        raise Garbled("a core without the protocol that was chosen")
    width, height = struct.unpack_from("<HH", made, at + SIZE)
    struct.pack_into("<HH", made, at + SIZE, *(min(max(each, SMALLEST), LARGEST) for each in (width, height)))
    if wishes.layout:
        struct.pack_into("<I", made, at + LAYOUT, wishes.layout)
    depths, early = struct.unpack_from("<HH", made, at + DEPTHS + 2)
    # 32 bits and a fast network: servers that know RemoteFX then use it, which browsers draw best.
    colours = TRUE_COLOUR, depths | EVERY_DEPTH, early | WANTS_32_BITS | NAMES_NETWORK
    struct.pack_into("<HHH", made, at + DEPTHS, *colours)
    made[at + NETWORK] = LAN
    struct.pack_into("<I", made, at + SELECTED, wishes.protocol)


def _change_channels(made: bytearray, at: int, length: int, allowed: frozenset[str]) -> list[str]:
    (count,) = unpack("<I", bytes(made[at + 4 : at + 8]), 0, "the list of channels")
    if count > MOST_CHANNELS or 8 + 12 * count > length:
        raise Garbled("more channels than there can be")
    names = []
    for number in range(count):
        place = at + 8 + 12 * number
        name = bytes(made[place : place + 8]).split(b"\0")[0].decode("latin-1").lower()
        if name not in allowed:
            made[place : place + 8] = b"none%02d\0\0" % number
            name = ""
        names.append(name)
    return names


def connect_response(packet: bytes) -> tuple[int, list[int]]:
    """The number of the channel for everything else, and those of the static ones in order. Raises Garbled."""
    for kind, (at, length) in _blocks(packet, _servers(packet)):
        if kind == SERVER_NETWORK:
            main, count = unpack("<HH", packet, at + 4, "the numbers of channels")
            if 8 + 2 * count > length:
                raise Garbled("more channels than there can be")
            return main, list(unpack(f"<{count}H", packet, at + 8, "the numbers of channels"))
    raise Garbled("a Connect Response without channels")


def _clients(packet: bytes) -> int:
    """Where the blocks of a Connect Initial begin: by the lengths of what is before them, as desktops read it.

    Whoever looked for the key could be shown a second one, and would guard what no desktop reads. Raises Garbled.
    """
    _of_connect(packet, CONNECT_INITIAL)
    _tag, body, end = der.read(packet, HEAD + 1)
    if end != len(packet):
        raise Garbled("an MCS Connect of another length than it says")
    at, inner = 0, b""
    for shape in INITIAL:
        tag, inner, at = der.read(body, at)
        if tag != shape or (tag == der.SEQUENCE and _numbers(inner) != DOMAIN_NUMBERS):
            raise Garbled("an MCS Connect of another form")
    (outer,), (size,) = (unpack(">H", inner, place, "the GCC part") for place in (7, 21))
    exact = at == len(body) and size == 0x8000 | len(inner) - GCC_HEAD
    if not exact or inner[17:21] != CLIENT_KEY or outer >> 14 != TWO_BYTES:  # browsers and others count it differently
        raise Garbled("a GCC part of another form")
    return len(packet) - len(inner) + GCC_HEAD


def _numbers(sequence: bytes) -> int:
    """How many INTEGERs there are, nothing else being there. Raises Garbled."""
    at, count = 0, 0
    while at < len(sequence):
        tag, _value, at = der.read(sequence, at)
        if tag != der.INTEGER:
            raise Garbled("MCS parameters of another form")
        count += 1
    return count


def _servers(packet: bytes) -> int:
    """The same of a Connect Response, which is a desktop's: it guards nothing from itself. Raises Garbled."""
    _of_connect(packet, CONNECT_RESPONSE)
    if (packet[HEAD + 2 : HEAD + 3] or b"\0")[0] & 0x7F > der.LONGEST_LENGTH and packet[HEAD + 2] & 0x80:
        raise Garbled("an MCS length of that kind")
    found = packet.find(SERVER_KEY, HEAD)
    if found < 0:
        raise Garbled("MCS Connect without its GCC part")
    (first,) = unpack(">B", packet, found + 4, "the GCC part")
    return found + (6 if first & 0x80 else 5)


def _of_connect(packet: bytes, tag: bytes) -> None:
    if packet[4:7] != x224.DATA or packet[HEAD : HEAD + 2] != tag:
        raise Garbled("another packet than MCS Connect")


def _blocks(packet: bytes, at: int) -> Iterator[tuple[int, tuple[int, int]]]:
    """Each block of settings: its kind, and where it is with its header and how long. Raises Garbled."""
    end = len(packet)
    while at < end:
        kind, length = unpack("<HH", packet, at, "a GCC block")
        if length < 4 or at + length > end:
            raise Garbled("a GCC block is cut off")
        yield kind, (at, length)
        at += length


@dataclass(frozen=True, slots=True)
class Sent:
    """A packet on a channel, taken apart."""

    kind: int  # SEND_UP or SEND_DOWN
    user: int
    channel: int
    data: bytes

    def packet(self, data: bytes) -> bytes:
        """The same with other data. Raises Garbled where they are too long."""
        if len(data) > 0x3FFF:
            raise Garbled("too much for one MCS packet")
        return x224.tpkt(
            x224.DATA + struct.pack(">BHHBH", self.kind, self.user, self.channel, 0x70, 0x8000 | len(data)) + data
        )


def read_sent(packet: bytes) -> Sent | None:
    """What is sent on a channel; None: the packet is of another kind. Raises Garbled."""
    if packet[4:7] != x224.DATA:
        raise Garbled("X.224 that carries no data")
    (choice,) = unpack(">B", packet, HEAD, "an MCS packet")
    if choice >> 2 in OTHERS:
        return None
    if choice not in (SEND_UP, SEND_DOWN):
        raise Garbled("an MCS packet that RDP does not have")
    kind, user, channel, _priority, count = unpack(">BHHBB", packet, HEAD, "an MCS packet")
    at = HEAD + 7
    if count & 0x80:
        (low,) = unpack(">B", packet, at, "an MCS packet")
        count, at = (count & 0x3F) << 8 | low, at + 1
    if at + count != len(packet):
        raise Garbled("an MCS packet of another length than it says")
    return Sent(kind, user, channel, part(packet, at, count, "an MCS packet"))
