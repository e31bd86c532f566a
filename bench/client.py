"""Agents by the thousand, in a process of their own: `python -m bench.client PORT KEYS MODE …`; prints JSON.

`polls SECONDS` opens one held poll per key, says "held" and waits; `posts SECONDS SIZE CONNECTIONS` sends batches.
"""

import asyncio
import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

OPENING_AT_ONCE = 200


def head(verb: str, path: str, key: str, length: int) -> bytes:
    """A request's head."""
    return (
        f"{verb} /agent/v1/{path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and body."""
    told = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(told.partition("content-length: ")[2].partition("\r\n")[0])
    return int(told.split()[1]), await reader.readexactly(length)


async def polls(port: int, keys: list[str], seconds: int) -> None:
    """Open them, a few at a time; say when all are; count what comes back."""
    gate, opened, statuses = asyncio.Semaphore(OPENING_AT_ONCE), 0, []

    async def one(key: str) -> None:
        nonlocal opened
        async with gate:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head("GET", f"commands?wait={seconds}", key, 0))
            await writer.drain()
            opened += 1
        status, _body = await answer(reader)
        statuses.append(status)
        writer.close()

    begun = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for key in keys:
            group.create_task(one(key))
        while opened < len(keys):
            await asyncio.sleep(0.05)
        say({"opened": opened, "seconds": time.monotonic() - begun})
    say({"answered": len(statuses), "good": statuses.count(200)})


def batches(size: int) -> Iterator[list[dict[str, object]]]:
    """Locks and unlocks of one session after its login, for ever."""
    seq = 0
    while True:
        kinds = ["login"] if seq == 0 else []
        kinds += ["lock" if (seq + n) % 2 else "unlock" for n in range(size - len(kinds))]
        yield [{"seq": seq + n, "type": kind, "user": "CORP\\x", "session": "1"} for n, kind in enumerate(kinds)]
        seq += size


async def posts(port: int, keys: list[str], seconds: int, size: int, connections: int) -> None:
    """So many connections, each through its share of the agents, as fast as the answers come."""
    until = time.monotonic() + seconds
    taken: list[float] = []
    other: list[int] = []

    async def one(mine: list[str]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        told = {key: batches(size) for key in mine}
        while True:
            for key in mine:
                body = json.dumps({"boot_id": "b", "events": next(told[key])}).encode()
                begun = time.monotonic()
                if begun >= until:
                    return
                writer.write(head("POST", "events", key, len(body)) + body)
                status, _said = await answer(reader)
                (taken.append(time.monotonic() - begun) if status == 202 else other.append(status))

    async with asyncio.TaskGroup() as group:
        for number in range(connections):
            group.create_task(one(keys[number::connections]))
    taken.sort()
    say(
        {
            "posts": len(taken),
            "a_second": len(taken) / seconds,
            "p95": taken[len(taken) * 95 // 100],
            "other": other[:9],
        }
    )


def say(facts: dict[str, object]) -> None:
    """One line of JSON."""
    print(json.dumps(facts), flush=True)


def main() -> None:
    """By the arguments."""
    port, keys, mode, *numbers = sys.argv[1:]
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    held = Path(keys).read_text().split()
    work = {"polls": polls, "posts": posts}[mode]
    asyncio.run(work(int(port), held, *map(int, numbers)))  # type: ignore[operator]


if __name__ == "__main__":
    main()
