"""Reads values under HKEY_LOCAL_MACHINE (RegGetValueW)."""

from __future__ import annotations

import ctypes

from agents.program.windows.api import Api
from agents.program.windows.structures import DWORD, HANDLE

MACHINE = HANDLE(0x8000_0002)  # HKEY_LOCAL_MACHINE
TEXT, BINARY, NUMBER = 0x02, 0x08, 0x10  # RRF_RT_REG_SZ, RRF_RT_REG_BINARY, RRF_RT_REG_DWORD


def read(api: Api, key: str, name: str, kind: int) -> bytes:
    """The bytes of a value; none where it is missing, or of another kind."""
    buffer, size = ctypes.create_string_buffer(2048), DWORD(2048)
    code = api.call("RegGetValueW", MACHINE, key, name, kind, None, buffer, ctypes.byref(size))
    return b"" if code else buffer.raw[: size.value]


def text(api: Api, key: str, name: str) -> str:
    """A REG_SZ; "" where it is missing."""
    return read(api, key, name, TEXT).decode("utf-16-le", "replace").partition("\0")[0].strip()


def number(api: Api, key: str, name: str) -> int | None:
    """A REG_DWORD; None where it is missing."""
    value = read(api, key, name, NUMBER)
    return int.from_bytes(value, "little") if len(value) == 4 else None
