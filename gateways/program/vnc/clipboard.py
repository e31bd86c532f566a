"""The clipboard policy in an RFB connection (RFC 6143 and the extensions of its community's wiki).

Where both directions are allowed nothing is read. Else the viewer's messages are followed one by one; and where nothing
may come out, the server's as well: it is asked only for encodings whose length is told in them, so that the text that
it sends between two pictures is found and left out.
"""

import struct
from collections.abc import Generator

from gateways.program.vnc.stream import NotUnderstood, Step, Story, Stream
from gateways.wire import Clipboard

RAW, COPY_RECT, ZRLE = 0, 1, 16
DESKTOP_SIZE, LAST_RECT, CURSOR, LED_STATE, QEMU_KEYS = -223, -224, -239, -261, -258
DESKTOP_NAME, EXTENDED_SIZE = -307, -308
FENCE, CONTINUOUS, EXTENDED_BUTTONS = -312, -313, -316
EXTENDED_CLIPBOARD = 0xC0A1E5CE - (1 << 32)
HINTS = {*range(-32, -22), *range(-256, -246)}  # quality and compression: nothing is sent because of them
FOLLOWED = HINTS | {
    RAW, COPY_RECT, ZRLE, DESKTOP_SIZE, LAST_RECT, CURSOR, LED_STATE, QEMU_KEYS, DESKTOP_NAME, EXTENDED_SIZE,
    FENCE, CONTINUOUS, EXTENDED_CLIPBOARD,
}  # fmt: skip
CUT_CAPS, CUT_NOTIFY, CUT_PROVIDE = 1 << 24, 1 << 27, 1 << 28
MOST_CAPS = 4 + 4 * 16  # bytes of a list of capabilities: nothing can be carried out in it

CLIENT_LENGTHS = {3: 10, 4: 8, 5: 6, 150: 10, 250: 4}  # update request, key, pointer, continuous updates, xvp
PIXELS = {RAW, CURSOR}
RECTANGLE_LENGTHS = {COPY_RECT: 4, LED_STATE: 1, DESKTOP_SIZE: 0, QEMU_KEYS: 0}
SERVER_LENGTHS = {2: 1, 150: 1, 250: 4}  # bell, end of continuous updates, xvp
ASKING = {3, 150}  # the viewer's messages after which pictures come
Taking = Generator[Step, bytes, bytes]


