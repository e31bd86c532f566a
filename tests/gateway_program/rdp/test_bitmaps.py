"""Bitmaps wider than their place are cropped, in every encoding; what comes out is what a client would draw."""

import random
import struct
from dataclasses import replace

import pytest

from gateways.program.rdp import bitmaps, planar, rle, updates
from gateways.program.rdp.bitmaps import COMPRESSED, NO_HEADER, Bitmap
from gateways.program.rdp.framing import Frames
from gateways.program.rdp.reading import Garbled


def pixels(width: int, height: int, depth: int, seed: int = 1) -> bytes:
    """Something with runs and with noise."""
    dice = random.Random(seed)
    colours = [dice.randbytes(depth) for _ in range(3)]
    rows = [
        b"".join(dice.choice(colours) if (x // 5 + y) % 3 else colours[0] for x in range(width)) for y in range(height)
    ]
    return b"".join(rows)


def cropped(data: bytes, stride: int, size: int, skipped: int = 0) -> bytes:
    return b"".join(data[at : at + size] for at in range(skipped * stride, len(data), stride))


def place(width: int, height: int, **more: int) -> dict[str, int]:
    return {"left": 100, "top": 50, "right": 99 + width, "bottom": 49 + height, **more}


@pytest.mark.parametrize("wanted", [29, 30, 31])
@pytest.mark.parametrize(("bits", "depth"), [(8, 1), (15, 2), (16, 2), (24, 3)])
def test_interleaved_bitmaps_are_cropped(bits: int, depth: int, wanted: int) -> None:
    data = pixels(32, 20, depth)
    wide = Bitmap(**place(wanted, 20), width=32, height=20, bits=bits, flags=COMPRESSED | NO_HEADER,
                  data=rle.encode(data, depth))  # fmt: skip
    (made,) = wide.fitted()
    assert made.fits
    assert rle.decode(made.data, made.width, made.height, depth) == cropped(data, 32 * depth, wanted * depth)


def test_the_header_of_a_compressed_bitmap_is_no_picture() -> None:
    data = pixels(8, 4, 2)
    wide = Bitmap(**place(7, 4), width=8, height=4, bits=16, flags=COMPRESSED, data=bytes(8) + rle.encode(data, 2))
    (made,) = wide.fitted()
    assert made.flags == COMPRESSED | NO_HEADER
    assert rle.decode(made.data, 7, 4, 2) == cropped(data, 16, 14)


@pytest.mark.parametrize("alpha", [True, False])
@pytest.mark.parametrize("runs", [True, False])
def test_planar_bitmaps_are_cropped(runs: bool, alpha: bool) -> None:
    planes = [pixels(68, 40, 1, seed) for seed in range(4 if alpha else 3)]
    head = (planar.RUNS if runs else 0) | (0 if alpha else planar.NO_ALPHA)
    body = b"".join(rolled(each, 68) if runs else each for each in planes) + (b"" if runs else b"\0")
    wide = Bitmap(
        **place(65, 40), width=68, height=40, bits=32, flags=COMPRESSED | NO_HEADER, data=bytes((head,)) + body
    )
    (made,) = wide.fitted()
    assert made.fits
    assert made.data == bytes((head & ~planar.RUNS,)) + b"".join(cropped(each, 68, 65) for each in planes) + b"\0"


def rolled(plane: bytes, width: int) -> bytes:
    """A plane as servers encode it: differences to the row before, then runs (an encoder of this test's own)."""
    made, above = bytearray(), b""
    for at in range(0, len(plane), width):
        row = plane[at : at + width]
        values = row if not above else bytes(difference(new, old) for new, old in zip(row, above, strict=True))
        made += rolled_row(values)
        above = row
    return bytes(made)


def difference(new: int, old: int) -> int:
    delta = (new - old + 128) % 256 - 128
    return (delta << 1) & 0xFF if delta >= 0 else ((-delta << 1) - 1) & 0xFF


def rolled_row(values: bytes) -> bytes:
    made, at = bytearray(), 0
    while at < len(values):
        raw = values[at : at + 7]
        at += len(raw)
        run = 0
        while at + run < len(values) and values[at + run] == raw[-1] and run < 47:
            run += 1
        if 3 <= run <= 15:
            made += bytes((len(raw) << 4 | run,)) + raw
        elif run >= 16:
            long = bytes((((run - 32) << 4 | 2) if run >= 32 else ((run - 16) << 4 | 1),))
            made += bytes((len(raw) << 4,)) + raw + long
        else:
            made, run = made + bytes((len(raw) << 4,)) + raw, 0
        at += run
    return bytes(made)


def test_rows_that_are_not_compressed_lose_their_padding() -> None:
    data = pixels(31, 6, 2)
    padded = b"".join(data[at : at + 62] + b"xx" for at in range(0, len(data), 62))
    odd = Bitmap(**place(30, 6), width=31, height=6, bits=16, flags=0, data=padded)
    (made,) = odd.fitted()
    assert rle.decode(made.data, 30, 6, 2) == cropped(data, 62, 60)
    true = Bitmap(**place(31, 6), width=32, height=6, bits=32, flags=0, data=pixels(32, 6, 4))
    (made,) = true.fitted()
    assert (made.flags, made.data) == (0, cropped(true.data, 128, 124))


def test_a_large_picture_comes_in_bands_from_below() -> None:
    data = pixels(260, 100, 2)
    high = Bitmap(
        **place(259, 90), width=260, height=100, bits=16, flags=COMPRESSED | NO_HEADER, data=rle.encode(data, 2)
    )
    bands = list(high.fitted())
    assert len(bands) > 1
    assert all(each.fits and len(each.written()) <= bitmaps.LARGEST_UPDATE + bitmaps.HEAD for each in bands)
    assert (bands[0].bottom, bands[-1].top) == (high.bottom, high.top)
    drawn = b"".join(rle.decode(each.data, each.width, each.height, 2) for each in bands)
    assert drawn == cropped(data, 520, 518, skipped=10)


def test_orders_of_every_kind_are_understood() -> None:
    fore, red, green = b"\x0f\x00", b"\x00\xf8", b"\xe0\x07"
    first = b"\x04" + b"\xc4" + fore + b"\x64" + red + b"\x84" + green * 4  # 4 black, 4 fore, 4 red, 4 green
    second = b"\x08\xf1\x02\x00" + b"\xfd\xfe" + b"\xe2" + red + green  # 8 as above, 2 mixed, white, black, 2 pairs
    made = rle.decode(first + second, 16, 2, 2)
    above = bytes(8) + fore * 4 + red * 4 + green * 4
    mixed = bytes(a ^ b for a, b in zip(red * 2, fore * 2, strict=True))
    assert made == above + above[:16] + mixed + b"\xff\xff" + b"\0\0" + (red + green) * 2


def test_two_background_runs_have_a_pixel_of_foreground_between() -> None:
    assert rle.decode(b"\x02\x02", 4, 1, 1) == b"\0\0\xff\0"
    assert rle.decode(b"\x81\x01\x01\x02", 2, 2, 1)[:2] == b"\x01\0", "not over the end of the first row"


def test_the_update_stays_as_it_is_where_everything_fits() -> None:
    fits = Bitmap(**place(32, 2), width=32, height=2, bits=16, flags=COMPRESSED | NO_HEADER, data=b"whatever it is")
    (update,) = bitmaps.joined([fits, fits])
    assert bitmaps.fitting(update) == [update]
    packet = updates.written(bitmaps.BITMAP, updates.SINGLE, update)
    assert updates.Updates().fast(packet) is packet


def test_only_what_does_not_fit_is_changed_and_what_makes_no_sense_is_left_out() -> None:
    fits = Bitmap(
        **place(32, 2), width=32, height=2, bits=16, flags=COMPRESSED | NO_HEADER, data=b"\xf4\x40\x00" + bytes(128)
    )
    wide = replace(fits, right=fits.right - 1)
    senseless = replace(wide, data=b"\xff\xff")
    (update,) = bitmaps.joined([fits, wide, senseless])
    (made,) = bitmaps.fitting(update)
    first, second = bitmaps.read(made)
    assert first == fits
    assert (second.width, second.fits) == (31, True)


@pytest.mark.parametrize("slow", [False, True])
def test_updates_come_out_as_fast_path_packets(slow: bool) -> None:
    wide = Bitmap(
        **place(63, 64),
        width=64,
        height=64,
        bits=16,
        flags=COMPRESSED | NO_HEADER,
        data=rle.encode(pixels(64, 64, 2), 2),
    )
    update = struct.pack("<HH", 1, 3) + wide.written() * 3
    if slow:
        made = updates.slow(updates.Share(updates.UPDATE, False, update))
        assert made is not None
    else:
        keeper = updates.Updates()
        third = len(update) // 3
        made = keeper.fast(updates.written(1, updates.FIRST, update[:third]))
        made += keeper.fast(updates.written(1, updates.NEXT, update[third : 2 * third]))
        assert made == b""
        made = keeper.fast(updates.written(1, updates.LAST, update[2 * third :]))
    found = [
        one for packet in Frames().feed(made) for each in updates.read_fast(packet) for one in bitmaps.read(each.data)
    ]
    assert len(found) == 3
    assert all(each.fits for each in found)


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (65535, 65535)])
def test_sizes_that_cannot_be_are_garbled(size: tuple[int, int]) -> None:
    for bits in (16, 32):
        odd = Bitmap(0, 0, 3, 3, *size, bits=bits, flags=COMPRESSED | NO_HEADER, data=b"\x10" + bytes(50))
        with pytest.raises(Garbled):
            list(odd.fitted())
