"""What browsers send, within limits. A small body is here before the broker is asked: who sends slowly costs nobody a
connection to the broker. Large ones stream, few at a time, and have to get on.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from gateways.program.turns import Places, TooMany, Turns

LARGEST = 64 * 1024 * 1024  # bytes
SMALL = 256 * 1024  # bytes that are kept here until all have come
SMALL_SECONDS = 30  # for a small one, and for the beginning of a large one
AT_A_TIME = 256  # small ones on their way: 64 MB
PIECE, PIECE_SECONDS = 65_536, 5  # of a large one: who is slower holds up others
SENDING = 600  # seconds for all of a large one
# Large ones at a time, of one address, waiting, how long. Each holds a thread of the broker, which has 16.
LARGE, LARGE_OF_ONE, WAITING, PATIENCE = 4, 2, 32, 15


class Trouble(Exception):
    """It cannot be passed on; the status and the words of the page that says so."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class Uploads:
    """How many bodies are on their way."""

    def __init__(self) -> None:
        self.small = Places(AT_A_TIME)
        self.large, self.of_one = Turns(LARGE, WAITING, PATIENCE), Turns(LARGE_OF_ONE, WAITING, PATIENCE)

    @asynccontextmanager
    async def turn(self, address: str) -> AsyncIterator[None]:
        """For a large one. Raises Trouble."""
        try:
            async with self.of_one.of(address), self.large.of(""):
                yield
        except TooMany:
            raise Trouble(429, "Too much is being sent at the same time. Please try again soon.") from None


class Body:
    """Of one request. `data` is for the client library: None where there is no body."""

    def __init__(self, request: web.Request, uploads: Uploads) -> None:
        if (request.content_length or 0) > LARGEST:
            raise too_large()
        self.request, self.uploads = request, uploads
        self.data: bytes | AsyncIterator[bytes] | None = None
        self.trouble: Trouble | None = None  # why a large one was not passed on: the client library hides it

    @asynccontextmanager
    async def begun(self) -> AsyncIterator[None]:
        """All of a small one is here, or the beginning of a large one, whose turn it is. Raises Trouble."""
        if not self.request.body_exists:
            yield
            return
        start = await self._start()
        if len(start) < SMALL:
            self.data = start
            yield
            return
        async with self.uploads.turn(self.request.remote or ""):
            self.data = self._pieces(start)
            yield

    async def _start(self) -> bytes:
        try:
            async with self.uploads.small.one(self.request.remote or ""):
                return await self._piece(SMALL, SMALL_SECONDS)
        except TimeoutError:  # others came, who may be quicker
            raise too_slow() from None

    async def _pieces(self, piece: bytes) -> AsyncIterator[bytes]:
        size, end = 0, asyncio.get_running_loop().time() + SENDING
        try:
            while piece:
                size += len(piece)
                if size > LARGEST:
                    raise too_large()
                yield piece
                piece = await self._piece(PIECE, min(PIECE_SECONDS, end - asyncio.get_running_loop().time()))
        except Trouble as error:
            self.trouble = error
            raise

    async def _piece(self, size: int, seconds: float) -> bytes:
        """So many bytes or some more; fewer only at the end. Raises Trouble."""
        piece = bytearray()
        try:
            async with asyncio.timeout(seconds):
                while len(piece) < size and (data := await self.request.content.readany()):
                    piece += data
        except TimeoutError:
            raise too_slow() from None
        except (OSError, web.RequestPayloadError):
            raise Trouble(400, "What you sent broke off.") from None
        return bytes(piece)


def too_slow() -> Trouble:
    """Whatever is not here by its time."""
    return Trouble(408, "What you sent did not come in time.")


def too_large() -> Trouble:
    """Both for what is announced and for what comes unannounced."""
    return Trouble(413, f"More than {LARGEST // 1024 // 1024} MB cannot be sent.")
