"""The idle time of an X server, asked of real bytes: a server that answers right, and several that do not."""

import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agents.program.linux import xidle
from agents.program.linux.xidle import COOKIE, IdleTime, NoAnswer, cookie, parse_cookie

ROOT_WINDOW = 0x2A5
HELLO = struct.pack("<4I2H4B2B2B4x", 1, 2, 3, 4, 6, 65535, 1, 1, 0, 0, 32, 32, 8, 255)
SCREEN = struct.pack("<I", ROOT_WINDOW) + b"\0" * 36
BODY = HELLO + b"vendor\0\0" + b"\0" * 8 + SCREEN
WELCOME = struct.pack("<BBHHH", 1, 0, 11, 0, len(BODY) // 4) + BODY
EXTENSION = struct.pack("<BxHIBB22x", 1, 1, 0, 1, 144)
EVENT = b"\x22" + b"\0" * 31


def idle(milliseconds: int) -> bytes:
    return struct.pack("<BBHIIII12x", 1, 0, 2, 0, 0, 0, milliseconds)[:32].ljust(32, b"\0")


@contextmanager
def display(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *answers: bytes) -> Iterator[list[bytes]]:
    """A server on :7 that gives these answers, one a question, and then hangs up; what it was asked."""
    asked: list[bytes] = []
    monkeypatch.setattr(xidle, "SOCKETS", str(tmp_path))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "X7"))
        server.listen()

        def serve() -> None:
            try:
                caller, _address = server.accept()
                with caller:
                    for answer in answers:
                        asked.append(caller.recv(4096))
                        caller.sendall(answer)
                    caller.recv(4096)
            except OSError:
                return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield asked
        server.close()
        thread.join(2)


def test_the_servers_count_is_what_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "auth").write_bytes(entry(b"7", COOKIE, b"k" * 16))
    with display(tmp_path, monkeypatch, WELCOME, EXTENSION, idle(61_999), EVENT + idle(2_000)) as asked:
        server = IdleTime(":7.0", tmp_path / "auth", os.getuid())
        assert (server.seconds(), server.seconds()) == (61, 2)
        server.close()
    assert b"k" * 16 in asked[0]
    assert asked[2] == struct.pack("<BBHI", 144, 1, 2, ROOT_WINDOW)


BAD: dict[str, tuple[bytes, ...]] = {
    "refuses": (struct.pack("<BBHHH", 0, 3, 11, 0, 1) + b"no!\0",),
    "is silent": (b"",),
    "hangs up": (),
    "is short": (struct.pack("<BBHHH", 1, 0, 11, 0, 2) + b"\0" * 8,),
    "has no such extension": (WELCOME, struct.pack("<BxHIBB22x", 1, 1, 0, 0, 0)),
    "answers with an error": (WELCOME, b"\0\x02" + b"\0" * 30),
    "says too much": (WELCOME, struct.pack("<BxHI24x", 1, 1, 0xFFFFFFFF)),
    "talks and talks": (WELCOME, EVENT * 200),
}


@pytest.mark.parametrize("what", BAD)
def test_a_server_that_behaves_badly_is_no_answer(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xidle, "PATIENCE", 0.3)
    with display(tmp_path, monkeypatch, *BAD[what]), pytest.raises(NoAnswer):
        IdleTime(":7", tmp_path / "none", os.getuid())


def test_a_server_that_goes_away_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with display(tmp_path, monkeypatch, WELCOME, EXTENSION):
        server = IdleTime(":7", tmp_path / "none", os.getuid())
        with pytest.raises(NoAnswer):
            server.seconds()
        server.close()


@pytest.mark.parametrize("name", ["", ":", "localhost:10.0", ":x", ":10/../..", ":" + "9" * 40, ":9"])
def test_what_is_no_display_of_this_machine_is_no_answer(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xidle, "SOCKETS", str(tmp_path))
    with pytest.raises(NoAnswer):
        IdleTime(name, tmp_path / "none", 0)


OPEN = os.open


def entry(display: bytes, name: bytes, key: bytes) -> bytes:
    parts = b"".join(struct.pack(">H", len(part)) + part for part in (b"host", display, name, key))
    return struct.pack(">H", 256) + parts


def test_the_key_is_that_of_the_display() -> None:
    data = entry(b"9", COOKIE, b"nine") + entry(b"7", b"XDM-AUTHORIZATION-1", b"x") + entry(b"7", COOKIE, b"seven")
    assert parse_cookie(data, 7) == b"seven"
    assert parse_cookie(data + entry(b"", COOKIE, b"any"), 8) == b"any"
    for garbage in (b"", b"\0", b"\xff" * 9, data[:-3], os.urandom(500)):
        assert isinstance(parse_cookie(garbage, 1), bytes)


def test_a_users_word_opens_no_other_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The path comes from the user's environment, and the agent is root."""
    real = tmp_path / "real"
    real.write_bytes(entry(b"7", COOKIE, b"key"))
    (tmp_path / "link").symlink_to(real)
    os.mkfifo(tmp_path / "pipe")
    assert cookie(real, os.getuid(), 7) == b"key"
    opened: list[int] = []

    def noted(path: Path, flags: int) -> int:
        opened.append(flags)
        return OPEN(path, flags)

    monkeypatch.setattr(os, "open", noted)
    refused: list[Callable[[], bytes]] = [
        lambda: cookie(real, os.getuid() + 1, 7),
        lambda: cookie(tmp_path / "link", os.getuid(), 7),
        lambda: cookie(tmp_path / "pipe", os.getuid(), 7),
        lambda: cookie(tmp_path, os.getuid(), 7),
        lambda: cookie(tmp_path / "none", os.getuid(), 7),
    ]
    assert [ask() for ask in refused] == [b""] * 5
    assert all(flags & os.O_PATH for flags in opened)  # looked at, not opened: opening /dev/watchdog resets a machine
