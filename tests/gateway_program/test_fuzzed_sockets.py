"""Whatever comes over a WebSocket, before and after a token: the visit ends, nothing is opened, the program goes on."""

import asyncio
import os
import socket
from pathlib import Path

import pytest
from aiohttp import ClientConnectionError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateways.program.rdp import serve
from tests.gateway_program.knocking import DOORS, desktop, entered, knocking
from tests.gateway_program.rdp import peers, samples
from tests.gateway_program.rdp.bridge import answered, ask
from tests.gateway_program.rdp.peers import peer
from tests.gateway_program.rdp.samples import MAIN, message, up
from tests.gateway_program.running import Program
from tests.gateway_program.stage import HERE, PATIENCE, in_loop, stage
from tests.gateway_program.world import opening
from tests.services import wait_for

pytestmark = pytest.mark.slow
EXAMPLES = int(os.environ.get("USHER_FUZZ", "100"))  # `python -m bench fuzz` takes its time
BUDGET = settings(
    max_examples=EXAMPLES, deadline=None, derandomize=EXAMPLES == 100, suppress_health_check=list(HealthCheck)
)
GOOD = (ask("token"), b'{"token": "token", "width": 640, "height": 480}')
RIGHT = (samples.connect_initial(), up(MAIN, samples.client_info()), up(samples.FIRST, message(bytes(12))))


def frame(head: int, masked: bool, told: int, data: bytes) -> bytes:
    """One frame that may lie about its length (RFC 6455, 5.2); a mask is four zeros."""
    size = (told or len(data)).to_bytes(8, "big")
    return bytes([head, 127 | masked << 7]) + size + bytes(4 * masked) + data


HEADS = st.sampled_from([0x82, 0x81, 0x02, 0x80, 0x88, 0x89, 0x8A]) | st.integers(0, 255)
SIZES = st.just(0) | st.integers(0, 1 << 64).map(lambda size: size % (1 << 64))
FRAMES = st.builds(frame, HEADS, st.booleans() | st.just(True), SIZES, st.sampled_from(GOOD) | st.binary(max_size=200))
STREAMS = st.lists(FRAMES | st.binary(max_size=60), max_size=5).map(b"".join)


@given(door=st.sampled_from(DOORS), sent=STREAMS)
@BUDGET
def test_frames_without_a_token_are_shown_the_door(program: Program, door: str, sent: bytes) -> None:
    with entered(program, door) as (page, _answers):
        page.sendall(sent)
        page.shutdown(socket.SHUT_WR)  # from here on without TLS: all that is looked for is the end
        while page.recv(65_536):
            pass


def test_after_all_that_nobody_was_let_in_and_a_token_still_opens(program: Program) -> None:
    assert program.process.poll() is None
    assert not any("Traceback" in line for line in program.lines)
    assert program.logged("session.used") == [] and program.control("status", {}).told["sessions"] == []
    with desktop() as behind:
        asked = opening(protocol="vnc", host=HERE, port=behind.port, client_ip=HERE)
        program.control("open", asked.json())
        with knocking(program, "vnc", program.token(asked)):
            wait_for(lambda: behind.count == 1, 10, "the desktop is dialled")


@given(sent=st.lists(st.sampled_from(RIGHT) | st.binary(max_size=300) | st.text(max_size=40), min_size=1, max_size=5))
@BUDGET
def test_messages_after_a_token_end_with_the_page_at_the_latest(
    tmp_path_factory: pytest.TempPathFactory, sent: list[bytes | str]
) -> None:
    folder = tmp_path_factory.mktemp("garbage")

    @in_loop
    async def tell() -> None:
        async with stage(folder, "rdp", serve.serve) as here, peer(folder, peers.plain) as there:
            session, token = here.open(port=there.port)
            page, _heard = await answered(here, token)
            try:
                for each in sent:
                    await (page.send_str(each) if isinstance(each, str) else page.send_bytes(each))
            except ClientConnectionError:
                pass  # it was shown the door before its last word
            await page.close()
            async with asyncio.timeout(PATIENCE):
                await session.ended.wait()
                await there.gone.wait()

    tell()


def test_the_samples_are_good(tmp_path: Path) -> None:
    """Else the fuzzing above would only see the first message."""

    @in_loop
    async def tell() -> None:
        async with stage(tmp_path, "rdp", serve.serve) as here, peer(tmp_path, peers.plain) as there:
            session, token = here.open(port=there.port)
            page, _heard = await answered(here, token)
            await page.send_bytes(RIGHT[0])
            await page.receive(PATIENCE)
            await page.send_bytes(RIGHT[1])
            assert not session.ended.is_set()
            await page.close()

    tell()
