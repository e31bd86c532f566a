"""Values of Active Directory in forms that people and databases read."""

import struct
import uuid
from datetime import UTC, datetime


def sid_text(raw: bytes) -> str:
    """`S-1-5-21-…` ([MS-DTYP] 2.4.2.1); an empty string for what is no SID."""
    if len(raw) < 8 or len(raw) != 8 + 4 * raw[1]:
        return ""
    numbers = struct.unpack(f"<{raw[1]}I", raw[8:])
    return "-".join(["S", str(raw[0]), str(int.from_bytes(raw[2:8], "big")), *map(str, numbers)])


def guid_text(raw: bytes) -> str:
    """The GUID as Windows writes it, lower case; an empty string for what is none."""
    return str(uuid.UUID(bytes_le=raw)) if len(raw) == 16 else ""


def guid_filter(guid: str) -> str:
    """The GUID's bytes for a search filter. Raises ValueError."""
    return "".join(f"\\{byte:02x}" for byte in uuid.UUID(guid).bytes_le)


def time_of(text: str) -> datetime | None:
    """A generalized time (`20240131120000.0Z`), aware and in UTC; None for what is none."""
    try:
        return datetime.strptime(text.partition(".")[0].rstrip("Z"), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def time_filter(at: datetime) -> str:
    """A time for a search filter. Raises ValueError for a time without a zone."""
    if at.tzinfo is None:
        raise ValueError("a time without a zone")
    return at.astimezone(UTC).strftime("%Y%m%d%H%M%S.0Z")


def domain_dn(domain: str) -> str:
    """`DC=corp,DC=example,DC=test` of `corp.example.test`."""
    return ",".join(f"DC={label}" for label in domain.strip().strip(".").split(".") if label)
