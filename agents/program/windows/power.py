"""Shut down and restart (InitiateSystemShutdownExW), and the right that this needs."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

from agents.program.windows.api import Api, Refused
from agents.program.windows.structures import HANDLE, Privilege

# SHTDN_REASON_FLAG_PLANNED | _MAJOR_APPLICATION | _MINOR_MAINTENANCE, as the event log shows it
REASON = 0x8000_0000 | 0x0004_0000 | 0x0000_0001
LONGEST = 600  # seconds of warning; Windows shows them to everybody
IN_PROGRESS = 1115, 1190  # ERROR_SHUTDOWN_IN_PROGRESS, ERROR_SHUTDOWN_IS_SCHEDULED
ADJUST, QUERY, ENABLED = 0x20, 0x8, 0x2  # TOKEN_ADJUST_PRIVILEGES, TOKEN_QUERY, SE_PRIVILEGE_ENABLED


def shut_down(api: Api, data: Mapping[str, Any], restart: bool) -> str:
    """End all programs and go down after `seconds`, with `text` shown until then. Raises CannotDo."""
    allow(api, "SeShutdownPrivilege")
    seconds = max(0, min(LONGEST, int(data.get("seconds") or 0)))
    try:
        api.ask(
            "InitiateSystemShutdownExW", None, str(data.get("text") or "") or None, seconds, 1, int(restart), REASON
        )
    except Refused as refusal:
        if refusal.code not in IN_PROGRESS:
            raise
        return "is under way already"
    return f"{'restarts' if restart else 'shuts down'} in {seconds} seconds"


def allow(api: Api, privilege: str) -> None:
    """Switch a privilege of our own on (AdjustTokenPrivileges). Raises CannotDo where we do not have it at all."""
    token, wanted = HANDLE(), Privilege(PrivilegeCount=1, Attributes=ENABLED)
    api.ask("OpenProcessToken", api.call("GetCurrentProcess"), ADJUST | QUERY, ctypes.byref(token))
    try:
        place = ctypes.byref(wanted, Privilege.LuidLow.offset)
        api.ask("LookupPrivilegeValueW", None, privilege, place)
        api.ask("AdjustTokenPrivileges", token, 0, ctypes.byref(wanted), 0, None, None)
    finally:
        api.call("CloseHandle", token)
