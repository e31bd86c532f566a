"""What /proc tells about processes. A process may go away between two looks: then it tells nothing."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from agents.program.machine import CannotDo

PROC = Path("/proc")
PATIENCE = 2.0
_STAT = re.compile(rb"\d+ \((.*)\) [^ZX] (\d+) ", re.DOTALL)


@dataclass(frozen=True)
class Process:
    """One process; `name` is at most 15 characters long."""

    pid: int
    name: str
    parent: int
    uid: int


def processes(root: Path = PROC, uids: Collection[int] | None = None) -> list[Process]:
    """All that run now, or those of some users: then the others cost next to nothing."""
    with os.scandir(root) as entries:
        pids = [int(each.name) for each in entries if each.name.isdecimal() and (uids is None or _owner(each) in uids)]
    found = (process(pid, root) for pid in pids)
    return [each for each in found if each is not None]


def _owner(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_uid
    except OSError:
        return -1


def process(pid: int, root: Path = PROC) -> Process | None:
    """One that runs now, or None; one that has ended and was not asked how is gone, too."""
    folder = root / str(pid)
    try:
        match = _STAT.match((folder / "stat").read_bytes())
        uid = folder.stat().st_uid
    except OSError:
        return None
    return Process(pid, match[1].decode(errors="replace"), int(match[2]), uid) if match else None


def arguments(pid: int, root: Path = PROC) -> list[str]:
    """Its command line; [] where it is gone."""
    return _words(root / str(pid) / "cmdline")


def environment(pid: int, root: Path = PROC) -> dict[str, str]:
    """The variables that it was started with; {} where it is gone."""
    return dict(word.split("=", 1) for word in _words(root / str(pid) / "environ") if "=" in word)


def _words(path: Path) -> list[str]:
    try:
        return [os.fsdecode(each) for each in path.read_bytes().split(b"\0") if each]
    except OSError:
        return []


def logind_session(pid: int, root: Path = PROC) -> str:
    """The id of the logind session that a process belongs to, by its control group; "" where there is none."""
    try:
        match = re.search(r"/session-([A-Za-z0-9]+)\.scope", (root / str(pid) / "cgroup").read_text())
    except OSError:
        return ""
    return match[1] if match else ""


def asked(command: Sequence[str], patience: float = PATIENCE) -> str:
    """What a program prints. Raises CannotDo where it is not there, fails, or takes longer than `patience` seconds."""
    try:
        done = subprocess.run(  # noqa: S603 - ours, never a shell's
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=patience, check=False
        )
    except FileNotFoundError as error:
        raise CannotDo(f"There is no {command[0]} on this machine.") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotDo(f"{command[0]} does not answer: {error}") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise CannotDo(f"{' '.join(command[:2])}: {said[-1] if said else f'ended with {done.returncode}'}"[:300])
    return done.stdout
