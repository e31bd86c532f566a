"""The data folder of one instance: who may use it, its secrets, its sockets.

Only the data folder itself is ever created or changed; the folders above keep their modes (CONTRACTS, X6).
"""

import contextlib
import fcntl
import hashlib
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

_SOCKET_PATH_LIMIT = 107 - len("/pg/.s.PGSQL.5432.lock")


class CannotStart(RuntimeError):
    """The instance cannot start; the message is one line for the person at the console."""


def open_folder(path: Path) -> Path:
    """Create the data folder with its `log` folder where missing and return its absolute path.

    0711: PostgreSQL, which runs under its own user, must reach its folder inside; every secret is a file of mode 600.
    """
    path = path.absolute()
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o711, exist_ok=True)
    (path / "log").mkdir(mode=0o700, exist_ok=True)
    return path


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the data folder for this process, or raise CannotStart where another instance holds it."""
    with (path / "lock").open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotStart(
                f"Another instance is running on {path}: end it first, or give DATA=another folder"
            ) from None
        yield


def write_private(path: Path, text: str) -> None:
    """Write `text` with mode 600, in one step: a reader sees the old file or the whole new one."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        handle.write(text)
    temporary.rename(path)


def kept_secret(path: Path, make: Callable[[], str] = lambda: secrets.token_urlsafe(48)) -> str:
    """The secret in this file; made and kept (mode 600) at the first call: 64 characters unless made otherwise."""
    if not path.exists():
        write_private(path, make() + "\n")
    return path.read_text().strip()


def socket_folder(path: Path) -> Path:
    """The folder for unix sockets: `run` in the data folder, or a private one in /tmp where that path is too long."""
    folder = path / "run"
    if len(os.fsencode(folder)) > _SOCKET_PATH_LIMIT:
        digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
        folder = Path(tempfile.gettempdir()) / f"usher-{os.getuid()}-{digest}"
    folder.mkdir(mode=0o711, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise CannotStart(f"{folder} belongs to somebody else: remove it, or give DATA=a shorter path")
    return folder
