"""The part of CBOR (RFC 8949) which the smithy-rpc-v2-cbor protocol uses. Timestamps are tag 1."""

import struct
from datetime import UTC, datetime
from typing import Any

_BREAK = 0xFF
_SIMPLE = {20: False, 21: True, 22: None, 23: None}
_FLOATS = {25: (">e", 2), 26: (">f", 4), 27: (">d", 8)}


def dumps(value: Any) -> bytes:
    """Encode str, bytes, int, float, bool, None, datetime, list and dict. Raises TypeError for anything else."""
    match value:
        case None:
            return b"\xf6"
        case bool():
            return b"\xf5" if value else b"\xf4"
        case int():
            return _head(0, value) if value >= 0 else _head(1, -1 - value)
        case float():
            return b"\xfb" + struct.pack(">d", value)
        case datetime():
            return _head(6, 1) + dumps(value.timestamp())
        case _:
            return _dumps_long(value)


def _dumps_long(value: Any) -> bytes:
    match value:
        case bytes():
            return _head(2, len(value)) + value
        case str():
            text = value.encode()
            return _head(3, len(text)) + text
        case list():
            return _head(4, len(value)) + b"".join(dumps(item) for item in value)
        case dict():
            return _head(5, len(value)) + b"".join(dumps(k) + dumps(v) for k, v in value.items())
    raise TypeError(f"no CBOR for {type(value).__name__}")


def _head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes([major << 5 | number])
    for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 1 << 8 * size:
            return bytes([major << 5 | info]) + number.to_bytes(size, "big")
    raise ValueError("number too large for CBOR")


def loads(data: bytes) -> Any:
    """Decode one item. Raises ValueError when the bytes are not CBOR."""
    value, end = _item(data, 0)
    if end != len(data):
        raise ValueError("bytes after the end of the CBOR item")
    return value


def _item(data: bytes, at: int) -> tuple[Any, int]:
    if at >= len(data):
        raise ValueError("CBOR ends too early")
    major, info = data[at] >> 5, data[at] & 31
    if major == 7:
        return _simple(data, at + 1, info)
    if info == 31:
        return _endless(data, at + 1, major)
    number, at = _number(data, at + 1, info)
    if major in (0, 1):
        return (number if major == 0 else -1 - number), at
    if major in (2, 3):
        return _text(_slice(data, at, number), major), at + number
    if major == 4:
        return _array(data, at, number)
    if major == 5:
        return _map(data, at, number)
    value, at = _item(data, at)
    return (datetime.fromtimestamp(value, UTC) if number == 1 else value), at


def _number(data: bytes, at: int, info: int) -> tuple[int, int]:
    if info < 24:
        return info, at
    if info > 27:
        raise ValueError("not a CBOR length")
    size = 1 << info - 24
    return int.from_bytes(_slice(data, at, size), "big"), at + size


def _slice(data: bytes, at: int, size: int) -> bytes:
    if at + size > len(data):
        raise ValueError("CBOR ends too early")
    return data[at : at + size]


def _text(raw: bytes, major: int) -> str | bytes:
    return raw.decode() if major == 3 else raw


def _array(data: bytes, at: int, number: int) -> tuple[list[Any], int]:
    items = []
    for _ in range(number):
        value, at = _item(data, at)
        items.append(value)
    return items, at


def _map(data: bytes, at: int, number: int) -> tuple[dict[Any, Any], int]:
    flat, at = _array(data, at, 2 * number)
    return dict(zip(flat[::2], flat[1::2], strict=True)), at


def _endless(data: bytes, at: int, major: int) -> tuple[Any, int]:
    items = []
    while at < len(data) and data[at] != _BREAK:
        value, at = _item(data, at)
        items.append(value)
    if at >= len(data):
        raise ValueError("CBOR ends too early")
    if major == 4:
        return items, at + 1
    if major == 5 and len(items) % 2 == 0:
        return dict(zip(items[::2], items[1::2], strict=True)), at + 1
    if major in (2, 3):
        return ("" if major == 3 else b"").join(items), at + 1
    raise ValueError("not an endless CBOR item")


def _simple(data: bytes, at: int, info: int) -> tuple[Any, int]:
    if info in _SIMPLE:
        return _SIMPLE[info], at
    if info not in _FLOATS:
        raise ValueError("not a CBOR value")
    form, size = _FLOATS[info]
    return struct.unpack(form, _slice(data, at, size))[0], at + size
