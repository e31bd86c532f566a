"""Scripted agents over real HTTP: they register, tell their story, log out when they are told to, and never give up."""

import asyncio
import json
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from tests.chaos.stories import WAIT, Said, Story

AT_ONCE = 24  # requests under way, held polls aside
PATIENCE = 10.0
HELD = 20  # seconds of a poll
TRY_AGAIN = 0.3


@dataclass(frozen=True)
class Machine:
    """What a WorkSpace knows of itself."""

    ref: str
    computer_name: str
    address: str


class Forgotten(Exception):
    """Our key is not known any more: a registration whose answer we had given up came after the one that we heard."""


class NoAnswer(Exception):
    """Nobody was there, or it was no answer: try again."""


@dataclass
class Line:
    """The way to the broker: any of its processes, in turn. `failed` counts the requests that had to be repeated."""

    addresses: Sequence[str]
    asked: int = 0
    failed: int = 0
    slowest: float = 0.0
    open: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def call(self, method: str, path: str, body: Any = None, key: str = "") -> Any:
        """The answer's JSON, whenever it comes. Raises Forgotten; AssertionError where we are refused."""
        while True:
            try:
                if method == "GET":
                    return await self.once(method, path, body, key, HELD + PATIENCE)
                async with self.open:
                    began = time.monotonic()
                    answer = await self.once(method, path, body, key, PATIENCE)
                    self.slowest = max(self.slowest, time.monotonic() - began)
                    return answer
            except (NoAnswer, OSError, EOFError, TimeoutError):
                self.failed += 1
                await asyncio.sleep(TRY_AGAIN)

    async def once(self, method: str, path: str, body: Any, key: str, patience: float) -> Any:
        """One try. Raises NoAnswer, OSError, EOFError or TimeoutError; Forgotten."""
        self.asked += 1
        address = self.addresses[self.asked % len(self.addresses)]
        status, answer = await asyncio.wait_for(request(address, method, path, body, key), patience)
        if status == 401:
            raise Forgotten
        assert status < 400, (path, status, answer)
        return answer


async def request(address: str, method: str, path: str, body: Any, key: str) -> tuple[int, Any]:
    """One request on a connection of its own; NoAnswer where the server was ended, or says that it cannot just now."""
    parts = urlsplit(address)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        content = json.dumps(body).encode() if body is not None else b""
        head = [f"{method} /agent/v1/{path} HTTP/1.1", f"Host: {parts.netloc}", "Connection: close"]
        head += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
        head += [f"Authorization: Bearer {key}"] if key else []
        writer.write("\r\n".join([*head, "", ""]).encode() + content)
        answer = await reader.read()
    finally:
        writer.close()
    top, _, rest = answer.partition(b"\r\n\r\n")
    if not top:
        raise NoAnswer
    status = int(top.split()[1])
    if status in {429, 503}:
        raise NoAnswer
    return status, json.loads(rest)


def now() -> str:
    """The agent's clock."""
    return datetime.now(UTC).isoformat()


@dataclass
class Agent:
    """One agent and its story."""

    story: Story
    machine: Machine
    token: str
    line: Line
    key: str = ""
    seq: int = 100
    said_at: float = 0.0
    late: bool = False  # the broker heard of two turns of the story so far apart that the wait between was over
    live_sessions: set[str] = field(default_factory=set)
    asking: "asyncio.Task[None] | None" = None

    @property
    def boot(self) -> str:
        """There is only one."""
        return f"boot-{self.machine.ref}"

    async def register(self) -> None:
        """As the image's token allows."""
        answer = await self.line.call(
            "POST",
            "register",
            {
                "token": self.token, "fingerprint": f"board-{self.machine.ref}", "boot_id": self.boot,
                "hostname": self.machine.computer_name, "workspace_id": self.machine.ref,
                "addresses": [self.machine.address], "os": "Test", "version": "chaos", "protocols": ["rdp"],
            },
        )  # fmt: skip
        assert answer["approved"], answer
        self.key = answer["key"]

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """A call with our key; where that is forgotten we register again, as the answer says."""
        while True:
            try:
                return await self.line.call(method, path, body, self.key)
            except Forgotten:
                await self.register()

    async def tell(self, *events: Said) -> None:
        """Send a batch until the broker has it; the times of the events are those of the first try."""
        at, self.said_at = now(), time.monotonic()
        batch = [
            {"seq": each.seq, "type": each.type, "user": f"CORP\\{self.story.user}", "session": each.session,
             "at": at, "data": each.data}
            for each in events
        ]  # fmt: skip
        answer = await self.ask("POST", "events", {"boot_id": self.boot, "sent_at": now(), "events": batch})
        assert answer["rejected"] == [], answer
        for each in events:
            if each.type in {"login", "reconnect"}:
                self.live_sessions.add(each.session)
            if each.type == "logout":
                self.live_sessions.discard(each.session)

    async def live(self, began: float) -> None:
        """The story, from `began` on by the event loop's clock, until the sessions are as it says they end.

        Who is going to be stopped goes on asking for commands: a plan waits for an agent that falls silent (RULES 20).
        """
        await asyncio.sleep(max(0.0, began + self.story.begins - asyncio.get_running_loop().time()))
        await self.register()
        if self.story.stops:
            self.asking = asyncio.create_task(self.obey())
        for post in self.story.posts:
            before = self.said_at
            await asyncio.sleep(post.after)
            await self.tell(*post.events)
            self.late |= 0 < before < time.monotonic() - WAIT + 1
            if post.twice:
                await self.tell(*post.events)
        while self.live_sessions != set(self.story.live):
            await asyncio.sleep(0.2)

    async def obey(self) -> None:
        """Ask for commands and do them, until cancelled. Where the poll is not held we ask again soon."""
        while True:
            answer = await self.ask("GET", f"commands?wait={HELD}")
            for command in answer["commands"]:
                await self.do(command)
            if "retry_after" in answer:
                await asyncio.sleep(1)

    async def do(self, command: dict[str, Any]) -> None:
        """Show a message, or log a session out; a session that is gone already is no trouble."""
        session = command["data"]["session"]
        await self.ask("POST", f"commands/{command['id']}", {"ok": True, "detail": ""})
        if command["type"] == "logout" and session in self.live_sessions:
            self.seq += 1
            await self.tell(Said(self.seq, "logout", session))


async def live(agents: Sequence[Agent], over: Callable[[], bool], seconds: float) -> None:
    """All their stories at once, until all is over. Raises TimeoutError where one does not come to its end."""

    async def everything() -> None:
        began = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            for agent in agents:
                group.create_task(agent.live(began))
        while not await asyncio.to_thread(over):
            await asyncio.sleep(0.5)

    try:
        await asyncio.wait_for(everything(), seconds)
    except TimeoutError:
        late = [agent.story.user for agent in agents if agent.live_sessions != set(agent.story.live)]
        raise TimeoutError(f"{len(late)} stories have not come to their end: {late[:20]}") from None
    finally:
        for agent in agents:
            if agent.asking:
                agent.asking.cancel()


def apart(work: Coroutine[Any, Any, Any]) -> None:
    """Run it on a loop in a thread of its own: Playwright's still runs in this one where browser tests came before."""
    with ThreadPoolExecutor(1) as beside:
        beside.submit(asyncio.run, work).result()
