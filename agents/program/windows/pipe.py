"""The service's end of a named pipe to one companion: lines with a deadline, nothing that can hang.

CreateNamedPipeW with PIPE_NOWAIT; only the session's user and the system may open it, only from this machine, once,
and only the process that was started for it is listened to (GetNamedPipeClientProcessId).
"""

from __future__ import annotations

import ctypes
import secrets
import time

from agents.program.machine import CannotDo
from agents.program.windows.api import Api, Refused
from agents.program.windows.folder import security
from agents.program.windows.structures import DWORD, SecurityAttributes

DUPLEX, FIRST = 0x3, 0x8_0000  # PIPE_ACCESS_DUPLEX, FILE_FLAG_FIRST_PIPE_INSTANCE
MODE = 0x1 | 0x8  # PIPE_NOWAIT | PIPE_REJECT_REMOTE_CLIENTS, bytes
BUFFER = 4096
CONNECTED, LISTENING = 535, 536  # ERROR_PIPE_…
STEP = 0.02  # seconds between two looks


class Pipe:
    """One pipe for one client. All methods raise CannotDo."""

    def __init__(self, api: Api, sid: str) -> None:
        """`sid` is the only account besides the system that may open it."""
        self._api = api
        self._rest = b""
        self.name = rf"\\.\pipe\usher-agent-{secrets.token_hex(16)}"
        descriptor = security(api, f"D:P(A;;GA;;;SY)(A;;GRGW;;;{sid})")
        rights = SecurityAttributes(ctypes.sizeof(SecurityAttributes), descriptor, 0)
        try:
            self._handle = api.ask(
                "CreateNamedPipeW", self.name, DUPLEX | FIRST, MODE, 1, BUFFER, BUFFER, 0, ctypes.byref(rights)
            )
        finally:
            api.call("LocalFree", descriptor)

    def connect(self, process: int, seconds: float) -> None:
        """Wait until that process has opened it."""
        deadline, client = time.monotonic() + seconds, DWORD()
        while not self._connected():
            _pause(deadline)
        self._api.ask("GetNamedPipeClientProcessId", self._handle, ctypes.byref(client))
        if client.value != process:
            raise CannotDo("Another process than the companion opened the pipe.")

    def ask(self, question: str, seconds: float) -> str:
        """Say one line, and return the line that comes back."""
        said, done = question.encode() + b"\n", DWORD()
        self._api.ask("WriteFile", self._handle, said, len(said), ctypes.byref(done), None)
        deadline = time.monotonic() + seconds
        while b"\n" not in self._rest:
            if not self._read():
                _pause(deadline)
        line, _end, self._rest = self._rest.partition(b"\n")
        return line.decode("utf-8", "replace").strip()

    def close(self) -> None:
        """The companion ends when it sees this."""
        self._api.call("CloseHandle", self._handle)

    def _connected(self) -> bool:
        """With PIPE_NOWAIT only the error tells: a success means no more than that a client may come now."""
        try:
            self._api.ask("ConnectNamedPipe", self._handle, None)
        except Refused as refusal:
            if refusal.code not in (LISTENING, CONNECTED):
                raise
            return refusal.code == CONNECTED
        return False

    def _read(self) -> bool:
        """Take what is there; whether something was."""
        there = DWORD()
        self._api.ask("PeekNamedPipe", self._handle, None, 0, None, ctypes.byref(there), None)
        if not there.value:
            return False
        if len(self._rest) > BUFFER:
            raise CannotDo("The companion says too much.")
        buffer, done = ctypes.create_string_buffer(BUFFER), DWORD()
        self._api.ask("ReadFile", self._handle, buffer, min(BUFFER, there.value), ctypes.byref(done), None)
        self._rest += buffer.raw[: done.value]
        return True


def _pause(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise CannotDo("The companion does not answer.")
    time.sleep(STEP)
