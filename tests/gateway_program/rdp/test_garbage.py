"""Whatever comes: each reader answers or raises Garbled, in bounded time and memory. The budget is fixed."""

import os
import ssl
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateways.program.rdp import bitmaps, channels, cleanpath, credssp, der, info, mcs, planar, rle, updates, x224
from gateways.program.rdp.conversation import Conversation, Credentials
from gateways.program.rdp.framing import Frames
from gateways.program.rdp.reading import Garbled
from tests.gateway_program.rdp import samples
from tests.gateway_program.rdp.bridge import ask
from tests.gateway_program.rdp.samples import MAIN, down, message, up
from tests.gateway_program.rdp_servers import certificate

EXAMPLES = int(os.environ.get("USHER_FUZZ", "100"))  # `python -m bench fuzz` takes its time
BUDGET = settings(
    max_examples=EXAMPLES, deadline=None, derandomize=EXAMPLES == 100, suppress_health_check=list(HealthCheck)
)
WHO = Credentials("alice", "CORP", "secret")
BITMAP = bitmaps.Bitmap(0, 0, 30, 7, 32, 8, 16, 0x401, rle.encode(bytes(512), 2))
PLANAR = replace(BITMAP, bits=32, data=b"\x30" + b"\x02\x02" * 24)


def answer(**parts: bytes) -> bytes:
    """A TSRequest."""
    return credssp.request(**parts)


def talk() -> Conversation:
    return Conversation(WHO, "in", 1, 0)


def opened() -> Conversation:
    made = talk()
    made.up(samples.connect_initial())
    made.down(samples.connect_response())
    made.up(up(MAIN, samples.client_info()))
    return made


def fitted(data: bytes) -> None:
    for each in bitmaps.read(data):
        bitmaps.pieces(each)


READERS: dict[str, tuple[Callable[[bytes], object], bytes]] = {
    "der": (der.read, ask("token")),
    "cleanpath": (cleanpath.read_request, ask("token")),
    "x224": (x224.read_confirm, x224.confirm(1, 0)),
    "connect initial": (lambda data: mcs.connect_initial(data, mcs.Wishes(1)), samples.connect_initial()),
    "connect response": (mcs.connect_response, samples.connect_response()),
    "mcs": (mcs.read_sent, up(MAIN, b"data")),
    "info": (lambda data: info.with_credentials(data, "a", "b", "c"), samples.client_info()),
    "tsrequest": (credssp.read_answer, answer(token=b"NTLMSSP\0" + bytes(40), key=b"key", nonce=bytes(32))),
    "certificate": (credssp.public_key, ask("token")),
    "framing": (lambda data: list(Frames().feed(data)), samples.connect_initial() + updates.written(1, 0, b"x" * 300)),
    "bitmaps": (fitted, struct.pack("<HH", 1, 2) + BITMAP.written() + PLANAR.written()),
    "interleaved": (
        lambda data: rle.decode(data, 32, 8, 2),
        b"\x04\xc4\x0f\x00\x64\x00\xf8\xf1\x02\x00\xe2\x01\x02\x03\x04",
    ),
    "planar": (lambda data: planar.crop(data, 32, 8, 31, 8), PLANAR.data),
    "fast path": (updates.Updates().fast, updates.written(1, 0, struct.pack("<HH", 1, 1) + BITMAP.written())),
    "share": (lambda data: [updates.farewell(each) for each in [updates.read_share(data)] if each], bytes(30)),
    "clipboard": (lambda data: channels.clipboard("in").down.chunk(data), message(bytes(12))),  # type: ignore[union-attr]
    "dynamic": (lambda data: channels.Dynamic().filter().down.chunk(data), message(b"\x10\x05URBDRC\0")),
    "first of a browser": (lambda data: talk().up(data), samples.connect_initial()),
    "later of a browser": (lambda data: opened().up(data), up(samples.FIRST, message(bytes(12)))),
    "first of a desktop": (lambda data: talk().down(data), samples.connect_response()),
    "later of a desktop": (lambda data: opened().down(data), down(MAIN, bytes(30)) + updates.written(2, 0, bytes(9))),
}


def harmless(read: Callable[[bytes], object], data: bytes) -> None:
    try:
        read(data)
    except Garbled as error:
        assert str(error)


@pytest.mark.parametrize("name", READERS)
def test_bytes_without_any_sense(name: str) -> None:
    read, _sample = READERS[name]

    @BUDGET
    @given(st.binary(max_size=200))
    def tried(data: bytes) -> None:
        harmless(read, data)

    tried()


@pytest.mark.parametrize("name", READERS)
def test_a_good_one_with_a_few_bytes_changed_or_cut(name: str) -> None:
    read, sample = READERS[name]

    @BUDGET
    @given(st.data())
    def tried(draw: st.DataObject) -> None:
        data = bytearray(sample)
        for _ in range(draw.draw(st.integers(1, 4))):
            data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(
                st.sampled_from([0, 1, 0x7F, 0x80, 0xFE, 0xFF, 3])
            )
        harmless(read, bytes(data[: draw.draw(st.integers(0, len(data)))]))
        harmless(read, bytes(data))

    tried()


def test_an_exchange_of_credssp_with_a_server_that_babbles(tmp_path: Path) -> None:
    """Tokens that NTLM cannot read, in TSRequests that are right."""
    certificate(tmp_path / "crt", tmp_path / "key")
    shown = ssl.PEM_cert_to_DER_cert((tmp_path / "crt").read_text())

    @BUDGET
    @given(st.lists(st.binary(min_size=1, max_size=80), max_size=4))
    def tried(answers: list[bytes]) -> None:
        dialogue = credssp.dialogue(WHO, "10.0.0.4", shown)
        next(dialogue)
        try:
            for each in answers:
                dialogue.send(answer(token=b"NTLMSSP\0\x02\0\0\0" + each, key=each))
        except Garbled as error:
            assert "secret" not in str(error)
        except StopIteration:
            raise AssertionError("nobody has shown that he knows the password") from None

    tried()


def test_unmodified_samples_are_read() -> None:
    """Else the fuzzing above would only see the first byte."""
    for name, (read, sample) in READERS.items():
        if name not in ("certificate", "interleaved"):
            read(sample)


@pytest.mark.parametrize("bits", [16, 32])
def test_a_few_bytes_cannot_become_a_huge_picture(bits: int) -> None:
    runs = b"\xf3\xff\xff\x00\x00" * 400 if bits == 16 else b"\x30" + b"\xf2" * 2000
    with pytest.raises(Garbled):
        list(replace(BITMAP, bits=bits, width=65535, height=65535, data=runs).fitted())


def test_a_few_bytes_cannot_become_work_without_end() -> None:
    """A hundred bytes each, a million pixels each."""
    large = replace(BITMAP, width=1024, height=1024, data=b"\xf0\xff\xff" * 16 + b"\xf0\x10\x00")
    assert len(rle.decode(large.data, 1024, 1024, 2)) == 2 << 20
    assert len(bitmaps.fitting(struct.pack("<HH", 1, 1) + replace(large, right=1022, bottom=1023).written())) > 1
    with pytest.raises(Garbled, match="more bitmaps"):
        bitmaps.fitting(struct.pack("<HH", 1, 2) + large.written() * 2)


def test_an_update_without_end_is_not_kept() -> None:
    keeper = updates.Updates()
    keeper.fast(updates.written(bitmaps.BITMAP, updates.FIRST, bytes(16_000)))
    with pytest.raises(Garbled, match="without end"):
        for _ in range(200):
            keeper.fast(updates.written(bitmaps.BITMAP, updates.NEXT, bytes(16_000)))
