"""A text on a person's screen, and what they answer (WTSSendMessageW)."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

from agents.program.windows.api import Api
from agents.program.windows.structures import DWORD

TITLE = "A message from your administrator"
OK, YES_NO = 0x0, 0x4
LOOK = 0x40 | 0x1_0000 | 0x4_0000  # MB_ICONINFORMATION | MB_SETFOREGROUND | MB_TOPMOST
ID_YES, ID_TIMEOUT, ID_ASYNC = 6, 32_000, 32_001
LONGEST = 3600


def message(api: Api, session: int, data: Mapping[str, Any]) -> str:
    """Show it for `seconds`. With `snooze` it is a question, and this waits for the answer. Raises CannotDo."""
    minutes = int(data.get("snooze") or 0)
    words = (
        f"{data.get('text') or ''}\n\nDo you need {minutes} more minutes?" if minutes else str(data.get("text") or "")
    )
    style = LOOK | (YES_NO if minutes else OK)
    seconds = max(1, min(LONGEST, int(data.get("seconds") or 60)))
    answer = DWORD()
    api.ask(
        "WTSSendMessageW", None, session, TITLE, _size(TITLE), words, _size(words),
        style, seconds, ctypes.byref(answer), int(bool(minutes)),
    )  # fmt: skip
    return outcome(answer.value)


def outcome(answer: int) -> str:
    """In the words of Machine.do: the Yes button asks for more minutes."""
    if answer == ID_YES:
        return "snooze"
    return "shown" if answer in (0, ID_TIMEOUT, ID_ASYNC) else "acknowledged"


def _size(words: str) -> int:
    """WTSSendMessageW counts bytes."""
    return len(words.encode("utf-16-le"))
