"""Small files of the agent's own: written whole or not at all, readable by its account only (mode 600)."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import IO, Any

if os.name == "posix":
    import fcntl

log = logging.getLogger("usher-agent")


def alone(folder: Path) -> IO[bytes] | None:
    """Claim this folder for one running agent, until what is returned is closed; None where another has it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    claim = (folder / "lock").open("ab")
    try:
        if os.name == "posix":  # a Windows service runs once by its nature
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        claim.close()
        return None
    return claim


def write_private(path: Path, data: bytes) -> None:
    """Replace a file in one step; after a power cut it holds the old or the new content. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)  # an old one might have another mode
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a new name in a folder last; Windows does so by itself."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, value: object) -> None:
    """As `write_private`, but a full disk is only logged: what is in memory stands, and is written the next time."""
    try:
        write_private(path, json.dumps(value).encode())
    except OSError as error:
        log.error("%s could not be written: %s", path, error)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file; empty where there is none, or where somebody spoilt it."""
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        log.error("%s cannot be read and is begun anew: %s", path, error)
        return {}
    return value if isinstance(value, dict) else {}
