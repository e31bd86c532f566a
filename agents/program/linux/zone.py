"""`timezone`: the machine's time zone. Programs that run already keep the old one until they ask again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agents.program.linux.proc import asked
from agents.program.machine import CannotDo

ROOT = Path("/")
ZONES = "usr/share/zoneinfo"
PATIENCE = 10.0  # seconds: systemd may have to start the service behind timedatectl first
_NAME = re.compile(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+)*")


def change(data: Mapping[str, Any], root: Path = ROOT) -> str:
    """Set it to the first of the names that this machine has; saying it twice changes nothing. Raises CannotDo."""
    name = found(data, root / ZONES)
    if current(root) == name:
        return f"it is {name} already"
    if (root / "run/systemd/system").is_dir():  # as sd_booted(3) tells
        asked(["timedatectl", "set-timezone", name], PATIENCE)
        return name
    try:
        link(name, root / "etc")
    except OSError as error:
        raise CannotDo(f"The time zone cannot be set: {error}") from error
    return name


def found(data: Mapping[str, Any], zones: Path) -> str:
    """The first of the zone's names whose file is there. Raises CannotDo."""
    also = data.get("also")
    names = [data.get("iana"), *(also if isinstance(also, list) else ())]
    for name in names:
        if isinstance(name, str) and _NAME.fullmatch(name) and is_zone(zones / name, zones):
            return name
    raise CannotDo(f"This machine knows no time zone {data.get('iana')!r}."[:200])


def is_zone(path: Path, zones: Path) -> bool:
    """Whether a file is a zone's, and lies in their folder, links followed. `localtime` there is what we replace."""
    try:
        real = path.resolve()
        with real.open("rb") as file:
            return path.name != "localtime" and zones.resolve() in real.parents and file.read(4) == b"TZif"
    except (OSError, RuntimeError):
        return False


def current(root: Path) -> str:
    """The name that /etc/localtime leads to, "" where it does not tell one."""
    try:
        target = str((root / "etc/localtime").readlink())
    except OSError:
        return ""
    return target.rpartition("/zoneinfo/")[2]


def link(name: str, etc: Path) -> None:
    """What timedatectl would do, each file in one step. Raises OSError."""
    fresh = etc / "localtime.usher"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(f"../{ZONES}/{name}")
    fresh.replace(etc / "localtime")
    if (etc / "timezone").is_file():
        text = etc / "timezone.usher"
        text.write_text(f"{name}\n")
        text.chmod(0o644)
        text.replace(etc / "timezone")
