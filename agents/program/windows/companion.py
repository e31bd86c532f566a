"""The companion in a person's session: only there can Windows say how long nothing was touched, and lock the screen.

It answers the service line by line over the pipe that it was given: `idle` with seconds, `lock` with `yes` or `no`. It
does nothing by itself, knows no secret, and ends with the pipe. GetLastInputInfo, LockWorkStation.
"""

from __future__ import annotations

import ctypes
from typing import IO

from agents.program.machine import CannotDo
from agents.program.windows.api import Api
from agents.program.windows.decisions import idle_seconds
from agents.program.windows.structures import LastInput

LONGEST_LINE = 100


def serve(api: Api, pipe: IO[bytes]) -> None:
    """Answer until the other end goes away."""
    while True:
        line = pipe.readline(LONGEST_LINE)
        if not line:
            return
        pipe.write(answer(api, line.decode("ascii", "replace").strip()).encode() + b"\n")


def answer(api: Api, question: str) -> str:
    """The answer to one line."""
    try:
        if question == "idle":
            return str(_idle(api))
        if question == "lock":
            api.ask("LockWorkStation")
            return "yes"
    except CannotDo as refusal:
        return f"no {refusal}"
    return "no such question"


def _idle(api: Api) -> int:
    last = LastInput(ctypes.sizeof(LastInput))
    api.ask("GetLastInputInfo", ctypes.byref(last))
    return idle_seconds(api.call("GetTickCount"), last.dwTime)
