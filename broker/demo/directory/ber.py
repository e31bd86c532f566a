"""The few parts of BER (ITU-T X.690) that LDAP messages use, with limits: out comes a value or BadBer."""

from collections.abc import Callable

MAX_MESSAGE = 1 << 20
MAX_ITEMS = 20_000

SEQUENCE, SET, INTEGER, OCTETS, BOOLEAN, ENUMERATED = 0x30, 0x31, 0x02, 0x04, 0x01, 0x0A

Item = tuple[int, bytes]


class BadBer(ValueError):
    """These bytes are no message of ours; the connection that sent them is closed."""


def tlv(tag: int, *parts: bytes) -> bytes:
    """One tag with its length and content."""
    body = b"".join(parts)
    size = len(body)
    if size < 128:
        return bytes([tag, size]) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + body


def integer(number: int, tag: int = INTEGER) -> bytes:
    """A whole number in two's complement."""
    size = (number if number >= 0 else ~number).bit_length() // 8 + 1
    return tlv(tag, number.to_bytes(size, "big", signed=True))


def octets(value: str | bytes, tag: int = OCTETS) -> bytes:
    """A string; text is UTF-8."""
    return tlv(tag, value if isinstance(value, bytes) else value.encode())


def number(body: bytes) -> int:
    """The content of an INTEGER or ENUMERATED; more than eight bytes is none we know."""
    if not 1 <= len(body) <= 8:
        raise BadBer("a number of no sensible size")
    return int.from_bytes(body, "big", signed=True)


def text(body: bytes) -> str:
    """The content of an LDAPString."""
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise BadBer("a string that is not UTF-8") from error


def _length(data: bytes, at: int) -> tuple[int, int]:
    """The length at this place, and where the content begins."""
    if at >= len(data):
        raise BadBer("a tag without a length")
    first = data[at]
    if first < 0x80:
        return first, at + 1
    count = first & 0x7F
    if not 1 <= count <= 4 or at + 1 + count > len(data):
        raise BadBer("a length that LDAP does not use")
    return int.from_bytes(data[at + 1 : at + 1 + count], "big"), at + 1 + count


def items(data: bytes) -> list[Item]:
    """The tagged values that stand one behind the other in this content."""
    found: list[Item] = []
    at = 0
    while at < len(data):
        tag = data[at]
        if tag & 0x1F == 0x1F:
            raise BadBer("a tag of more than one byte")
        size, start = _length(data, at + 1)
        at = start + size
        if at > len(data):
            raise BadBer("a value longer than what holds it")
        if len(found) >= MAX_ITEMS:
            raise BadBer("too many values")
        found.append((tag, data[start:at]))
    return found


def exactly(data: bytes, *tags: int) -> list[bytes]:
    """The contents of these tags, which must stand here in this order; what follows is passed over (RFC 4511 4)."""
    found = items(data)
    if tuple(tag for tag, _ in found[: len(tags)]) != tags:
        raise BadBer("not the fields that belong here")
    return [body for _, body in found[: len(tags)]]


def read_message(read: Callable[[int], bytes]) -> bytes:
    """The content of the next LDAPMessage; `read(n)` gives exactly n bytes or raises EOFError."""
    tag, first = read(2)
    if tag != SEQUENCE:
        raise BadBer("not an LDAP message")
    size = first
    if first >= 0x80:
        count = first & 0x7F
        if not 1 <= count <= 4:
            raise BadBer("a length that LDAP does not use")
        size = int.from_bytes(read(count), "big")
    if size > MAX_MESSAGE:
        raise BadBer("too long a message")
    return read(size)
