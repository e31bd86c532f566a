"""Interleaved run-length encoding, by which bitmaps of 8 to 24 bits travel (MS-RDPBCGR 2.2.9.1.1.3.1.2.4, 3.1.9).

Decoded only where a bitmap must be cropped; encoded in its simplest form, as one order that says all pixels.
"""

import struct
from dataclasses import dataclass, field

from gateways.program.rdp.reading import Garbled, part, unpack

BACKGROUND, FOREGROUND, MASK, COLOUR, PIXELS, DITHERED = 0x0, 0x1, 0x2, 0x3, 0x4, 0x8
SET = 0x10  # the order brings a new foreground
SPECIAL = {0xF9: 0x03, 0xFA: 0x05}  # masks of eight pixels that have a code of their own
WHITE, BLACK = 0xFD, 0xFE
MEGA = {
    0xF0: BACKGROUND, 0xF1: FOREGROUND, 0xF2: MASK, 0xF3: COLOUR, 0xF4: PIXELS,
    0xF6: SET | FOREGROUND, 0xF7: SET | MASK, 0xF8: DITHERED,
}  # fmt: skip
LITE = {0xC: SET | FOREGROUND, 0xD: SET | MASK, 0xE: DITHERED}
MOST_PIXELS = 1 << 20


def decode(data: bytes, width: int, height: int, depth: int) -> bytes:
    """Rows of pixels from the bottom up, without padding; `depth` in bytes. Raises Garbled."""
    if not 0 < width * height <= MOST_PIXELS:
        raise Garbled("a bitmap of that size")
    canvas = Canvas(width * depth, width * height * depth, depth)
    at, was_background = 0, False
    while at < len(data):
        canvas.next_order()
        code = data[at]
        if code in SPECIAL:
            canvas.masked(bytes((SPECIAL[code],)), 8)
            at, was_background = at + 1, False
            continue
        if code in (WHITE, BLACK):
            canvas.out += canvas.white if code == WHITE else bytes(depth)
            at, was_background = at + 1, False
            continue
        order, count, at = read_order(data, at)
        at = canvas.draw(order, count, data, at, was_background)
        was_background = order == BACKGROUND
    if len(canvas.out) != canvas.whole:
        raise Garbled("a bitmap with too few or too many pixels")
    return bytes(canvas.out)


def read_order(data: bytes, at: int) -> tuple[int, int, int]:
    """The kind of an order, for how many pixels it is, and where its own data begin. Raises Garbled."""
    code = data[at]
    if code >= 0xF0:
        if code not in MEGA:
            raise Garbled("an order of that kind")
        return MEGA[code], unpack("<H", data, at + 1, "an order")[0], at + 3
    lite = code >= 0xC0
    order = LITE[code >> 4] if lite else code >> 5
    if order not in (BACKGROUND, FOREGROUND, MASK, COLOUR, PIXELS, DITHERED, SET | FOREGROUND, SET | MASK):
        raise Garbled("an order of that kind")
    count = code & (0x0F if lite else 0x1F)
    if count:
        return order, count * 8 if order & 0x0F == MASK else count, at + 1
    (more,) = unpack("<B", data, at + 1, "an order")
    return order, more + (1 if order & 0x0F == MASK else 16 if lite else 32), at + 2


@dataclass
class Canvas:
    """The pixels so far. An order on the first row has nothing above it: black."""

    stride: int
    whole: int
    depth: int
    out: bytearray = field(default_factory=bytearray)
    first_row: bool = True
    entered: bool = False  # the first row ended just before this order
    _patterns: dict[int, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.white = b"\xff" * self.depth
        self.foreground = self.white

    def next_order(self) -> None:
        """Look where we are."""
        self.entered = self.first_row and len(self.out) >= self.stride
        if self.entered:
            self.first_row = False
        if len(self.out) > self.whole:
            raise Garbled("a bitmap with too many pixels")

    def draw(self, order: int, count: int, data: bytes, at: int, was_background: bool) -> int:
        """One order; where the next one begins."""
        if len(self.out) + count * self.depth > self.whole:
            raise Garbled("a bitmap with too many pixels")
        depth = self.depth
        if order & SET:
            self.foreground, at = part(data, at, depth, "an order"), at + depth
            self._patterns.clear()
        kind = order & 0x0F
        if kind == BACKGROUND:
            if was_background and not self.entered and count:
                self.mix(self.foreground)
                count -= 1
            self.copy(count)
        elif kind == FOREGROUND:
            self.mix(self.foreground * count)
        elif kind == MASK:
            size = (count + 7) // 8
            self.masked(part(data, at, size, "an order"), count)
            at += size
        elif kind == PIXELS:
            self.out += part(data, at, count * depth, "an order")
            at += count * depth
        else:
            at = self.repeated(kind, count, data, at)
        return at

    def repeated(self, kind: int, count: int, data: bytes, at: int) -> int:
        """One pixel many times, or two in turn."""
        size = self.depth if kind == COLOUR else 2 * self.depth
        if len(self.out) + count * size > self.whole:
            raise Garbled("a bitmap with too many pixels")
        self.out += part(data, at, size, "an order") * count
        return at + size

    def copy(self, count: int) -> None:
        """Pixels as in the row before; in the first one: black."""
        self.mix(bytes(count * self.depth))

    def masked(self, mask: bytes, count: int) -> None:
        """Each bit says whether a pixel is mixed with the foreground."""
        if len(self.out) + count * self.depth > self.whole:
            raise Garbled("a bitmap with too many pixels")
        self.mix(b"".join([self._eight(bits) for bits in mask])[: count * self.depth])

    def mix(self, pattern: bytes) -> None:
        """Pixels of the row before, each with its part of the pattern: zero leaves them as they are."""
        if self.first_row:
            self.out += pattern
            return
        for at in range(0, len(pattern), self.stride):
            piece = pattern[at : at + self.stride]
            begin = len(self.out) - self.stride
            mixed = int.from_bytes(self.out[begin : begin + len(piece)]) ^ int.from_bytes(piece)
            self.out += mixed.to_bytes(len(piece))

    def _eight(self, bits: int) -> bytes:
        """A pattern of eight pixels, the lowest bit first; remembered until the foreground is another one."""
        if bits not in self._patterns:
            pixels = (self.foreground if bits >> place & 1 else bytes(self.depth) for place in range(8))
            self._patterns[bits] = b"".join(pixels)
        return self._patterns[bits]


def encode(pixels: bytes, depth: int) -> bytes:
    """All pixels, as they are, in as few orders as can be."""
    most = 0xFFFF * depth
    return b"".join(
        struct.pack("<BH", 0xF4, len(each) // depth) + each
        for each in (pixels[at : at + most] for at in range(0, len(pixels), most))
    )
