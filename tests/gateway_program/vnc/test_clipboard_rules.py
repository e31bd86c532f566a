"""The clipboard policy on streams made up by hypothesis: what is left out, in whatever pieces it comes."""

import struct
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateways.program.vnc.clipboard import (
    CUT_CAPS,
    CUT_NOTIFY,
    CUT_PROVIDE,
    EXTENDED_BUTTONS,
    EXTENDED_CLIPBOARD,
    FOLLOWED,
    Filter,
)
from gateways.program.vnc.password import response
from gateways.program.vnc.stream import MOST_TAKEN, NotUnderstood, Story, Stream

INIT = struct.pack(">HH", 64, 48) + bytes([32, 24, 0, 1]) + bytes(12) + struct.pack(">I", 4) + b"desk"
REQUEST = 1 << 25


def rectangle(width: int, height: int, encoding: int, body: bytes) -> bytes:
    return struct.pack(">HHHHi", 0, 0, width, height, encoding) + body


def counted(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


some = st.binary(max_size=40)
rectangles = st.one_of(
    st.tuples(st.integers(0, 20), st.integers(0, 5)).map(lambda at: rectangle(*at, 0, b"\3" * (4 * at[0] * at[1]))),
    st.just(rectangle(9, 9, 1, b"\3\3\3\3")),
    some.map(lambda data: rectangle(64, 64, 16, counted(data))),
    st.just(rectangle(9, 3, -239, b"\3" * (9 * 3 * 4 + 2 * 3))),
    st.just(rectangle(64, 48, -223, b"")),
    st.integers(0, 3).map(lambda count: rectangle(64, 48, -308, bytes([count, 0, 0, 0]) + b"\3" * 16 * count)),
    some.map(lambda data: rectangle(0, 0, -307, counted(data))),
    st.just(rectangle(0, 0, -261, b"\3")),
)
passing = st.one_of(
    st.lists(rectangles, max_size=4).map(lambda all_: struct.pack(">BxH", 0, len(all_)) + b"".join(all_)),
    st.lists(rectangles, max_size=4).map(
        lambda all_: struct.pack(">BxH", 0, 65535) + b"".join(all_) + rectangle(0, 0, -224, b"")
    ),
    st.just(b"\2"),
    st.just(b"\x96"),
    st.just(struct.pack(">BxHH", 1, 0, 2) + b"\3" * 12),
    st.integers(0, 60).map(lambda count: struct.pack(">BxxxIB", 248, 7, count) + b"\3" * count),
    st.just(struct.pack(">BxxxiI", 3, -4, REQUEST)),
    st.just(struct.pack(">BxxxiII", 3, -8, CUT_CAPS | CUT_PROVIDE | 1, 100)),
)
held = st.one_of(
    some.map(lambda data: struct.pack(">BxxxI", 3, len(data)) + data),
    some.map(lambda data: struct.pack(">BxxxiI", 3, -4 - len(data), CUT_PROVIDE | 1) + data),
    st.just(struct.pack(">BxxxiI", 3, -4, CUT_NOTIFY | 1)),
    st.just(struct.pack(">BxxxiI", 3, -4 - 200, CUT_CAPS | 1) + bytes(200)),  # no list of capabilities is so long
)
messages = st.lists(st.one_of(passing.map(lambda data: (data, True)), held.map(lambda data: (data, False))))


def in_pieces(pass_on: Callable[[bytes], bytes], data: bytes, cuts: Sequence[int]) -> bytes:
    places = sorted({0, len(data), *(each % (len(data) + 1) for each in cuts)})
    return b"".join(pass_on(data[start:end]) for start, end in zip(places, places[1:], strict=False))


@given(messages, st.lists(st.integers(0, 10_000), max_size=12))
def test_what_may_not_come_out_is_left_out_and_nothing_else(said: list[tuple[bytes, bool]], cuts: list[int]) -> None:
    rules = Filter("in")
    out = in_pieces(rules.down, INIT + b"".join(data for data, _ in said), cuts)
    assert out == INIT + b"".join(data for data, passes in said if passes)


@given(st.lists(st.integers(0, 10_000), max_size=12), st.sampled_from(["none", "out"]))
def test_what_may_not_go_in_is_left_out(cuts: list[int], policy: str) -> None:
    key, pointer, qemu = struct.pack(">BBxxI", 4, 1, 65), struct.pack(">BBHH", 5, 1, 2, 3), b"\xff\0" + b"\3" * 10
    wish = struct.pack(">BxHHBx", 251, 64, 48, 1) + b"\3" * 16
    others = struct.pack(">BxxxIB", 248, 7, 3) + b"abc" + b"\x96" + b"\3" * 9 + b"\xfa\0\1\2"
    text, provide = struct.pack(">BxxxI", 6, 5) + b"hello", struct.pack(">BxxxiI", 6, -9, CUT_PROVIDE) + b"hello"
    rules = Filter(policy)  # type: ignore[arg-type]
    told = b"\1" + key + text + pointer + provide + qemu + wish + others + text + key
    assert in_pieces(rules.up, told, cuts) == b"\1" + key + pointer + qemu + wish + others + key


def test_only_encodings_that_are_followed_are_offered_where_nothing_may_come_out() -> None:
    offered = (7, 16, 1, 5, 0, EXTENDED_CLIPBOARD, EXTENDED_BUTTONS, -239, 0x574D5664, -26)
    told = struct.pack(f">BxH{len(offered)}i", 2, len(offered), *offered)
    for policy, kept in (
        ("none", [each for each in offered if each in FOLLOWED]),
        ("out", [each for each in offered if each != EXTENDED_BUTTONS]),
        ("both", list(offered)),
    ):
        out = Filter(policy).up(b"\1" + told)  # type: ignore[arg-type]
        assert out == b"\1" + struct.pack(f">BxH{len(kept)}i", 2, len(kept), *kept)


def test_the_size_of_pixels_stays_once_a_picture_was_asked_for() -> None:
    deep, flat = b"\0\0\0\0" + bytes([32]) + bytes(15), b"\0\0\0\0" + bytes([16]) + bytes(15)
    ask = struct.pack(">BBHHHH", 3, 0, 0, 0, 64, 48)
    assert Filter("none").up(b"\1" + flat + ask + flat) == b"\1" + flat + ask + flat
    with pytest.raises(NotUnderstood, match="size of pixels"):
        Filter("none").up(b"\1" + deep + ask + flat)
    rules = Filter("none")
    rules.up(b"\1" + flat + ask)
    picture = struct.pack(">BxH", 0, 1) + rectangle(3, 1, 0, bytes(6))
    assert rules.down(INIT + picture + b"\2") == INIT + picture + b"\2"


@given(st.binary(max_size=400))
def test_garbage_is_refused_or_passed_and_little_is_held_back(data: bytes) -> None:
    for way, start in (("up", b"\1"), ("down", INIT)):
        rules = Filter("none")
        try:
            getattr(rules, way)(start + data)
        except NotUnderstood:
            continue


def test_a_message_that_is_too_long_to_be_looked_at_is_refused() -> None:
    def story() -> Story:
        yield "take", MOST_TAKEN + 1

    with pytest.raises(NotUnderstood):
        Stream(bytearray(), story()).feed(b"x")


def test_eight_bytes_of_a_password_count() -> None:
    assert response(bytes(range(16)), "password").hex() == response(bytes(range(16)), "password123").hex()
    assert response(bytes(16), "").hex() == "8ca64de9c1b123a7" * 2  # DES of zeros under a key of zeros
