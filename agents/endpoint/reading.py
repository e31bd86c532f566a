"""Reads requests' bodies: not too much, not too slowly, and not too many large ones at once."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from agents.calls import TOO_LARGE, TOO_MANY, TOO_SLOW, Answer
from agents.wire import BODY_LIMIT

WITHIN = 15.0  # seconds for a whole body
DRAINED = 4 * BODY_LIMIT  # what is a little too large is read to its end, so that its sender hears the answer
SMALL = 16_384  # bytes; what agents say as a rule is smaller, and is taken in any case
HELD = 64 * BODY_LIMIT  # bytes of all callers, beyond which none but small bodies are taken

Receive = Callable[[], Awaitable[Mapping[str, Any]]]


class Unread(Exception):
    """The body cannot be taken; `answer` says why, and the connection ends with it."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class Bodies:
    """What all callers together have in our memory: nobody has shown a key yet when their bodies are read."""

    def __init__(self) -> None:
        self.held = 0

    async def read(self, receive: Receive, announced: bytes) -> bytes:
        """A body, counted until `done`; `announced` is the Content-Length. Raises Unread."""
        if announced.isdigit() and int(announced) > DRAINED:
            raise Unread(TOO_LARGE)
        kept = bytearray()
        try:
            async with asyncio.timeout(WITHIN):
                size = await self._fill(kept, receive)
            if size > BODY_LIMIT:
                raise Unread(TOO_LARGE)
        except TimeoutError:
            self.done(kept)
            raise Unread(TOO_SLOW) from None
        except BaseException:
            self.done(kept)
            raise
        return bytes(kept)

    async def _fill(self, kept: bytearray, receive: Receive) -> int:
        """In one piece or in chunks; returns the size, also of what was not kept."""
        size, more = 0, True
        while more and size <= DRAINED:
            message = await receive()
            chunk = message.get("body", b"")
            size += len(chunk)
            if size <= BODY_LIMIT:
                kept += chunk
                self.held += len(chunk)
            if len(kept) > SMALL and self.held > HELD:
                raise Unread(TOO_MANY)
            more = message.get("more_body", False)
        return size

    def done(self, body: bytes | bytearray) -> None:
        """It is in nobody's hands any more."""
        self.held -= len(body)
