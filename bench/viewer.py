"""Viewer sessions: what one costs a gateway in memory, and how fast pictures pass, as they are and cropped.

The gateway runs in a process of its own; desktops (a few lines behind TLS) and browsers are in this one.
"""

import asyncio
import contextlib
import json
import resource
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse

from bench import budgets
from gateways.program.rdp import bitmaps, rle, serve, updates
from tests.gateway_program.rdp import peers, samples
from tests.gateway_program.rdp.bridge import ask
from tests.gateway_program.rdp.peers import Peer, peer
from tests.gateway_program.stage import stage
from tests.gateway_program.world import ORIGIN

SESSIONS, PACKETS = 40, 400
LARGEST_SESSION = 2 << 20  # bytes, the budget
PICTURE = updates.written(4, updates.SINGLE, bytes(range(256)) * 60)  # RemoteFX: passes as it is
PIXELS = bytes(range(256)) * (64 * 64 * 2 // 256)


def bitmap(width: int) -> bytes:
    """A fast-path packet with a bitmap of 64 × 64 pixels for a place of that width."""
    made = bitmaps.Bitmap(0, 0, width - 1, 63, 64, 64, 16, 0x401, rle.encode(PIXELS, 2))
    return updates.written(bitmaps.BITMAP, updates.SINGLE, struct.pack("<HH", 1, 1) + made.written())


def noise() -> bytes:
    """The same in planes of 32-bit colours, every pixel another difference: what takes longest to crop."""
    row = b"".join(bytes((count << 4, *range(1, count + 1))) for count in (15, 15, 15, 15, 4))
    made = bitmaps.Bitmap(0, 0, 62, 63, 64, 64, 32, 0x401, b"\x30" + row * 64 * 3)
    return updates.written(bitmaps.BITMAP, updates.SINGLE, struct.pack("<HH", 1, 1) + made.written())


def run() -> None:
    """Print the figures."""
    cost = memory(SESSIONS)
    budgets.at_most(LARGEST_SESSION, "a viewer session that was drawn to", cost, f"bytes ({SESSIONS} at a time)")
    for name, packet in (("RemoteFX", PICTURE), ("bitmaps that fit", bitmap(64)), ("padded bitmaps", bitmap(63))):
        print(f"{name}: {asyncio.run(passed(packet)):.0f} MB/s to one browser, all parts on this machine")
    for name, packet in (("16 bits", bitmap(63)), ("32 bits, nothing but noise", noise())):
        begin = time.process_time()
        for _ in range(100):
            updates.Updates().fast(packet)
        print(f"cropping one of 64 × 64, {name}: {(time.process_time() - begin) / 100 * 1e3:.2f} ms of CPU")


def memory(sessions: int) -> float:
    """Bytes of the gateway's memory for each of so many sessions, after pictures have passed through them."""
    return asyncio.run(grown(sessions))


async def grown(sessions: int) -> float:
    """How much the gateway's process grows, by one session."""
    async with desktops(bitmap(63) * 4 + PICTURE, PACKETS // 10) as (port, folder):
        with gateway(folder, port, sessions + 4) as (process, told):
            async with ClientSession(told["url"]) as client:
                browsers = [await browser(client, token) for token in told["tokens"][:4]]  # what is loaded only once
                await asyncio.gather(*map(drained, browsers))
                before = resident(process.pid)
                more = [await browser(client, token) for token in told["tokens"][4:]]
                await asyncio.gather(*map(drained, more))
                return (resident(process.pid) - before) / sessions


async def passed(packet: bytes) -> float:
    """Megabytes a second that reach one browser."""
    async with desktops(packet, PACKETS) as (port, folder):
        with gateway(folder, port, 1) as (_process, told):
            async with ClientSession(told["url"]) as client:
                socket = await browser(client, told["tokens"][0])
                begin = time.perf_counter()
                return await drained(socket) / (time.perf_counter() - begin) / 1e6


@contextlib.asynccontextmanager
async def desktops(packet: bytes, times: int) -> AsyncIterator[tuple[int, Path]]:
    """A port where every visitor is drawn the packet so many times; then it is quiet."""

    async def story(desk: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peers.plain_until_info(desk, reader, writer)
        for _ in range(times):
            writer.write(packet)
            await writer.drain()
        writer.write(updates.written(2, updates.SINGLE, b"done"))
        await reader.read()

    with tempfile.TemporaryDirectory() as name:
        async with peer(Path(name), story) as made:
            yield made.port, Path(name)


async def browser(client: ClientSession, token: str) -> ClientWebSocketResponse:
    """One that has introduced itself."""
    socket = await client.ws_connect("/viewer/v1/rdp", headers={"Origin": ORIGIN}, max_msg_size=0)
    await socket.send_bytes(ask(token))
    await socket.receive_bytes()
    await socket.send_bytes(samples.connect_initial())
    await socket.receive_bytes()
    await socket.send_bytes(samples.up(samples.MAIN, samples.client_info()))
    return socket


async def drained(socket: ClientWebSocketResponse) -> int:
    """Take what the desktop draws, to its end; how many bytes."""
    count = 0
    while not (data := await socket.receive_bytes()).endswith(b"done"):
        count += len(data)
    return count


@contextlib.contextmanager
def gateway(folder: Path, port: int, sessions: int) -> "Iterator[tuple[subprocess.Popen[bytes], dict[str, Any]]]":
    """A gateway in a process of its own, where sessions of that desktop wait for who brings their tokens."""
    command = [sys.executable, "-m", "bench.viewer", str(folder), str(port), str(sessions)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin and process.stdout
    try:
        yield process, json.loads(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(10)


def resident(pid: int) -> int:
    """Bytes of memory that a process has."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


async def serving(folder: Path, port: int, sessions: int) -> None:
    """What runs in the other process, until its standard input ends."""
    async with stage(folder, "rdp", serve.serve) as here:
        tokens = [here.open(port=port, user=f"user:{number}", password="secret")[1] for number in range(sessions)]
        print(json.dumps({"url": str(here.client._base_url), "tokens": tokens}), flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serving(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
