"""The little of DER (X.690) that RDCleanPath and CredSSP need."""

from gateways.program.rdp.reading import Garbled, part

SEQUENCE, INTEGER, OCTETS, TEXT = 0x30, 0x02, 0x04, 0x0C
LONGEST_LENGTH = 4  # bytes of a length


def write(tag: int, body: bytes) -> bytes:
    """One element."""
    count = len(body)
    if count < 0x80:
        return bytes((tag, count)) + body
    length = count.to_bytes((count.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + body


def integer(value: int) -> bytes:
    """A whole number, not negative."""
    return write(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def field(number: int, inner: bytes) -> bytes:
    """An explicitly tagged field of a sequence."""
    return write(0xA0 | number, inner)


def total(data: bytes) -> int | None:
    """How long the element at the beginning is as a whole; None: not enough is there to say. Raises Garbled."""
    if len(data) < 2:
        return None
    if data[1] < 0x80:
        return 2 + data[1]
    size = data[1] & 0x7F
    if not 1 <= size <= LONGEST_LENGTH:
        raise Garbled("a DER length of that kind")
    return None if len(data) < 2 + size else 2 + size + int.from_bytes(data[2 : 2 + size], "big")


def read(data: bytes, at: int = 0) -> tuple[int, bytes, int]:
    """The element at a place: its tag, its body, and where the next one begins. Raises Garbled."""
    count = total(data[at : at + 2 + LONGEST_LENGTH])
    if count is None or at + count > len(data):
        raise Garbled("a DER element is cut off")
    head = 2 + (data[at + 1] & 0x7F if data[at + 1] & 0x80 else 0)
    return data[at], part(data, at + head, count - head, "a DER element"), at + count


def inside(data: bytes, tag: int) -> bytes:
    """The body of the one element that this is. Raises Garbled where it has another tag."""
    found, body, _end = read(data)
    if found != tag:
        raise Garbled(f"DER: 0x{found:02x} in the place of 0x{tag:02x}")
    return body


def fields(sequence: bytes) -> dict[int, bytes]:
    """The explicitly tagged fields in the body of a sequence. Raises Garbled."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(sequence):
        tag, body, at = read(sequence, at)
        if tag & 0xE0 != 0xA0:
            raise Garbled("a DER field without its number")
        found[tag & 0x1F] = body
    return found


def number(element: bytes) -> int:
    """The value of an INTEGER, at most 64 bits, not negative. Raises Garbled."""
    body = inside(element, INTEGER)
    if not 1 <= len(body) <= 9 or body[0] & 0x80:
        raise Garbled("a DER number of that kind")
    return int.from_bytes(body, "big")


def text(element: bytes) -> str:
    """The value of a UTF8String. Raises Garbled."""
    try:
        return inside(element, TEXT).decode()
    except UnicodeDecodeError:
        raise Garbled("a DER text that is none") from None
