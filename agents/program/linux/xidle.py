"""How long nobody touched mouse or keyboard: the X server's own answer, asked in its own protocol.

No library of X is needed, and none of its habit to end the process when a server goes away.
"""

from __future__ import annotations

import os
import re
import socket
import stat
import struct
from pathlib import Path

LIMIT = 65_536
COOKIE = b"MIT-MAGIC-COOKIE-1"
EXTENSION = b"MIT-SCREEN-SAVER"
PATIENCE = 0.5
SOCKETS = "/tmp/.X11-unix"  # noqa: S108 - where X servers listen


class NoAnswer(Exception):
    """The server is not there, does not let us in, or does not count."""


class IdleTime:
    """A connection to one display, kept from question to question. Nothing that it answers is believed but a number."""

    def __init__(self, display: str, authority: Path, uid: int) -> None:
        match = re.fullmatch(r":(\d{1,5})(\.\d+)?", display)
        if match is None:
            raise NoAnswer(f"display {display!r} is not of this machine")
        self._socket = _connected(int(match[1]))
        try:
            self._greet(cookie(authority, uid, int(match[1])))
            self._opcode = self._extension()
        except (OSError, struct.error, IndexError) as error:
            self.close()
            raise NoAnswer(str(error)) from error
        except NoAnswer:
            self.close()
            raise

    def seconds(self) -> int:
        """Since the last input. Raises NoAnswer."""
        try:
            self._socket.sendall(struct.pack("<BBHI", self._opcode, 1, 2, self._root))
            reply = self._reply()
        except (OSError, struct.error) as error:
            raise NoAnswer(str(error)) from error
        return int(struct.unpack("<I", reply[16:20])[0]) // 1000

    def close(self) -> None:
        """Leave."""
        self._socket.close()

    def _greet(self, key: bytes) -> None:
        name = COOKIE if key else b""
        head = struct.pack("<BxHHHHxx", ord("l"), 11, 0, len(name), len(key))
        self._socket.sendall(head + _padded(name) + _padded(key))
        success, _reason, _major, _minor, words = struct.unpack("<BBHHH", self._read(8))
        body = self._read(words * 4)
        if success != 1:
            raise NoAnswer("the X server does not let us in")
        vendor, formats = struct.unpack("<H", body[16:18])[0], body[21]
        first_screen = 32 + (vendor + 3) // 4 * 4 + formats * 8
        self._root = struct.unpack("<I", body[first_screen : first_screen + 4])[0]

    def _extension(self) -> int:
        name = _padded(EXTENSION)
        self._socket.sendall(struct.pack("<BxHHxx", 98, 2 + len(name) // 4, len(EXTENSION)) + name)
        reply = self._reply()
        if not reply[8]:
            raise NoAnswer("the X server does not count idle time")
        return reply[9]

    def _reply(self) -> bytes:
        """The next reply; events and errors in between are 32 bytes each."""
        for _ in range(100):
            head = self._read(32)
            if head[0] == 1:
                return head + self._read(struct.unpack("<I", head[4:8])[0] * 4)
            if head[0] == 0:
                raise NoAnswer(f"the X server refuses with {head[1]}")
        raise NoAnswer("the X server does not come to the point")

    def _read(self, count: int) -> bytes:
        if count > LIMIT * 4:
            raise NoAnswer("the X server says too much")
        found = b""
        while len(found) < count:
            part = self._socket.recv(count - len(found))
            if not part:
                raise NoAnswer("the X server went away")
            found += part
        return found


def _connected(display: int) -> socket.socket:
    caller = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    caller.settimeout(PATIENCE)
    try:
        caller.connect(f"{SOCKETS}/X{display}")
    except OSError as error:
        caller.close()
        raise NoAnswer(f"display :{display}: {error}") from error
    return caller


def _padded(text: bytes) -> bytes:
    return text + b"\0" * (-len(text) % 4)


def cookie(path: Path, uid: int, display: int) -> bytes:
    """The key to a display in a user's authority file; b"" where there is none.

    The path is the user's word: only a plain file of that user is opened, by no link, and nothing ever waits for it.
    Hence it is looked at before it is opened, without a moment in between: to open a device may be to set it off.
    """
    try:
        found = os.open(path, os.O_PATH | os.O_NOFOLLOW)
    except OSError:
        return b""
    try:
        about = os.fstat(found)
        if not stat.S_ISREG(about.st_mode) or about.st_uid != uid:
            return b""
        with Path(f"/proc/self/fd/{found}").open("rb", buffering=0) as file:
            return parse_cookie(file.read(LIMIT) or b"", display)
    except OSError:
        return b""
    finally:
        os.close(found)


def parse_cookie(data: bytes, display: int) -> bytes:
    """The key of a display among the entries of an authority file."""
    at = 0
    while at + 2 <= len(data):
        at += 2  # the family of the address: here all are ours
        fields = []
        for _ in range(4):
            length = int.from_bytes(data[at : at + 2], "big")
            fields.append(data[at + 2 : at + 2 + length])
            at += 2 + length
        _address, number, name, key = fields
        if name == COOKIE and number in (b"", str(display).encode()):
            return key
    return b""
