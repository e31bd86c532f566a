"""The machine's UUID in its SMBIOS table (GetSystemFirmwareTable, DMTF DSP0134). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

PROVIDER = int.from_bytes(b"RSMB", "big")
HEADER = 8  # RawSMBIOSData: four bytes of version, then the table's length
SYSTEM, END = 1, 127
UUID_AT = 8


def machine_uuid(raw: bytes) -> str:
    """The UUID of the System Information structure; "" where there is none or it is not set (all 0 or all F)."""
    for kind, body in structures(raw[HEADER : HEADER + int.from_bytes(raw[4:HEADER], "little")]):
        if kind == SYSTEM:
            value = body[UUID_AT : UUID_AT + 16]
            known = len(value) == 16 and value not in (b"\x00" * 16, b"\xff" * 16)
            return str(UUID(bytes_le=value)) if known else ""
    return ""


def structures(table: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and formatted part of each structure; the texts behind it end with two zeros. A cut table just ends."""
    at = 0
    while at + 4 <= len(table) and table[at + 1] >= 4:
        kind, length = table[at], table[at + 1]
        yield kind, table[at : at + length]
        end = table.find(b"\x00\x00", at + length)
        if kind == END or end < 0:
            return
        at = end + 2
