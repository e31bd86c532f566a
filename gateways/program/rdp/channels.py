"""Static virtual channels (MS-RDPBCGR 2.2.6): who may say what on them is decided here, message by message.

The page in the browser belongs to its user, so a policy that only the page keeps is none. Filters see plain messages;
long ones come in chunks, and what is decided on the first chunk holds for the rest.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass

from gateways.program.rdp.reading import Garbled, unpack
from gateways.wire import Clipboard

FIRST, LAST, COMPRESSED = 0x1, 0x2, 0x0020_0000
HEAD = 8
CLIPBOARD, DYNAMIC = "cliprdr", "drdynvc"


@dataclass(frozen=True, slots=True)
class Ruling:
    """What becomes of a message: `passed` on as it is, or `instead` of it this; and `back` to whoever sent it."""

    passed: bool = False
    instead: bytes = b""
    back: bytes = b""


PASS, DROP = Ruling(passed=True), Ruling()
Judge = Callable[[bytes, bool], Ruling]  # the first chunk of a message, and whether it is all


class Direction:
    """One direction of one channel."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._passing = False

    def chunk(self, data: bytes) -> tuple[bytes, bytes]:
        """A chunk as it shall go on, and one to be sent back; b"": none. Raises Garbled."""
        _length, flags = unpack("<II", data, 0, "a message on a channel")
        if flags & COMPRESSED:
            raise Garbled("a compressed message, which was not asked for")
        if not flags & FIRST:
            passing, self._passing = self._passing, self._passing and not flags & LAST
            return (data if passing else b""), b""
        ruling = self._judge(data[HEAD:], bool(flags & LAST))
        self._passing = ruling.passed and not flags & LAST  # what follows a whole message without a beginning is none
        instead, back = whole(ruling.instead, flags), whole(ruling.back, flags)
        return (data if ruling.passed else instead), back


def whole(message: bytes, flags: int) -> bytes:
    """A message in one chunk; b"" of none."""
    return struct.pack("<II", len(message), flags | FIRST | LAST) + message if message else b""


class Filter:
    """Both directions of a channel. `up` is what the browser sends, `down` what the desktop does."""

    def __init__(self, up: Judge, down: Judge) -> None:
        self.up, self.down = Direction(up), Direction(down)


# The clipboard, MS-RDPECLIP 2.2.1: kinds of messages.
MONITOR_READY, FORMATS, FORMATS_ANSWER, ASK, DATA = 1, 2, 3, 4, 5
FOLDER, CAPABILITIES, ASK_FILE, FILE, LOCK, UNLOCK = 6, 7, 8, 9, 10, 11
OK, FAILED = 1, 2
HARMLESS = (MONITOR_READY, FORMATS_ANSWER, ASK, FOLDER, CAPABILITIES, ASK_FILE, LOCK, UNLOCK)


def clipboard(policy: Clipboard) -> Filter | None:
    """Keeps to a policy; None: there is nothing to keep to. "in" is to the desktop, "out" from it."""
    if policy == "both":
        return None
    return Filter(up=anything if policy == "in" else Mute(), down=anything if policy == "out" else Mute())


def anything(_message: bytes, _whole: bool) -> Ruling:
    """The side that may give."""
    return PASS


class Mute:
    """A side that may take from the other's clipboard, but not give.

    Its offers are answered as though they had been heard; only its first one goes on, empty, because the protocol
    begins with one. Later ones would take away what the other side has on its clipboard.
    """

    def __init__(self) -> None:
        self._offered = False

    def __call__(self, message: bytes, whole: bool) -> Ruling:
        kind, _flags, length = unpack("<HHI", message, 0, "a message of the clipboard")
        if kind == FORMATS:
            return self._offer()
        if kind in (DATA, FILE):
            stream = (message[8:12] + bytes(4))[:4] if kind == FILE else b""
            return Ruling(instead=struct.pack("<HHI", kind, FAILED, len(stream)) + stream)
        alone = len(message) < 2 * HEAD + length  # no second message behind it
        return PASS if whole and alone and kind in HARMLESS else DROP

    def _offer(self) -> Ruling:
        if self._offered:
            return Ruling(back=struct.pack("<HHI", FORMATS_ANSWER, OK, 0))
        self._offered = True
        return Ruling(instead=struct.pack("<HHI", FORMATS, 0, 0))


# Dynamic channels, MS-RDPEDYC 2.2: commands.
CREATE, DATA_FIRST, DATA_MORE, CLOSE, DATA_FIRST_PACKED, DATA_PACKED = 1, 2, 3, 4, 6, 7
UNSUCCESSFUL = 0xC000_0001
ALLOWED = frozenset(("microsoft::windows::rds::displaycontrol", "microsoft::windows::rds::graphics"))


class Dynamic:
    """Which dynamic channels there are: those of the picture. Others (drives, USB, printers, cameras) never open."""

    def __init__(self) -> None:
        self._open: set[int] = set()

    def filter(self) -> Filter:
        """For the channel that carries them all."""
        return Filter(self.up, self.down)

    def up(self, message: bytes, _whole: bool) -> Ruling:
        """What the browser says."""
        command, number, _end = read_dynamic(message)
        return PASS if number is None or number in self._open or command == CLOSE else DROP

    def down(self, message: bytes, _whole: bool) -> Ruling:
        """What the desktop says."""
        command, number, end = read_dynamic(message)
        if number is None:
            return PASS
        if command == CREATE:
            return self._create(message, number, end)
        return PASS if number in self._open else DROP

    def _create(self, message: bytes, number: int, end: int) -> Ruling:
        name = message[end:].split(b"\0")[0].decode("latin-1").lower()
        if name in ALLOWED:
            self._open.add(number)
            return PASS
        self._open.discard(number)
        return Ruling(back=message[:end] + struct.pack("<I", UNSUCCESSFUL))


def read_dynamic(message: bytes) -> tuple[int, int | None, int]:
    """The command, the number of the channel that it is about, if it is about one, and where that ends."""
    (head,) = unpack("<B", message, 0, "a dynamic channel")
    command, size = head >> 4, 1 << (head & 0x03)
    if command not in (CREATE, DATA_FIRST, DATA_MORE, CLOSE, DATA_FIRST_PACKED, DATA_PACKED):
        return command, None, 1
    if size > 4 or len(message) < 1 + size:
        raise Garbled("a dynamic channel without its number")
    return command, int.from_bytes(message[1 : 1 + size], "little"), 1 + size
