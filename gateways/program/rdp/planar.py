"""RDP 6.0 bitmap compression, by which bitmaps of 32 bits travel (MS-RDPEGDI 2.2.2.5.1, 3.1.9): planes of one colour.

Decoded as far as it takes to crop; encoded without runs.
"""

import functools
from dataclasses import dataclass

from gateways.program.rdp.reading import Garbled, part, unpack

LOSS, SUBSAMPLED, RUNS, NO_ALPHA = 0x07, 0x08, 0x10, 0x20  # bits of the header
MOST_PIXELS = 1 << 20
# What a value of a row means as a difference to the row before it.
DELTAS = [-((value + 1) >> 1) if value & 1 else value >> 1 for value in range(256)]


@dataclass(frozen=True, slots=True)
class Plane:
    """The size of one colour's plane, and the size that is wanted of it. Rows are kept as they come."""

    width: int
    height: int
    wanted: int
    skipped: int  # rows at the beginning

    def crop(self, pixels: bytes) -> bytes:
        """What is wanted."""
        rows = range(self.skipped * self.width, self.height * self.width, self.width)
        return b"".join(pixels[at : at + self.wanted] for at in rows)


@dataclass(frozen=True, slots=True)
class Picture:
    """A bitmap without runs: its header and its planes, each with how long a row of it is."""

    head: int
    planes: list[tuple[int, bytes]]

    @property
    def subsampled(self) -> bool:
        """Whether colours have fewer rows than brightness: it can only be written as a whole."""
        return bool(self.head & LOSS and self.head & SUBSAMPLED)

    def written(self, first: int, rows: int) -> bytes:
        """So many rows from the `first` one, as they are sent."""
        some = (
            plane if self.subsampled else plane[first * stride : (first + rows) * stride]
            for stride, plane in self.planes
        )
        return bytes((self.head,)) + b"".join(some) + b"\0"


def crop(data: bytes, width: int, height: int, wanted: int, rows: int) -> Picture:
    """The left part of a bitmap and its last rows. Raises Garbled."""
    if not 0 < width * height <= MOST_PIXELS:
        raise Garbled("a bitmap of that size")
    (head,) = unpack("<B", data, 0, "a bitmap")
    full = Plane(width, height, wanted, height - rows)
    coloured = full
    if head & LOSS and head & SUBSAMPLED:
        if (height - rows) % 2:
            raise Garbled("a subsampled bitmap that cannot be cropped")
        coloured = Plane((width + 1) // 2, (height + 1) // 2, (wanted + 1) // 2, (height - rows) // 2)
    planes = ([] if head & NO_ALPHA else [full]) + [full, coloured, coloured]
    at, made = 1, list[tuple[int, bytes]]()
    for plane in planes:
        if head & RUNS:
            pixels, at = unrolled(data, at, plane.width, plane.height)
        else:
            count = plane.width * plane.height
            pixels, at = part(data, at, count, "a bitmap"), at + count
        made.append((plane.wanted, plane.crop(pixels)))
    return Picture(head & ~RUNS, made)


def unrolled(data: bytes, at: int, width: int, height: int) -> tuple[bytes, int]:
    """A plane, and where the next one begins. Raises Garbled."""
    above, rows = bytes(width), []
    for number in range(height):
        row, at = unrolled_row(data, at, width, above if number else b"")
        rows.append(row)
        above = row
    return b"".join(rows), at


def unrolled_row(data: bytes, at: int, width: int, above: bytes) -> tuple[bytes, int]:
    """A row: values of its own, or differences to the row before it (`above`). Raises Garbled."""
    row, last = bytearray(), 0  # the last value or difference, which runs repeat
    while (done := len(row)) < width:
        (control,) = unpack("<B", data, at, "a bitmap")
        raw, run = control >> 4, control & 0x0F
        if run in (1, 2):  # long runs, of 16 or 32 and more
            raw, run = 0, raw + 16 * run
        if raw + run > width - done or not raw + run:
            raise Garbled("a row of a bitmap with too many pixels, or none")
        values = part(data, at + 1, raw, "a bitmap")
        at += 1 + raw
        last = values[-1] if values else last
        if not above:
            row += values + bytes((last,)) * run
            continue
        row += bytes((above[done + place] + DELTAS[value]) & 0xFF for place, value in enumerate(values))
        below = above[done + raw : done + raw + run]
        row += below.translate(adding(last)) if last else below
    return bytes(row), at


@functools.cache
def adding(value: int) -> bytes:
    """A table for bytes.translate: what each byte becomes by this difference. A run costs no more than a copy."""
    return bytes((each + DELTAS[value]) & 0xFF for each in range(256))
