"""What an engine is given of a page's messages, however large they are."""

import asyncio
import os
from pathlib import Path

from aiohttp import web

from gateways.program.viewing import PIECE, Ending, Visit, welcome
from tests.gateway_program.stage import in_loop, stage, until


def test_a_large_message_comes_in_pieces_between_which_others_have_a_turn(tmp_path: Path) -> None:
    said, heard, turns_of_others = os.urandom(32 * PIECE), bytearray(), 0

    async def others() -> None:
        nonlocal turns_of_others
        while True:
            turns_of_others += 1
            await asyncio.sleep(0)

    async def engine(visit: Visit) -> Ending:
        await visit.agree()
        heard.extend(await visit.receive())
        before, other = turns_of_others, asyncio.ensure_future(others())
        pieces = [await visit.receive() for _ in range(31)]
        other.cancel()
        assert max(map(len, pieces)) == PIECE
        assert turns_of_others - before >= len(pieces)
        heard.extend(b"".join(pieces))
        return "It has heard all.", "user"

    async def serve(request: web.Request) -> web.WebSocketResponse:
        return await welcome(request, "vnc", engine)

    @in_loop
    async def story() -> None:
        async with stage(tmp_path, "vnc", serve) as here:
            session, token = here.open()
            page = await here.page(token)
            await page.socket.send_bytes(said)
            await page.closed()
            await until(lambda: session.closed_at > 0, "it is over")
            assert (session.reason, bytes(heard) == said, session.bytes_in) == ("It has heard all.", True, len(said))

    story()
