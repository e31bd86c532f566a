"""Reads a request's body: not too much, not too slowly."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from agents.calls import TOO_LARGE, TOO_SLOW, Answer
from agents.wire import BODY_LIMIT

WITHIN = 15.0  # seconds for a whole body
DRAINED = 4 * BODY_LIMIT  # what is a little too large is read to its end, so that its sender hears the answer

Receive = Callable[[], Awaitable[Mapping[str, Any]]]


class Unread(Exception):
    """The body cannot be taken; `answer` says why, and the connection ends with it."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


async def body_of(receive: Receive, announced: bytes) -> bytes:
    """The body, in one piece or in chunks; `announced` is the Content-Length. Raises Unread."""
    if announced.isdigit() and int(announced) > DRAINED:
        raise Unread(TOO_LARGE)
    kept, size, more = bytearray(), 0, True
    try:
        async with asyncio.timeout(WITHIN):
            while more and size <= DRAINED:
                message = await receive()
                chunk = message.get("body", b"")
                size += len(chunk)
                if size <= BODY_LIMIT:
                    kept += chunk
                more = message.get("more_body", False)
    except TimeoutError:
        raise Unread(TOO_SLOW) from None
    if size > BODY_LIMIT:
        raise Unread(TOO_LARGE)
    return bytes(kept)
