"""A small VNC viewer of our own: enough to see a picture and the clipboard, by the messages of RFC 6143."""

import asyncio
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from gateways.program.vnc.clipboard import EXTENDED_CLIPBOARD, QEMU_KEYS
from tests.gateway_program.painter import RED, STRIPE, Rectangle
from tests.gateway_program.stage import PATIENCE, Page

TRUE_COLOUR = struct.pack(">BxxxBBBBHHHBBBxxx", 0, 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)

CAPS, REQUEST, NOTIFY, PROVIDE, TEXT = 1 << 24, 1 << 25, 1 << 27, 1 << 28, 1  # of the extended clipboard


@dataclass
class Viewer:
    """At a page whose token was taken."""

    page: Page
    width: int = 0
    height: int = 0
    picture: bytearray = field(default_factory=bytearray)
    texts: list[str] = field(default_factory=list)  # that the server has sent, plainly
    flags: list[int] = field(default_factory=list)  # of extended clipboard messages
    offered: str = ""  # by us

    async def begin(self) -> None:
        """The handshake, up to the size of the screen. The gateway has signed in: no security is left for the page."""
        assert await self.page.exactly(12) == b"RFB 003.008\n"
        await self.send(b"RFB 003.008\n")
        assert await self.page.exactly(2) == b"\1\1"
        await self.send(b"\1")
        assert await self.page.exactly(4) == bytes(4)
        await self.send(b"\1")
        start = await self.page.exactly(24)
        self.width, self.height = struct.unpack_from(">HH", start)
        await self.page.exactly(int.from_bytes(start[20:], "big"))
        self.picture = bytearray(4 * self.width * self.height)
        await self.send(TRUE_COLOUR)

    async def send(self, data: bytes) -> None:
        """As it is."""
        await self.page.socket.send_bytes(data)

    async def counted(self) -> bytes:
        """Bytes behind their number."""
        return await self.page.exactly(int.from_bytes(await self.page.exactly(4), "big"))

    async def encodings(self, *kinds: int) -> None:
        """What may be sent."""
        await self.send(struct.pack(f">BxH{len(kinds)}i", 2, len(kinds), *kinds))

    async def ask(self, incremental: bool = False) -> None:
        """For the picture."""
        await self.send(struct.pack(">BBHHHH", 3, incremental, 0, 0, self.width, self.height))

    async def settle(self) -> None:
        """Until the server has done with all that was sent before. It answers in order; no question may be open."""
        await self.ask()
        while await self.message() != 0:
            continue

    async def cut(self, text: str) -> None:
        """Somebody copies at the viewer's side."""
        await self.send(struct.pack(">BxxxI", 6, len(text)) + text.encode("latin-1"))

    async def offer(self, text: str) -> None:
        """The same in the extended form: tell that there is text; it is given when it is asked for."""
        self.offered = text
        await self.send(struct.pack(">BxxxiI", 6, -4, NOTIFY | TEXT))

    async def provide(self) -> None:
        """The text that was offered."""
        data = self.offered.encode() + b"\0"
        content = zlib.compress(struct.pack(">I", len(data)) + data)
        await self.send(struct.pack(">BxxxiI", 6, -(4 + len(content)), PROVIDE | TEXT) + content)

    async def message(self) -> int:
        """Read one message of the server; its kind."""
        kind = (await self.page.exactly(1))[0]
        if kind == 0:
            for _ in range(struct.unpack(">xH", await self.page.exactly(3))[0]):
                await self._rectangle()
        elif kind == 3:
            await self._text()
        elif kind != 2:
            raise AssertionError(f"message {kind}")
        return kind

    async def key(self, scancode: int, symbol: int = 0) -> None:
        """Press and release a key, by its place on the keyboard (QEMU's message)."""
        for down in (1, 0):
            await self.send(struct.pack(">BBHII", 255, 0, down, symbol, scancode))

    async def look(self, done: Callable[[], bool]) -> None:
        """Read until that holds of the picture."""
        async with asyncio.timeout(PATIENCE):
            while not done():
                await self.ask(incremental=True)
                await self.message()

    def near(self, x: int, y: int, colour: int) -> bool:
        """Whether that pixel is about so; pictures may lose a little on their way."""
        seen = self.pixel(x, y)
        return all(abs((seen >> shift & 255) - (colour >> shift & 255)) < 48 for shift in (0, 8, 16))

    def sheared(self, at: Rectangle) -> bool:
        """Whether the stripes of a painted rectangle are not where they should be, in any of its rows."""
        middles = range(STRIPE // 2, at.width - 1, STRIPE)  # pictures may lose a little between two stripes
        return not all(
            self.redder(at.x + column, y) == (at.colour(column) == RED)
            for y in range(at.y + 1, at.y + at.height - 1)
            for column in middles
        )

    def redder(self, x: int, y: int) -> bool:
        """Whether that pixel is rather red than blue."""
        seen = self.pixel(x, y)
        return seen >> 16 > seen & 255

    async def see(self, x: int, y: int, colour: int) -> None:
        """Read until that pixel has the colour."""
        await self.look(lambda: self.pixel(x, y) == colour)

    def pixel(self, x: int, y: int) -> int:
        """As 0xRRGGBB."""
        at = 4 * (y * self.width + x)
        return int.from_bytes(self.picture[at : at + 3], "little")

    async def _rectangle(self) -> None:
        x, y, width, height, encoding = struct.unpack(">HHHHi", await self.page.exactly(12))
        if encoding == 0:
            pixels = await self.page.exactly(4 * width * height)
            for row in range(height):
                at = 4 * ((y + row) * self.width + x)
                self.picture[at : at + 4 * width] = pixels[4 * width * row : 4 * width * (row + 1)]
        elif encoding not in (EXTENDED_CLIPBOARD, QEMU_KEYS):
            raise AssertionError(f"encoding {encoding}")

    async def _text(self) -> None:
        length = struct.unpack(">xxxi", await self.page.exactly(7))[0]
        data = await self.page.exactly(abs(length))
        if length < 0:
            self.flags.append(int.from_bytes(data[:4], "big"))
            if self.flags[-1] & (CAPS | REQUEST) == REQUEST:
                await self.provide()
        else:
            self.texts.append(data.decode("latin-1"))
