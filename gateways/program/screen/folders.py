"""The folder of a rendered screen: its socket, its key to the display, FreeRDP's home. Ours alone; gone afterwards."""

import os
import secrets
import shutil
import signal
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FAMILY_WILD = 0xFFFF
COOKIE = b"MIT-MAGIC-COOKIE-1"
X_SOCKETS, X_LOCKS = Path("/tmp/.X11-unix"), Path("/tmp")  # noqa: S108 - where X servers have them
OURS = b"USHER_SCREEN="


@contextmanager
def folder(data: Path) -> Iterator[Path]:
    """A fresh one below the data folder, until the block ends."""
    base = screens(data)
    base.mkdir(mode=0o700, exist_ok=True)
    path = base / secrets.token_hex(4)
    path.mkdir(mode=0o700)
    try:
        write_authority(path / "authority")
        yield path
    finally:
        remove(path)


def screens(data: Path) -> Path:
    """Where they all are."""
    return data.resolve() / "screens"


def write_authority(path: Path) -> None:
    """A key to any display, new and random (Xau's file format)."""
    key = secrets.token_bytes(16)
    parts = (b"", b"", COOKIE, key)  # address, number, name, key
    content = struct.pack(">H", FAMILY_WILD) + b"".join(struct.pack(">H", len(each)) + each for each in parts)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


def note_display(path: Path, display: int) -> None:
    """Remember which display it has, for whoever has to clear up."""
    (path / "display").write_text(str(display))


def remove(path: Path) -> None:
    """The folder, and the socket and the lock of its X server where that did not take them away itself."""
    with suppress(OSError, ValueError):
        number = int((path / "display").read_text())
        unlock(X_LOCKS / f".X{number}-lock")
        forget(X_SOCKETS / f"X{number}")
    shutil.rmtree(path, ignore_errors=True)


def unlock(path: Path) -> None:
    """Remove a lock of ours whose X server is gone: it was killed, as it did not end in time."""
    with suppress(OSError, ValueError):
        if path.lstat().st_uid == os.getuid() and not Path(f"/proc/{int(path.read_text())}").exists():
            path.unlink()


def forget(path: Path) -> None:
    """Remove a socket of ours at which nobody listens."""
    with socket.socket(socket.AF_UNIX) as caller:
        if path.lstat().st_uid == os.getuid() and caller.connect_ex(str(path)):
            path.unlink()


def clear(data: Path) -> None:
    """Take away what an earlier gateway of this data folder left: programs, sockets, folders."""
    base = screens(data)
    for pid in of_screens(base):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    if base.is_dir():
        for path in base.iterdir():
            remove(path)


def of_screens(base: Path) -> Iterator[int]:
    """The programs that belong to folders below this one, by the environment that they were given."""
    mark = OURS + os.fsencode(base) + b"/"
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if any(each.startswith(mark) for each in (entry / "environ").read_bytes().split(b"\0")):
                    yield int(entry.name)
