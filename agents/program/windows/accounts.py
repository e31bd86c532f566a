"""The right to log on (RULES 29): membership of the local group Remote Desktop Users, whatever it is called here.

NetLocalGroupAddMembers and NetLocalGroupDelMembers; the group is found by its SID, since its name is translated.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

from agents.program.machine import CannotDo
from agents.program.windows.api import Api
from agents.program.windows.sessions import sid_text
from agents.program.windows.structures import DWORD, POINTER

REMOTE_DESKTOP_USERS = "S-1-5-32-555"
NAMES = ("", REMOTE_DESKTOP_USERS.casefold(), "remote desktop users", "tsusers")
NOT_IN_GROUP, IN_GROUP = 1377, 1378  # ERROR_MEMBER_NOT_IN_ALIAS, ERROR_MEMBER_IN_ALIAS


def grant(api: Api, data: Mapping[str, Any]) -> str:
    """Let a person log on; said twice is said once. Raises CannotDo."""
    who = _change(api, "NetLocalGroupAddMembers", data, IN_GROUP)
    return f"{who} may log on"


def revoke(api: Api, data: Mapping[str, Any]) -> str:
    """Take that right back; who has none is left alone. Raises CannotDo."""
    who = _change(api, "NetLocalGroupDelMembers", data, NOT_IN_GROUP)
    return f"{who} may not log on any more"


def _change(api: Api, function: str, data: Mapping[str, Any], fine: int) -> str:
    group = str(data.get("group") or "")
    if group.casefold() not in NAMES:
        raise CannotDo(f"This agent gives no membership of {group}, only of Remote Desktop Users.")
    sid = str(data.get("sid") or "") or account_sid(api, str(data.get("name") or ""))
    member, alias = _binary(api, sid), _binary(api, REMOTE_DESKTOP_USERS)
    try:
        name = account_name(api, alias)
        # LOCALGROUP_MEMBERS_INFO_0 is one pointer to a SID.
        api.status(function, None, name, 0, ctypes.byref(POINTER(member.value)), 1, fine=(fine,))
    finally:
        api.call("LocalFree", member)
        api.call("LocalFree", alias)
    return str(data.get("name") or sid)


def _binary(api: Api, sid: str) -> ctypes.c_void_p:
    """A SID as Windows wants it, to be freed by LocalFree."""
    pointer = POINTER()
    api.ask("ConvertStringSidToSidW", sid, ctypes.byref(pointer))
    return pointer


def account_sid(api: Api, name: str) -> str:
    """The SID of DOMAIN\\name or a UPN (LookupAccountNameW; may ask a domain controller). Raises CannotDo."""
    if not name:
        raise CannotDo("The command names nobody.")
    sid, sid_size = ctypes.create_string_buffer(256), DWORD(256)
    domain, domain_size, use = ctypes.create_unicode_buffer(256), DWORD(256), DWORD()
    api.ask(
        "LookupAccountNameW", None, name, sid, ctypes.byref(sid_size),
        domain, ctypes.byref(domain_size), ctypes.byref(use),
    )  # fmt: skip
    return sid_text(api, ctypes.addressof(sid))


def account_name(api: Api, sid: ctypes.c_void_p) -> str:
    """The name of a local group, as this Windows calls it (LookupAccountSidW). Raises CannotDo."""
    name, name_size = ctypes.create_unicode_buffer(256), DWORD(256)
    domain, domain_size, use = ctypes.create_unicode_buffer(256), DWORD(256), DWORD()
    api.ask(
        "LookupAccountSidW", None, sid, name, ctypes.byref(name_size),
        domain, ctypes.byref(domain_size), ctypes.byref(use),
    )  # fmt: skip
    return name.value
