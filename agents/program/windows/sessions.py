"""Reads the sessions of Windows: WTSEnumerateSessionsEx, WTSQuerySessionInformation, WTSQueryUserToken."""

from __future__ import annotations

import ctypes
from typing import Any

from agents.program.machine import CannotDo
from agents.program.windows.api import Api
from agents.program.windows.decisions import Seen
from agents.program.windows.structures import (
    DWORD,
    HANDLE,
    POINTER,
    ProcessInfo,
    SessionDetails,
    SessionInfo,
    SidAndAttributes,
)

SESSION_INFO_EX = 25  # WTS_INFO_CLASS
TYPE_SESSION_INFO_1 = 2  # WTS_TYPE_CLASS
TOKEN_USER = 1  # TOKEN_INFORMATION_CLASS


class Reader:
    """Reads the list; remembers the SIDs, which cost more than the rest."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._sids: dict[tuple[int, str, str], str] = {}

    def read(self) -> list[Seen]:
        """All sessions, those of nobody too. Raises CannotDo."""
        seen = [self._seen(*each) for each in self._enumerate()]
        self._sids = {_key(each): each.sid for each in seen if each.sid}
        return seen

    def _enumerate(self) -> list[tuple[int, int, str, str, str]]:
        level, array, count = DWORD(1), POINTER(), DWORD()
        self._api.ask("WTSEnumerateSessionsExW", None, ctypes.byref(level), 0, ctypes.byref(array), ctypes.byref(count))
        rows = (SessionInfo * count.value).from_address(array.value) if array.value else ()
        found = [
            (row.SessionId, row.State, row.UserName or "", row.DomainName or "", row.SessionName or "") for row in rows
        ]
        self._api.call("WTSFreeMemoryExW", TYPE_SESSION_INFO_1, array, count)
        return found

    def _seen(self, number: int, state: int, user: str, domain: str, station: str) -> Seen:
        if not user:
            return Seen(number, state, station=station)
        detail = self._detail(number)
        sid = self._sids.get((number, user, domain)) or token_sid(self._api, number)
        if detail is None:
            return Seen(number, state, user, domain, station, sid, details=False)
        return Seen(
            number, state, user, domain, station, sid,
            flags=detail.SessionFlags, logon=detail.LogonTime, last_input=detail.LastInputTime, now=detail.CurrentTime,
        )  # fmt: skip

    def _detail(self, number: int) -> Any:
        buffer, size = POINTER(), DWORD()
        done = self._api.call(
            "WTSQuerySessionInformationW", None, number, SESSION_INFO_EX, ctypes.byref(buffer), ctypes.byref(size)
        )
        if not done or not buffer.value:
            return None
        whole = size.value >= ctypes.sizeof(SessionDetails)
        copy = SessionDetails.from_buffer_copy(ctypes.string_at(buffer.value, size.value)) if whole else None
        self._api.call("WTSFreeMemory", buffer)
        return copy.Data if copy and copy.Level == 1 else None


def _key(seen: Seen) -> tuple[int, str, str]:
    return seen.number, seen.user, seen.domain


def token_sid(api: Api, number: int) -> str:
    """The SID of a session's user, from its token; "" where there is none, or we are not LocalSystem."""
    token = HANDLE()
    try:
        api.ask("WTSQueryUserToken", number, ctypes.byref(token))
    except CannotDo:
        return ""
    try:
        buffer, size = ctypes.create_string_buffer(256), DWORD()
        api.ask("GetTokenInformation", token, TOKEN_USER, buffer, len(buffer), ctypes.byref(size))
        return sid_text(api, SidAndAttributes.from_buffer(buffer).Sid)
    except CannotDo:
        return ""
    finally:
        api.call("CloseHandle", token)


def sid_text(api: Api, sid: int) -> str:
    """A SID as S-1-… (ConvertSidToStringSidW). Raises CannotDo."""
    words = POINTER()
    api.ask("ConvertSidToStringSidW", sid, ctypes.byref(words))
    said = ctypes.wstring_at(words.value) if words.value else ""
    api.call("LocalFree", words)
    return said


def process_names(api: Api) -> set[str]:
    """The names of all programs that run, in lower case (WTSEnumerateProcessesW). Raises CannotDo."""
    array, count = POINTER(), DWORD()
    api.ask("WTSEnumerateProcessesW", None, 0, 1, ctypes.byref(array), ctypes.byref(count))
    rows = (ProcessInfo * count.value).from_address(array.value) if array.value else ()
    names = {(row.ProcessName or "").lower() for row in rows}
    api.call("WTSFreeMemory", array)
    return names
