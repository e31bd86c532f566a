"""`timezone`: Windows' time zone, by its own tool, under the name that Windows has for it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import PureWindowsPath
from typing import Any

from agents.program.machine import CannotDo
from agents.program.windows import registry
from agents.program.windows.api import Api

ZONES = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion\Time Zones"
PATIENCE = 10.0
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9 .()+-]{0,79}")
Run = Callable[[Sequence[str]], "tuple[int, str]"]


def run(command: Sequence[str]) -> tuple[int, str]:
    """The program's exit code, and what it said. Raises CannotDo where it cannot be run or does not end."""
    try:
        done = subprocess.run(  # noqa: S603 - ours, never a shell's
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotDo(f"tzutil does not answer: {error}") from error
    return done.returncode, (done.stderr or done.stdout).decode(errors="replace").strip()


def change(api: Api, data: Mapping[str, Any], run: Run = run) -> str:
    """Set it; saying it twice changes nothing. Raises CannotDo."""
    name = str(data.get("windows") or "")
    if not name:
        raise CannotDo(f"Windows has no name for the time zone {data.get('iana')!r}."[:200])
    if not _NAME.fullmatch(name) or not registry.text(api, f"{ZONES}\\{name}", "Std"):
        raise CannotDo(f"This Windows knows no time zone {name!r}."[:200])
    code, said = run([tool(), "/s", name])
    if code:
        raise CannotDo(f"tzutil ended with {code}: {said or 'it gives no reason'}"[:300])
    return name


def tool() -> str:
    """Where Windows has tzutil; a program of the same name elsewhere is never started."""
    return str(PureWindowsPath(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "tzutil.exe"))
