"""Starts a program as a person, in their session, on their desktop (CreateProcessAsUserW)."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agents.program.windows.api import Api
from agents.program.windows.structures import HANDLE, POINTER, ProcessHandles, StartupInfo

FLAGS = 0x0800_0000 | 0x400  # CREATE_NO_WINDOW | CREATE_UNICODE_ENVIRONMENT
DESKTOP = r"winsta0\default"


@dataclass(frozen=True)
class Started:
    """A process of ours in somebody's session."""

    api: Api
    handle: int
    number: int

    def end(self) -> None:
        """End it, if it did not end by itself, and let go of it."""
        self.api.call("TerminateProcess", self.handle, 1)
        self.api.call("CloseHandle", self.handle)


def companion_command(pipe: str) -> list[str]:
    """How the companion is started: by our own Python."""
    return [sys.executable, "-m", "agents.program.windows", "companion", pipe]


def start(api: Api, session: int, command: Sequence[str]) -> Started:
    """Start it with the rights of the session's user and no others. Raises CannotDo."""
    token, environment = HANDLE(), POINTER()
    api.ask("WTSQueryUserToken", session, ctypes.byref(token))
    try:
        api.ask("CreateEnvironmentBlock", ctypes.byref(environment), token, 0)
        startup = StartupInfo(cb=ctypes.sizeof(StartupInfo), lpDesktop=DESKTOP)
        handles = ProcessHandles()
        line = ctypes.create_unicode_buffer(subprocess.list2cmdline(command))  # Windows writes into it
        api.ask(
            "CreateProcessAsUserW", token, command[0], line, None, None, 0, FLAGS,
            environment, str(Path(command[0]).parent), ctypes.byref(startup), ctypes.byref(handles),
        )  # fmt: skip
    finally:
        if environment:
            api.call("DestroyEnvironmentBlock", environment)
        api.call("CloseHandle", token)
    api.call("CloseHandle", handles.hThread)
    return Started(api, handles.hProcess, handles.dwProcessId)
