"""Whatever comes over a WebSocket, before and after a token: the visit ends, nothing is opened, no handler fails."""

import asyncio
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import ClientConnectionError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateways.program import viewing
from gateways.program.rdp import serve as rdp
from gateways.program.screen import serve as screen
from gateways.program.ssh import serve as ssh
from gateways.program.telling import OurMistakes
from gateways.program.vnc import serve as vnc
from tests.gateway_program.knocking import upgrade
from tests.gateway_program.rdp import peers, samples
from tests.gateway_program.rdp.bridge import answered, ask
from tests.gateway_program.rdp.peers import peer
from tests.gateway_program.rdp.samples import MAIN, message, up
from tests.gateway_program.stage import PATIENCE, in_loop, stage, until

pytestmark = pytest.mark.slow
EXAMPLES = int(os.environ.get("USHER_FUZZ", "100"))  # `python -m bench fuzz` takes its time
BUDGET = settings(
    max_examples=EXAMPLES, deadline=None, derandomize=EXAMPLES == 100, suppress_health_check=list(HealthCheck)
)
DOORS = {"rdp": rdp.serve, "vnc": vnc.serve, "ssh": ssh.serve, "screen": screen.serve}
GOOD = (ask("token"), b'{"token": "token", "width": 640, "height": 480}')
INFO = up(MAIN, samples.client_info())
RIGHT = (samples.connect_initial(), INFO, up(samples.FIRST, message(bytes(12))), up(MAIN, bytes(30)))


def frame(head: int, masked: bool, told: int, data: bytes) -> bytes:
    """One frame that may lie about its length (RFC 6455, 5.2); a mask is four zeros."""
    size = (told or len(data)).to_bytes(8, "big")
    return bytes([head, 127 | masked << 7]) + size + bytes(4 * masked) + data


HEADS = st.sampled_from([0x82, 0x81, 0x02, 0x80, 0x88, 0x89, 0x8A]) | st.integers(0, 255)
SIZES = st.just(0) | st.integers(0, (1 << 64) - 1)
FRAMES = st.builds(frame, HEADS, st.booleans() | st.just(True), SIZES, st.sampled_from(GOOD) | st.binary(max_size=200))
STREAMS = st.lists(FRAMES | st.binary(max_size=60), max_size=5).map(b"".join)
MESSAGES = st.lists(st.sampled_from(RIGHT) | st.binary(max_size=300) | st.text(max_size=40), min_size=1, max_size=5)


@pytest.fixture
def mistakes() -> Iterator[list[logging.LogRecord]]:
    """What handlers did not expect."""
    found: list[logging.LogRecord] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record)

    kept, log = Kept(), logging.getLogger("aiohttp.server")
    kept.addFilter(OurMistakes())
    log.addHandler(kept)
    yield found
    log.removeHandler(kept)


def test_frames_without_a_token_are_shown_the_door(
    tmp_path: Path, mistakes: list[logging.LogRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (viewing, rdp):
        monkeypatch.setattr(module, "HELLO_SECONDS", 0.03)
    monkeypatch.setattr(viewing, "PART_SECONDS", 0.03)

    @BUDGET
    @given(door=st.sampled_from(sorted(DOORS)), sent=STREAMS)
    @in_loop
    async def tried(door: str, sent: bytes) -> None:
        async with stage(tmp_path, door, DOORS[door]) as here:
            reader, writer = await asyncio.open_connection(*here.place)
            writer.write(upgrade(door) + sent)
            async with asyncio.timeout(PATIENCE):
                assert (await reader.readline()).startswith(b"HTTP/1.1 101")
                await ended(reader)
            writer.close()
            assert here.world.registry.live() == [] and mistakes == []

    tried()


async def ended(reader: asyncio.StreamReader) -> None:
    """The gateway has closed, however it does."""
    try:
        while await reader.read(65_536):
            pass
    except ConnectionError:
        pass


def test_messages_after_a_token_end_with_the_page_at_the_latest(
    tmp_path: Path, mistakes: list[logging.LogRecord]
) -> None:
    @BUDGET
    @given(introduced=st.booleans(), sent=MESSAGES)
    @in_loop
    async def tried(introduced: bool, sent: list[bytes | str]) -> None:
        async with stage(tmp_path, "rdp", rdp.serve) as here, peer(tmp_path, peers.plain) as there:
            session, token = here.open(port=there.port)
            page, _heard = await answered(here, token)
            try:
                if introduced:
                    await page.send_bytes(RIGHT[0])
                    await page.receive(PATIENCE)
                    await page.send_bytes(INFO)
                for each in sent:
                    await (page.send_str(each) if isinstance(each, str) else page.send_bytes(each))
            except ClientConnectionError:
                pass  # it was shown the door before its last word
            await page.close()
            async with asyncio.timeout(PATIENCE):
                await session.ended.wait()
                await there.gone.wait()
            assert mistakes == []

    tried()


@in_loop
async def test_unmodified_messages_get_to_the_desktop(tmp_path: Path) -> None:
    """Else the fuzzing above would only see the first one."""
    async with stage(tmp_path, "rdp", rdp.serve) as here, peer(tmp_path, peers.plain) as there:
        _session, token = here.open(port=there.port)
        page, _heard = await answered(here, token)
        await page.send_bytes(RIGHT[0])
        await page.receive(PATIENCE)
        for each in RIGHT[1:]:
            heard = len(there.heard)
            await page.send_bytes(each)
            await until(lambda heard=heard: len(there.heard) > heard, "the desktop hears it")  # type: ignore[misc]
        await page.close()
