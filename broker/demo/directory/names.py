"""Distinguished names (RFC 4514) and security identifiers."""

import re
import struct
from functools import lru_cache

Key = tuple[str, ...]
"""A name in comparable form, leaf first: ("cn=doe, jane", "ou=staff", "dc=corp")."""

_HEX = re.compile(r"[0-9a-fA-F]{2}")
_SPECIAL = re.compile(r'([,+"\\<>;])')


class BadName(ValueError):
    """Not a distinguished name."""


def escape(value: str) -> str:
    """A value as it stands inside a distinguished name."""
    value = _SPECIAL.sub(r"\\\1", value)
    if value[:1] in ("#", " "):
        value = "\\" + value
    return value[:-1] + "\\ " if value.endswith(" ") and value != "\\ " else value


def split(dn: str) -> list[str]:
    """The parts of a name as they were written, escapes and all."""
    if "\\" not in dn and ";" not in dn:
        return dn.split(",")
    parts, start, at = [], 0, 0
    while at < len(dn):
        if dn[at] == "\\":
            at += 1
        elif dn[at] in ",;":
            parts.append(dn[start:at])
            start = at + 1
        at += 1
    return [*parts, dn[start:]]


def _unescape(value: str) -> str:
    if "\\" not in value:
        return value
    out, at = bytearray(), 0
    while at < len(value):
        if value[at] != "\\":
            out += value[at].encode("utf-8", "surrogatepass")
            at += 1
        elif _HEX.match(value, at + 1):
            out.append(int(value[at + 1 : at + 3], 16))
            at += 3
        else:
            out += value[at + 1 : at + 2].encode("utf-8", "surrogatepass")
            at += 2
    return out.decode("utf-8", "replace")


def _part(written: str) -> str:
    kind, equals, value = written.partition("=")
    if not equals or not kind.strip():
        raise BadName(f"{written!r} is no part of a distinguished name")
    return f"{kind.strip()}={_value(value)}".lower()


def _value(written: str) -> str:
    """Without the spaces around it that are not escaped."""
    written = written.lstrip(" ")
    while written.endswith(" ") and not written.endswith("\\ "):
        written = written[:-1]
    return _unescape(written)


@lru_cache(maxsize=65536)
def parse(dn: str) -> Key:
    """The comparable form of a name; the empty name is the empty key. Raises BadName."""
    return tuple(_part(part) for part in split(dn)) if dn.strip() else ()


def first_value(dn: str) -> str:
    """What the leaf is called: `Doe, Jane` of `CN=Doe\\, Jane,OU=Staff`."""
    return _value(split(dn)[0].partition("=")[2])


def domain_dn(domain: str) -> str:
    """`DC=corp,DC=example,DC=test` of `corp.example.test`."""
    return ",".join(f"DC={label}" for label in domain.split("."))


def pack_sid(sid: str) -> bytes:
    """The bytes of `S-1-5-21-…` ([MS-DTYP] 2.4.2.2). Raises BadName."""
    try:
        head, revision, authority, *subs = sid.split("-")
        if head.upper() != "S" or len(subs) > 15:
            raise BadName(sid)
        numbers = [int(sub) for sub in subs]
        return struct.pack("<BB6s", int(revision), len(subs), int(authority).to_bytes(6, "big")) + struct.pack(
            f"<{len(subs)}I", *numbers
        )
    except (ValueError, struct.error, OverflowError) as error:
        raise BadName(f"{sid!r} is no SID") from error
