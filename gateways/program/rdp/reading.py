"""Reading bytes that somebody else wrote: where they make no sense, every reader here raises Garbled, nothing else."""

import struct


class Garbled(Exception):
    """What came is not what the protocol says; the text says which part, never its content."""


def unpack(form: str, data: bytes, at: int, what: str) -> tuple[int, ...]:
    """The numbers at a place. Raises Garbled where the data end before."""
    try:
        return struct.unpack_from(form, data, at)
    except struct.error:
        raise Garbled(f"{what} is cut off") from None


def part(data: bytes, at: int, count: int, what: str) -> bytes:
    """So many bytes at a place. Raises Garbled where the data end before."""
    if count < 0 or at + count > len(data):
        raise Garbled(f"{what} is cut off")
    return data[at : at + count]