class Filter:
    """Both directions of one connection, from ClientInit on. `up` and `down` raise NotUnderstood."""

    def __init__(self, policy: Clipboard) -> None:
        self.goes_in, self.comes_out = policy in ("in", "both"), policy in ("out", "both")
        self.bytes_per_pixel = 0
        self.asked = False  # a picture: from here on the size of pixels stays
        self._to_server, self._to_viewer = bytearray(), bytearray()
        self._up, self._down = Stream(self._to_server, self._client()), Stream(self._to_viewer, self._server())

    def up(self, data: bytes) -> bytes:
        """From the viewer to the server."""
        return data if self.goes_in and self.comes_out else self._up.feed(data)

    def down(self, data: bytes) -> bytes:
        """From the server to the viewer."""
        return data if self.comes_out else self._down.feed(data)

    def _client(self) -> Story:
        yield "pass", 1  # ClientInit
        while True:
            kind = (yield "take", 1)[0]
            if kind in CLIENT_LENGTHS:
                self.asked = self.asked or kind in ASKING
                self._to_server.append(kind)
                yield "pass", CLIENT_LENGTHS[kind] - 1
            elif kind in OWN_STORIES:
                yield from OWN_STORIES[kind](self)
            else:
                raise NotUnderstood(f"message {kind} of the viewer")

    def _pixel_format(self) -> Story:
        body = yield from self._seen(self._to_server, 0, 19)
        if self.asked and not self.comes_out and body[3] // 8 != self.bytes_per_pixel:
            raise NotUnderstood("another size of pixels after the first picture")
        self.bytes_per_pixel = body[3] // 8

    def _encodings(self) -> Story:
        head = yield "take", 3
        count = struct.unpack(">xH", head)[0]
        listed = struct.unpack(f">{count}i", (yield "take", 4 * count))
        kept = [each for each in listed if self._may_be_offered(each)]
        self._to_server += struct.pack(f">BxH{len(kept)}i", 2, len(kept), *kept)

    def _may_be_offered(self, encoding: int) -> bool:
        """Extended buttons would make the pointer's messages longer than they are known to be."""
        return encoding in FOLLOWED if not self.comes_out else encoding != EXTENDED_BUTTONS

    def _fence_of_viewer(self) -> Story:
        yield from self._fence(self._to_server)

    def _fence(self, out: bytearray) -> Story:
        body = yield from self._seen(out, 248, 8)
        yield "pass", body[7]

    def _size_wish(self) -> Story:
        body = yield from self._seen(self._to_server, 251, 7)
        yield "pass", 16 * body[5]

    def _qemu(self) -> Story:
        if (yield "take", 1)[0] != 0:
            raise NotUnderstood("a message of QEMU that is no key")
        self._to_server += b"\xff\x00"
        yield "pass", 10

    def _text_in(self) -> Story:
        yield from self._text(self._to_server, 6, self.goes_in)

    def _text(self, out: bytearray, kind: int, allowed: bool) -> Story:
        """Cut text; in the extended form only what tells or brings content is left out."""
        head = yield "take", 7
        length = struct.unpack(">3xi", head)[0]
        flags = b""
        if length < 0:
            length = -length - 4
            if length < 0:
                raise NotUnderstood("a clipboard message without its beginning")
            flags = yield "take", 4
            allowed = allowed or carries_nothing(int.from_bytes(flags, "big"), length)
        if allowed:
            out += bytes([kind]) + head + flags
        yield ("pass" if allowed else "drop"), length

    def _seen(self, out: bytearray, kind: int, length: int) -> Taking:
        """The rest of a message that is looked at and passed on."""
        body = yield "take", length
        out.append(kind)
        out += body
        return body

    def _server(self) -> Story:
        start = yield "take", 24  # ServerInit
        self.bytes_per_pixel = self.bytes_per_pixel or start[4] // 8
        self._to_viewer += start
        yield "pass", int.from_bytes(start[20:], "big")
        while True:
            kind = (yield "take", 1)[0]
            if kind == 0:
                yield from self._update()
            elif kind == 1:
                body = yield from self._seen(self._to_viewer, 1, 5)
                yield "pass", 6 * int.from_bytes(body[3:], "big")
            elif kind == 3:
                yield from self._text(self._to_viewer, 3, self.comes_out)
            elif kind == 248:
                yield from self._fence(self._to_viewer)
            elif kind in SERVER_LENGTHS:
                self._to_viewer.append(kind)
                yield "pass", SERVER_LENGTHS[kind] - 1
            else:
                raise NotUnderstood(f"message {kind} of the VNC server")

    def _update(self) -> Story:
        body = yield from self._seen(self._to_viewer, 0, 3)
        for _ in range(int.from_bytes(body[1:], "big")):  # 65,535: until LAST_RECT
            head = yield "take", 12
            self._to_viewer += head
            _x, _y, width, height, encoding = struct.unpack(">HHHHi", head)
            if encoding == LAST_RECT:
                return
            yield from self._rectangle(width, height, encoding)

    def _rectangle(self, width: int, height: int, encoding: int) -> Story:
        if encoding in (ZRLE, DESKTOP_NAME):
            length = yield "take", 4
            self._to_viewer += length
            yield "pass", int.from_bytes(length, "big")
        elif encoding == EXTENDED_SIZE:
            body = yield "take", 4
            self._to_viewer += body
            yield "pass", 16 * body[0]
        elif encoding in PIXELS:
            mask = (width + 7) // 8 * height if encoding == CURSOR else 0
            yield "pass", width * height * self.bytes_per_pixel + mask
        elif encoding in RECTANGLE_LENGTHS:
            yield "pass", RECTANGLE_LENGTHS[encoding]
        else:
            raise NotUnderstood(f"encoding {encoding} that nobody asked for")


OWN_STORIES = {
    0: Filter._pixel_format, 2: Filter._encodings, 6: Filter._text_in, 248: Filter._fence_of_viewer,
    251: Filter._size_wish, 255: Filter._qemu,
}  # fmt: skip


def carries_nothing(flags: int, length: int) -> bool:
    """Whether an extended clipboard message neither says that there is content nor brings it."""
    if flags & CUT_CAPS:
        return length <= MOST_CAPS
    return not flags & (CUT_NOTIFY | CUT_PROVIDE) and not length
