"""Windows' functions, faked at the border (agents/program/windows/api.py) and nowhere above."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from typing import Any

from agents.program.windows.api import INVALID_HANDLE, Refused
from agents.program.windows.decisions import Seen
from agents.program.windows.structures import SessionDetails, SessionInfo

Answer = Callable[..., Any]


def out(reference: Any) -> Any:
    """What a ctypes.byref points to."""
    return reference._obj


class FakeWindows:
    """Answers by `answers` where it has one, else 1; keeps what was called with plain values."""

    def __init__(self, answers: Mapping[str, Answer | Any] | None = None, error: int = 5) -> None:
        self.answers = dict(answers or {})
        self.error = error
        self.calls: list[tuple[Any, ...]] = []

    def call(self, function: str, *arguments: Any) -> Any:
        plain = tuple(each for each in arguments if isinstance(each, int | str | bytes) or each is None)
        self.calls.append((function, *plain))
        answer = self.answers.get(function, 1)
        return answer(*arguments) if callable(answer) else answer

    def ask(self, function: str, *arguments: Any) -> Any:
        answer = self.call(function, *arguments)
        if not answer or answer == INVALID_HANDLE:
            raise Refused(function, self.error)
        return answer

    def status(self, function: str, *arguments: Any, fine: tuple[int, ...] = ()) -> int:
        code = int(self.call(function, *arguments)) if function in self.answers else 0
        if code and code not in fine:
            raise Refused(function, code)
        return code

    def called(self, *names: str) -> list[tuple[Any, ...]]:
        return [each for each in self.calls if each[0] in names]


class Lists:
    """The session functions over a list that a test may change; it must live while the list is read."""

    def __init__(self, seen: list[Seen]) -> None:
        self.seen = seen
        self._kept: Any = None

    def answers(self) -> dict[str, Answer | Any]:
        return {
            "WTSEnumerateSessionsExW": self.enumerate,
            "WTSQuerySessionInformationW": self.detail,
            "WTSQueryUserToken": self.token,
            "GetTokenInformation": 1,
            "ConvertSidToStringSidW": self.sid,
        }

    def enumerate(self, _server: Any, _level: Any, _filter: Any, array: Any, count: Any) -> int:
        rows = [
            SessionInfo(1, each.state, each.number, each.station or None, None, each.user or None, each.domain or None)
            for each in self.seen
        ]
        self._kept = (SessionInfo * len(rows))(*rows)
        out(array).value, out(count).value = ctypes.addressof(self._kept), len(rows)
        return 1

    def detail(self, _server: Any, number: int, _kind: int, buffer: Any, size: Any) -> int:
        seen = next(each for each in self.seen if each.number == number)
        if not seen.details:
            return 0
        made = SessionDetails(1)
        made.Data.SessionFlags, made.Data.LogonTime = seen.flags, seen.logon
        made.Data.LastInputTime, made.Data.CurrentTime = seen.last_input, seen.now
        self._detail = made
        out(buffer).value, out(size).value = ctypes.addressof(made), ctypes.sizeof(made)
        return 1

    def token(self, number: int, token: Any) -> int:
        self._asked = next(each for each in self.seen if each.number == number)
        out(token).value = number
        return 1

    def sid(self, _sid: Any, words: Any) -> int:
        self._words = ctypes.create_unicode_buffer(self._asked.sid)
        out(words).value = ctypes.addressof(self._words)
        return 1
