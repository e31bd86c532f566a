"""Paint on an X display in its own protocol: one window over everything, rectangles of known colours.

What a viewer shows can then be compared pixel by pixel. A rectangle has upright stripes, so that a sheared one shows:
they lean. They are narrow, for servers look for areas of one colour and send those apart.
"""

import socket
import struct
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from agents.program.linux.xidle import COOKIE, cookie

RED, BLUE, GROUND = 0xC02020, 0x2020C0, 0x204060
COLOURS, STRIPE = (RED, BLUE), 3
MOMENT = 0.06  # seconds; servers look at the screen some 25 times a second
OVERRIDE_REDIRECT_AND_BACKGROUND = 0x0202


@dataclass(frozen=True)
class Rectangle:
    """In pixels of the display."""

    x: int
    y: int
    width: int
    height: int

    def colour(self, column: int) -> int:
        """Of a column, counted from its left edge."""
        return COLOURS[column // STRIPE % 2]


def many_sizes(width: int, height: int) -> list[Rectangle]:
    """One rectangle of each width from 8 to 71, of changing heights and places, none over another, on such a screen."""
    found, x, y, row = [], 4, 4, 0
    for number, wide in enumerate(range(8, 72)):
        high = 9 + number % 29
        if x + wide >= width - 4:
            x, y, row = 4 + number % 4, y + row + 3, 0
        if y + high >= height - 4:
            break
        found.append(Rectangle(x, y, wide, high))
        x, row = x + wide + 3 + number % 3, max(row, high)
    return found


class Painter:
    """A connection to one display. As a context manager: the window goes at the end."""

    def __init__(self, display: int, authority: Path | None = None) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(f"/tmp/.X11-unix/X{display}")
        key = cookie(authority, authority.stat().st_uid, display) if authority else b""
        name = COOKIE if key else b""
        lengths = struct.pack("<BxHHHHxx", ord("l"), 11, 0, len(name), len(key))
        self._socket.sendall(lengths + padded(name) + padded(key))
        granted, words = struct.unpack("<B5xH", self._read(8))
        setup = self._read(words * 4)
        if granted != 1:
            raise PermissionError(setup.decode(errors="replace"))
        ids = struct.unpack_from("<I", setup, 4)[0]
        self._window, self._context = ids + 1, ids + 2
        screen = 32 + (struct.unpack_from("<H", setup, 16)[0] + 3) // 4 * 4 + setup[21] * 8
        self._root = struct.unpack_from("<I", setup, screen)[0]
        self.width, self.height = struct.unpack_from("<HH", setup, screen + 20)
        self._depth = setup[screen + 38]
        self._cover()

    def __enter__(self) -> "Painter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def fill(self, at: Rectangle, colour: int) -> None:
        """One rectangle, one colour; done when this returns."""
        self._send(56, 0, struct.pack("<III", self._context, 0x04, self._pixel(colour)))
        self._send(70, 0, struct.pack("<IIhhHH", self._window, self._context, at.x, at.y, at.width, at.height))
        self._done()

    def stripes(self, at: Rectangle) -> None:
        """A rectangle of upright stripes at one stroke: one update of the screen."""
        form = "<H" if self._depth == 16 else "<I"
        row = padded(b"".join(struct.pack(form, self._pixel(at.colour(column))) for column in range(at.width)))
        place = struct.pack("<IIHHhhBBxx", self._window, self._context, at.width, at.height, at.x, at.y, 0, self._depth)
        self._send(72, 2, place + row * at.height)
        self._done()

    def apart(self, rectangles: list[Rectangle]) -> None:
        """Stripes, one rectangle a moment after the other: at once, many become one update of the whole screen."""
        for each in rectangles:
            self.stripes(each)
            time.sleep(MOMENT)

    def _pixel(self, colour: int) -> int:
        """As this display has it."""
        if self._depth != 16:
            return colour
        return colour >> 19 << 11 | (colour >> 10 & 0x3F) << 5 | colour >> 3 & 0x1F

    def _cover(self) -> None:
        """A window of our own over everything, that no window manager touches."""
        window = self._window
        place = struct.pack("<IIhhHHHHI", window, self._root, 0, 0, self.width, self.height, 0, 1, 0)
        self._send(1, 0, place + struct.pack("<III", OVERRIDE_REDIRECT_AND_BACKGROUND, self._pixel(GROUND), 1))
        self._send(8, 0, struct.pack("<I", window))
        self._send(55, 0, struct.pack("<III", self._context, window, 0))
        self._done()

    def _send(self, code: int, detail: int, body: bytes) -> None:
        self._socket.sendall(struct.pack("<BBH", code, detail, 1 + len(body) // 4) + body)

    def _done(self) -> None:
        """Ask something, so that all before it is done when the answer comes. Errors are raised."""
        self._send(43, 0, b"")
        while (head := self._read(32))[0] != 1:
            if head[0] == 0:
                raise ValueError(f"the X server refuses: error {head[1]}")

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            got = self._socket.recv(count - len(data))
            if not got:
                raise ConnectionError("the X server is gone")
            data += got
        return data


def padded(data: bytes) -> bytes:
    """To a multiple of four bytes."""
    return data + bytes(-len(data) % 4)


@dataclass(frozen=True)
class Picture:
    """What a display shows."""

    width: int
    height: int
    stride: int
    pixels: bytes

    def at(self, x: int, y: int) -> int:
        """The colour there, as 0xRRGGBB."""
        place = y * self.stride + 4 * x
        return int.from_bytes(self.pixels[place : place + 3], "little")

    def shows(self, rectangle: Rectangle, tolerance: int = 0) -> bool:
        """Whether its stripes are there, every pixel; `tolerance` for each colour, where a codec is lossy."""
        return all(
            near(self.at(rectangle.x + column, y), rectangle.colour(column), tolerance)
            for y in range(rectangle.y, rectangle.y + rectangle.height)
            for column in range(rectangle.width)
        )


def near(one: int, other: int, tolerance: int) -> bool:
    """Whether two colours differ by no more than that in red, green and blue."""
    return all(abs((one >> shift & 0xFF) - (other >> shift & 0xFF)) <= tolerance for shift in (0, 8, 16))


def picture(display: str) -> Picture:
    """A screenshot by xwd, whose file is a header of big-endian numbers, a table of colours, and the pixels."""
    dumped = subprocess.run(["xwd", "-root", "-silent", "-display", display], capture_output=True, check=True).stdout
    size, *numbers = struct.unpack(">25I", dumped[:100])
    width, height, stride, colours = numbers[3], numbers[4], numbers[11], numbers[18]
    return Picture(width, height, stride, dumped[size + 12 * colours :])
