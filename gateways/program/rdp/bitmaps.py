"""Classic bitmap updates (MS-RDPBCGR 2.2.9.1.1.3.1.2), made to fit the place where they go.

Servers may send a bitmap wider than its place, each row padded to a multiple of four pixels; IronRDP 0.7.0, which draws
in the browser, then shears it. So what is too wide or too high is cropped here, in the encoding that it came in.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from gateways.program.rdp import planar, rle
from gateways.program.rdp.reading import Garbled, part, unpack

COMPRESSED, NO_HEADER = 0x0001, 0x0400
HEAD = 18
BITMAP = 1  # kind of update
LARGEST_UPDATE = 16_000  # bytes; each fits into one packet
MOST_PIXELS = 1 << 20  # that are cropped for one update
DEPTHS = {8: 1, 15: 2, 16: 2, 24: 3}


@dataclass(frozen=True, slots=True)
class Bitmap:
    """One bitmap and the place where it goes, right and bottom included."""

    left: int
    top: int
    right: int
    bottom: int
    width: int
    height: int
    bits: int
    flags: int
    data: bytes

    @property
    def fits(self) -> bool:
        """Whether it is as large as its place."""
        return self.right - self.left + 1 == self.width and self.bottom - self.top + 1 == self.height

    def written(self) -> bytes:
        """As it is sent."""
        place = self.left, self.top, self.right, self.bottom, self.width, self.height
        return struct.pack("<9H", *place, self.bits, self.flags, len(self.data)) + self.data

    def fitted(self) -> "Iterator[Bitmap]":
        """The same picture without what is too much, in pieces where it would be too long. Raises Garbled."""
        width = min(self.right - self.left + 1, self.width)
        height = min(self.bottom - self.top + 1, self.height)
        if width <= 0 or height <= 0:
            raise Garbled("a bitmap that goes nowhere")
        if self.bits == 32 and self.flags & COMPRESSED:
            yield from self._planes(width, height)
        elif self.bits in DEPTHS or self.bits == 32:
            yield from self._rows(width, height, DEPTHS.get(self.bits, 4))
        else:
            raise Garbled("a bitmap of that depth")

    def _planes(self, width: int, height: int) -> "Iterator[Bitmap]":
        made = planar.crop(self._compressed(), self.width, self.height, width, height)
        if made.subsampled and 4 * width * height > LARGEST_UPDATE:
            raise Garbled("a subsampled bitmap that is too large to be cropped")
        band = height if made.subsampled else max(LARGEST_UPDATE // (4 * width), 1)
        for first in range(0, height, band):
            rows = min(band, height - first)
            yield self._piece(width, rows, first, made.written(first, rows))

    def _rows(self, width: int, height: int, depth: int) -> "Iterator[Bitmap]":
        """From the bottom up, re-encoded so that nothing is said about padding."""
        if self.flags & COMPRESSED:
            stride = self.width * depth
            pixels = rle.decode(self._compressed(), self.width, self.height, depth)
        else:
            stride = (self.width * depth + 3) // 4 * 4
            pixels = part(self.data, 0, stride * self.height, "a bitmap")
        skipped, size = self.height - height, width * depth
        rows = [pixels[at : at + size] for at in range(skipped * stride, self.height * stride, stride)]
        band = max(LARGEST_UPDATE // (size + 3), 1)
        for first in range(0, height, band):
            some = rows[first : first + band]
            if self.bits == 32:
                yield self._piece(width, len(some), first, b"".join(some))
            else:
                yield self._piece(width, len(some), first, rle.encode(b"".join(some), depth))

    def _piece(self, width: int, height: int, first: int, data: bytes) -> "Bitmap":
        """So many rows, from the `first` one from below."""
        bottom = self.top + min(self.bottom - self.top + 1, self.height) - 1 - first
        flags = COMPRESSED | NO_HEADER if self.flags & COMPRESSED or self.bits != 32 else 0
        right, top = self.left + width - 1, bottom - height + 1
        return Bitmap(self.left, top, right, bottom, width, height, self.bits, flags, data)

    def _compressed(self) -> bytes:
        return self.data if self.flags & NO_HEADER else self.data[8:]


def read(update: bytes) -> list[Bitmap]:
    """The bitmaps of an update. Raises Garbled."""
    kind, count = unpack("<HH", update, 0, "a bitmap update")
    if kind != BITMAP:
        raise Garbled("a bitmap update of another kind")
    found, at = [], 4
    for _ in range(count):
        left, top, right, bottom, width, height, bits, flags, length = unpack("<9H", update, at, "a bitmap")
        data = part(update, at + HEAD, length, "a bitmap")
        found.append(Bitmap(left, top, right, bottom, width, height, bits, flags, data))
        at += HEAD + length
    return found


def fitting(update: bytes) -> list[bytes]:
    """The update as it is where all of it fits, else as many as it takes. A bitmap that makes no sense is left out.

    Raises Garbled where the update itself makes none.
    """
    bitmaps = read(update)
    if all(each.fits for each in bitmaps):
        return [update]
    if sum(each.width * each.height for each in bitmaps if not each.fits) > MOST_PIXELS:
        raise Garbled("more bitmaps than a screen has room for")
    return joined([piece for each in bitmaps for piece in ([each] if each.fits else pieces(each))])


def pieces(bitmap: Bitmap) -> list[Bitmap]:
    """What can be drawn of one that does not fit; a browser, too, draws nothing where it cannot decode."""
    try:
        return list(bitmap.fitted())
    except Garbled:
        return []


def joined(bitmaps: list[Bitmap]) -> list[bytes]:
    """Updates, none longer than one packet takes unless a single bitmap is."""
    updates: list[bytes] = []
    some: list[bytes] = []
    for written in [each.written() for each in bitmaps]:
        if some and sum(map(len, some)) + len(written) > LARGEST_UPDATE:
            updates.append(struct.pack("<HH", BITMAP, len(some)) + b"".join(some))
            some = []
        some.append(written)
    return [*updates, struct.pack("<HH", BITMAP, len(some)) + b"".join(some)] if some else updates
